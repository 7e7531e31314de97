"""What the records of a data set hold: level, feature streams and their widths."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["frame", "video"]
Streams = tuple[tuple[str, int], ...]
# The data sets that name their own streams; anything else is told through Schema.
KNOWN_STREAMS: dict[Level, tuple[Streams, ...]] = {
    "frame": ((("rgb", 1024), ("audio", 128)), (("audio_embedding", 128),)),
    "video": ((("mean_rgb", 1024), ("mean_audio", 128)),),
}
# Far above any edition (4,716); keeps one absurd label from sizing a model.
MAX_LABEL = 1 << 20
MAX_WIDTH = 1 << 20  # of a stream


@dataclass(frozen=True)
class Schema:
    """What the records of a data set hold: feature lists of bytes (frame level) or float vectors (video level)."""

    level: Level
    streams: Streams

    @property
    def width(self) -> int:
        """D, the features of a frame: all streams side by side."""
        return sum(dim for _, dim in self.streams)
