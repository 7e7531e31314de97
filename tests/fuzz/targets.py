"""The readers of strangers' bytes, each with its seeds and with what a mutant's result is held against.

A target is a function of (random, real) that makes a mutant, says its size to ``budget``, reads it, and raises
``AssertionError`` where the result is not that of an independent reading. A ``UserError`` is a right answer.
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
from tests.fuzz.mutate import framed, mutate, mutate_shard
from yt8m_core.data.dataset import Videos
from yt8m_core.data.index import open_index
from yt8m_core.data.schema import MAX_LABEL, Schema
from yt8m_core.data.tfrecord.records import (
    RecordError,
    SequenceExample,
    masked_crc32c,
    payloads,
    sequence_example,
    walk,
)
from yt8m_core.data.tfrecord.scan import interpret, scan
from yt8m_core.data.upload import read_upload
from yt8m_core.errors import UserError

FRAMES = (("rgb", 1024), ("audio", 128))
Budget = Callable[[int], None]  # told how many bytes a mutant has, before it is read


@dataclass(frozen=True)
class Seeds:
    """Real records of one kind."""

    schema: Schema
    payloads: Sequence[bytes]


@dataclass(frozen=True)
class Real:
    """What mutants are made of."""

    kinds: Sequence[Seeds]
    video: dict[str, NDArray[Any]]  # of the real frame-level video

    @classmethod
    def read(cls, folder: Path) -> "Real":
        """The first records of a shard of each kind, and the frame-level video, whole and cut to 12 frames."""

        def first(name: str) -> list[bytes]:
            data = (folder / name).read_bytes()
            spans = payloads(memoryview(data), name)
            return [data[start:end] for _, (start, end) in zip(range(40), spans, strict=False)]

        with np.load(folder / "frame-level" / "SjJ3.npz") as stored:
            video = dict(stored)
        context = {"id": str(video["id"]).encode(), "labels": video["labels"].tolist()}
        cuts = [sequence_example(context, {name: video[name][:T] for name, _ in FRAMES}) for T in (12, 12, 12, 170)]
        vectors = Schema("video", (("mean_rgb", 1024), ("mean_audio", 128)))
        return cls(
            [
                Seeds(vectors, first("yt8m-2018-video/train/shard0000.tfrecord")),
                Seeds(Schema("frame", (("audio_embedding", 128),)), first("audioset/bal_train-00.tfrecord")),
                Seeds(Schema("frame", FRAMES), cuts),
            ],
            video,
        )

    def some(self, random: Random) -> tuple[Seeds, list[bytes], bytes]:
        """A kind, up to four of its payloads, each once, and one payload of any kind."""
        kind = random.choice(self.kinds)
        chosen = dict.fromkeys(random.choices(kind.payloads, k=random.randrange(1, 5)))
        return kind, [*chosen], random.choice(random.choice(self.kinds).payloads)


# ---- the record reader


def reference(shard: bytes) -> list[tuple[int, int] | str]:
    """What the framing of a shard says, written down once more: spans, and the name of the part that is wrong."""
    found: list[tuple[int, int] | str] = []
    stream = io.BytesIO(shard)
    while head := stream.read(12):
        length, crc = struct.unpack("<QI", head) if len(head) == 12 else (0, 0)
        if len(head) < 12:
            return [*found, "header"]
        if masked_crc32c(head[:8]) != crc:
            return [*found, "length"]
        start = stream.tell()
        if start + length + 4 > len(shard):
            return [*found, "data"]
        payload, crc = stream.read(length), struct.unpack("<I", stream.read(4))[0]
        found.append((start, start + length) if masked_crc32c(payload) == crc else "data")
    return found


def records(random: Random, real: Real, budget: Budget) -> None:
    _, chosen, other = real.some(random)
    shard = mutate_shard(random, chosen, other)
    budget(len(shard))
    walked = list(walk(memoryview(shard), "a"))
    expected = reference(shard)
    assert len(walked) == len(expected)
    for record, (found, said) in enumerate(zip(walked, expected, strict=True)):
        if isinstance(found, RecordError):
            assert str(found).startswith(f"a, record {record}, {said}: ")
        else:
            assert found == said


# ---- one payload, by hand and through protobuf


def outcome(read: Callable[[], Any]) -> Any:
    """What a reading came to: its result, or the sentence of its refusal."""
    try:
        return read()
    except UserError as error:
        if isinstance(error.__cause__, MemoryError):
            raise error.__cause__ from None
        return str(error)


def read_by_scan(data: memoryview, start: int, end: int, schema: Schema) -> tuple[Any, ...]:
    """The record as the loader would have it: regular ones by their offsets, and a null where another way is taken."""
    found = scan(data, start, end, schema, "a", 3)
    if found.offsets is None:
        return found.id, found.labels, found.num_frames, None
    columns = []
    for (_, dim), offset in zip(schema.streams, found.offsets, strict=True):
        if schema.level == "frame":
            columns.append(np.ndarray((found.num_frames, dim), np.uint8, data, offset, (stride(dim), 1)))
        else:
            columns.append(np.frombuffer(data, "<f4", dim, offset)[None])
    return found.id, found.labels, found.num_frames, np.concatenate(columns, axis=1).tobytes()


@cache
def stride(dim: int) -> int:
    """How far apart the frames of a stream lie: what one of them is long, as protobuf writes it."""
    message = SequenceExample.FromString(sequence_example({}, {"x": np.zeros((1, dim), np.uint8)}))
    return len(message.feature_lists.feature_list["x"].SerializeToString())


def payload(random: Random, real: Real, budget: Budget) -> None:
    kind, (one, *_), other = real.some(random)
    mutant = mutate(random, one, other)
    budget(len(mutant))
    data = memoryview(random.randbytes(5) + mutant + random.randbytes(20))
    by_scan = outcome(lambda: read_by_scan(data, 5, 5 + len(mutant), kind.schema))
    by_protobuf = outcome(lambda: interpret(memoryview(mutant), kind.schema, "a", 3))
    if isinstance(by_scan, str) or isinstance(by_protobuf, str):
        assert by_scan == by_protobuf
        return
    found = by_protobuf.id, by_protobuf.labels, len(by_protobuf.frames)
    assert by_scan[:3] == found
    assert by_scan[3] is None or by_scan[3] == by_protobuf.frames.tobytes()


# ---- the index, and what is read through it


def index(random: Random, real: Real, budget: Budget) -> None:
    kind, chosen, other = real.some(random)
    shard = mutate_shard(random, chosen, other)
    budget(len(shard))
    with TemporaryDirectory(prefix="yt8m-fuzz-") as folder:
        os.environ["YT8M_HOME"] = folder
        path = Path(folder, "a.tfrecord")
        path.write_bytes(shard)
        os.utime(path, ns=(0, 10**18))  # long ago: nothing has to settle
        sound, bad = [], []
        for record, found in enumerate(walk(memoryview(shard), path)):
            read = found
            if not isinstance(found, RecordError):
                view = memoryview(shard)[slice(*found)]
                read = outcome(lambda view=view, record=record: interpret(view, kind.schema, path, record))
            (bad if isinstance(read, str | RecordError) else sound).append(read)
        twice = len({one.id for one in sound}) < len(sound)
        skipped = outcome(lambda: open_index(path, streams=kind.schema.streams, skip_bad=True))
        strict = outcome(lambda: open_index(path, streams=kind.schema.streams))
        if isinstance(skipped, str) or skipped.schema != kind.schema:
            # The other level's streams may have these names, after a splice; else nothing or a video twice was there.
            assert not isinstance(skipped, str) or not sound or twice or "context keys" in skipped, skipped
            return
        assert [one.said for one in skipped.bad] == [*map(str, bad)]
        assert isinstance(strict, str) == bool(bad)
        # Of a first record without the streams, it is the kind of the data that is not known.
        assert not bad or strict == str(bad[0]) or f"{path}, record 0: found feature lists" in strict
        videos = Videos(skipped, max_frames=10**6)
        assert videos.ids == [one.id for one in sound]
        for video, one in enumerate(sound):
            assert videos.labels(video).tolist() == (one.labels or [])
            assert videos.frames(video).tobytes() == one.frames.tobytes()


# ---- uploads


def _check(videos: Sequence[Any], schema: Schema) -> None:
    """What every upload promises, whatever the file."""
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


def npz(random: Random, real: Real) -> tuple[bytes, bytes]:
    """Stored or compressed: the checksums of a ZIP have to find what is wrong."""
    T, file = random.choice((8, 170)), io.BytesIO()
    cut = {name: values[:T] if name in dict(FRAMES) else values for name, values in real.video.items()}
    random.choice((np.savez, np.savez_compressed))(file, **cut)
    return file.getvalue(), b"PK\x01\x02"


def npy(random: Random, real: Real) -> tuple[bytes, bytes]:
    T, file = random.choice((1, 12, 170)), io.BytesIO()
    values = np.hstack([real.video[name][:T] for name, _ in FRAMES])
    np.save(file, random.choice((values, values / np.float32(64), values[0], values.astype(">f8"))))
    return file.getvalue(), file.getvalue()[:128]


def tfrecord(random: Random, real: Real) -> tuple[bytes, bytes]:
    _, chosen, other = real.some(random)
    if random.random() < 0.7:  # else it is damaged as any file is
        return mutate_shard(random, chosen, other), other
    return b"".join(map(framed, chosen)), other


def mediapipe(random: Random, real: Real) -> tuple[bytes, bytes]:
    T = random.randrange(1, 8)
    rgb, audio = (real.video[name][:T] / np.float32(64) - 2 for name, _ in FRAMES)
    made = features_pb(rgb.tolist(), audio.tolist())
    return made, made[:512]


UPLOADS: dict[str, Callable[[Random, Real], tuple[bytes, bytes]]] = {  # ending → a file, and what to splice into it
    ".npz": npz,
    ".npy": npy,
    ".tfrecord": tfrecord,
    ".pb": mediapipe,
}


def upload(ending: str, random: Random, real: Real, budget: Budget) -> None:
    made, other = UPLOADS[ending](random, real)
    mutant = mutate(random, made, other)
    budget(len(mutant))
    for schema in (real.kinds[2].schema, real.kinds[0].schema):
        read = outcome(lambda schema=schema: read_upload(f"a{ending}", mutant, schema))
        if isinstance(read, str):
            assert len(read) < 2000
            continue
        _check(read, schema)
        if ending == ".npz" and schema.level == "frame":  # whose checksum nobody has made to fit
            rgb = read[0].frames[:, :1024]
            assert rgb.tobytes() == real.video["rgb"][: len(rgb)].tobytes()


TARGETS: dict[str, tuple[int, Callable[[Random, Real, Budget], None]]] = {  # name → its share of the mutants
    "records": (30, records),
    "payload": (35, payload),
    "index": (8, index),
    **{f"upload {ending}": (9, partial(upload, ending)) for ending in UPLOADS},
}


def in_turn(mutations: int) -> Iterator[tuple[str, int]]:
    """The mutants of a run: the name of a target, and a number."""
    total = sum(share for share, _ in TARGETS.values())
    for name, (share, _) in TARGETS.items():
        yield from ((name, number) for number in range(mutations * share // total + 1))
