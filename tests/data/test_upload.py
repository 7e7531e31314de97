"""A stranger's file: every kind that is read, every limit, every error, and bytes that nobody meant well."""

import bz2
import io
import os
import pickle
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from yt8m_core.data import upload
from yt8m_core.data.quantization import dequantize
from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.records import example, masked_crc32c, payloads, sequence_example
from yt8m_core.data.tfrecord.scan import interpret
from yt8m_core.data.upload import UploadedVideo, read_upload
from yt8m_core.data.upload.numpy_files import MAX_EXPANDED
from yt8m_core.errors import UserError

pytestmark = pytest.mark.filterwarnings("error")

FRAME = Schema("frame", (("rgb", 8), ("audio", 4)))
VIDEO = Schema("video", (("mean_rgb", 8), ("mean_audio", 4)))
SOUND = Schema("frame", (("audio_embedding", 4),))
YT8M = Schema("frame", (("rgb", 1024), ("audio", 128)))

Frames = np.ndarray[Any, Any]


def codes(T: int, dim: int, seed: int = 0) -> Frames:
    return np.random.default_rng(seed).integers(1, 256, (T, dim), dtype=np.uint8)


RGB, AUDIO = codes(5, 8), codes(5, 4, seed=1)


def values(frames: Frames) -> Frames:
    return dequantize(torch.tensor(frames)).numpy()


def npy(array: Any, version: tuple[int, int] = (1, 0), allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version, allow_pickle=allow_pickle)
    return file.getvalue()


def raw_npy(header: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def raw_zip(*members: tuple[str, bytes], **fields: int) -> bytes:
    """A ZIP of (name, stored bytes); ``fields`` overrides what its headers say: method, flags, size, crc."""
    local, directory = b"", b""
    for name, data in members:
        size, crc = fields.get("size", len(data)), fields.get("crc", zlib.crc32(data))
        about = struct.pack("<HHHHHIIIHH", 20, fields.get("flags", 0), fields.get("method", 0), 0, 0, crc, len(data),
                            size, len(name), 0)  # fmt: skip
        directory += b"PK\x01\x02\x14\x00" + about + struct.pack("<HHHII", 0, 0, 0, 0, len(local)) + name.encode()
        local += b"PK\x03\x04" + about + name.encode() + data
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(local), 0)
    return local + directory + b"PK\x05\x06" + end


def shard(*records: bytes) -> bytes:
    framed = b""
    for payload in records:
        length = len(payload).to_bytes(8, "little")
        framed += length + masked_crc32c(length).to_bytes(4, "little")
        framed += payload + masked_crc32c(payload).to_bytes(4, "little")
    return framed


def record(video: bytes = b"abcd", labels: tuple[int, ...] = (3, 1), **streams: Frames) -> bytes:
    return sequence_example({"id": video, "labels": labels}, streams or {"rgb": RGB, "audio": AUDIO})


def one(name: str, content: bytes, schema: Schema = FRAME, max_frames: int = 300) -> UploadedVideo:
    (video,) = read_upload(name, content, schema, max_frames=max_frames)
    return video


def refused(name: str, content: bytes, schema: Schema = FRAME) -> str:
    with pytest.raises(UserError) as error:
        read_upload(name, content, schema)
    message = str(error.value)
    assert name in message
    assert len(message) < 1100
    return message


def note(video: UploadedVideo, words: str) -> bool:
    return any(words in text for text in video.notes)


# What is read


@pytest.mark.real_data
def test_the_real_video_is_read_whole(real_data: Path) -> None:
    content = (real_data / "frame-level" / "SjJ3.npz").read_bytes()
    video = one("SjJ3.npz", content, YT8M)
    held = np.load(io.BytesIO(content))
    assert video.frames.shape == (170, 1152)
    assert video.frames.dtype == np.uint8
    np.testing.assert_array_equal(video.frames, np.concatenate([held["rgb"], held["audio"]], axis=1))
    assert (video.id, video.labels, video.notes) == ("SjJ3", (11,), ())


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("shard_name", "schema"),
    [
        ("yt8m-2018-video/validate", Schema("video", (("mean_rgb", 1024), ("mean_audio", 128)))),
        ("audioset", Schema("frame", (("audio_embedding", 128),))),
    ],
)
def test_real_records_are_read_as_the_data_set_is(real_data: Path, shard_name: str, schema: Schema) -> None:
    path = min((real_data / shard_name).glob("*.tfrecord"))
    data = path.read_bytes()
    spans = list(payloads(memoryview(data), path))[:20]
    videos = read_upload("some.tfrecord", data[: spans[-1][1] + 4], schema)
    assert len(videos) == 20
    for video, (start, end) in zip(videos, spans, strict=True):
        known = interpret(memoryview(data)[start:end], schema, path, 0)
        np.testing.assert_array_equal(video.frames, known.frames)
        assert (video.id, video.labels) == (known.id, tuple(known.labels or ()))
        assert video.notes == ()


