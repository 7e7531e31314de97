"""What a reader of uploaded files hands on, and what all of them say alike."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from yt8m_core.data.schema import MAX_LABEL, Level, Schema
from yt8m_core.errors import UserError

MAX_LABELS = 1000
MAY_BE_MISSING = ("audio", "mean_audio")


@dataclass(frozen=True)
class Contents:
    """What a file holds of one video, its columns (uint8 or float, [T, dim] or [dim]) by the model's stream names."""

    where: str
    level: Level
    columns: Mapping[str, NDArray[Any]]
    id: str = ""
    labels: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()


def expected(schema: Schema) -> str:
    """The files that a model of this schema can be given, in words."""
    streams = " and ".join(f"'{name}' [T, {dim}]" for name, dim in schema.streams)
    return f"an .npz with {streams}, an .npy [T, {schema.width}], a .tfrecord with these, or MediaPipe's features.pb"


def names_in(schema: Schema, held: Mapping[Level, Collection[str]]) -> tuple[Level, dict[str, str]] | None:
    """The level at which a file holds the model's streams, and the name there of each one that it holds."""
    streams = [name for name, _ in schema.streams]
    other: Level = "video" if schema.level == "frame" else "frame"
    renamed = [f"mean_{name}" if other == "video" else name.removeprefix("mean_") for name in streams]
    for level, names in ((schema.level, streams), (other, renamed)):
        if found := held_of(schema, dict(zip(streams, names, strict=True)), held[level]):
            return level, found
    return None


def held_of(schema: Schema, names: Mapping[str, str], held: Collection[str]) -> dict[str, str]:
    """The file's name of each stream that it holds; nothing where one is missing that must be there."""
    found = {stream: names[stream] for stream, _ in schema.streams if names[stream] in held}
    return found if all(stream in found or stream in MAY_BE_MISSING for stream, _ in schema.streams) else {}


def checked_labels(where: str, labels: list[int]) -> tuple[int, ...] | None:
    """Labels ascending and each once, None for none. Raises UserError for what cannot be labels."""
    if len(labels) > MAX_LABELS or not all(0 <= label <= MAX_LABEL for label in labels):
        found = f"{len(labels):,} labels from {min(labels)} to {max(labels)}"
        raise UserError(found, where=where, expected=f"at most {MAX_LABELS:,} labels from 0 to {MAX_LABEL:,}")
    return tuple(sorted(set(labels))) or None
