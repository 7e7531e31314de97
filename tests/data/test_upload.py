"""Uploaded files: all file types, limits and errors, and random damage."""

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

from yt8m_core.data import features as upload
from yt8m_core.data.features import UploadedVideo, read_upload
from yt8m_core.data.features.numpy_files import MAX_EXPANDED
from yt8m_core.data.quantization import dequantize
from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.encode import encode_example, encode_sequence_example
from yt8m_core.data.tfrecord.parse import parse_record
from yt8m_core.data.tfrecord.records import iter_payloads, masked_crc32c
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
    """Build a ZIP of (name, stored bytes); ``fields`` overrides header fields: method, flags, size, crc."""
    local, directory = b"", b""
    for name, data in members:
        size, crc = fields.get("size", len(data)), fields.get("crc", zlib.crc32(data))
        flags, method = fields.get("flags", 0), fields.get("method", 0)
        header_fields = struct.pack("<HHHHHIIIHH", 20, flags, method, 0, 0, crc, len(data), size, len(name), 0)
        directory += (
            b"PK\x01\x02\x14\x00" + header_fields + struct.pack("<HHHII", 0, 0, 0, 0, len(local)) + name.encode()
        )
        local += b"PK\x03\x04" + header_fields + name.encode() + data
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(local), 0)
    return local + directory + b"PK\x05\x06" + end


def shard(*records: bytes) -> bytes:
    content = b""
    for payload in records:
        length = len(payload).to_bytes(8, "little")
        content += length + masked_crc32c(length).to_bytes(4, "little")
        content += payload + masked_crc32c(payload).to_bytes(4, "little")
    return content


def record(video: bytes = b"abcd", labels: tuple[int, ...] = (3, 1), **streams: Frames) -> bytes:
    return encode_sequence_example({"id": video, "labels": labels}, streams or {"rgb": RGB, "audio": AUDIO})


def read_one(name: str, content: bytes, schema: Schema = FRAME, max_frames: int = 300) -> UploadedVideo:
    (video,) = read_upload(name, content, schema, max_frames=max_frames)
    return video


def error_message(name: str, content: bytes, schema: Schema = FRAME) -> str:
    with pytest.raises(UserError) as error:
        read_upload(name, content, schema)
    message = str(error.value)
    assert name in message
    assert len(message) < 1100
    return message


def has_note(video: UploadedVideo, text: str) -> bool:
    return any(text in note for note in video.notes)


# Accepted files


@pytest.mark.real_data
def test_real_video_is_read_completely(real_data: Path) -> None:
    content = (real_data / "frame-level" / "SjJ3.npz").read_bytes()
    video = read_one("SjJ3.npz", content, YT8M)
    stored = np.load(io.BytesIO(content))
    assert video.frames.shape == (170, 1152)
    assert video.frames.dtype == np.uint8
    np.testing.assert_array_equal(video.frames, np.concatenate([stored["rgb"], stored["audio"]], axis=1))
    assert (video.id, video.labels, video.notes) == ("SjJ3", (11,), ())


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("shard_name", "schema"),
    [
        ("yt8m-2018-video/validate", Schema("video", (("mean_rgb", 1024), ("mean_audio", 128)))),
        ("audioset", Schema("frame", (("audio_embedding", 128),))),
    ],
)
def test_uploaded_real_records_equal_those_of_the_data_set(real_data: Path, shard_name: str, schema: Schema) -> None:
    path = min((real_data / shard_name).glob("*.tfrecord"))
    data = path.read_bytes()
    spans = list(iter_payloads(memoryview(data), path))[:20]
    videos = read_upload("some.tfrecord", data[: spans[-1][1] + 4], schema)
    assert len(videos) == 20
    for video, (start, end) in zip(videos, spans, strict=True):
        expected = parse_record(memoryview(data)[start:end], schema, path, 0)
        np.testing.assert_array_equal(video.frames, expected.frames)
        assert (video.id, video.labels) == (expected.id, tuple(expected.labels or ()))
        assert video.notes == ()


def test_npz_with_bytes_stays_bytes() -> None:
    video = read_one("clip.NPZ", npz(rgb=RGB, audio=AUDIO, labels=np.array([7, 2, 7]), id="a\u202eb\x00c\n"))
    assert video.frames.dtype == np.uint8
    np.testing.assert_array_equal(video.frames, np.concatenate([RGB, AUDIO], axis=1))
    assert (video.id, video.labels, video.notes) == ("abc", (2, 7), ())


