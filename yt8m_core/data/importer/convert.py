"""Convert the contents of feature files to records: the schema that fits them all, and one payload per video."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.features.fit import find_streams, read_columns
from yt8m_core.data.features.match import match_streams
from yt8m_core.data.quantization import dequantize, quantize
from yt8m_core.data.schema import KNOWN_STREAMS, Level, Schema, Streams
from yt8m_core.data.tfrecord.encode import Buffer, FeatureValue, encode_example, encode_parts
from yt8m_core.data.tfrecord.parse import START_KEY
from yt8m_core.errors import UserError

DEFAULT_STREAM = "features"  # of an array without a name of its own


def infer_schema(videos: Sequence[VideoContents], streams: Streams, quantize_floats: bool) -> Schema:
    """Return the schema of the records: YouTube-8M's or AudioSet's where the arrays fit it, else their own names.

    Args:
        videos: the first videos of an import, at least one.
        streams: streams named by the user; empty to infer them.
        quantize_floats: whether float frames are stored as bytes.

    Raises:
        UserError: a video has no features, or not those streams.
    """
    shapes = [{name: shape for name, shape in video.shapes.items() if shape} for video in videos]
    if empty := [video.where for video, arrays in zip(videos, shapes, strict=True) if not arrays]:
        raise UserError("no features", where=empty[0], expected="arrays of uint8 or float values")
    level: Level = "video" if all(len(shape) == 1 for arrays in shapes for shape in arrays.values()) else "frame"
    named = tuple((_stream_name(name), shape[-1]) for name, shape in shapes[0].items())
    for candidate in (streams,) if streams else (*KNOWN_STREAMS[level], named):
        schema = Schema(level, candidate)
        matches = [match_streams(schema, arrays) for arrays in shapes]
        if all(match is not None for match in matches):
            break
    else:
        video = videos[[match is None for match in matches].index(True)]
        find_streams(video, schema, " + ".join(f"{name} ({dim})" for name, dim in candidate))
    pairs = ((video, match) for video, match in zip(videos, matches, strict=True) if match is not None)
    dtypes = {video.read(name).dtype for video, match in pairs for name in match.names.values()}
    has_floats = level == "frame" and not quantize_floats and dtypes != {np.dtype(np.uint8)}
    return Schema(level, candidate, has_floats)


def _stream_name(name: str) -> str:
    """Return a name for --streams: without spaces and colons, and "features" for arrays that NumPy named."""
    clean = "".join(c if c.isalnum() or c in "_-./" else "_" for c in name)
    return DEFAULT_STREAM if clean in ("array", "arr_0", "") else clean


@dataclass
class Conversion:
    """What was done to values, over all videos."""

    videos: int = 0
    frames: int = 0
    cut: int = 0  # videos whose streams differ in length
    quantized: int = 0  # values
    clipped: int = 0  # values outside [-2, 2]
    largest_error: float = 0.0  # of quantization, without clipping

    def encode(
        self, contents: VideoContents, schema: Schema, labels: Sequence[int] | None, quantize_floats: bool
    ) -> list[Buffer]:
        """Return the payload of a video, in parts. Raises UserError where it does not fit the schema."""
        expected = " + ".join(f"{name} ({dim})" for name, dim in schema.streams)
        columns = read_columns(contents, find_streams(contents, schema, expected), schema)
        if schema.level == "video" and any(column.ndim > 1 and len(column) > 1 for column in columns.values()):
            raise UserError("frames", where=contents.where, expected="one vector per video, as in the first videos")
        parts = {stream: np.atleast_2d(column) for stream, column in columns.items()}
        T = min(map(len, parts.values()))
        self.cut += max(map(len, parts.values())) > T
        values = {
            stream: self._convert(part[:T], schema, contents.where, quantize_floats) for stream, part in parts.items()
        }
        self.videos, self.frames = self.videos + 1, self.frames + T
        context: dict[str, FeatureValue] = {"id": contents.id.encode("utf-8", "replace")}
        if labels:
            context["labels"] = labels
        if contents.start_time is not None:
            context[START_KEY] = np.array([contents.start_time], np.float32)
        if schema.level == "frame":
            return encode_parts(context, values)
        return [encode_example(context | {stream: part[0] for stream, part in values.items()})]

    def _convert(self, part: NDArray[Any], schema: Schema, where: str, quantize_floats: bool) -> NDArray[Any]:
        """Return values [T, dim] in the type of the records."""
        if part.dtype == schema.dtype:
            return part
        if schema.dtype == np.float32:
            return dequantize(torch.tensor(part)).numpy()
        if not quantize_floats:
            advice = "Store all videos as bytes: --quantize."
            raise UserError("float frames", where=where, expected="bytes, as in the first videos", advice=advice)
        codes = quantize(part)
        inside = abs(part) <= 2
        self.quantized, self.clipped = self.quantized + part.size, self.clipped + int((~inside).sum())
        errors = abs(dequantize(torch.tensor(codes)).numpy() - part)[inside]
        self.largest_error = max(self.largest_error, float(errors.max(initial=0)))
        return codes
