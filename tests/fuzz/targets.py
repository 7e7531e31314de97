"""Fuzzing targets: readers of untrusted bytes, with seeds and oracles.

A target creates a mutant, passes its size to ``set_memory_limit``, reads it, and raises ``AssertionError`` if the
result differs from that of an independent parser. A ``UserError`` is a correct result.
"""

import io
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.data.test_upload_mediapipe import features_pb
from tests.fuzz import command_lines, imports, runs, tables
from tests.fuzz.mutate import framed, mutate, mutate_shard
from tests.fuzz.outcome import outcome
from yt8m_core.data.dataset import Videos
from yt8m_core.data.features import read_upload
from yt8m_core.data.index import open_index
from yt8m_core.data.schema import MAX_LABEL, Schema
from yt8m_core.data.segments import Segments
from yt8m_core.data.tfrecord.encode import encode_sequence_example
from yt8m_core.data.tfrecord.parse import parse_record
from yt8m_core.data.tfrecord.ratings import Rating, rating_features
from yt8m_core.data.tfrecord.records import (
    RecordError,
    SequenceExample,
    iter_payloads,
    iter_records,
    masked_crc32c,
)
from yt8m_core.data.tfrecord.scan import MISSING, scan_record

FRAMES = (("rgb", 1024), ("audio", 128))
SetMemoryLimit = Callable[[int], None]  # called with the size of a mutant before it is read


@dataclass(frozen=True)
class Seeds:
    """Real records of one schema."""

    schema: Schema
    payloads: Sequence[bytes]


@dataclass(frozen=True)
class RealRecords:
    """Real records to mutate."""

    seeds: Sequence[Seeds]
    video: dict[str, NDArray[Any]]  # arrays of the real frame-level video

    @classmethod
    def read(cls, folder: Path) -> "RealRecords":
        """Read the first records of a shard of each schema, and the frame-level video, complete and cut."""

        def read_first(name: str) -> list[bytes]:
            data = (folder / name).read_bytes()
            spans = iter_payloads(memoryview(data), name)
            return [data[start:end] for _, (start, end) in zip(range(40), spans, strict=False)]

        with np.load(folder / "frame-level" / "SjJ3.npz") as stored:
            video = dict(stored)
        context = {"id": str(video["id"]).encode(), "labels": video["labels"].tolist()}
        cuts = [
            encode_sequence_example(context, {name: video[name][:T] for name, _ in FRAMES}) for T in (12, 12, 12, 170)
        ]
        ratings = rating_features([Rating(0, 3, True), Rating(5, 3, False), Rating(5, 861, True), Rating(20, 3, True)])
        cuts.append(encode_sequence_example({**context, **ratings}, {name: video[name][:12] for name, _ in FRAMES}))
        vectors = Schema("video", (("mean_rgb", 1024), ("mean_audio", 128)))
        return cls(
            [
                Seeds(vectors, read_first("yt8m-2018-video/train/shard0000.tfrecord")),
                Seeds(Schema("frame", (("audio_embedding", 128),)), read_first("audioset/bal_train-00.tfrecord")),
                Seeds(Schema("frame", FRAMES), cuts),
            ],
            video,
        )

    def draw(self, random: Random) -> tuple[Seeds, list[bytes], bytes]:
        """Draw a schema's seeds, up to four different payloads of them, and one payload of any schema."""
        seeds = random.choice(self.seeds)
        payloads = dict.fromkeys(random.choices(seeds.payloads, k=random.randrange(1, 5)))
        return seeds, [*payloads], random.choice(random.choice(self.seeds).payloads)


# ---- records


def reference(shard: bytes) -> list[tuple[int, int] | str]:
    """Parse the framing of a shard independently: payload spans, or the name of the wrong part."""
    records: list[tuple[int, int] | str] = []
    stream = io.BytesIO(shard)
    while head := stream.read(12):
        length, crc = struct.unpack("<QI", head) if len(head) == 12 else (0, 0)
        if len(head) < 12:
            return [*records, "header"]
        if masked_crc32c(head[:8]) != crc:
            return [*records, "length"]
        start = stream.tell()
        if start + length + 4 > len(shard):
            return [*records, "data"]
        payload, crc = stream.read(length), struct.unpack("<I", stream.read(4))[0]
        records.append((start, start + length) if masked_crc32c(payload) == crc else "data")
    return records


