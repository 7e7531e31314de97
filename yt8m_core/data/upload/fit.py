"""What a file holds of a video → its frames as the model takes them, and notes on how they became so."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yt8m_core.data.quantization import dequantize
from yt8m_core.data.schema import Schema
from yt8m_core.data.upload.contents import Contents
from yt8m_core.errors import UserError

MAX_ID = 100


@dataclass(frozen=True)
class UploadedVideo:
    """One video of an uploaded file, fitted to what the model takes."""

    id: str  # printable; the file's name where the file gives none; not always unique in a file
    frames: NDArray[Any]  # uint8 [T, D], or dequantized float32 [T, D]; float32 [1, D] for a video-level model
    labels: tuple[int, ...] | None  # ascending, each once; None where the file gives none
    notes: tuple[str, ...]  # what was done with the file, in words for a person; how it looks is feature_check's to say


def printable(text: str) -> str:
    """Without the characters (control, direction, …) that could garble a page or a log."""
    return "".join(c for c in text if c.isprintable()).strip()


def fit(contents: Contents, schema: Schema, max_frames: int, stem: str) -> UploadedVideo:
    """Fit what a file holds to the model; ``stem`` names a video that has no id."""
    notes = list(contents.notes)
    columns = {name: np.atleast_2d(column) for name, column in contents.columns.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    T = min(lengths.values())
    # A vector of the whole video, and not a sequence that happens to be short.
    vector = T == 1 and (contents.level == "video" or any(part.ndim == 1 for part in contents.columns.values()))
    if max(lengths.values()) > T:
        notes.append(f"The streams differ in length, {lengths}: the first {T} frames are used.")
    if max_frames < T:
        notes.append(f"{T:,} frames: the first {max_frames} are used.")
        T = max_frames
    columns = {name: _finite(f"{contents.where}, '{name}'", column[:T]) for name, column in columns.items()}
    floats = any(column.dtype != np.uint8 for column in columns.values())
    if floats and not vector:
        notes.append("The features are floats: taken as values that are dequantized already.")
    for name, dim in schema.streams:
        if name not in columns:
            columns[name] = np.full((T, dim), 128, np.uint8)
            notes.append(f"The file has no '{name}': filled with byte 128, whose value is about 0.")
    parts = [columns[name] for name, _ in schema.streams]
    if floats or schema.level == "video":
        parts = [_values(part) for part in parts]
    frames = np.concatenate(parts, axis=1)  # [T, D], a copy: nothing of the file stays in memory
    if schema.level == "video" and not vector:
        notes.append(f"Averaged over time as dequantized values (frames: {T}), for the model takes one vector a video.")
        frames = frames.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    elif schema.level == "frame" and vector:
        notes.append("One vector, as at video level: taken as a single frame, though the model takes a sequence.")
    return UploadedVideo(printable(contents.id[:MAX_ID]) or stem, frames, contents.labels, tuple(notes))


def _finite(where: str, column: NDArray[Any]) -> NDArray[Any]:
    """Bytes as they are, floats as float32."""
    if column.dtype == np.uint8:
        return column
    with np.errstate(over="ignore"):  # 1e300 becomes inf, and is refused as such
        values = column.astype(np.float32)
    if not np.isfinite(values).all():
        frame, position = np.argwhere(~np.isfinite(values))[0]
        found = f"{column[frame, position]} in frame {frame}, position {position}"
        raise UserError(found, where=where, expected="finite numbers")
    return values


def _values(column: NDArray[Any]) -> NDArray[np.float32]:
    return dequantize(torch.tensor(column)).numpy() if column.dtype == np.uint8 else column
