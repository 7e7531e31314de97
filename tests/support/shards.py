"""Records and shards for tests: regular ones, and all other valid encodings with an independent protobuf encoder."""

import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from yt8m_core.data.index import open_index
from yt8m_core.data.index_store import Index
from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.encode import encode_example, encode_sequence_example
from yt8m_core.workspace import workspace

FRAME_STREAMS = (("x", 7), ("y", 200))  # below and above 128, where the frame header becomes longer
SMALL = Schema("frame", FRAME_STREAMS)


def crc32c_bit_by_bit(data: bytes) -> int:
    """Compute crc32c bit by bit from its definition: polynomial 0x1EDC6F41, reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c_bit_by_bit(data)
    rotated = crc >> 15 | (crc & 0x7FFF) << 17
    return struct.pack("<I", (rotated + 0xA282EAD8) % 2**32)


def framed(*payloads: bytes) -> bytes:
    """Return a shard with these payloads."""
    parts = []
    for payload in payloads:
        length = struct.pack("<Q", len(payload))
        parts += [length, masked(length), payload, masked(payload)]
    return b"".join(parts)


@dataclass(frozen=True)
class Content:
    """Contents of a record independent of its encoding: frames [T, dim] or vectors float32 [dim] by stream.

    Frames are uint8 or float32. ``missing`` are the widths of optional streams that the record lacks.
    """

    id: str = "abcd"
    labels: tuple[int, ...] | None = (3, 7)
    streams: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    id_key: str = "id"
    start: float | None = None
    missing: Mapping[str, int] = field(default_factory=dict)

    @property
    def schema(self) -> Schema:
        is_frame_level = all(values.ndim == 2 for values in self.streams.values())
        streams = (*((name, values.shape[-1]) for name, values in self.streams.items()), *self.missing.items())
        has_floats = is_frame_level and any(values.dtype == np.float32 for values in self.streams.values())
        return Schema("frame" if is_frame_level else "video", streams, has_floats)

    @property
    def expected_labels(self) -> list[int] | None:
        return sorted(set(self.labels)) if self.labels else None

    @property
    def expected_frames(self) -> NDArray[Any]:
        columns = [np.atleast_2d(values) for values in self.streams.values()]
        T = min(map(len, columns))
        value = 128 if columns[0].dtype == np.uint8 else np.float32(128 * 4 / 255 + 4 / 512 - 2)
        filled = [np.full((T, dim), value, columns[0].dtype) for dim in self.missing.values()]
        return np.hstack([*(column[:T] for column in columns), *filled])

    def regular(self) -> bytes:
        """Encode like the real records."""
        context: dict[str, Any] = {self.id_key: self.id.encode()}
        if self.labels is not None:
            context["labels"] = self.labels
        if self.start is not None:
            context["start_time_seconds"] = np.array([self.start], np.float32)
        if self.schema.level == "frame":
            return encode_sequence_example(context, self.streams)
        return encode_example(context | dict(self.streams))


def frames(length: int, dim: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng([length, dim, seed]).integers(0, 256, (length, dim), dtype=np.uint8)


def small(id: str = "abcd", labels: Sequence[int] | None = (3, 7), *, x: int = 4, y: int | None = None) -> Content:
    """Return a frame-level video with FRAME_STREAMS; ``x`` and ``y`` are their numbers of frames."""
    seed = sum(id.encode())
    streams = {"x": frames(x, 7, seed), "y": frames(x if y is None else y, 200, seed)}
    return Content(id, None if labels is None else tuple(labels), streams)


def vector(id: str = "abcd", labels: Sequence[int] | None = (3, 7)) -> Content:
    """Return a video-level record with the streams of YouTube-8M."""
    random = np.random.default_rng(sum(id.encode()))
    streams = {
        name: random.normal(size=dim).astype(np.float32) for name, dim in (("mean_rgb", 1024), ("mean_audio", 128))
    }
    return Content(id, None if labels is None else tuple(labels), streams)


def write(path: Path, *records: Content | bytes) -> Path:
    """Write a shard of these records, with the framing of this module."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(framed(*(r if isinstance(r, bytes) else r.regular() for r in records)))
    return path


def three_shards(folder: Path) -> Path:
    """Write shards a, b, c of 4, 5 and 6 videos of different lengths, some unlabeled, the last one irregular."""
    for shard, letter in enumerate("abc"):
        videos = [small(f"{letter}{i}", None if i == 1 else (i, i + 5), x=i + 1) for i in range(3 + shard)]
        irregular = Encoder(["labels one by one"]).encode(replace(videos[0], id=f"{letter}-irregular"))
        write(folder / f"{letter}.tfrecord", *videos, irregular)
    return folder


def indexed(data: Path, **options: Any) -> Index:
    return open_index(data, streams=FRAME_STREAMS, **options)


def stored_indexes() -> list[Path]:
    """Return all files in the workspace's index folder."""
    return list((workspace() / "index").glob("*"))


# Encodings that protobuf allows but real records do not use.
QUIRKS = (
    "value before key",
    "feature lists before context",
    "unknown fields",
    "keys twice",  # the last one is used
    "another kind first",  # the last of a Feature's lists is used
    "messages in two parts",  # merged
    "long varints",
    "labels one by one",
    "labels in two chunks",
    "floats one by one",
    "floats in two chunks",
)


def varint(value: int, extra_bytes: int = 0) -> bytes:
    """Encode a varint, ``extra_bytes`` longer than necessary."""
    value &= 2**64 - 1
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F)
    digits += [0] * extra_bytes
    return bytes([digit | 0x80 for digit in digits[:-1]] + digits[-1:])