def records(random: Random, real: RealRecords, set_memory_limit: SetMemoryLimit) -> None:
    _, payloads, other = real.draw(random)
    shard = mutate_shard(random, payloads, other)
    set_memory_limit(len(shard))
    actual = list(iter_records(memoryview(shard), "a"))
    expected = reference(shard)
    assert len(actual) == len(expected)
    for number, (record, span_or_part) in enumerate(zip(actual, expected, strict=True)):
        if isinstance(record, RecordError):
            assert str(record).startswith(f"a, record {number}, {span_or_part}: ")
        else:
            assert record == span_or_part


# ---- one payload: scanned, and parsed by protobuf


def read_by_scan(data: memoryview, start: int, end: int, schema: Schema) -> tuple[Any, ...]:
    """Read a record like the loader: features of regular records by offset, None for irregular ones."""
    record = scan_record(data, start, end, masked_crc32c(data[start:end]), schema, "a", 3)
    read = record.id, record.labels, record.num_frames, record.ratings
    if record.offsets is None:
        return *read, None
    columns = []
    for (_, dim), offset in zip(schema.streams, record.offsets, strict=True):
        if offset == MISSING:
            columns.append(np.full((record.num_frames, dim), schema.fill, schema.dtype))
        elif schema.level == "frame":
            columns.append(np.ndarray((record.num_frames, dim), np.uint8, data, offset, (stride(dim), 1)))
        else:
            columns.append(np.frombuffer(data, "<f4", dim, offset)[None])
    return *read, np.concatenate(columns, axis=1).tobytes()


@cache
def stride(dim: int) -> int:
    """Return the distance between frames of a stream: the size of a frame encoded by protobuf."""
    message = SequenceExample.FromString(encode_sequence_example({}, {"x": np.zeros((1, dim), np.uint8)}))
    return len(message.feature_lists.feature_list["x"].SerializeToString())


def payload(random: Random, real: RealRecords, set_memory_limit: SetMemoryLimit) -> None:
    seeds, (seed, *_), other = real.draw(random)
    mutant = mutate(random, seed, other)
    set_memory_limit(len(mutant))
    data = memoryview(random.randbytes(5) + mutant + random.randbytes(20))
    by_scan = outcome(lambda: read_by_scan(data, 5, 5 + len(mutant), seeds.schema))
    by_protobuf = outcome(lambda: parse_record(memoryview(mutant), seeds.schema, "a", 3))
    if isinstance(by_scan, str) or isinstance(by_protobuf, str):
        assert by_scan == by_protobuf
        return
    assert by_scan[:3] == (by_protobuf.id, by_protobuf.labels, len(by_protobuf.frames))
    assert by_scan[3] == by_protobuf.ratings
    assert by_scan[4] is None or by_scan[4] == by_protobuf.frames.tobytes()


# ---- index and videos