def test_uncompressed_npz_is_read() -> None:
    file = io.BytesIO()
    np.savez(file, rgb=RGB, audio=AUDIO)
    np.testing.assert_array_equal(read_one("a.npz", file.getvalue()).frames, np.concatenate([RGB, AUDIO], axis=1))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8"])
def test_npz_with_floats_stays_floats(dtype: str) -> None:
    rgb, audio = values(RGB).astype(dtype), values(AUDIO).astype(dtype)
    video = read_one("a.npz", npz(rgb=rgb, audio=audio))
    assert video.frames.dtype == np.dtype(np.float32)
    np.testing.assert_array_equal(video.frames, np.concatenate([rgb, audio], axis=1).astype(np.float32))
    assert has_note(video, "floats")


def test_bytes_are_dequantized_if_the_other_stream_has_floats() -> None:
    video = read_one("a.npz", npz(rgb=RGB, audio=values(AUDIO)))
    np.testing.assert_array_equal(video.frames, values(np.concatenate([RGB, AUDIO], axis=1)))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_npy_of_every_version_and_order_is_read(order: Any, version: tuple[int, int]) -> None:
    both = np.concatenate([RGB, AUDIO], axis=1)
    video = read_one("a.npy", npy(both.copy(order), version))
    np.testing.assert_array_equal(video.frames, both)
    assert (video.id, video.labels, video.notes) == ("a", None, ())


def test_npy_header_of_python_2_is_read() -> None:
    content = raw_npy("{'descr': '|u1', 'fortran_order': False, 'shape': (5L, 8L), }\n", RGB.tobytes())
    np.testing.assert_array_equal(read_one("a.npy", content).frames[:, :8], RGB)


def test_npy_vector_is_one_frame() -> None:
    both = values(np.concatenate([RGB, AUDIO], axis=1))[0]
    video = read_one("a.npy", npy(both))
    np.testing.assert_array_equal(video.frames, both[None])
    assert has_note(video, "single frame")


@pytest.mark.parametrize(("name", "content"), [("a.npy", npy(RGB)), ("a.npz", npz(rgb=RGB)),
                                               ("a.tfrecord", shard(record(rgb=RGB)))])  # fmt: skip
def test_missing_audio_is_filled_with_byte_128(name: str, content: bytes) -> None:
    video = read_one(name, content)
    np.testing.assert_array_equal(video.frames, np.concatenate([RGB, np.full((5, 4), 128)], axis=1))
    assert has_note(video, "no 'audio'")


def test_missing_audio_with_float_rgb_is_header_fields_zero() -> None:
    video = read_one("a.npy", npy(values(RGB)))
    assert video.frames.dtype == np.float32
    np.testing.assert_allclose(video.frames[:, 8:], 0, atol=0.02)


@pytest.mark.parametrize("content", [npz(rgb=RGB, audio=AUDIO[:3]), shard(record(rgb=RGB, audio=AUDIO[:3]))])
def test_uploaded_streams_are_cut_to_the_shortest(content: bytes) -> None:
    video = read_one("a.npz" if content[:2] == b"PK" else "a.tfrecord", content)
    np.testing.assert_array_equal(video.frames, np.concatenate([RGB[:3], AUDIO[:3]], axis=1))
    assert has_note(video, "differ in length")


def test_frames_beyond_max_frames_are_dropped_and_noted() -> None:
    video = read_one("a.npz", npz(rgb=RGB, audio=AUDIO), max_frames=4)
    np.testing.assert_array_equal(video.frames, np.concatenate([RGB, AUDIO], axis=1)[:4])
    assert has_note(video, "5 frames: the first 4")
    assert read_one("a.npz", npz(rgb=RGB, audio=AUDIO), max_frames=5).notes == ()


def test_tfrecord_with_several_videos_gives_all() -> None:
    content = shard(record(b"one"), encode_sequence_example({"video_id": b"two"}, {"rgb": RGB[:2], "audio": AUDIO[:2]}))
    first, second = read_upload("a.tfrecord", content, FRAME)
    assert (first.id, first.labels) == ("one", (1, 3))
    assert (second.id, second.labels) == ("two", None)
    np.testing.assert_array_equal(second.frames, np.concatenate([RGB, AUDIO], axis=1)[:2])


