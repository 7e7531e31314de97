"""Find the streams of a model among the arrays of a file: by name, or by width where the names say nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

from yt8m_core.data.features.contents import Shape
from yt8m_core.data.schema import Schema

# Other names of a stream: VGGish features are "audio" in YouTube-8M and "audio_embedding" in AudioSet.
_OTHER_NAMES = {"audio_embedding": "audio", "audio": "audio_embedding"}


@dataclass(frozen=True)
class Match:
    """Arrays that hold the streams of a model."""

    names: Mapping[str, str]  # the file's name of each stream that it has
    is_joined: bool = False  # one array holds these streams side by side
    note: str = ""  # how they were found, unless by their names
    is_by_name: bool = True  # else by the widths of the arrays


def match_streams(schema: Schema, shapes: Mapping[str, Shape]) -> Match | None:
    """Return the arrays of a model's streams, or None. Optional streams may be missing.

    Args:
        schema: the model's schema.
        shapes: shape of each array by its name.
    """
    streams = [name for name, _ in schema.streams]
    frame_names = [name.removeprefix("mean_") for name in streams]
    vector_names = [f"mean_{name}" for name in frame_names]
    levels = (frame_names, vector_names) if schema.level == "frame" else (vector_names, frame_names)
    others = [_OTHER_NAMES.get(name, name) for name in frame_names]
    for candidates in (streams, *levels, others):
        if names := _complete(schema, {s: n for s, n in zip(streams, candidates, strict=True) if n in shapes}):
            used = [
                f"'{name}' is used as '{stream}'" for stream, name in names.items() if _OTHER_NAMES.get(name) == stream
            ]
            return Match(names, note=f"{', '.join(used)}." if used else "")
    return _match_widths(schema, shapes)


def _complete(schema: Schema, names: dict[str, str]) -> dict[str, str]:
    """Return the names if no required stream is missing, else none."""
    return names if all(stream in names or schema.is_optional(stream) for stream, _ in schema.streams) else {}


def _match_widths(schema: Schema, shapes: Mapping[str, Shape]) -> Match | None:
    by_width: dict[int, list[str]] = {}
    for name, shape in shapes.items():
        if shape:
            by_width.setdefault(shape[-1], []).append(name)
    names = {stream: by_width[dim][0] for stream, dim in schema.streams if len(by_width.get(dim, ())) == 1}
    if len(set(names.values())) == len(names) and (names := _complete(schema, names)):
        pairs = ", ".join(f"'{name[:40]}' as '{stream}'" for stream, name in names.items())
        return Match(names, note=f"Streams were recognized by their widths: {pairs}.", is_by_name=False)
    required = [stream for stream in schema.streams if not schema.is_optional(stream[0])]
    for streams in (list(schema.streams), required):
        joined = by_width.get(sum(dim for _, dim in streams), [])
        if len(joined) == 1:
            return Match(dict.fromkeys((stream for stream, _ in streams), joined[0]), is_joined=True, is_by_name=False)
    return None