def test_npz_of_bytes_stays_bytes() -> None:
    video = one("clip.NPZ", npz(rgb=RGB, audio=AUDIO, labels=np.array([7, 2, 7]), id="a\u202eb\x00c\n"))
    assert video.frames.dtype == np.uint8
    np.testing.assert_array_equal(video.frames, np.concatenate([RGB, AUDIO], axis=1))
    assert (video.id, video.labels, video.notes) == ("abc", (2, 7), ())


def test_npz_uncompressed_is_read_as_well() -> None:
    file = io.BytesIO()
    np.savez(file, rgb=RGB, audio=AUDIO)
    np.testing.assert_array_equal(one("a.npz", file.getvalue()).frames, np.concatenate([RGB, AUDIO], axis=1))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"])
def test_npz_of_floats_stays_floats(dtype: str) -> None:
    rgb, audio = values(RGB).astype(dtype), values(AUDIO).astype(dtype)
    video = one("a.npz", npz(rgb=rgb, audio=audio))
    assert video.frames.dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(video.frames, np.concatenate([rgb, audio], axis=1).astype(np.float32))
    assert note(video, "floats")


def test_bytes_are_dequantized_where_the_other_stream_is_floats() -> None:
    video = one("a.npz", npz(rgb=RGB, audio=values(AUDIO)))
    np.testing.assert_array_equal(video.frames, values(np.concatenate([RGB, AUDIO], axis=1)))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_of_every_version_and_order_is_read(order: Any, version: tuple[int, int]) -> None:
    both = np.concatenate([RGB, AUDIO], axis=1)
    video = one("a.npy", npy(both.copy(order), version))
    np.testing.assert_array_equal(video.frames, both)
    assert (video.id, video.labels, video.notes) == ("a", None, ())


def test_npy_header_of_python_2_is_read() -> None:
    content = raw_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (5L, 8L), }\n", RGB.tobytes())
    np.testing.assert_array_equal(one("a.npy", content).frames[:, :8], RGB)


def test_npy_vector_is_one_frame() -> None:
    both = values(np.concatenate([RGB, AUDIO], axis=1))[0]
    video = one("a.npy", npy(both))
    np.testing.assert_array_equal(video.frames, both[None])
    assert note(video, "single frame")


@pytest.mark.parametrize(("name", "content"), [("a.npy", npy(RGB)), ("a.npz", npz(rgb=RGB)),
                                               ("a.tfrecord", shard(record(rgb=RGB)))])  # fmt: skip
def test_missing_audio_is_filled_with_byte_128(name: str, content: bytes) -> None:
    video = one(name, content)
    np.testing.assert_array_equal(video.frames, np.concatenate([RGB, np.full((5, 4), 128)], axis=1))
    assert note(video, "no 'audio'")


def test_missing_audio_beside_floats_is_about_zero() -> None:
    video = one("a.npy", npy(values(RGB)))
    assert video.frames.dtype == np.float32
    np.testing.assert_allclose(video.frames[:, 8:], 0, atol=0.02)


@pytest.mark.parametrize("content", [npz(rgb=RGB, audio=AUDIO[:3]), shard(record(rgb=RGB, audio=AUDIO[:3]))])
def test_streams_of_unequal_length_are_cut_to_the_shorter(content: bytes) -> None:
    video = one("a.npz" if content[:2] == b"PK" else "a.tfrecord", content)
    np.testing.assert_array_equal(video.frames, np.concatenate([RGB[:3], AUDIO[:3]], axis=1))
    assert note(video, "differ in length")