def test_audioset_streams_are_read_from_every_file_type() -> None:
    for name, content in (("a.npz", npz(audio_embedding=AUDIO)), ("a.npy", npy(AUDIO)),
                          ("a.tfrecord", shard(record(audio_embedding=AUDIO)))):  # fmt: skip
        np.testing.assert_array_equal(read_one(name, content, SOUND).frames, AUDIO)


@pytest.mark.parametrize(("name", "content"), [
    ("a.npz", npz(rgb=RGB, audio=AUDIO)),
    ("a.npz", npz(rgb=values(RGB), audio=values(AUDIO))),
    ("a.npy", npy(np.concatenate([RGB, AUDIO], axis=1))),
    ("a.tfrecord", shard(record())),
])  # fmt: skip
def test_frames_are_averaged_for_a_video_level_model(name: str, content: bytes) -> None:
    video = read_one(name, content, VIDEO)
    assert video.frames.dtype == np.float32
    assert video.frames.shape == (1, 12)
    mean = values(np.concatenate([RGB, AUDIO], axis=1)).astype(np.float64).mean(0)
    np.testing.assert_allclose(video.frames[0], mean, atol=1e-6)
    assert has_note(video, "5 dequantized frames were averaged")


MEANS = {"mean_rgb": np.linspace(-1, 1, 8, dtype=np.float32), "mean_audio": np.linspace(0, 1, 4, dtype=np.float32)}
VECTORS = [
    ("a.npz", npz(**MEANS)),
    ("a.npz", npz(**{name: mean[None] for name, mean in MEANS.items()})),
    ("a.npy", npy(np.concatenate(list(MEANS.values())))),
    ("a.tfrecord", shard(encode_example({"id": b"abcd", "labels": [1], **MEANS}))),
]


@pytest.mark.parametrize(("name", "content"), VECTORS)
@pytest.mark.parametrize("schema", [FRAME, VIDEO])
def test_video_level_vectors_are_read_for_both_levels(name: str, content: bytes, schema: Schema) -> None:
    video = read_one(name, content, schema)
    assert video.frames.dtype == np.float32
    np.testing.assert_array_equal(video.frames, np.concatenate(list(MEANS.values()))[None])
    assert has_note(video, "single frame") == (schema is FRAME)
    assert len(video.notes) == (schema is FRAME)


@pytest.mark.parametrize("schema", [FRAME, VIDEO])
def test_several_video_level_vectors_are_several_videos(schema: Schema) -> None:
    both = values(np.concatenate([RGB, AUDIO], axis=1))
    files = {"a.npz": npz(mean_rgb=both[:, :8], mean_audio=both[:, 8:])}
    if schema is VIDEO:  # for a model of frames, the same array is one video
        files["a.npy"] = npy(both)
    for name, content in files.items():
        videos = read_upload(name, content, schema)
        assert [video.id for video in videos] == [f"a {number}" for number in range(1, 6)]
        np.testing.assert_array_equal(np.concatenate([video.frames for video in videos]), both)
        assert not any(has_note(video, "averaged") for video in videos)
        assert has_note(videos[0], "5 vectors: each is a video") == (name == "a.npy")
    assert read_one("a.npy", npy(both), FRAME).frames.shape == (5, 12)


def test_array_of_several_videos_gives_all() -> None:
    videos = read_upload("a.npz", npz(rgb=np.stack([RGB, RGB + 1]), audio=np.stack([AUDIO, AUDIO + 1])), FRAME)
    assert [video.id for video in videos] == ["a 1", "a 2"]
    np.testing.assert_array_equal(videos[1].frames, np.concatenate([RGB + 1, AUDIO + 1], axis=1))
    many = npz(mean_rgb=np.zeros((1001, 8), np.float32), mean_audio=np.zeros((1001, 4), np.float32))
    assert "more than 1,000 videos" in error_message("a.npz", many, VIDEO)


@pytest.mark.parametrize("names", [("arr_0", "arr_1"), ("feature", "audio"), ("x", "y")])
def test_streams_are_recognized_by_their_widths(names: tuple[str, str]) -> None:
    video = read_one("a.npz", npz(**dict(zip(names, (RGB, AUDIO), strict=True))))
    np.testing.assert_array_equal(video.frames, np.concatenate([RGB, AUDIO], axis=1))
    assert has_note(video, f"recognized by their widths: '{names[0]}' as 'rgb', '{names[1]}' as 'audio'")
    assert "found the arrays 'a' [5, 8], 'b' [5, 8]" in error_message("a.npz", npz(a=RGB, b=RGB))


