"""Validate one record and locate its features.

Real records are regular: the frames of a stream have a constant stride and identical headers, so a video can later be
read as one strided view per stream. ``scan_record`` locates these views without copying. Any other valid record is
parsed by protobuf (``parse.py``), with the same result.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from crc32c import crc32c

from yt8m_core.data.schema import MAX_LABEL, Level, Schema, find_invalid_feature
from yt8m_core.data.tfrecord.content import Piece, digest_content
from yt8m_core.data.tfrecord.encode import encode_frames, frame_header
from yt8m_core.data.tfrecord.parse import ID_KEYS, find_unread_keys, parse_record, parse_start_time
from yt8m_core.data.tfrecord.ratings import Rating, parse_ratings
from yt8m_core.data.tfrecord.records import DecodeError, damaged_payload, mask, masked_crc32c, parse_example

MISSING = -1  # offset of an optional stream that the record lacks
# Findings about a record that ``data/checks.py`` counts.
REPEATED_LABEL, MISSING_STREAM, CONSTANT_STREAM, CONSTANT_VIDEO = 1, 2, 4, 8


class ScannedRecord(NamedTuple):
    """Id, labels, feature offsets and findings of one record."""

    id: str
    labels: list[int] | None  # sorted, unique; None if the record has none (test shards)
    num_frames: int
    offsets: tuple[int, ...] | None  # first byte of each stream from the start of the buffer; None if not regular
    start_time: float | None  # of a segment of a video, in seconds
    ratings: tuple[Rating, ...] | None  # of segments of the video; None if the record has none
    pieces: tuple[Piece, ...]  # of the streams, as regular records have them, up to the end of the shortest one
    findings: int  # bits REPEATED_LABEL, MISSING_STREAM, CONSTANT_STREAM (of one value), CONSTANT_VIDEO (all streams)
    unread_keys: tuple[str, ...]

    @property
    def content(self) -> int:
        """Digest of the features."""
        return int(digest_content([self.pieces])[0])


class _Irregular(Exception):
    """The record does not have the byte layout of YouTube-8M and AudioSet records; it may still be valid."""


def _irregular(*_: object, **__: object) -> _Irregular:
    """Return the error of ratings that are not usable: ``parse_record`` raises it with its words."""
    return _Irregular()


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
def frame_layout(dim: int, has_float_frames: bool) -> tuple[bytes, int]:
    """Return the header of each frame of a stream, and the stride between frames."""
    size = 4 * dim if has_float_frames else dim
    header = frame_header(size, has_float_frames)
    return header, len(header) + size


def scan_record(
    data: memoryview, start: int, end: int, checksum: int, schema: Schema, path: Path | str, record: int
) -> ScannedRecord:
    """Scan the record with payload data[start:end], checking every frame header (or every float at video level).

    Args:
        data: bytes of the shard.
        start, end: span of the payload.
        checksum: masked CRC32C that the payload must have.
        schema: schema of the data set.
        path: the shard, for messages.
        record: number of the record, for messages.

    Raises:
        RecordError: the payload is damaged, or the record is not usable; names the field and what was expected.
    """
    try:
        scanned, crc = _scan_regular(data, start, end, schema)
        if mask(crc) == checksum:
            return scanned
        raise damaged_payload(path, record, (start, end))
    except (_Irregular, IndexError, UnicodeDecodeError, DecodeError):
        if masked_crc32c(data[start:end]) != checksum:
            raise damaged_payload(path, record, (start, end)) from None
        parsed = parse_record(data[start:end], schema, path, record)
        findings = REPEATED_LABEL * parsed.repeats_label | MISSING_STREAM * bool(parsed.missing)
        pieces, first, constant = [], 0, []
        for name, dim in schema.streams:
            values, first = np.ascontiguousarray(parsed.frames[:, first : first + dim]), first + dim
            if name not in parsed.missing:
                encoded = encode_frames(values) if schema.level == "frame" else memoryview(values.tobytes())
                pieces.append(_checksum_streams(memoryview(encoded), 0, len(encoded), [(0, len(encoded))])[0][0])
                constant.append(bool((values == values[0, 0]).all()))
        findings |= CONSTANT_STREAM * any(constant) | CONSTANT_VIDEO * all(constant)
        return ScannedRecord(
            parsed.id,
            parsed.labels,
            len(parsed.frames),
            None,
            parsed.start_time,
            parsed.ratings,
            tuple(pieces),
            findings,
            parsed.unread_keys,
        )


def _scan_regular(data: memoryview, start: int, end: int, schema: Schema) -> tuple[ScannedRecord, int]:
    """Return the record, and the CRC32C of its payload."""
    context, context_end = _read_field(data, start, end, 0x0A)
    features = _read_map(data, context, context_end)
    lists: dict[str, tuple[int, int]] = {}
    if context_end < end:  # real video-level records end in an empty field 2
        lists = _read_map(data, *_read_only_field(data, (context_end, end), 0x12))

    key = next((name for name in ID_KEYS if name in features), None)
    if key is None:
        raise _Irregular
    id_start, id_end = _read_only_field(data, _read_only_field(data, features[key], 0x0A), 0x0A)
    labels, findings = _scan_labels(data, features["labels"]) if "labels" in features else (None, 0)

    spans = lists if schema.level == "frame" else features
    offsets, streams = [], []
    for name, dim in schema.streams:
        first, last = spans.get(name, (0, 0))
        if _has_no_values(data, first, last, schema.level) and schema.is_optional(name):
            if schema.level == "frame" and name in features:
                raise _Irregular  # frames in the context
            offsets.append(MISSING)
            findings |= MISSING_STREAM
            continue
        stream = _locate_frames(first, last, dim, schema) if spans is lists else _locate_vector(data, first, last, dim)
        streams.append(stream)
        offsets.append(stream.first + len(stream.header))
    if not streams:
        raise _Irregular
    T = min(stream.num_frames for stream in streams)
    # The checksum comes first: it brings the bytes into the caches of the processor.
    pieces, crc = _checksum_streams(
        data, start, end, [(stream.first, stream.first + T * stream.stride) for stream in streams]
    )
    constant = [_verify_stream(data, stream, schema.level == "video" or schema.has_float_frames) for stream in streams]
    if True in constant:
        findings |= CONSTANT_STREAM | CONSTANT_VIDEO * all(constant)
    # Unused features must be valid too, so that this path and protobuf accept the same records.
    names = {name for name, _ in schema.streams}
    has_more_features = not features.keys() <= {"labels", key, *(() if spans is lists else names)}
    has_more_lists = not lists.keys() <= (names if spans is lists else set())
    start_time: float | None = None
    ratings: tuple[Rating, ...] | None = None
    unread: tuple[str, ...] = ()
    if has_more_features:
        parsed = parse_example(data[start:context_end]).context.feature
        start_time, ratings = parse_start_time(parsed), parse_ratings(parsed, _irregular)
    if has_more_lists:
        parse_example(data[context_end:end])
    if has_more_features or has_more_lists:
        unread = find_unread_keys(features, lists, schema)
    video_id = str(data[id_start:id_end], "utf-8")
    return ScannedRecord(video_id, labels, T, tuple(offsets), start_time, ratings, pieces, findings, unread), crc


def _has_no_values(data: memoryview, first: int, last: int, level: Level) -> bool:
    """Whether a stream is missing, a list without frames, or an empty float_list."""
    return first == last or (level == "video" and bytes(data[first:last]) == b"\x12\x00")


class _Stream(NamedTuple):
    """Where the frames of a stream are: ``num_frames`` times a header and values, from byte ``first`` on."""

    first: int
    num_frames: int
    dim: int
    header: bytes
    stride: int


def _locate_frames(first: int, last: int, dim: int, schema: Schema) -> _Stream:
    header, stride = frame_layout(dim, schema.has_float_frames)
    count, rest = divmod(last - first, stride)
    if count == 0 or rest:
        raise _Irregular
    return _Stream(first, count, dim, header, stride)


def _locate_vector(data: memoryview, first: int, last: int, dim: int) -> _Stream:
    first, last = _read_only_field(data, _read_only_field(data, (first, last), 0x12), 0x0A)
    if last - first != 4 * dim:
        raise _Irregular
    return _Stream(first, 1, dim, b"", 4 * dim)


def _verify_stream(data: memoryview, stream: _Stream, has_floats: bool) -> bool:
    """Check the headers of the frames, and floats. Return whether all values are equal."""
    first, count, dim, header, stride = stream
    if header:
        headers = np.ndarray(count, f"V{len(header)}", data, first, stride)
        if headers.tobytes() != header * count:  # packing first is four times as fast as a strided ==
            raise _Irregular
    offset = first + len(header)
    is_constant = _may_be_constant(data, offset, stride - len(header))
    if is_constant or has_floats:
        dtype = np.dtype("<f4" if has_floats else "u1")
        frames = np.ndarray((count, dim), dtype, data, offset, (stride, dtype.itemsize))
        if has_floats and find_invalid_feature(frames) is not None:
            raise _Irregular
        is_constant = bool((frames == frames[0, 0]).all())
    return is_constant


def _may_be_constant(data: memoryview, first: int, size: int) -> bool:
    """Whether the first bytes of a frame repeat: a quick test, since real frames are not constant."""
    return size < 16 or data[first : first + 8] == data[first + 8 : first + 16]


def _checksum_streams(
    data: memoryview, start: int, end: int, streams: list[tuple[int, int]]
) -> tuple[tuple[Piece, ...], int]:
    """Return the pieces of streams in a payload data[start:end], given their spans, and the CRC32C of the payload.

    One pass over the bytes serves both.
    """
    pieces: list[Piece | None] = [None] * len(streams)
    crc, at = 0, start
    for number in sorted(range(len(streams)), key=streams.__getitem__):
        first, last = streams[number]
        middle = (first + last) // 2
        before = crc32c(data[at:first], crc)
        half = crc32c(data[first:middle], before)
        crc, at = crc32c(data[middle:last], half), last
        pieces[number] = before, half, crc, middle - first, last - middle
    return tuple(piece for piece in pieces if piece is not None), crc32c(data[at:end], crc)


def _scan_labels(data: memoryview, feature: tuple[int, int]) -> tuple[list[int], int]:
    """Return the labels, sorted and unique, and REPEATED_LABEL or 0."""
    at, end = _read_only_field(data, _read_only_field(data, feature, 0x1A), 0x0A)
    labels, count = set(), 0
    while at < end:
        label, at = _read_varint(data, at)
        labels.add(label)
        count += 1
    if not labels or max(labels) > MAX_LABEL or at != end:
        raise _Irregular
    return sorted(labels), REPEATED_LABEL * (len(labels) < count)