def test_more_frames_than_used_are_cut_and_noted() -> None:
    video = one("a.npz", npz(rgb=RGB, audio=AUDIO), max_frames=4)
    np.testing.assert_array_equal(video.frames, np.concatenate([RGB, AUDIO], axis=1)[:4])
    assert note(video, "5 frames: the first 4")
    assert one("a.npz", npz(rgb=RGB, audio=AUDIO), max_frames=5).notes == ()


def test_tfrecord_of_several_videos_gives_all() -> None:
    content = shard(record(b"one"), sequence_example({"video_id": b"two"}, {"rgb": RGB[:2], "audio": AUDIO[:2]}))
    first, second = read_upload("a.tfrecord", content, FRAME)
    assert (first.id, first.labels) == ("one", (1, 3))
    assert (second.id, second.labels) == ("two", None)
    np.testing.assert_array_equal(second.frames, np.concatenate([RGB, AUDIO], axis=1)[:2])


def test_audioset_like_streams_are_read_in_every_kind() -> None:
    for name, content in (("a.npz", npz(audio_embedding=AUDIO)), ("a.npy", npy(AUDIO)),
                          ("a.tfrecord", shard(record(audio_embedding=AUDIO)))):  # fmt: skip
        np.testing.assert_array_equal(one(name, content, SOUND).frames, AUDIO)


@pytest.mark.parametrize(("name", "content"), [
    ("a.npz", npz(rgb=RGB, audio=AUDIO)),
    ("a.npz", npz(rgb=values(RGB), audio=values(AUDIO))),
    ("a.npy", npy(np.concatenate([RGB, AUDIO], axis=1))),
    ("a.tfrecord", shard(record())),
])  # fmt: skip
def test_frames_are_averaged_where_the_model_is_of_video_level(name: str, content: bytes) -> None:
    video = one(name, content, VIDEO)
    assert video.frames.dtype == np.float32
    assert video.frames.shape == (1, 12)
    mean = values(np.concatenate([RGB, AUDIO], axis=1)).astype(np.float64).mean(0)
    np.testing.assert_allclose(video.frames[0], mean, atol=1e-6)
    assert note(video, "Averaged over time")


MEANS = {"mean_rgb": np.linspace(-1, 1, 8, dtype=np.float32), "mean_audio": np.linspace(0, 1, 4, dtype=np.float32)}
VECTORS = [
    ("a.npz", npz(**MEANS)),
    ("a.npz", npz(**{name: mean[None] for name, mean in MEANS.items()})),
    ("a.npy", npy(np.concatenate(list(MEANS.values())))),
    ("a.tfrecord", shard(example({"id": b"abcd", "labels": [1], **MEANS}))),
]


@pytest.mark.parametrize(("name", "content"), VECTORS)
@pytest.mark.parametrize("schema", [FRAME, VIDEO])
def test_vectors_of_video_level_are_read_at_both_levels(name: str, content: bytes, schema: Schema) -> None:
    video = one(name, content, schema)
    assert video.frames.dtype == np.float32
    np.testing.assert_array_equal(video.frames, np.concatenate(list(MEANS.values()))[None])
    assert note(video, "single frame") == (schema is FRAME)
    assert len(video.notes) == (schema is FRAME)


@pytest.mark.parametrize("schema", [FRAME, VIDEO])
def test_several_vectors_of_video_level_are_taken_as_frames(schema: Schema) -> None:
    video = one("a.npz", npz(mean_rgb=values(RGB), mean_audio=values(AUDIO)), schema)
    assert video.frames.shape == (1 if schema is VIDEO else 5, 12)
    assert note(video, "Averaged over time as") == (schema is VIDEO)
    assert not note(video, "single frame")


def test_missing_mean_audio_is_filled() -> None:
    video = one("a.npz", npz(mean_rgb=MEANS["mean_rgb"]), VIDEO)
    np.testing.assert_allclose(video.frames[0, 8:], 0, atol=0.02)
    assert note(video, "no 'mean_audio'")


def test_the_names_of_one_level_are_not_mixed_with_the_other() -> None:
    video = one("a.npz", npz(rgb=RGB, mean_audio=MEANS["mean_audio"]))
    assert video.frames.dtype == np.uint8
    assert note(video, "no 'audio'")
    assert note(video, "Not used: 'mean_audio'")


@pytest.mark.parametrize("given", [np.array("naïve"), np.array(["naïve"]), np.array("naïve", ">U5"),
                                   np.array("naïve".encode())])  # fmt: skip