def test_float_frames_of_a_record_are_read() -> None:
    video = read_one("a.tfrecord", shard(record(rgb=values(RGB), audio=values(AUDIO))))
    np.testing.assert_array_equal(video.frames, values(np.concatenate([RGB, AUDIO], axis=1)))
    assert has_note(video, "floats")


def test_a_0_1_vector_is_not_taken_for_label_ids() -> None:
    for labels in ([0, 1, 0, 0, 1], [0] * 20):
        content = npz(rgb=RGB, audio=AUDIO, labels=np.array(labels))
        assert "a 0/1 vector; expected label ids. Save the ids of the labels: numpy.flatnonzero" in (
            error_message("a.npz", content)
        )
        assert "a 0/1 vector" in error_message("a.tfrecord", shard(record(labels=tuple(labels))))
    assert read_one("a.npz", npz(rgb=RGB, audio=AUDIO, labels=np.array([0, 1]))).labels == (0, 1)


@pytest.mark.parametrize(
    ("content", "found", "advice"),
    [
        (b"\0\0\0 ftypisom", "a video (MP4)", "Extract its features first"),
        (b"PK\3\4" + bytes(26) + b"archive/data.pkl" + bytes(99), "a PyTorch file", "rgb=features['rgb'].numpy()"),
        (b"MATLAB 5.0 MAT-file", "a MATLAB file", "scipy.io.loadmat"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5", "yt8m import"),
        (b"PAR1" + bytes(9), "a Parquet file", "yt8m import"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer", "git lfs pull"),
    ],
)
@pytest.mark.parametrize("name", ["a.npz", "a.tfrecord", "a.pt"])
def test_advice_fits_the_kind_of_file(name: str, content: bytes, found: str, advice: str) -> None:
    message = error_message(name, content)
    assert found in message
    assert advice in message


def test_integers_are_refused_with_the_call_that_converts_them() -> None:
    content = npz(rgb=RGB.astype(np.int32), audio=AUDIO)
    assert "values of type i4; expected uint8 or float values. Bytes from 0 to 255: save array.astype(numpy.uint8)" in (
        error_message("a.npz", content)
    )


def test_missing_mean_audio_is_filled() -> None:
    video = read_one("a.npz", npz(mean_rgb=MEANS["mean_rgb"]), VIDEO)
    np.testing.assert_allclose(video.frames[0, 8:], 0, atol=0.02)
    assert has_note(video, "no 'mean_audio'")


def test_stream_names_of_the_two_levels_are_not_mixed() -> None:
    video = read_one("a.npz", npz(rgb=RGB, mean_audio=MEANS["mean_audio"]))
    assert video.frames.dtype == np.uint8
    assert has_note(video, "no 'audio'")
    assert has_note(video, "Not used: 'mean_audio'")


@pytest.mark.parametrize("video_id", [np.array("naïve"), np.array(["naïve"]), np.array("naïve", ">U5"),
                                   np.array("naïve".encode())])  # fmt: skip
def test_id_is_read_from_text_and_bytes(video_id: Frames) -> None:
    assert read_one("a.npz", npz(rgb=RGB, audio=AUDIO, id=video_id)).id == "naïve"


@pytest.mark.parametrize("member", [b"\xff" * 4, b"\x00\xd8\x00\x00"])
def test_invalid_characters_in_an_id_are_replaced_or_dropped(member: bytes) -> None:
    text = raw_npy("{'descr': '<U1', 'fortran_order': False, 'shape': (), }", member)
    content = raw_zip(("rgb.npy", npy(RGB)), ("audio.npy", npy(AUDIO)), ("id.npy", text))
    assert read_one("a.npz", content).id.encode() in (b"a", "\ufffd".encode())


def test_id_is_truncated_to_100_characters() -> None:
    assert read_one("a.npz", npz(rgb=RGB, audio=AUDIO, id="x" * 101)).id == "x" * 100
    assert read_one("a.tfrecord", shard(record(b"x" * 100_000))).id == "x" * 100


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
def test_default_id_is_the_printable_file_stem(name: str, video_id: str) -> None:
    assert read_one(name, npy(RGB)).id == video_id


def test_upload_opens_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was opened")

    contents = [("a.npz", npz(rgb=RGB)), ("a.npy", npy(RGB)), ("a.tfrecord", shard(record()))]
    for opener in ("builtins.open", "io.open", "os.open"):
        monkeypatch.setattr(opener, no_file)
    assert [len(read_upload(name, content, FRAME)) for name, content in contents] == [1, 1, 1]


# Refused files


def test_error_for_missing_rgb_says_what_was_found_and_expected() -> None:
    message = error_message("a.npz", npz(audio=AUDIO, extra=RGB[:, :7]))
    assert "found the arrays 'audio' [5, 4], 'extra' [5, 7]" in message
    assert "'rgb' [T, 8] and 'audio' [T, 4]" in message
    assert "found the arrays 'audio' [5, 4]" in error_message("a.tfrecord", shard(record(audio=AUDIO)))


def test_only_stream_is_required() -> None:
    sole = Schema("frame", (("audio", 4),))
    assert "found the arrays 'rgb' [5, 8]" in error_message("a.npz", npz(rgb=RGB), sole)
    np.testing.assert_array_equal(read_one("a.npy", npy(AUDIO), sole).frames, AUDIO)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.npz", b"", "empty"),
        ("a.npy", b"", "empty"),
        ("a.tfrecord", b"", "empty"),
        ("a.npz", b"hello world!", "a file of unknown type, starting with 68 65 6c"),
        ("a.npy", b"hello world!", "unknown type"),
        ("a.tfrecord", b"hello world!!!", "wrong checksum"),
        ("a.tfrecord", b"hello", "truncated"),
        ("a.pkl", pickle.dumps([1]), "a Python pickle, which is never opened"),
        ("a.PICKLE", pickle.dumps([1], 0), "a Python pickle, which is never opened"),
        ("a.npz", pickle.dumps([1]), "a Python pickle, which is never opened"),
        ("a.npy", pickle.dumps([1]), "a Python pickle, which is never opened"),
        ("a.tfrecord", pickle.dumps({"rgb": 1}), "a Python pickle, which is never opened"),
    ],
)  # fmt: skip
def test_file_of_another_type_is_refused(name: str, content: bytes, text: str) -> None:
    assert text in error_message(name, content)


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.tfrecord", "a.pb", "a.txt", "features"])
def test_file_is_recognized_by_its_content(name: str) -> None:
    for content in (npy(RGB), npz(rgb=RGB), shard(record(rgb=RGB))):
        np.testing.assert_array_equal(read_one(name, content).frames[:, :8], RGB)


