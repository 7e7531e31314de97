"""Convert the contents of an uploaded file to model inputs, with notes on the conversion."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yt8m_core.data.quantization import dequantize
from yt8m_core.data.schema import Schema
from yt8m_core.data.upload.contents import VideoContents
from yt8m_core.errors import UserError

MAX_ID = 100


@dataclass(frozen=True)
class UploadedVideo:
    """One video of an uploaded file, converted to model inputs."""

    id: str  # printable; the file's name if the file has no id; not always unique in a file
    frames: NDArray[Any]  # uint8 [T, D], or dequantized float32 [T, D]; float32 [1, D] for a video-level model
    labels: tuple[int, ...] | None  # sorted, unique; None if the file has none
    notes: tuple[str, ...]  # what was converted, for display; feature_check judges the features


def to_printable(text: str) -> str:
    """Remove characters (control, direction, …) that could garble a page or a log."""
    return "".join(c for c in text if c.isprintable()).strip()


def fit_to_model(contents: VideoContents, schema: Schema, max_frames: int, default_id: str) -> UploadedVideo:
    """Convert the contents of a file to the inputs of a model with ``schema``."""
    notes = list(contents.notes)
    columns = {name: np.atleast_2d(column) for name, column in contents.columns.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    T = min(lengths.values())
    # A vector of the whole video, as opposed to a sequence of one frame.
    is_vector = T == 1 and (contents.level == "video" or any(part.ndim == 1 for part in contents.columns.values()))
    if max(lengths.values()) > T:
        notes.append(f"The streams differ in length, {lengths}: the first {T} frames are used.")
    if max_frames < T:
        notes.append(f"{T:,} frames: the first {max_frames} are used.")
        T = max_frames
    columns = {name: _check_finite(f"{contents.where}, '{name}'", column[:T]) for name, column in columns.items()}
    has_floats = any(column.dtype != np.uint8 for column in columns.values())
    if has_floats and not is_vector:
        notes.append("The features are floats and are used as dequantized values.")
    for name, dim in schema.streams:
        if name not in columns:
            columns[name] = np.full((T, dim), 128, np.uint8)
            notes.append(f"The file has no '{name}': filled with byte 128, a value of about 0.")
    parts = [columns[name] for name, _ in schema.streams]
    if has_floats or schema.level == "video":
        parts = [_dequantized(part) for part in parts]
    frames = np.concatenate(parts, axis=1)  # [T, D]; a copy, so that the file's memory is freed
    if schema.level == "video" and not is_vector:
        notes.append(f"The model takes one vector per video: {T} dequantized frames were averaged.")
        frames = frames.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    elif schema.level == "frame" and is_vector:
        notes.append("The model takes a sequence, but the file has one vector: it is used as a single frame.")
    return UploadedVideo(to_printable(contents.id[:MAX_ID]) or default_id, frames, contents.labels, tuple(notes))


def _check_finite(where: str, column: NDArray[Any]) -> NDArray[Any]:
    """Return bytes unchanged and floats as float32. Raises UserError for NaN and infinity."""
    if column.dtype == np.uint8:
        return column
    with np.errstate(over="ignore"):  # 1e300 becomes inf, which is refused below
        values = column.astype(np.float32)
    if not np.isfinite(values).all():
        frame, position = np.argwhere(~np.isfinite(values))[0]
        found = f"{column[frame, position]} in frame {frame}, position {position}"
        raise UserError(found, where=where, expected="finite numbers")
    return values


def _dequantized(column: NDArray[Any]) -> NDArray[np.float32]:
    return dequantize(torch.tensor(column)).numpy() if column.dtype == np.uint8 else column
