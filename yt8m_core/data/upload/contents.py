"""Common result type and helpers of the upload readers."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from yt8m_core.data.schema import MAX_LABEL, Level, Schema
from yt8m_core.errors import UserError

MAX_LABELS = 1000
OPTIONAL_STREAMS = ("audio", "mean_audio")


@dataclass(frozen=True)
class VideoContents:
    """Contents of a file for one video; ``columns`` (uint8 or float, [T, dim] or [dim]) are keyed by model stream."""

    where: str
    level: Level
    columns: Mapping[str, NDArray[Any]]
    id: str = ""
    labels: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()


def describe_expected(schema: Schema) -> str:
    """Describe the files that can be uploaded for a model with this schema."""
    streams = " and ".join(f"'{name}' [T, {dim}]" for name, dim in schema.streams)
    return f"an .npz with {streams}, an .npy [T, {schema.width}], a .tfrecord with these, or MediaPipe's features.pb"


def match_streams(schema: Schema, available: Mapping[Level, Collection[str]]) -> tuple[Level, dict[str, str]] | None:
    """Find the level at which a file has the model's streams.

    Args:
        schema: the model's schema.
        available: names in the file, by level.

    Returns:
        The level and the file's name of each stream it contains, or None.
    """
    streams = [name for name, _ in schema.streams]
    other: Level = "video" if schema.level == "frame" else "frame"
    other_names = [f"mean_{name}" if other == "video" else name.removeprefix("mean_") for name in streams]
    for level, names in ((schema.level, streams), (other, other_names)):
        if matches := match_names(schema, dict(zip(streams, names, strict=True)), available[level]):
            return level, matches
    return None


def match_names(schema: Schema, names: Mapping[str, str], available: Collection[str]) -> dict[str, str]:
    """Return the file's name of each stream it contains; empty if a required stream is missing."""
    matches = {stream: names[stream] for stream, _ in schema.streams if names[stream] in available}
    return matches if all(stream in matches or stream in OPTIONAL_STREAMS for stream, _ in schema.streams) else {}


def check_labels(where: str, labels: list[int]) -> tuple[int, ...] | None:
    """Return labels sorted and unique, or None if there are none. Raises UserError for invalid labels."""
    if len(labels) > MAX_LABELS or not all(0 <= label <= MAX_LABEL for label in labels):
        found = f"{len(labels):,} labels from {min(labels)} to {max(labels)}"
        raise UserError(found, where=where, expected=f"at most {MAX_LABELS:,} labels from 0 to {MAX_LABEL:,}")
    return tuple(sorted(set(labels))) or None