def test_id_is_read_from_text_and_bytes(given: Frames) -> None:
    assert one("a.npz", npz(rgb=RGB, audio=AUDIO, id=given)).id == "naïve"


@pytest.mark.parametrize("member", [b"\xff" * 4, b"\x00\xd8\x00\x00"])
def test_id_of_impossible_characters_is_replaced_or_dropped(member: bytes) -> None:
    text = raw_npy("{'descr': '<U1', 'fortran_order': False, 'shape': (), }", member)
    content = raw_zip(("rgb.npy", npy(RGB)), ("audio.npy", npy(AUDIO)), ("id.npy", text))
    assert one("a.npz", content).id.encode() in (b"a", "\ufffd".encode())


def test_id_is_cut_at_100_characters() -> None:
    assert one("a.npz", npz(rgb=RGB, audio=AUDIO, id="x" * 101)).id == "x" * 100
    assert one("a.tfrecord", shard(record(b"x" * 100_000))).id == "x" * 100


@pytest.mark.parametrize(
    ("name", "video_id"),
    [
        ("clip.v2.npy", "clip.v2"),
        ("../../etc/x.npy", "x"),
        ("C:\\fakepath\\y.npy", "y"),
        ("a\x1b[31m\u202eb.npy", "a[31mb"),
        (".npy", "upload"),
        ("n" * 300 + ".npy", "n" * 96),
        ("ü .npy", "ü"),
        ("\ud800z.npy", "z"),
        ("q" + " " * 200 + ".npy", "upload"),
    ],
)
def test_id_is_the_clean_stem_where_the_file_has_none(name: str, video_id: str) -> None:
    assert one(name, npy(RGB)).id == video_id


def test_nothing_is_opened_or_left_when_a_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was opened")

    contents = [("a.npz", npz(rgb=RGB)), ("a.npy", npy(RGB)), ("a.tfrecord", shard(record()))]
    for opener in ("builtins.open", "io.open", "os.open"):
        monkeypatch.setattr(opener, no_file)
    assert [len(read_upload(name, content, FRAME)) for name, content in contents] == [1, 1, 1]


# What is refused


def test_rgb_missing_says_what_was_found_and_what_is_expected() -> None:
    message = refused("a.npz", npz(audio=AUDIO, extra=RGB))
    assert "a ZIP with members 'audio.npy', 'extra.npy'" in message
    assert "'rgb' [T, 8] and 'audio' [T, 4]" in message
    assert "numpy.savez" in message
    assert "feature lists ['audio'] and context keys ['id', 'labels']" in refused(
        "a.tfrecord", shard(record(audio=AUDIO))
    )


def test_the_only_stream_may_not_be_missing() -> None:
    sole = Schema("frame", (("audio", 4),))
    assert "members 'rgb.npy'" in refused("a.npz", npz(rgb=RGB), sole)
    np.testing.assert_array_equal(one("a.npy", npy(AUDIO), sole).frames, AUDIO)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npz", b"", "empty"),
        ("a.npy", b"", "empty"),
        ("a.tfrecord", b"", "empty"),
        ("a.npz", b"hello world!", "unknown kind, beginning with 68 65 6c"),
        ("a.npy", b"hello world!", "unknown kind"),
        ("a.tfrecord", b"hello world!!!", "checksum is wrong"),
        ("a.tfrecord", b"hello", "truncated"),
        ("a.npz", npy(RGB), "a NumPy array"),
        ("a.npy", npz(rgb=RGB), "Let its name end in .npz"),
        ("a.npz", shard(record()), "a TFRecord file"),
        ("a.tfrecord", npy(RGB), "Let its name end in .npy"),
        ("a.tfrecord", npz(rgb=RGB), "a ZIP"),
        ("a.txt", npy(RGB), "Let its name end in .npy"),
        ("features", shard(record()), "Let its name end in .tfrecord"),
        ("a.pkl", pickle.dumps([1]), "a Python pickle, which is never opened"),
        ("a.PICKLE", pickle.dumps([1], 0), "a Python pickle, which is never opened"),
        ("a.npz", pickle.dumps([1]), "a Python pickle, which is never opened"),
        ("a.npy", pickle.dumps([1]), "a Python pickle, which is never opened"),
        ("a.tfrecord", pickle.dumps({"rgb": 1}), "a Python pickle, which is never opened"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_what_its_name_says_is_refused(name: str, content: bytes, words: str) -> None:
    assert words in refused(name, content)


@pytest.mark.fault
def test_a_file_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert upload.MAX_BYTES == 20 << 20
    content = npy(RGB)
    monkeypatch.setattr(upload, "MAX_BYTES", len(content))
    assert one("a.npy", content).frames.shape == (5, 12)
    monkeypatch.setattr(upload, "MAX_BYTES", len(content) - 1)
    assert f"expected at most {len(content) - 1}" in refused("a.npy", content)


class Harm:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.fault
def test_no_pickle_is_ever_opened(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    objects = npy(np.array([Harm(marker)], object), allow_pickle=True)
    for protocol in range(6):
        harm = pickle.dumps(Harm(marker), protocol)
        for name in ("a.pkl", "a.npy", "a.npz", "a.tfrecord"):
            refused(name, harm)
        refused("a.npz", raw_zip(("rgb.npy", harm), ("audio.npy", npy(AUDIO))))
        refused("a.npz", raw_zip(("rgb.npy", npy(RGB)), ("id.npy", harm)))
    assert "never opened" in refused("a.npz", raw_zip(("rgb.npy", pickle.dumps(Harm(marker)))))
    assert "Python objects, which are never opened" in refused("a.npy", objects)
    for member in ("rgb", "labels", "id"):
        members = {"rgb": npy(RGB), member: objects}
        content = raw_zip(*((f"{key}.npy", data) for key, data in members.items()))
        assert "Python objects, which are never opened" in refused("a.npz", content)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Harm(marker)))  # noqa: S301 - of our own making
    assert marker.exists(), "the pickle of this test would not have done anything"


