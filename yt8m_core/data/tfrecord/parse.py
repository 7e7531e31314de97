"""Parse any valid record with protobuf, and detect the schema of a data set.

``parse_record`` raises all errors about record contents. ``scan.py`` reads regular records without it, about a hundred
times as fast, with the same result.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.schema import (
    KNOWN_STREAMS,
    MAX_LABEL,
    Level,
    Schema,
    Streams,
    expected_features,
    find_invalid_feature,
)
from yt8m_core.data.tfrecord.ratings import RATING_KEYS, Rating, parse_ratings
from yt8m_core.data.tfrecord.records import DecodeError, RecordError, parse_example
from yt8m_core.errors import UserError

ID_KEYS = ("id", "video_id")
START_KEY = "start_time_seconds"  # of AudioSet's segments

Error = Callable[..., RecordError]  # field, found, expected=, advice=


@dataclass(frozen=True)
class ParsedRecord:
    """Id, labels and features of one record, copied out of the buffer."""

    id: str
    labels: list[int] | None  # sorted, unique; None if the record has none
    frames: NDArray[Any]  # Schema.dtype [T, D]; T = 1 at video level
    missing: tuple[str, ...]  # optional streams that the record lacks
    repeats_label: bool  # whether a label occurs more than once
    start_time: float | None
    ratings: tuple[Rating, ...] | None
    unread_keys: tuple[str, ...]


def parse_record(payload: memoryview, schema: Schema, path: Path | str, record: int) -> ParsedRecord:
    """Parse a record; streams of unequal length are cut to the shortest, and missing optional ones are filled.

    Raises:
        RecordError: the record is not usable; names the field and what was expected.
    """
    message = _parse_message(payload, path, record)
    error = partial(RecordError, path, record)
    features = message.context.feature
    columns = {
        name: (_parse_frames if schema.level == "frame" else _parse_vector)(name, dim, schema, message, error)
        for name, dim in schema.streams
        if not (schema.is_optional(name) and _is_empty(name, message))
    }
    if not columns:  # all streams are optional
        raise error("context", f"only {sorted(features)}", expected=f"one of {[name for name, _ in schema.streams]}")
    T = min(map(len, columns.values()))
    parts = [
        columns[name][:T] if name in columns else np.full((T, dim), schema.fill, schema.dtype)
        for name, dim in schema.streams
    ]
    labels = _parse_labels(features, error)
    return ParsedRecord(
        _parse_id(features, error),
        sorted(set(labels)) or None,
        np.concatenate(parts, axis=1),
        tuple(name for name, _ in schema.streams if name not in columns),
        len(set(labels)) < len(labels),
        parse_start_time(features),
        parse_ratings(features, error),
        find_unread_keys(features, message.feature_lists.feature_list, schema),
    )


def find_unread_keys(context: Iterable[str], lists: Iterable[str], schema: Schema) -> tuple[str, ...]:
    """Return the keys of a record that look like labels but are not read, sorted.

    Args:
        context: keys of its context.
        lists: names of its feature lists, which never hold the labels that are read.
        schema: schema of the data set, whose streams are read.

    >>> schema = Schema("frame", (("rgb", 1024),))
    >>> find_unread_keys(["id", "labels", "segment_labels", "segment_names", "clip/label/index"], ["rgb"], schema)
    ('clip/label/index', 'segment_names')
    """
    streams = {name for name, _ in schema.streams}
    names = {*(name for name in context if name != "labels"), *lists} - streams - set(RATING_KEYS)
    return tuple(sorted(name for name in names if "label" in name or name.startswith("segment_")))


def parse_start_time(features: Mapping[str, Any]) -> float | None:
    """Return the start of a segment in seconds from a record's context, or None."""
    if START_KEY not in features:
        return None
    values = [*features[START_KEY].float_list.value, *features[START_KEY].int64_list.value]
    return float(values[0]) if len(values) == 1 and np.isfinite(values[0]) else None


def detect_schema(payload: memoryview, path: Path | str, streams: Streams | None = None) -> Schema:
    """Detect the schema of a data set from its first payload.

    Args:
        payload: one serialized record.
        path: its shard, for error messages.
        streams: the streams to look for; None for those of YouTube-8M and AudioSet.

    Raises:
        UserError: none of the streams exist; lists the names that do.
    """
    message = _parse_message(payload, path, 0)
    features, lists = message.context.feature, message.feature_lists.feature_list
    byte_strings = [name for name, feature in features.items() if feature.WhichOneof("kind") == "bytes_list"]
    available: dict[Level, Collection[str]] = {"frame": {*lists, *byte_strings}, "video": features}
    for level, names in available.items():
        for candidate in (streams,) if streams else KNOWN_STREAMS[level]:
            schema = Schema(level, candidate)
            first = next((name for name, _ in candidate if name in names), None)
            if first and all(name in names or schema.is_optional(name) for name, _ in candidate):
                frames = list(lists[first].feature[:1]) if first in lists else []
                is_float = any(frame.WhichOneof("kind") == "float_list" for frame in frames)
                return Schema(level, candidate, level == "frame" and is_float)
    wanted = {streams} if streams else {known for level in available for known in KNOWN_STREAMS[level]}
    raise UserError(
        f"feature lists {sorted(lists)} and context keys {sorted(features)}",
        where=f"{path}, record 0",
        expected=" or ".join(sorted("+".join(name for name, _ in candidate) for candidate in wanted)),
        advice="For your own features, name the streams, for example --streams rgb:1024 audio:128. Features of "
        "MediaPipe and other formats: convert them with `yt8m import`.",
    )


