"""The record schema of a data set: level, feature streams and their widths."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yt8m_core.errors import UserError

Level = Literal["frame", "video"]
SegmentChoice = Literal["", "rated", "all"]  # whole videos, their rated segments, or all segments
TrainedSegments = Literal["", "rated"]
Streams = tuple[tuple[str, int], ...]
AUDIOSET_STREAMS: Streams = (("audio_embedding", 128),)
# Data sets whose streams are recognized by name; for any other data set the user names the streams.
KNOWN_STREAMS: dict[Level, tuple[Streams, ...]] = {
    "frame": ((("rgb", 1024), ("audio", 128)), AUDIOSET_STREAMS),
    "video": ((("mean_rgb", 1024), ("mean_audio", 128)),),
}
# Streams that a video may lack; they are filled with the byte whose value is nearest to 0.
OPTIONAL_STREAMS = ("audio", "mean_audio")
FILL_BYTE = 128
# Dequantized values of the bytes 0 to 255, as of ``quantization.dequantize``, which needs torch.
BYTE_VALUES = (np.arange(256) * 4 / 255 + 4 / 512 - 2).astype(np.float32)
FILL_VALUE = BYTE_VALUES[FILL_BYTE]
# Far above any edition (4,716 labels); keeps one absurd label from sizing a model.
MAX_LABEL = 1 << 20
MAX_WIDTH = 1 << 20  # of a stream
# Magnitude of a feature. No extractor comes near it, and the squared norm of a frame of such numbers still fits
# float32, with several streams of MAX_WIDTH too. Larger ones overflow: a normalized frame becomes 0, without a word.
MAX_FEATURE = 1e12
UNLABELED_POLICIES = ("error", "skip", "negative")  # for videos without labels, see ``labeled.py``


@dataclass(frozen=True)
class Schema:
    """Feature streams of the records: one vector per frame at frame level, one float vector at video level."""

    level: Level
    streams: Streams
    has_float_frames: bool = False
    """Whether frames are float vectors, as of other feature extractors, instead of YouTube-8M's bytes."""

    @property
    def width(self) -> int:
        """Total feature dimension D: the sum of the stream widths."""
        return sum(dim for _, dim in self.streams)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the features: uint8 for quantized frames, else float32."""
        return np.dtype(np.uint8 if self.level == "frame" and not self.has_float_frames else np.float32)

    @property
    def fill(self) -> Any:
        """Value of a missing stream, as a number of ``dtype``."""
        return FILL_BYTE if self.dtype == np.uint8 else FILL_VALUE

    def is_optional(self, stream: str) -> bool:
        """Whether a video may lack a stream. The only stream of a data set is never optional."""
        return stream in OPTIONAL_STREAMS and len(self.streams) > 1

    def accepts(self, other: "Schema") -> bool:
        """Whether a model of this schema takes the videos of another one: bytes are dequantized, floats are not."""
        return (self.level, self.streams) == (other.level, other.streams)


def find_invalid_feature(values: NDArray[Any]) -> tuple[int, ...] | None:
    """Return the position of the first number that is not finite or above ``MAX_FEATURE`` in magnitude; else None.

    >>> find_invalid_feature(np.array([[0.5, 1], [-1e13, np.nan]]))
    (1, 0)
    """
    if float(values.max(initial=0)) <= MAX_FEATURE and float(values.min(initial=0)) >= -MAX_FEATURE:  # False for NaN
        return None
    return tuple(np.argwhere(~(np.abs(values.astype(np.float64)) <= MAX_FEATURE))[0].tolist())


def expected_features(found: float) -> str:
    """Return what is expected in place of an invalid feature."""
    return f"numbers of at most {MAX_FEATURE:g} in magnitude" if np.isfinite(found) else "finite numbers"


def describe_schema(schema: Schema) -> str:
    """Return the level and the streams as text.

    >>> describe_schema(Schema("frame", (("rgb", 1024), ("audio", 128))))
    'frame-level features rgb (1024) + audio (128)'
    >>> describe_schema(Schema("frame", (("rgb", 1024),), has_float_frames=True))
    'frame-level float features rgb (1024)'
    """
    kind = "float features" if schema.has_float_frames else "features"
    return f"{schema.level}-level {kind} " + " + ".join(f"{name} ({dim})" for name, dim in schema.streams)


def parse_streams(texts: Sequence[str]) -> Streams:
    """Parse feature streams written as name:width. Raises UserError for anything else.

    >>> parse_streams(["rgb:1024", "audio:128"])
    (('rgb', 1024), ('audio', 128))
    """
    streams = []
    for text in texts:
        name, _, width = text.rpartition(":")
        is_number = width.isascii() and width.isdecimal() and len(width) <= 18
        if not name or not is_number or not 1 <= int(width) <= MAX_WIDTH:
            expected = f"name:width with a width from 1 to {MAX_WIDTH:,}, for example rgb:1024"
            raise UserError(f"stream '{text[:80]}'", expected=expected)
        streams.append((name, int(width)))
    if len(dict(streams)) < len(streams):
        raise UserError(f"streams {' '.join(texts)[:80]}", expected="each name once")
    return tuple(streams)