def header(descr: str = "'|u1'", order: str = "False", shape: str = "(5, 8)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


@pytest.mark.fault
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (header(shape="(38654705664, 1024)"), "shape"),
        (header(shape="(100001, 8)"), "at most 100,000"),
        (header(shape="(90000, 8)"), "promises 720,000 bytes"),
        (header(shape="(4, 8)"), "promises 32 bytes"),
        (header(shape="(0, 8)"), "shape (0, 8)"),
        (header(shape="()"), "shape ()"),
        (header(shape="(1, 5, 8)"), "shape (1, 5, 8)"),
        (header(shape="(5, 9)"), "expected (T, 12) or (T, 8)"),
        (header(shape="(-5, 8)"), "the header"),
        (header(shape="(True, 8)"), "the header"),
        (header(shape=f"({'9' * 5000}, 8)"), "the header"),
        (header("'|b1'"), "values of type b1"),
        (header("'<i2'"), "expected uint8 or float values"),
        (header("'<c8'"), "values of type c8"),
        (header("'<f16'"), "values of type f16"),
        (header("'<U2'"), "values of type U2"),
        (header("'<M8[s]'"), "the header"),
        (header("'|V8'"), "values of type V8"),
        (header("'|O'"), "Python objects"),
        (header("[('rgb', '|u1', (8,))]"), "the header"),
        (header("'<>f4'"), "the header"),
        (header("'f4,f4'"), "the header"),
        (header(order="1"), "the header"),
        ("(" * 9000, "the header"),
        ("-" * 60_000, "the header"),
        ("[" * 5000 + "]" * 5000, "the header"),
        ("__import__('os').mkdir('marker')", "the header"),
        ("", "the header"),
    ],
)
def test_a_header_that_lies_or_is_no_plain_array_is_refused(text: str, words: str) -> None:
    content = raw_npy(text, RGB.tobytes())
    assert words in refused("a.npy", content)
    within = refused("a.npz", raw_zip(("rgb.npy", content), ("audio.npy", npy(AUDIO))))
    assert "'rgb'" in within
    assert words.replace("(T, 12) or ", "") in within


def test_an_npy_cut_anywhere_is_refused() -> None:
    content = npy(RGB)
    for size in range(len(content)):
        refused("a.npy", content[:size])
    refused("a.npy", content + b"\0")


LONG_NAME = bytearray(raw_zip(("rgb.npy", bytes(9000))))
LONG_NAME[26:28] = struct.pack("<H", 5000)  # what its local header says is the length of the name


