"""What one record holds and where: the part of the index pass that looks inside a payload.

Real records are regular: every frame of a stream lies at a constant stride behind an identical header, so a video can
later be read as two strided views. ``scan`` finds those positions by hand, without copying; a record of any other valid
shape goes through protobuf instead, with the same result. Everything that can be wrong with a record is said there,
in ``interpret``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.schema import KNOWN_STREAMS, MAX_LABEL, Level, Schema, Streams
from yt8m_core.data.tfrecord.records import DecodeError, RecordError, parse
from yt8m_core.errors import UserError

ID_KEYS = ("id", "video_id")


@dataclass(frozen=True)
class Scanned:
    """One record: who it is, and where its features lie."""

    id: str
    labels: list[int] | None  # sorted, each once; None where the record carries none (test shards)
    num_frames: int
    offsets: tuple[int, ...] | None  # of each stream's first byte from the start of the buffer; None: not regular


class _Irregular(Exception):
    """Not the shape that YouTube-8M and AudioSet records have; perhaps valid all the same."""


def _varint(data: memoryview, at: int) -> tuple[int, int]:
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


def _content(data: memoryview, at: int, end: int, tag: int) -> tuple[int, int]:
    """Where the content of the length-delimited field at ``at`` lies; it must carry ``tag`` and end by ``end``."""
    if at >= end or data[at] != tag:
        raise _Irregular
    size = data[at + 1]
    if size < 0x80:  # most are one byte long, and there are twenty to a record
        at += 2
    else:
        size, at = _varint(data, at + 1)
    if at + size > end:
        raise _Irregular
    return at, at + size


def _only(data: memoryview, span: tuple[int, int], tag: int) -> tuple[int, int]:
    """As ``_content``, for a message that holds that field and nothing else."""
    content = _content(data, *span, tag)
    if content[1] != span[1]:
        raise _Irregular
    return content


def _entries(data: memoryview, at: int, end: int) -> dict[str, tuple[int, int]]:
    """The entries of a map<string, message>: key → where its value lies."""
    found: dict[str, tuple[int, int]] = {}
    while at < end:
        entry, entry_end = _content(data, at, end, 0x0A)
        key, key_end = _content(data, entry, entry_end, 0x0A)
        name = str(data[key:key_end], "utf-8")
        if name in found:  # the last one counts, but all have to be sound
            raise _Irregular
        found[name] = _only(data, (key_end, entry_end), 0x12)
        at = entry_end
    return found


@cache
def frame_header(dim: int) -> bytes:
    """The bytes before each frame of a stream: three nested length-delimited fields (9 bytes for 128 and 1,024)."""
    header = b""
    for _ in range(3):
        size, varint = dim + len(header), b""
        while size >= 0x80:
            varint += bytes([size & 0x7F | 0x80])
            size >>= 7
        header = b"\x0a" + varint + bytes([size]) + header
    return header


def scan(data: memoryview, start: int, end: int, schema: Schema, path: Path | str, record: int) -> Scanned:
    """Read the record whose payload lies at data[start:end]; every frame header (or every float) is checked.

    Raises RecordError where the record cannot be used, with the field and what was expected there.
    """
    try:
        return _scan_regular(data, start, end, schema)
    except (_Irregular, IndexError, UnicodeDecodeError, DecodeError):
        interpreted = interpret(data[start:end], schema, path, record)
        return Scanned(interpreted.id, interpreted.labels, len(interpreted.frames), None)


def _scan_regular(data: memoryview, start: int, end: int, schema: Schema) -> Scanned:
    context, context_end = _content(data, start, end, 0x0A)
    features = _entries(data, context, context_end)
    lists: dict[str, tuple[int, int]] = {}
    if context_end < end:  # real video-level records end in an empty field 2
        lists = _entries(data, *_only(data, (context_end, end), 0x12))

    key = next((name for name in ID_KEYS if name in features), None)
    if key is None:
        raise _Irregular
    id_start, id_end = _only(data, _only(data, features[key], 0x0A), 0x0A)

    labels = None
    if "labels" in features:
        at, labels_end = _only(data, _only(data, features["labels"], 0x1A), 0x0A)
        unsorted = set()
        while at < labels_end:
            label, at = _varint(data, at)
            unsorted.add(label)
        labels = sorted(unsorted)
        if not labels or labels[-1] > MAX_LABEL or at != labels_end:
            raise _Irregular

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
            if headers.tobytes() != header * count:  # packed first: a strided == costs four times as much
                raise _Irregular
            offsets.append(first + len(header))
        else:
            span = features.get(name, (0, 0))
            first, last = _only(data, _only(data, span, 0x12), 0x0A)
            if last - first != 4 * dim or not np.isfinite(np.frombuffer(data, "<f4", dim, first)).all():
                raise _Irregular
            count = 1
            offsets.append(first)
        lengths.append(count)
    # What nobody uses has to be sound too, or the record would be good by hand and bad through protobuf.
    streams = {name for name, _ in schema.streams}
    if features.keys() - {"labels", key} - (streams if schema.level == "video" else set()):
        parse(data[start:context_end])
    if lists.keys() - (streams if schema.level == "frame" else set()):
        parse(data[context_end:end])
    return Scanned(str(data[id_start:id_end], "utf-8"), labels, min(lengths), tuple(offsets))


@dataclass(frozen=True)
class Interpreted:
    """One record in full: its features copied out."""

    id: str
    labels: list[int] | None
    frames: NDArray[Any]  # uint8 [T, D] at frame level, float32 [1, D] at video level


def interpret(payload: memoryview, schema: Schema, path: Path | str, record: int) -> Interpreted:
    """Read a record of any valid shape through protobuf; streams of unequal length are cut to the shorter.

    Raises RecordError where the record cannot be used.
    """
    message = _message(payload, path, record)
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
        raise RecordError(path, record, f"context '{key}'", "bytes that are no text") from None

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
        held = lists if schema.level == "frame" else features
        field = f"{kind} '{name}'"
        if name not in held:
            raise RecordError(path, record, field, f"only {sorted(held)}", expected=f"'{name}'")
        if schema.level == "frame":
            columns.append(_frames(held[name].feature, dim, path, record, field))
        else:
            values = np.array(held[name].float_list.value, np.float32)
            if len(values) != dim:
                raise RecordError(path, record, field, f"{len(values)} numbers", expected=f"{dim}")
            if not np.isfinite(values).all():
                at = int(np.flatnonzero(~np.isfinite(values))[0])
                raise RecordError(path, record, field, f"{values[at]} at position {at}", expected="finite numbers")
            columns.append(values[None])
    num_frames = min(len(column) for column in columns)
    return Interpreted(video_id, labels or None, np.concatenate([column[:num_frames] for column in columns], axis=1))


def _frames(features: Iterable[Any], dim: int, path: Path | str, record: int, field: str) -> NDArray[np.uint8]:
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


def detect(payload: memoryview, path: Path | str, streams: Streams | None = None) -> Schema:
    """Tell from a data set's first payload what its records hold; ``streams`` names the streams of one's own data.

    Raises UserError that lists what was found, where neither they nor a known data set's streams are there.
    """
    message = _message(payload, path, 0)
    held: dict[Level, list[str]] = {
        "frame": sorted(message.feature_lists.feature_list),
        "video": sorted(message.context.feature),
    }
    for level, names in held.items():
        for candidate in (streams,) if streams else KNOWN_STREAMS[level]:
            if all(name in names for name, _ in candidate):
                return Schema(level, candidate)
    wanted = {streams} if streams else {known for level in held for known in KNOWN_STREAMS[level]}
    raise UserError(
        f"feature lists {held['frame']} and context keys {held['video']}",
        where=f"{path}, record 0",
        expected=" or ".join(sorted("+".join(name for name, _ in one) for one in wanted)),
        advice="For features of your own, name the streams, for example --streams rgb:1024 audio:128.",
    )


def _message(payload: memoryview, path: Path | str, record: int) -> Any:
    try:
        return parse(payload)
    except DecodeError:
        raise RecordError(
            path, record, "data", f"{len(payload)} bytes", expected="a tf.Example or tf.SequenceExample"
        ) from None