def index(random: Random, real: RealRecords, set_memory_limit: SetMemoryLimit) -> None:
    seeds, payloads, other = real.draw(random)
    shard = mutate_shard(random, payloads, other)
    set_memory_limit(len(shard))
    with TemporaryDirectory(prefix="yt8m-fuzz-") as folder:
        os.environ["YT8M_HOME"] = folder
        path = Path(folder, "a.tfrecord")
        path.write_bytes(shard)
        os.utime(path, ns=(0, 10**18))  # long ago, so that indexing does not wait for an mtime tick
        good, bad = [], []
        for number, span in enumerate(iter_records(memoryview(shard), path)):
            record = span
            if not isinstance(span, RecordError):
                view = memoryview(shard)[slice(*span)]
                record = outcome(lambda view=view, number=number: parse_record(view, seeds.schema, path, number))
            (bad if isinstance(record, str | RecordError) else good).append(record)
        first = {record.id: record for record in reversed(good)}
        kept = [record for record in good if first[record.id] is record]
        skipped = outcome(lambda: open_index(path, streams=seeds.schema.streams, skip_bad=True))
        strict = outcome(lambda: open_index(path, streams=seeds.schema.streams))
        if isinstance(skipped, str) or skipped.schema != seeds.schema:
            # After a splice, the streams of the other level may have these names. Otherwise all records are bad.
            assert not isinstance(skipped, str) or not good or "context keys" in skipped, skipped
            return
        assert [record.message for record in skipped.bad_records if not record.is_duplicate] == [*map(str, bad)]
        assert isinstance(strict, str) == bool(bad or len(kept) < len(good))
        # If the first record lacks the streams, the error is about the schema.
        assert not bad or strict == str(bad[0]) or f"{path}, record 0: found feature lists" in strict
        videos = Videos(skipped, max_frames=10**6)
        assert videos.ids == [record.id for record in kept]
        for video, record in enumerate(kept):
            assert videos.labels(video).tolist() == (record.labels or [])
            assert (videos.column("ratings")[video].as_py() is None) == (record.ratings is None)
        if seeds.schema.level == "frame":
            within = [
                (r.start, r.label) for record in kept for r in record.ratings or () if r.start < len(record.frames)
            ]
            rated = Segments(videos, "rated")
            assert len(rated.rated.values) == len(within)
            assert len(Segments(videos, "all")) == sum(-(-len(record.frames) // 5) for record in kept)
            assert videos.frames(video).tobytes() == record.frames.tobytes()


# ---- uploads


def check_videos(videos: Sequence[Any], schema: Schema) -> None:
    """Check properties of all uploaded videos."""
    assert videos
    for video in videos:
        T, D = video.frames.shape
        assert 1 <= T <= (1 if schema.level == "video" else 300)
        assert schema.width == D
        assert video.frames.dtype in ((np.float32,) if schema.level == "video" else (np.uint8, np.float32))
        assert np.isfinite(video.frames).all()
        assert video.id
        assert video.id.isprintable()
        labels = video.labels or ()
        assert sorted(set(labels)) == [*labels]
        assert all(0 <= label <= MAX_LABEL for label in labels)


def npz(random: Random, real: RealRecords) -> tuple[bytes, bytes]:
    """Build a stored or compressed .npz, whose ZIP checksums must detect damage."""
    T, file = random.choice((8, 170)), io.BytesIO()
    cut = {name: values[:T] if name in dict(FRAMES) else values for name, values in real.video.items()}
    random.choice((np.savez, np.savez_compressed))(file, **cut)
    return file.getvalue(), b"PK\x01\x02"


def npy(random: Random, real: RealRecords) -> tuple[bytes, bytes]:
    T, file = random.choice((1, 12, 170)), io.BytesIO()
    values = np.hstack([real.video[name][:T] for name, _ in FRAMES])
    np.save(file, random.choice((values, values / np.float32(64), values[0], values.astype(">f8"))))
    return file.getvalue(), file.getvalue()[:128]


def tfrecord(random: Random, real: RealRecords) -> tuple[bytes, bytes]:
    _, payloads, other = real.draw(random)
    if random.random() < 0.7:  # otherwise only ``upload`` damages the file
        return mutate_shard(random, payloads, other), other
    return b"".join(map(framed, payloads)), other


def mediapipe(random: Random, real: RealRecords) -> tuple[bytes, bytes]:
    T = random.randrange(1, 8)
    rgb, audio = (real.video[name][:T] / np.float32(64) - 2 for name, _ in FRAMES)
    content = features_pb(rgb.tolist(), audio.tolist())
    return content, content[:512]


# By extension: a file, and bytes to splice into it.
UPLOADS: dict[str, Callable[[Random, RealRecords], tuple[bytes, bytes]]] = {
    ".npz": npz,
    ".npy": npy,
    ".tfrecord": tfrecord,
    ".pb": mediapipe,
}


def upload(extension: str, random: Random, real: RealRecords, set_memory_limit: SetMemoryLimit) -> None:
    content, other = UPLOADS[extension](random, real)
    mutant = mutate(random, content, other)
    set_memory_limit(len(mutant))
    for schema in (real.seeds[2].schema, real.seeds[0].schema):
        read = outcome(lambda schema=schema: read_upload(f"a{extension}", mutant, schema))
        if isinstance(read, str):
            assert len(read) < 2000
            continue
        check_videos(read, schema)
        if extension == ".npz" and schema.level == "frame":  # its checksums are not updated after mutation
            rgb = read[0].frames[:, :1024]
            assert rgb.tobytes() == real.video["rgb"][: len(rgb)].tobytes()


# By name: weight and function.
TARGETS: dict[str, tuple[int, Callable[[Random, RealRecords, SetMemoryLimit], None]]] = {
    "records": (30, records),
    "payload": (35, payload),
    "index": (8, index),
    **{f"upload {extension}": (9, partial(upload, extension)) for extension in UPLOADS},
    "vocabulary": (9, tables.vocabulary),
    "scores": (9, tables.scores),
    "submission": (6, tables.submission),
    **imports.TARGETS,
    **runs.TARGETS,
    **command_lines.TARGETS,
}


def schedule(mutations: int) -> Iterator[tuple[str, int]]:
    """Yield the mutants of a run: name of the target and number of the mutant."""
    total = sum(weight for weight, _ in TARGETS.values())
    for name, (weight, _) in TARGETS.items():
        yield from ((name, number) for number in range(mutations * weight // total + 1))