@pytest.mark.fault
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (bytes(LONG_NAME), "File name in directory"),
        (raw_zip(*[(f"m{i}.npy", b"") for i in range(17)]), "17 members"),
        (raw_zip(("rgb.npy", npy(RGB)), ("../audio.npy", npy(AUDIO))), "a path among them"),
        (raw_zip(("rgb.npy", npy(RGB)), ("/etc/audio.npy", npy(AUDIO))), "a path among them"),
        (raw_zip(("rgb.npy", npy(RGB)), ("a\\audio.npy", npy(AUDIO))), "a path among them"),
        (raw_zip(("rgb.npy", npy(RGB)), ("rgb.npy", npy(RGB))), "one of them twice"),
        (raw_zip(("rgb.npy", npy(RGB)), flags=1), "encrypted"),
        (raw_zip(("rgb.npy", bz2.compress(npy(RGB))), method=zipfile.ZIP_BZIP2), "compressed in an unusual way"),
        (raw_zip(("rgb.npy", npy(RGB)), method=zipfile.ZIP_LZMA), "compressed in an unusual way"),
        (raw_zip(("rgb.npy", npy(RGB)), method=99), "compressed in an unusual way"),
        (raw_zip(("rgb.npy", npy(RGB)), size=(64 << 20) + 1), "67,108,865 bytes, more than 67,108,864"),
        (raw_zip(("rgb.npy", npy(RGB)), ("audio.npy", npy(AUDIO)), size=(32 << 20) + 1), "more than 67,108,864"),
        (raw_zip(("rgb.npy", npy(RGB)), crc=1), "cannot be read"),
        (raw_zip(("rgb.npy", b"not deflated"), method=8), "cannot be read"),
        (raw_zip(("rgb.npy", b"")), "empty"),
        (raw_zip(("rgb.npy", b"text")), "unknown kind"),
        (raw_zip(("rgb.txt", b"text")), "members 'rgb.txt'"),
        (raw_zip(("x" * 9000, b"")), "members 'xxx"),
        (raw_zip(), "members none"),
        (npz(rgb=RGB)[:-1], "cannot be read"),
        (b"PK\x03\x04" + b"\0" * 100, "cannot be read"),
    ],
)
def test_a_zip_that_is_damaged_or_odd_is_refused(content: bytes, words: str) -> None:
    assert words in refused("a.npz", content)


@pytest.mark.fault
@pytest.mark.parametrize("zip_says", ["the truth", "a small size", "64 MB"])
@pytest.mark.parametrize(
    "start",
    [
        raw_npy(header(shape="(1500000, 1024)")),
        raw_npy(header(shape="(60000, 1024)")),
        raw_npy(header("'<f8'", shape="(100000, 1024)")),
        b"\x93NUMPY\x02\x00" + struct.pack("<I", (1 << 32) - 1),
    ],
    ids=["many rows", "few rows", "wide rows", "long header"],
)
def test_a_zip_of_gigabytes_takes_little_memory(zip_says: str, start: bytes) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    megabytes = packer.compress(bytes(16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    size = {"the truth": len(start) + (94 << 24), "a small size": 2048, "64 MB": 64 << 20}[zip_says]
    content = raw_zip(("rgb.npy", packed + megabytes * 94), method=8, size=size)
    assert zlib.decompressobj(-15).decompress(packed + megabytes, 1 << 20)[: len(start)] == start
    assert 1_000_000 < len(content) < 2_000_000
    tracemalloc.start()
    try:
        refused("a.npz", content, YT8M)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_EXPANDED
    finally:
        tracemalloc.stop()


@pytest.mark.fault
def test_arrays_just_within_the_limit_take_little_memory() -> None:
    content = npz(rgb=np.ones((58_000, 1024), np.uint8), audio=np.ones((58_000, 128), np.uint8))
    tracemalloc.start()
    try:
        video = one("a.npz", content, YT8M)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_EXPANDED
        assert tracemalloc.get_traced_memory()[0] < 1 << 20, "the whole arrays are kept"
    finally:
        tracemalloc.stop()
    assert video.frames.shape == (300, 1152)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_a_number_that_is_not_finite_is_refused_with_its_place(bad: float) -> None:
    rgb = values(RGB).astype(np.float64)
    rgb[3, 6] = bad
    message = refused("a.npz", npz(rgb=rgb, audio=values(AUDIO)))
    assert f"'rgb': found {bad} in frame 3, position 6" in message
    assert f"'rgb': found {bad} in frame 3, position 6" in refused("a.npy", npy(rgb))


def test_a_number_that_is_not_finite_in_a_record_is_refused() -> None:
    bad = example({"id": b"abcd", **MEANS, "mean_audio": np.array([0, 1, np.nan, 0], np.float32)})
    assert "record 1, context 'mean_audio': found nan at position 2" in refused(
        "a.tfrecord", shard(example({"id": b"a", **MEANS}), bad), VIDEO
    )


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([1, -1]), "labels from -1 to 1"),
        (np.array([1 << 40]), "labels from 1099511627776"),
        (np.array([1 << 63], np.uint64), "labels from 9223372036854775808"),
        (np.array([1.0]), "values of type f8"),
        (np.array(["1"]), "expected integers"),
        (np.array([[1]]), "shape (1, 1)"),
        (np.zeros(1001, np.int64), "1,001 labels"),
        (np.zeros(100_001, np.int64), "shape (100001,)"),
    ],
)
def test_labels_that_are_no_labels_are_refused(labels: Frames, words: str) -> None:
    assert words in refused("a.npz", npz(rgb=RGB, audio=AUDIO, labels=labels))