@pytest.mark.fault
def test_file_over_the_size_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert upload.MAX_BYTES == 20 << 20
    content = npy(RGB)
    monkeypatch.setattr(upload, "MAX_BYTES", len(content))
    assert read_one("a.npy", content).frames.shape == (5, 12)
    monkeypatch.setattr(upload, "MAX_BYTES", len(content) - 1)
    assert f"expected at most {len(content) - 1}" in error_message("a.npy", content)


class Malicious:
    """Creates a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.fault
def test_pickles_are_never_opened(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    objects = npy(np.array([Malicious(marker)], object), allow_pickle=True)
    for protocol in range(6):
        pickled = pickle.dumps(Malicious(marker), protocol)
        for name in ("a.pkl", "a.npy", "a.npz", "a.tfrecord"):
            error_message(name, pickled)
        error_message("a.npz", raw_zip(("rgb.npy", pickled), ("audio.npy", npy(AUDIO))))
        error_message("a.npz", raw_zip(("rgb.npy", npy(RGB)), ("id.npy", pickled)))
    assert "never opened" in error_message("a.npz", raw_zip(("rgb.npy", pickle.dumps(Malicious(marker)))))
    assert "Python objects, which are never opened" in error_message("a.npy", objects)
    for member in ("rgb", "labels", "id"):
        members = {"rgb": npy(RGB), member: objects}
        content = raw_zip(*((f"{key}.npy", data) for key, data in members.items()))
        assert "Python objects, which are never opened" in error_message("a.npz", content)
    assert not marker.exists()
    pickle.loads(pickle.dumps(Malicious(marker)))  # noqa: S301 - created by this test
    assert marker.exists(), "unpickling has no effect, so this test proves nothing"


def header(descr: str = "'|u1'", order: str = "False", shape: str = "(5, 8)") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


@pytest.mark.fault
@pytest.mark.parametrize(
    ("npy_header", "text"),
    [
        (header(shape="(38654705664, 1024)"), "shape"),
        (header(shape="(100001, 8)"), "at most 100,000"),
        (header(shape="(90000, 8)"), "a header for 720,000 bytes"),
        (header(shape="(4, 8)"), "a header for 32 bytes"),
        (header(shape="(0, 8)"), "shape (0, 8)"),
        (header(shape="()"), "shape ()"),
        (header(shape="(1, 1, 5, 8)"), "shape (1, 1, 5, 8)"),
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
def test_false_or_unsupported_npy_header_is_refused(npy_header: str, text: str) -> None:
    content = raw_npy(npy_header, RGB.tobytes())
    assert text in error_message("a.npy", content)
    in_npz = error_message("a.npz", raw_zip(("rgb.npy", content), ("audio.npy", npy(AUDIO))))
    assert "'rgb'" in in_npz
    assert text in in_npz or "expected (T, 8)" in in_npz


def test_truncated_npy_is_refused() -> None:
    content = npy(RGB)
    for size in range(len(content)):
        error_message("a.npy", content[:size])
    error_message("a.npy", content + b"\0")


LONG_NAME = bytearray(raw_zip(("rgb.npy", bytes(9000))))
LONG_NAME[26:28] = struct.pack("<H", 5000)  # length of the name in the local header


@pytest.mark.fault
@pytest.mark.parametrize(
    ("content", "text"),
    [
        (bytes(LONG_NAME), "File name in directory"),
        (raw_zip(*[(f"m{i}.npy", b"") for i in range(17)]), "17 members"),
        (raw_zip(("rgb.npy", npy(RGB)), ("../audio.npy", npy(AUDIO))), "with paths in names"),
        (raw_zip(("rgb.npy", npy(RGB)), ("/etc/audio.npy", npy(AUDIO))), "with paths in names"),
        (raw_zip(("rgb.npy", npy(RGB)), ("a\\audio.npy", npy(AUDIO))), "with paths in names"),
        (raw_zip(("rgb.npy", npy(RGB)), ("rgb.npy", npy(RGB))), "with duplicate names"),
        (raw_zip(("rgb.npy", npy(RGB)), flags=1), "encrypted"),
        (raw_zip(("rgb.npy", bz2.compress(npy(RGB))), method=zipfile.ZIP_BZIP2), "unsupported compression method"),
        (raw_zip(("rgb.npy", npy(RGB)), method=zipfile.ZIP_LZMA), "unsupported compression method"),
        (raw_zip(("rgb.npy", npy(RGB)), method=99), "unsupported compression method"),
        (raw_zip(("rgb.npy", npy(RGB)), size=(64 << 20) + 1), "67,108,865 bytes, more than 67,108,864"),
        (raw_zip(("rgb.npy", npy(RGB)), ("audio.npy", npy(AUDIO)), size=(32 << 20) + 1), "more than 67,108,864"),
        (raw_zip(("rgb.npy", npy(RGB)), crc=1), "cannot be read"),
        (raw_zip(("rgb.npy", b"not deflated"), method=8), "cannot be read"),
        (raw_zip(("rgb.npy", b"")), "empty"),
        (raw_zip(("rgb.npy", b"text")), "unknown type"),
        (raw_zip(("rgb.txt", b"text")), "members 'rgb.txt'"),
        (raw_zip(("x" * 9000, b"")), "members 'xxx"),
        (raw_zip(), "members none"),
        (npz(rgb=RGB)[:-1], "cannot be read"),
        (b"PK\x03\x04" + b"\0" * 100, "cannot be read"),
    ],
)
def test_damaged_or_unusual_zip_is_refused(content: bytes, text: str) -> None:
    assert text in error_message("a.npz", content)


@pytest.mark.fault
@pytest.mark.parametrize("declared_size", ["true", "small", "64 MB"])
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
def test_zip_of_gigabytes_is_refused_in_little_memory(declared_size: str, start: bytes) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    megabytes = packer.compress(bytes(16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    size = {"true": len(start) + (94 << 24), "small": 2048, "64 MB": 64 << 20}[declared_size]
    content = raw_zip(("rgb.npy", packed + megabytes * 94), method=8, size=size)
    assert zlib.decompressobj(-15).decompress(packed + megabytes, 1 << 20)[: len(start)] == start
    assert 1_000_000 < len(content) < 2_000_000
    tracemalloc.start()
    try:
        error_message("a.npz", content, YT8M)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_EXPANDED
    finally:
        tracemalloc.stop()


@pytest.mark.fault
def test_largest_accepted_arrays_take_little_memory() -> None:
    content = npz(rgb=np.ones((58_000, 1024), np.uint8), audio=np.ones((58_000, 128), np.uint8))
    tracemalloc.start()
    try:
        video = read_one("a.npz", content, YT8M)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_EXPANDED
        assert tracemalloc.get_traced_memory()[0] < 1 << 20, "the complete arrays are kept"
    finally:
        tracemalloc.stop()
    assert video.frames.shape == (300, 1152)


@pytest.mark.fault
def test_small_file_of_many_large_videos_is_refused() -> None:
    """Bytes next to floats become floats: four times the size, and it would stay in the cache of the app."""
    shape = (170, 300)
    content = npz(rgb=np.ones((*shape, 1024), np.uint8), audio=np.zeros((*shape, 128), np.float16))
    assert len(content) < 1 << 20
    assert "features of more than 64 MiB in 49 videos" in error_message("a.npz", content, YT8M)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, -3e38, 1.1e12])
def test_number_that_is_not_finite_or_would_overflow_is_refused_with_its_location(bad: float) -> None:
    rgb = values(RGB).astype(np.float64)
    rgb[3, 6] = bad
    message = error_message("a.npz", npz(rgb=rgb, audio=values(AUDIO)))
    assert f"'rgb': found {bad} in frame 3, position 6" in message
    assert f"'array': found {bad} in frame 3, position 6" in error_message("a.npy", npy(rgb))


def test_number_that_is_not_finite_in_a_record_is_refused() -> None:
    bad = encode_example({"id": b"abcd", **MEANS, "mean_audio": np.array([0, 1, np.nan, 0], np.float32)})
    assert "record 1, 'mean_audio': found nan at position 2" in error_message(
        "a.tfrecord", shard(encode_example({"id": b"a", **MEANS}), bad), VIDEO
    )


@pytest.mark.parametrize(
    ("labels", "text"),
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
def test_invalid_labels_are_refused(labels: Frames, text: str) -> None:
    assert text in error_message("a.npz", npz(rgb=RGB, audio=AUDIO, labels=labels))


@pytest.mark.parametrize(("labels", "expected"), [(np.array(4), (4,)), (np.array([], np.int64), None)])
def test_labels_may_be_a_scalar_or_empty(labels: Frames, expected: tuple[int, ...] | None) -> None:
    assert read_one("a.npz", npz(rgb=RGB, audio=AUDIO, labels=labels)).labels == expected


@pytest.mark.parametrize("bad", [np.array(7), np.array("x" * 1000), np.zeros(2)])
def test_invalid_id_is_refused(bad: Frames) -> None:
    assert "'id'" in error_message("a.npz", npz(rgb=RGB, audio=AUDIO, id=bad))


@pytest.mark.fault
def test_too_many_videos_are_refused() -> None:
    content = shard(record(rgb=RGB[:1], audio=AUDIO[:1]))
    assert len(read_upload("a.tfrecord", content * 1000, FRAME)) == 1000
    assert "more than 1,000 videos" in error_message("a.tfrecord", content * 1001)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (shard(record())[:-1], "record 0, data"),
        (shard(record()) + b"x", "record 1, header"),
        (shard(record(), b"\xff\xff"), "record 1: found a damaged message"),
        (shard(record(), b""), "record 1: found feature lists [] and context keys []"),
        (shard(record(rgb=RGB[:, :7], audio=AUDIO)), "'rgb': found the shape (5, 7); expected (T, 8)"),
        (shard(encode_sequence_example({"id": b"\xff"}, {"rgb": RGB, "audio": AUDIO})), "not UTF-8 text"),
        (shard(record(labels=(-1,))), "1 labels from -1 to -1"),
        (shard(record(labels=tuple(range(1001)))), "1,001 labels"),
        (shard(bytes((4 << 20) + 1)), "4,194,305 bytes; expected at most 4,194,304"),
        (shard(encode_sequence_example({f"{i}" * 1000: b"" for i in range(1000, 1100)}, {})), "feature lists []"),
    ],
)
def test_invalid_record_is_refused(content: bytes, text: str) -> None:
    assert text in error_message("a.tfrecord", content)


@pytest.mark.fault
def test_record_with_too_many_empty_frames_is_refused() -> None:
    def field(tag: int, content: bytes) -> bytes:
        size = len(content)
        return bytes([tag, size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21]) + content

    frames = field(0x12, b"\x0a\x00" * 100_001)
    content = shard(field(0x12, field(0x0A, b"\x0a\x03rgb" + frames)))
    assert "too many frames" in error_message("a.tfrecord", content)


@pytest.mark.fault
def test_slow_file_is_refused_between_two_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yt8m_core.data.features.MAX_SECONDS", -1)
    several = shard(record(), record(b"efgh"), record(b"ijkl"))
    assert "reading took more than -1 s, for 1 videos. Upload fewer videos at a time." in error_message(
        "a.tfrecord", several
    )
    assert len(read_upload("a.tfrecord", shard(record()), FRAME)) == 1  # the time is checked only between videos


# Random damage

VALID: Mapping[str, bytes] = {
    "compressed.npz": npz(rgb=RGB, audio=AUDIO, labels=np.array([1, 2]), id="abcd"),
    "stored.npz": raw_zip(("rgb.npy", npy(values(RGB))), ("audio.npy", npy(AUDIO)), ("id.npy", npy("abcd"))),
    "vector.npz": npz(**MEANS),
    "bytes.npy": npy(np.concatenate([RGB, AUDIO], axis=1)),
    "floats.npy": npy(values(RGB)),
    "frames.tfrecord": shard(record(), record(b"efgh", rgb=RGB[:2])),
    "means.tfrecord": shard(encode_example({"id": b"abcd", "labels": [1], **MEANS})),
}


def read_or_refuse(name: str, content: bytes) -> int:
    """Return the number of schemas for which the file is accepted; its videos must be valid."""
    num_accepted = 0
    for schema in (FRAME, VIDEO, SOUND):
        try:
            videos = read_upload(name, content, schema, max_frames=3)
        except UserError as error:
            assert 0 < len(str(error)) < 1100  # noqa: PT017 (both outcomes are correct)
            continue
        num_accepted += 1
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
            assert all(isinstance(note, str) and note for note in video.notes)
    return num_accepted


def mutate(data: st.DataObject, content: bytes) -> bytes:
    """Change some bytes, or remove or repeat a part."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(0, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(changed)), st.integers(0, len(changed)))))
    edit: Callable[[], bytearray] = data.draw(st.sampled_from([
        lambda: changed, lambda: changed[:start], lambda: changed[:start] + changed[end:],
        lambda: changed[:end] + changed[start:],
    ]))  # fmt: skip
    return bytes(edit())


