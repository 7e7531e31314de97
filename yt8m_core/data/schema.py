"""The record schema of a data set: level, feature streams and their widths."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["frame", "video"]
Streams = tuple[tuple[str, int], ...]
AUDIOSET_STREAMS: Streams = (("audio_embedding", 128),)
# Data sets whose streams are recognized by name; for any other data set the user names the streams.
KNOWN_STREAMS: dict[Level, tuple[Streams, ...]] = {
    "frame": ((("rgb", 1024), ("audio", 128)), AUDIOSET_STREAMS),
    "video": ((("mean_rgb", 1024), ("mean_audio", 128)),),
}
# Far above any edition (4,716 labels); keeps one absurd label from sizing a model.
MAX_LABEL = 1 << 20
MAX_WIDTH = 1 << 20  # of a stream


@dataclass(frozen=True)
class Schema:
    """Feature streams of the records: lists of byte vectors at frame level, one float vector each at video level."""

    level: Level
    streams: Streams

    @property
    def width(self) -> int:
        """Total feature dimension D: the sum of the stream widths."""
        return sum(dim for _, dim in self.streams)