@pytest.mark.parametrize(("labels", "expected"), [(np.array(4), (4,)), (np.array([], np.int64), None)])
def test_labels_may_be_one_or_none(labels: Frames, expected: tuple[int, ...] | None) -> None:
    assert one("a.npz", npz(rgb=RGB, audio=AUDIO, labels=labels)).labels == expected


@pytest.mark.parametrize("bad", [np.array(7), np.array("x" * 1000), np.zeros(2)])
def test_an_id_that_is_no_short_text_is_refused(bad: Frames) -> None:
    assert "'id'" in refused("a.npz", npz(rgb=RGB, audio=AUDIO, id=bad))


@pytest.mark.fault
def test_too_many_videos_are_refused() -> None:
    content = shard(record(rgb=RGB[:1], audio=AUDIO[:1]))
    assert len(read_upload("a.tfrecord", content * 1000, FRAME)) == 1000
    assert "more than 1,000 videos" in refused("a.tfrecord", content * 1001)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (shard(record())[:-1], "record 0, data"),
        (shard(record()) + b"x", "record 1, header"),
        (shard(record(), b"\xff\xff"), "record 1: found a damaged message"),
        (shard(record(), b""), "record 1: found feature lists [] and context keys []"),
        (shard(record(rgb=RGB[:, :7], audio=AUDIO)), "feature list 'rgb', frame 0: found 7 bytes"),
        (shard(sequence_example({}, {"rgb": RGB, "audio": AUDIO})), "expected 'id' or 'video_id'"),
        (shard(sequence_example({"id": b"\xff"}, {"rgb": RGB, "audio": AUDIO})), "no text"),
        (shard(record(labels=(-1,))), "label -1"),
        (shard(record(labels=tuple(range(1001)))), "1,001 labels"),
        (shard(bytes((4 << 20) + 1)), "4,194,305 bytes; expected at most 4,194,304"),
        (shard(sequence_example({f"{i}" * 1000: b"" for i in range(1000, 1100)}, {})), "feature lists []"),
    ],
)
def test_a_record_that_cannot_be_used_is_refused(content: bytes, words: str) -> None:
    assert words in refused("a.tfrecord", content)


@pytest.mark.fault
def test_a_record_of_countless_empty_frames_is_refused() -> None:
    def field(tag: int, content: bytes) -> bytes:
        size = len(content)
        return bytes([tag, size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21]) + content

    frames = field(0x12, b"\x0a\x00" * 100_001)
    content = shard(field(0x12, field(0x0A, b"\x0a\x03rgb" + frames)))
    assert "too many frames" in refused("a.tfrecord", content)


@pytest.mark.fault
def test_a_file_that_takes_long_is_refused_between_two_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yt8m_core.data.upload.MAX_SECONDS", -1)
    several = shard(record(), record(b"efgh"), record(b"ijkl"))
    assert "of reading, for 1 videos. Upload fewer videos at a time." in refused("a.tfrecord", several)
    assert len(read_upload("a.tfrecord", shard(record()), FRAME)) == 1  # it has been read by then


# What nobody foresaw