def _is_empty(name: str, message: Any) -> bool:
    """Whether a record lacks a stream, or has a list without values."""
    features, lists = message.context.feature, message.feature_lists.feature_list
    if name in lists:
        return not len(lists[name].feature)
    kind = features[name].WhichOneof("kind") if name in features else None
    return kind is None or not getattr(features[name], kind).value


def _parse_id(features: Mapping[str, Any], error: Error) -> str:
    key = next((name for name in ID_KEYS if name in features), None)
    if key is None:
        advice = "Features of MediaPipe: convert them with `yt8m import`." if "clip/data_path" in features else ""
        raise error("context", f"keys {sorted(features)}", expected="'id' or 'video_id'", advice=advice)
    ids = features[key].bytes_list.value
    if len(ids) != 1:
        raise error(f"context '{key}'", f"{len(ids)} byte strings", expected="one")
    try:
        return bytes(ids[0]).decode()
    except UnicodeDecodeError:
        raise error(f"context '{key}'", "bytes that are not UTF-8 text") from None


def _parse_labels(features: Mapping[str, Any], error: Error) -> list[int]:
    if "labels" not in features:
        return []
    kind = features["labels"].WhichOneof("kind")
    if kind not in (None, "int64_list"):
        raise error("context 'labels'", f"a {kind}", expected="an int64_list")
    labels = list(features["labels"].int64_list.value)
    for label in labels:
        if not 0 <= label <= MAX_LABEL:
            raise error("context 'labels'", f"label {label}", expected=f"0 to {MAX_LABEL}")
    return labels


def _parse_vector(name: str, dim: int, schema: Schema, message: Any, error: Error) -> NDArray[np.float32]:
    features = message.context.feature
    if name not in features:
        raise error(f"context '{name}'", f"only {sorted(features)}", expected=f"'{name}'")
    return _float_vector(features[name], dim, f"context '{name}'", error)[None]


def _parse_frames(name: str, dim: int, schema: Schema, message: Any, error: Error) -> NDArray[Any]:
    """Return the frames of a stream, from a feature list, or from one byte string per frame in the context."""
    features, lists = message.context.feature, message.feature_lists.feature_list
    field = f"feature list '{name}'"
    if name in lists:
        parse = _float_vector if schema.has_float_frames else _byte_vector
        rows = [parse(feature, dim, f"{field}, frame {t}", error) for t, feature in enumerate(lists[name].feature)]
    elif name in features and not schema.has_float_frames:
        field = f"context '{name}'"
        strings = features[name].bytes_list.value
        rows = [_check_bytes(value, dim, f"{field}, byte string {t}", error) for t, value in enumerate(strings)]
    else:
        raise error(field, f"only {sorted(lists)}", expected=f"'{name}'")
    if not rows:
        raise error(field, "no frames", expected="at least one")
    return np.stack(rows)


def _byte_vector(feature: Any, dim: int, field: str, error: Error) -> NDArray[np.uint8]:
    values = feature.bytes_list.value
    if len(values) != 1:
        floats = len(feature.float_list.value)
        found = f"{floats} floats" if floats else f"{len(values)} byte strings"
        raise error(field, found, expected=f"{dim} bytes")
    return _check_bytes(values[0], dim, field, error)


def _check_bytes(value: bytes, dim: int, field: str, error: Error) -> NDArray[np.uint8]:
    if len(value) != dim:
        raise error(field, f"{len(value)} bytes", expected=f"{dim} bytes")
    return np.frombuffer(value, np.uint8)


def _float_vector(feature: Any, dim: int, field: str, error: Error) -> NDArray[np.float32]:
    values = np.array(feature.float_list.value, np.float32)
    if len(values) != dim:
        raise error(field, f"{len(values)} numbers", expected=f"{dim}")
    if (at := find_invalid_feature(values)) is not None:
        raise error(field, f"{values[at]} at position {at[0]}", expected=expected_features(values[at]))
    return values


def _parse_message(payload: memoryview, path: Path | str, record: int) -> Any:
    try:
        return parse_example(payload)
    except DecodeError:
        raise RecordError(
            path, record, "data", f"{len(payload)} bytes", expected="a tf.Example or tf.SequenceExample"
        ) from None