@pytest.mark.parametrize("name", VALID)
def test_files_before_mutation_are_valid(name: str) -> None:
    # AudioSet's stream is the audio of a file that names it.
    assert read_or_refuse(name, VALID[name]) == (2 if name.endswith(".npy") or name == "frames.tfrecord" else 3)


@settings(max_examples=200)
@given(
    st.sampled_from([".npz", ".npy", ".tfrecord", ".pkl", ""]),
    st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", b"\x80\x04"]),
    st.binary(),
)
def test_random_bytes_are_refused(extension: str, start: bytes, content: bytes) -> None:
    with pytest.raises(UserError):
        read_upload(f"a{extension}", start + content, FRAME)


@settings(max_examples=50)
@given(st.text())
def test_any_file_name_is_safe_to_display(name: str) -> None:
    video = read_one(name + ".npy", npy(RGB))
    assert video.id.isprintable()
    with pytest.raises(UserError) as error:
        read_upload(name + ".npz", b"text", FRAME)
    assert str(error.value).isprintable()


@settings(max_examples=500)
@given(st.sampled_from(sorted(VALID)), st.data())
def test_mutated_file_is_read_or_refused(name: str, data: st.DataObject) -> None:
    read_or_refuse(name, mutate(data, VALID[name]))


@settings(max_examples=300)
@given(st.data())
def test_mutated_member_of_a_valid_zip_is_read_or_refused(data: st.DataObject) -> None:
    valid = {"rgb.npy": npy(RGB), "audio.npy": npy(values(AUDIO)), "labels.npy": npy([1, 2]), "id.npy": npy("abcd")}
    mutated = data.draw(st.sampled_from(sorted(valid)))
    members = [(name, mutate(data, content) if name == mutated else content) for name, content in valid.items()]
    read_or_refuse("a.npz", raw_zip(*members))


@settings(max_examples=300)
@given(st.data())
def test_mutated_zip_header_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(VALID["stored.npz"])
    directory = content.index(b"PK\x01\x02")
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(directory, len(content) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse("a.npz", bytes(content))


@settings(max_examples=300)
@given(st.booleans(), st.data())
def test_mutated_payload_with_valid_framing_is_read_or_refused(frames: bool, data: st.DataObject) -> None:
    payload = record() if frames else encode_example({"id": b"abcd", "labels": [1], **MEANS})
    read_or_refuse("a.tfrecord", shard(mutate(data, payload)))
