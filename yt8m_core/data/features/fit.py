"""Convert the contents of a feature file to model inputs, with notes on the conversion."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yt8m_core.data.features.contents import VideoContents, describe_expected
from yt8m_core.data.features.match import Match, match_streams
from yt8m_core.data.quantization import dequantize
from yt8m_core.data.schema import FILL_BYTE, Schema, expected_features, find_invalid_feature
from yt8m_core.errors import UserError

MAX_ID = 100
Columns = Mapping[str, NDArray[Any]]  # by stream: uint8 or float32, [T, dim] or [dim]


@dataclass(frozen=True)
class UploadedVideo:
    """One video of a feature file, converted to model inputs."""

    id: str  # printable; the file's name if the file has no id; not always unique in a file
    frames: NDArray[Any]  # uint8 [T, D], or dequantized float32 [T, D]; float32 [1, D] for a video-level model
    labels: tuple[int, ...] | None  # sorted, unique; None if the file has none
    notes: tuple[str, ...]  # what was converted, for display; feature_check judges the features


def to_printable(text: str) -> str:
    """Remove characters (control, direction, …) that could garble a page or a log."""
    return "".join(c for c in text if c.isprintable()).strip()


def fit_to_model(contents: VideoContents, schema: Schema, max_frames: int, default_id: str) -> Iterator[UploadedVideo]:
    """Yield the model inputs for each video of some contents. Raises UserError where they do not fit the schema."""
    match = find_streams(contents, schema, describe_expected(schema))
    columns = read_columns(contents, match, schema)
    unused = [f"'{name[:40]}'" for name in contents.shapes if name not in match.names.values()]
    notes = [*contents.notes, *filter(None, [match.note]), *([f"Not used: {', '.join(unused[:8])}."] if unused else [])]
    videos = list(_split_videos(columns, match, schema))
    if len(videos) > 1 and match.is_joined:
        notes.append(f"{len(videos):,} vectors: each is a video. For the frames of one video, save bytes or an .npz.")
    for number, video in enumerate(videos, 1):
        video_id = to_printable(contents.id[:MAX_ID]) or default_id
        if len(videos) > 1:
            video_id = f"{video_id} {number}"
        own_notes = list(notes)
        frames = _join(video, schema, max_frames, own_notes)
        yield UploadedVideo(video_id, frames, contents.labels if len(videos) == 1 else None, tuple(own_notes))


def find_streams(contents: VideoContents, schema: Schema, expected: str) -> Match:
    """Return the arrays of a schema's streams. Raises UserError, with what was ``expected``, where there are none."""
    match = match_streams(schema, contents.shapes)
    if match is None:
        names = ", ".join(f"'{name[:40]}' {list(shape)}" for name, shape in list(contents.shapes.items())[:8])
        raise UserError(f"the arrays {names}" if names else "no features", where=contents.where, expected=expected)
    return match


def read_columns(contents: VideoContents, match: Match, schema: Schema) -> Columns:
    """Read the streams, checking widths and values."""
    dims = {stream: dim for stream, dim in schema.streams if stream in match.names}
    widths = {next(iter(match.names.values())): sum(dims.values())} if match.is_joined else {}
    arrays = {}
    for stream, name in match.names.items():
        dim, shape = widths.get(name, dims[stream]), contents.shapes[name]
        where = f"{contents.where}, '{name[:40]}'"
        if shape and (shape[-1] != dim or len(shape) > 3 or 0 in shape):
            raise UserError(f"the shape {shape}", where=where, expected=f"(T, {dim}) with T of at least 1")
        if name not in arrays:
            arrays[name] = _check_numbers(where, contents.read(name))
    if match.is_joined:
        (array,) = arrays.values()
        parts = np.split(array, np.cumsum(list(dims.values()))[:-1], axis=-1)
        return dict(zip(dims, parts, strict=True))
    return {stream: arrays[name] for stream, name in match.names.items()}


def _split_videos(columns: Columns, match: Match, schema: Schema) -> Iterator[Columns]:
    """Yield the columns of each video: of [N, T, dim], and of vectors [N, dim] that are means of videos."""
    dims = {column.ndim for column in columns.values()}
    names_means = all(name.startswith("mean_") for name in match.names.values())
    float_vectors = schema.level == "video" and match.is_joined and all(c.dtype != np.uint8 for c in columns.values())
    if dims == {3} or (dims == {2} and (names_means or float_vectors)):
        N = min(map(len, columns.values()))
        yield from ({stream: column[video] for stream, column in columns.items()} for video in range(N))
    else:
        yield columns


def _join(columns: Columns, schema: Schema, max_frames: int, notes: list[str]) -> NDArray[Any]:
    """Return the frames [T, D] of a video, cut to ``max_frames``, and add notes on the conversion."""
    is_vector = any(column.ndim == 1 for column in columns.values())
    parts = {stream: np.atleast_2d(column) for stream, column in columns.items()}
    lengths = {stream: len(part) for stream, part in parts.items()}
    T = min(lengths.values())
    if max(lengths.values()) > T:
        notes.append(f"The streams differ in length, {lengths}: the first {T} frames are used.")
    if max_frames < T:
        notes.append(f"{T:,} frames: the first {max_frames} are used.")
        T = max_frames
    has_floats = any(part.dtype != np.uint8 for part in parts.values())
    if has_floats and not is_vector:
        notes.append("The features are floats and are used as dequantized values.")
    for name, dim in schema.streams:
        if name not in parts:
            parts[name] = np.full((T, dim), FILL_BYTE, np.uint8)
            notes.append(f"The file has no '{name}': filled with byte 128, a value of about 0.")
    values = [parts[name][:T] for name, _ in schema.streams]
    if has_floats or schema.level == "video":
        values = [_dequantized(part) for part in values]
    frames = np.concatenate(values, axis=1)  # [T, D]; a copy, so that the file's memory is freed
    if schema.level == "video" and not is_vector:
        notes.append(f"The model takes one vector per video: {T} dequantized frames were averaged.")
        frames = frames.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    elif schema.level == "frame" and is_vector:
        notes.append("The model takes a sequence, but the file has one vector: it is used as a single frame.")
    return frames


def _check_numbers(where: str, column: NDArray[Any]) -> NDArray[Any]:
    """Return bytes unchanged and floats as float32. Raises UserError for NaN, infinity and huge numbers."""
    if column.dtype == np.uint8:
        return column
    with np.errstate(over="ignore"):  # 1e300 becomes inf, which is refused below
        values = column.astype(np.float32)
    if (at := find_invalid_feature(values)) is not None:
        place = f"in frame {at[-2]}, position {at[-1]}" if len(at) > 1 else f"at position {at[-1]}"
        raise UserError(f"{column[at]} {place}", where=where, expected=expected_features(column[at]))
    return values


def _dequantized(column: NDArray[Any]) -> NDArray[np.float32]:
    return dequantize(torch.tensor(column)).numpy() if column.dtype == np.uint8 else column
