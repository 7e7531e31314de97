"""Convert the contents of feature files to records: the schema that fits them all, and one payload per video."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yt8m_core.data.features.contents import Shape, VideoContents
from yt8m_core.data.features.fit import find_streams, read_columns
from yt8m_core.data.features.match import match_streams
from yt8m_core.data.quantization import dequantize, quantize
from yt8m_core.data.schema import KNOWN_STREAMS, Level, Schema, Streams
from yt8m_core.data.tfrecord.encode import Buffer, FeatureValue, encode_example, encode_parts
from yt8m_core.data.tfrecord.parse import START_KEY
from yt8m_core.errors import UserError

DEFAULT_STREAM = "features"  # of an array without a name of its own


def infer_schema(videos: Sequence[VideoContents], streams: Streams, quantize_floats: bool) -> Schema:
    """Return the schema of the records: YouTube-8M's or AudioSet's where all arrays are its streams, else their names.

    Args:
        videos: the first videos of an import, at least one.
        streams: streams named by the user; empty to infer them.
        quantize_floats: whether float frames are stored as bytes.

    Raises:
        UserError: a video has no features, or not those streams.
    """
    if empty := [video.where for video in videos if not any(video.shapes.values())]:
        raise UserError("no features", where=empty[0], expected="arrays of uint8 or float values")
    shapes = [(name, shape) for video in videos for name, shape in video.shapes.items() if shape]
    wanted = [shape for name, shape in shapes if name in dict(streams)] or [shape for _, shape in shapes]
    level: Level = "video" if all(len(shape) == 1 for shape in wanted) else "frame"
    videos = [_only_features(video, level) for video in videos]
    known = (candidate for candidate in KNOWN_STREAMS[level] if _are_known(candidate, level, videos))
    named = tuple((_stream_name(name), shape[-1]) for name, shape in videos[0].shapes.items())
    schema = Schema(level, streams or next(known, named))
    matches = [find_streams(video, schema, _describe_streams(schema)) for video in videos]
    pairs = zip(videos, matches, strict=True)
    dtypes = {video.read(name).dtype for video, match in pairs for name in match.names.values()}
    has_floats = level == "frame" and not quantize_floats and dtypes != {np.dtype(np.uint8)}
    return replace(schema, has_float_frames=has_floats)


def unused_arrays(videos: Sequence[VideoContents], schema: Schema) -> list[str]:
    """Return the arrays of some videos that are no streams of the records, such as "'fps' [1]"."""
    unused: dict[str, Shape] = {}
    for video in videos:
        match = find_streams(_only_features(video, schema.level), schema, _describe_streams(schema))
        unused |= {name: shape for name, shape in video.shapes.items() if name not in match.names.values()}
    return [f"'{name[:40]}' {list(shape)}" if shape else f"'{name[:40]}'" for name, shape in unused.items()]


def _only_features(contents: VideoContents, level: Level) -> VideoContents:
    """Return the contents without vectors beside the frames: as a stream, one would leave a single frame."""
    has_frames = level == "frame" and any(len(shape) > 1 for shape in contents.shapes.values())
    return replace(contents, shapes={name: s for name, s in contents.shapes.items() if len(s) > has_frames})


def _are_known(streams: Streams, level: Level, videos: Sequence[VideoContents]) -> bool:
    """Whether all arrays are known streams: by their names, or by the widths of all streams together."""
    has_widths = False
    for video in videos:
        match = match_streams(Schema(level, streams), video.shapes)
        if match is None or set(match.names.values()) != set(video.shapes):
            return False
        if not match.is_by_name and (len(match.names) < len(streams) or len(streams) == 1):
            return False
        dims = dict(streams)  # a single video with another width is left out later
        has_widths |= match.is_joined or all(video.shapes[n][-1] == dims[stream] for stream, n in match.names.items())
    return has_widths


def _describe_streams(schema: Schema) -> str:
    return " + ".join(f"{name} ({dim})" for name, dim in schema.streams)


def _stream_name(name: str) -> str:
    """Return a name for --streams: without spaces and colons, and "features" for arrays that NumPy named."""
    clean = "".join(c if c.isalnum() or c in "_-./" else "_" for c in name)
    return DEFAULT_STREAM if clean in ("array", "arr_0", "") else clean


def _one_video(contents: VideoContents, array: NDArray[Any]) -> NDArray[Any]:
    """Return frames [T, dim] or a vector [dim]. Raises UserError for several videos [N, T, dim]."""
    if array.ndim < 3:
        return array
    if len(array) > 1:
        found = f"{len(array):,} videos {list(array.shape)}"
        raise UserError(found, where=contents.where, expected="frames of one video")
    return np.asarray(array[0])


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
        contents = _only_features(contents, schema.level)
        match = find_streams(contents, schema, _describe_streams(schema))
        arrays = read_columns(contents, match, schema)
        columns = {stream: _one_video(contents, array) for stream, array in arrays.items()}
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