VALID: Mapping[str, bytes] = {
    "compressed.npz": npz(rgb=RGB, audio=AUDIO, labels=np.array([1, 2]), id="abcd"),
    "stored.npz": raw_zip(("rgb.npy", npy(values(RGB))), ("audio.npy", npy(AUDIO)), ("id.npy", npy("abcd"))),
    "vector.npz": npz(**MEANS),
    "bytes.npy": npy(np.concatenate([RGB, AUDIO], axis=1)),
    "floats.npy": npy(values(RGB)),
    "frames.tfrecord": shard(record(), record(b"efgh", rgb=RGB[:2])),
    "means.tfrecord": shard(example({"id": b"abcd", "labels": [1], **MEANS})),
}


def read_or_refuse(name: str, content: bytes) -> int:
    """How many of the schemas the file is read with; whatever is read has to be sound."""
    read = 0
    for schema in (FRAME, VIDEO, SOUND):
        try:
            videos = read_upload(name, content, schema, max_frames=3)
        except UserError as error:
            assert 0 < len(str(error)) < 1100  # noqa: PT017 (most files are read or refused, both are right)
            continue
        read += 1
        assert videos
        for video in videos:
            T, D = video.frames.shape
            assert schema.width == D
            assert 1 <= T <= (1 if schema is VIDEO else 3)
            assert video.frames.dtype == np.float32 or (video.frames.dtype == np.uint8 and schema is not VIDEO)
            assert np.isfinite(video.frames).all()
            assert 1 <= len(video.id) <= 100
            assert video.id.isprintable()
            assert video.labels is None or (video.labels[0] >= 0 and list(video.labels) == sorted(set(video.labels)))
            assert all(isinstance(text, str) and text for text in video.notes)
    return read


def mutate(data: st.DataObject, content: bytes) -> bytes:
    """Some bytes changed, or a part cut out or doubled."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(0, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(changed)), st.integers(0, len(changed)))))
    how: Callable[[], bytearray] = data.draw(st.sampled_from([
        lambda: changed, lambda: changed[:start], lambda: changed[:start] + changed[end:],
        lambda: changed[:end] + changed[start:],
    ]))  # fmt: skip
    return bytes(how())


@pytest.mark.parametrize("name", VALID)
def test_the_files_to_mutate_are_valid(name: str) -> None:
    assert read_or_refuse(name, VALID[name]) == 2  # frame and video level, not the sound of AudioSet


@settings(max_examples=200)
@given(
    st.sampled_from([".npz", ".npy", ".tfrecord", ".pkl", ""]),
    st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", b"\x80\x04"]),
    st.binary(),
)
def test_random_bytes_are_refused(ending: str, start: bytes, content: bytes) -> None:
    with pytest.raises(UserError):
        read_upload(f"a{ending}", start + content, FRAME)


@settings(max_examples=50)
@given(st.text())
def test_any_name_is_safe_to_show(name: str) -> None:
    video = one(name + ".npy", npy(RGB))
    assert video.id.isprintable()
    with pytest.raises(UserError) as error:
        read_upload(name + ".npz", b"text", FRAME)
    assert str(error.value).isprintable()


@settings(max_examples=500)
@given(st.sampled_from(sorted(VALID)), st.data())
def test_a_mutated_file_is_read_or_refused(name: str, data: st.DataObject) -> None:
    read_or_refuse(name, mutate(data, VALID[name]))


@settings(max_examples=300)
@given(st.data())
def test_a_mutated_member_in_a_sound_zip_is_read_or_refused(data: st.DataObject) -> None:
    sound = {"rgb.npy": npy(RGB), "audio.npy": npy(values(AUDIO)), "labels.npy": npy([1, 2]), "id.npy": npy("abcd")}
    mutated = data.draw(st.sampled_from(sorted(sound)))
    members = [(name, mutate(data, content) if name == mutated else content) for name, content in sound.items()]
    read_or_refuse("a.npz", raw_zip(*members))


@settings(max_examples=300)
@given(st.data())
def test_a_mutated_zip_header_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(VALID["stored.npz"])
    directory = content.index(b"PK\x01\x02")
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(directory, len(content) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse("a.npz", bytes(content))


@settings(max_examples=300)
@given(st.booleans(), st.data())
def test_a_mutated_payload_in_a_sound_frame_is_read_or_refused(frames: bool, data: st.DataObject) -> None:
    payload = record() if frames else example({"id": b"abcd", "labels": [1], **MEANS})
    read_or_refuse("a.tfrecord", shard(mutate(data, payload)))
