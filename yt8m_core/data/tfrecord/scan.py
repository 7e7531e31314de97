"""Validate one record and locate its features.

Real records are regular: the frames of a stream have a constant stride and identical headers, so a video can later be
read as one strided view per stream. ``scan_record`` locates these views without copying. Any other valid record is
parsed by protobuf, with the same result. ``parse_record`` raises all errors about record contents.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.schema import KNOWN_STREAMS, MAX_LABEL, Level, Schema, Streams
from yt8m_core.data.tfrecord.records import DecodeError, RecordError, parse_example
from yt8m_core.errors import UserError

ID_KEYS = ("id", "video_id")


@dataclass(frozen=True)
class ScannedRecord:
    """Id, labels and feature offsets of one record."""

    id: str
    labels: list[int] | None  # sorted, unique; None if the record has none (test shards)
    num_frames: int
    offsets: tuple[int, ...] | None  # first byte of each stream from the start of the buffer; None if not regular


class _Irregular(Exception):
    """The record does not have the byte layout of YouTube-8M and AudioSet records; it may still be valid."""


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise _Irregular


def _read_field(data: memoryview, at: int, end: int, tag: int) -> tuple[int, int]:
    """Return the content span of the length-delimited field at ``at``, which must have ``tag`` and end by ``end``."""
    if at >= end or data[at] != tag:
        raise _Irregular
    size = data[at + 1]
    if size < 0x80:  # fast path: most sizes are one byte, and a record has about twenty
        at += 2
    else:
        size, at = _read_varint(data, at + 1)
    if at + size > end:
        raise _Irregular
    return at, at + size


def _read_only_field(data: memoryview, span: tuple[int, int], tag: int) -> tuple[int, int]:
    """Return the content span of the only field of a message."""
    content = _read_field(data, *span, tag)
    if content[1] != span[1]:
        raise _Irregular
    return content


def _read_map(data: memoryview, at: int, end: int) -> dict[str, tuple[int, int]]:
    """Return the value span of each key of a map<string, message>."""
    spans: dict[str, tuple[int, int]] = {}
    while at < end:
        entry, entry_end = _read_field(data, at, end, 0x0A)
        key, key_end = _read_field(data, entry, entry_end, 0x0A)
        name = str(data[key:key_end], "utf-8")
        if name in spans:  # protobuf uses the last one but validates all
            raise _Irregular
        spans[name] = _read_only_field(data, (key_end, entry_end), 0x12)
        at = entry_end
    return spans


@cache
def frame_header(dim: int) -> bytes:
    """Return the bytes before each frame: three nested length-delimited headers (9 bytes for dim 128 and 1,024)."""
    header = b""
    for _ in range(3):
        size, varint = dim + len(header), b""
        while size >= 0x80:
            varint += bytes([size & 0x7F | 0x80])
            size >>= 7
        header = b"\x0a" + varint + bytes([size]) + header
    return header


def scan_record(data: memoryview, start: int, end: int, schema: Schema, path: Path | str, record: int) -> ScannedRecord:
    """Scan the record with payload data[start:end], checking every frame header (or every float at video level).

    Raises:
        RecordError: the record is not usable; names the field and what was expected.
    """
    try:
        return _scan_regular(data, start, end, schema)
    except (_Irregular, IndexError, UnicodeDecodeError, DecodeError):
        parsed = parse_record(data[start:end], schema, path, record)
        return ScannedRecord(parsed.id, parsed.labels, len(parsed.frames), None)


def _scan_regular(data: memoryview, start: int, end: int, schema: Schema) -> ScannedRecord:
    context, context_end = _read_field(data, start, end, 0x0A)
    features = _read_map(data, context, context_end)
    lists: dict[str, tuple[int, int]] = {}
    if context_end < end:  # real video-level records end in an empty field 2
        lists = _read_map(data, *_read_only_field(data, (context_end, end), 0x12))

    key = next((name for name in ID_KEYS if name in features), None)
    if key is None:
        raise _Irregular
    id_start, id_end = _read_only_field(data, _read_only_field(data, features[key], 0x0A), 0x0A)
    labels = _scan_labels(data, features["labels"]) if "labels" in features else None

    offsets, lengths = [], []
    for name, dim in schema.streams:
        if schema.level == "frame":
            first, last = lists.get(name, (0, 0))
            header = frame_header(dim)
            stride = len(header) + dim
            count, rest = divmod(last - first, stride)
            if count == 0 or rest:
                raise _Irregular
            headers = np.ndarray(count, f"V{len(header)}", data, first, stride)
            if headers.tobytes() != header * count:  # packing first is four times as fast as a strided ==
                raise _Irregular
            offsets.append(first + len(header))
        else:
            span = features.get(name, (0, 0))
            first, last = _read_only_field(data, _read_only_field(data, span, 0x12), 0x0A)
            if last - first != 4 * dim or not np.isfinite(np.frombuffer(data, "<f4", dim, first)).all():
                raise _Irregular
            count = 1
            offsets.append(first)
        lengths.append(count)
    # Unused features must be valid too, so that this path and protobuf accept the same records.
    streams = {name for name, _ in schema.streams}
    if features.keys() - {"labels", key} - (streams if schema.level == "video" else set()):
        parse_example(data[start:context_end])
    if lists.keys() - (streams if schema.level == "frame" else set()):
        parse_example(data[context_end:end])
    return ScannedRecord(str(data[id_start:id_end], "utf-8"), labels, min(lengths), tuple(offsets))


def _scan_labels(data: memoryview, feature: tuple[int, int]) -> list[int]:
    at, end = _read_only_field(data, _read_only_field(data, feature, 0x1A), 0x0A)
    labels = set()
    while at < end:
        label, at = _read_varint(data, at)
        labels.add(label)
    if not labels or max(labels) > MAX_LABEL or at != end:
        raise _Irregular
    return sorted(labels)


@dataclass(frozen=True)
class ParsedRecord:
    """Id, labels and features of one record, copied out of the buffer."""

    id: str
    labels: list[int] | None  # sorted, unique; None if the record has none
    frames: NDArray[Any]  # uint8 [T, D] at frame level, float32 [1, D] at video level


def parse_record(payload: memoryview, schema: Schema, path: Path | str, record: int) -> ParsedRecord:
    """Parse any valid record with protobuf; streams of unequal length are cut to the shortest.

    Raises:
        RecordError: the record is not usable.
    """
    message = _parse_message(payload, path, record)
    features, lists = message.context.feature, message.feature_lists.feature_list
    key = next((name for name in ID_KEYS if name in features), None)
    if key is None:
        raise RecordError(path, record, "context", f"keys {sorted(features)}", expected="'id' or 'video_id'")
    ids = features[key].bytes_list.value
    if len(ids) != 1:
        raise RecordError(path, record, f"context '{key}'", f"{len(ids)} byte strings", expected="one")
    try:
        video_id = ids[0].decode()
    except UnicodeDecodeError:
        raise RecordError(path, record, f"context '{key}'", "bytes that are not UTF-8 text") from None

    labels: list[int] = []
    if "labels" in features:
        kind = features["labels"].WhichOneof("kind")
        if kind not in (None, "int64_list"):
            raise RecordError(path, record, "context 'labels'", f"a {kind}", expected="an int64_list")
        labels = sorted(set(features["labels"].int64_list.value))
    for label in labels:
        if not 0 <= label <= MAX_LABEL:
            raise RecordError(path, record, "context 'labels'", f"label {label}", expected=f"0 to {MAX_LABEL}")

    columns: list[NDArray[Any]] = []
    for name, dim in schema.streams:
        kind = "feature list" if schema.level == "frame" else "context"
        available = lists if schema.level == "frame" else features
        field = f"{kind} '{name}'"
        if name not in available:
            raise RecordError(path, record, field, f"only {sorted(available)}", expected=f"'{name}'")
        if schema.level == "frame":
            columns.append(_parse_frames(available[name].feature, dim, path, record, field))
        else:
            values = np.array(available[name].float_list.value, np.float32)
            if len(values) != dim:
                raise RecordError(path, record, field, f"{len(values)} numbers", expected=f"{dim}")
            if not np.isfinite(values).all():
                at = int(np.flatnonzero(~np.isfinite(values))[0])
                raise RecordError(path, record, field, f"{values[at]} at position {at}", expected="finite numbers")
            columns.append(values[None])
    num_frames = min(len(column) for column in columns)
    return ParsedRecord(video_id, labels or None, np.concatenate([column[:num_frames] for column in columns], axis=1))


def _parse_frames(features: Iterable[Any], dim: int, path: Path | str, record: int, field: str) -> NDArray[np.uint8]:
    frames = []
    for t, feature in enumerate(features):
        values = feature.bytes_list.value
        if len(values) != 1 or len(values[0]) != dim:
            found = f"{len(values[0])} bytes" if len(values) == 1 else f"{len(values)} byte strings"
            raise RecordError(path, record, f"{field}, frame {t}", found, expected=f"{dim} bytes")
        frames.append(values[0])
    if not frames:
        raise RecordError(path, record, field, "no frames", expected="at least one")
    return np.frombuffer(b"".join(frames), np.uint8).reshape(len(frames), dim)


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
    available: dict[Level, list[str]] = {
        "frame": sorted(message.feature_lists.feature_list),
        "video": sorted(message.context.feature),
    }
    for level, names in available.items():
        for candidate in (streams,) if streams else KNOWN_STREAMS[level]:
            if all(name in names for name, _ in candidate):
                return Schema(level, candidate)
    wanted = {streams} if streams else {known for level in available for known in KNOWN_STREAMS[level]}
    raise UserError(
        f"feature lists {available['frame']} and context keys {available['video']}",
        where=f"{path}, record 0",
        expected=" or ".join(sorted("+".join(name for name, _ in candidate) for candidate in wanted)),
        advice="For your own features, name the streams, for example --streams rgb:1024 audio:128.",
    )


def _parse_message(payload: memoryview, path: Path | str, record: int) -> Any:
    try:
        return parse_example(payload)
    except DecodeError:
        raise RecordError(
            path, record, "data", f"{len(payload)} bytes", expected="a tf.Example or tf.SequenceExample"
        ) from None
