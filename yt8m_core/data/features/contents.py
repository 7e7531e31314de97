"""Contents of feature files: what every reader returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from yt8m_core.data.schema import MAX_LABEL, Schema
from yt8m_core.errors import UserError

MAX_LABELS = 1000
Shape = tuple[int, ...]


@dataclass(frozen=True)
class VideoContents:
    """Contents of a file for one video.

    Attributes:
        where: file and record, for messages.
        shapes: shape of each array by its name in the file: [T, dim], [dim] for a vector of the whole video, or
            [N, T, dim] for several videos; empty for an array that is no features.
        read: returns the array of a name, uint8 or float. Raises UserError where it cannot be used.
        id: id of the video; empty if the file has none.
        labels: sorted and unique; None if the file has none.
        label_names: names of the labels, if the file has names.
        notes: what was converted, for display.
        start_time: start of a segment of a video, in seconds; None for a whole video.
    """

    where: str
    shapes: Mapping[str, Shape]
    read: Callable[[str], NDArray[Any]]
    id: str = ""
    labels: tuple[int, ...] | None = None
    label_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    start_time: float | None = None


def from_arrays(where: str, arrays: Mapping[str, NDArray[Any]], **fields: Any) -> VideoContents:
    """Return the contents of arrays that are in memory."""
    return VideoContents(where, {name: array.shape for name, array in arrays.items()}, arrays.__getitem__, **fields)


def describe_expected(schema: Schema) -> str:
    """Describe the files that a model with this schema takes."""
    streams = " and ".join(f"'{name}' [T, {dim}]" for name, dim in schema.streams)
    return f"an .npz with {streams}, an .npy [T, {schema.width}], a .tfrecord with these, or MediaPipe's features.pb"


def check_labels(where: str, labels: list[int]) -> tuple[int, ...] | None:
    """Return labels sorted and unique, or None if there are none. Raises UserError for invalid labels."""
    if len(labels) > MAX_LABELS or not all(0 <= label <= MAX_LABEL for label in labels):
        found = f"{len(labels):,} labels from {min(labels)} to {max(labels)}"
        raise UserError(found, where=where, expected=f"at most {MAX_LABELS:,} labels from 0 to {MAX_LABEL:,}")
    if len(labels) > 2 and len(set(labels)) < len(labels) and set(labels) <= {0, 1}:
        shown = f"{labels[:8]}".rstrip("]") + (", …]" if len(labels) > 8 else "]")
        advice = "Save the ids of the labels: numpy.flatnonzero(labels)."
        raise UserError(f"the labels {shown}, a 0/1 vector", where=where, expected="label ids", advice=advice)
    return tuple(sorted(set(labels))) or None