class Encoder:
    """Encoder of the protobuf wire format of Example and SequenceExample, with the given quirks."""

    def __init__(self, quirks: Collection[str] = ()) -> None:
        assert set(quirks) <= set(QUIRKS)
        self.quirks = quirks

    def number(self, value: int) -> bytes:
        return varint(value, extra_bytes=2 if "long varints" in self.quirks and value < 2**40 else 0)

    def sub(self, number: int, content: bytes) -> bytes:
        """Encode a length-delimited field."""
        return varint(number << 3 | 2) + self.number(len(content)) + content

    def message(self, fields: Iterable[bytes]) -> bytes:
        content = b"".join(fields)
        if "unknown fields" not in self.quirks:
            return content
        before = varint(15 << 3) + varint(5) + varint(14 << 3 | 2) + b"\x03\x0a\x01\x00"
        group = varint(13 << 3 | 3) + varint(1 << 3) + b"\x01" + varint(13 << 3 | 4)
        return before + content + group + varint(12 << 3 | 5) + b"abcd" + varint(11 << 3 | 1) + b"abcdefgh"

    def entries(self, values: Mapping[str, bytes], decoy: bytes) -> list[bytes]:
        """Encode the entries of a map."""
        pairs = list(values.items())
        if "keys twice" in self.quirks:
            pairs = [(key, decoy) for key in values] + pairs
        entries = []
        for key, value in pairs:
            fields = [self.sub(1, key.encode()), self.sub(2, value)]
            # no unknown fields here: upb, unlike other implementations, would treat the whole entry as unknown
            entries.append(self.sub(1, b"".join(reversed(fields) if "value before key" in self.quirks else fields)))
        return entries

    def feature(self, kind: int, values: Iterable[bytes]) -> bytes:
        """Encode a Feature with these fields in its bytes (1), float (2) or int64 (3) list."""
        lists = [self.sub(kind, self.message(values))]
        if "another kind first" in self.quirks:
            lists.insert(0, self.sub(kind % 3 + 1, b""))
        return self.message(lists)

    def bytes_feature(self, value: bytes) -> bytes:
        return self.feature(1, [self.sub(1, value)])

    def frame_feature(self, frame: NDArray[np.uint8]) -> bytes:
        return self.bytes_feature(frame.tobytes())

    def int64_feature(self, values: Sequence[int]) -> bytes:
        if "labels one by one" in self.quirks:
            return self.feature(3, [varint(1 << 3) + self.number(value) for value in values])
        half = len(values) // 2 if "labels in two chunks" in self.quirks else 0
        chunks = [values[:half], values[half:]] if half else [values]
        return self.feature(3, [self.sub(1, b"".join(map(self.number, chunk))) for chunk in chunks])

    def float_feature(self, values: NDArray[np.float32]) -> bytes:
        if "floats one by one" in self.quirks:
            return self.feature(2, [varint(1 << 3 | 5) + value.tobytes() for value in values])
        half = len(values) // 2 if "floats in two chunks" in self.quirks else 0
        chunks = [values[:half], values[half:]] if half else [values]
        return self.feature(2, [self.sub(1, chunk.astype("<f4").tobytes()) for chunk in chunks])

    def field(self, number: int, entries: Sequence[bytes]) -> bytes:
        """Encode the context (1) or the feature lists (2)."""
        half = len(entries) // 2 if "messages in two parts" in self.quirks else 0
        return b"".join(self.sub(number, self.message(part)) for part in (entries[:half], entries[half:]) if part)

    def encode(self, content: Content, order: int = 0) -> bytes:
        """Encode a record; ``order`` seeds the order of the context entries."""
        context = {content.id_key: self.bytes_feature(content.id.encode())}
        if content.labels is not None:
            context["labels"] = self.int64_feature(content.labels)
        if content.start is not None:
            context["start_time_seconds"] = self.float_feature(np.array([content.start], np.float32))
        lists = {}
        for name, values in content.streams.items():
            if values.ndim == 1:
                context[name] = self.float_feature(values)
            else:
                encode = self.float_feature if values.dtype == np.float32 else self.frame_feature
                lists[name] = self.message(self.sub(1, encode(frame)) for frame in values)
        shuffled = [list(context.items())[i] for i in np.random.default_rng(order).permutation(len(context))]
        fields = [self.field(1, self.entries(dict(shuffled), decoy=self.int64_feature([9, 2, 4])))]
        if lists:
            fields.append(self.field(2, self.entries(lists, decoy=self.sub(1, self.bytes_feature(b"decoy")))))
        return self.message(reversed(fields) if "feature lists before context" in self.quirks else fields)


labels = st.none() | st.lists(st.integers(0, 1 << 20) | st.integers(0, 5), max_size=6).map(tuple)
texts = st.text(min_size=1, max_size=11)


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """Draw any valid record with small streams, at frame or video level."""
    draw_seed = st.integers(0, 99)
    content = small(x=draw(st.integers(1, 4)), y=draw(st.integers(1, 4)))
    kind = draw(st.sampled_from(("bytes", "floats", "vectors")))
    if kind == "floats":
        content = replace(content, streams={k: v.astype(np.float32) / 7 for k, v in content.streams.items()})
    if kind == "vectors":
        means = {name: frames(1, dim, draw(draw_seed))[0].astype(np.float32) - 99.5 for name, dim in FRAME_STREAMS}
        content = Content(streams=means)
    return replace(
        content,
        id=draw(texts),
        labels=draw(labels),
        id_key=draw(st.sampled_from(("id", "video_id"))),
        start=draw(st.none() | st.integers(0, 9000).map(float)),
        missing=draw(st.sampled_from(({}, {"mean_audio" if kind == "vectors" else "audio": 5}))),
    )
