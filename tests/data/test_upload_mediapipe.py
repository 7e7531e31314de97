"""Uploads of MediaPipe's features.pb: reading, errors, and random damage."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_upload import (
    AUDIO,
    FRAME,
    RGB,
    SOUND,
    VIDEO,
    error_message,
    has_note,
    mutate,
    read_one,
    read_or_refuse,
    shard,
    values,
)
from yt8m_core.data.features import EXTENSIONS, read_upload
from yt8m_core.data.features.mediapipe import MAX_MESSAGE
from yt8m_core.data.tfrecord.records import SequenceExample

pytestmark = pytest.mark.filterwarnings("error")

Frames = np.ndarray[Any, Any]
BOTH = np.concatenate([RGB, AUDIO], axis=1)
# Centers of the quantization steps, which any correct quantizer maps back to the same bytes. (Byte 255 is above 2.)
EXACT_RGB, EXACT_AUDIO = values(RGB), values(AUDIO)


def features_pb(
    rgb: Frames | None = EXACT_RGB,
    audio: Frames | None = EXACT_AUDIO,
    path: bytes | None = b"/home/someone/My clip.v2.mp4",
    rgb_times: Sequence[int] | None = None,
    audio_times: Sequence[int] | None = None,
    **lists: Frames,
) -> bytes:
    """Build what PackMediaSequenceCalculator writes for FLOAT_FEATURE_RGB and FLOAT_FEATURE_AUDIO."""
    message = SequenceExample()
    if path is not None:
        message.context.feature["clip/data_path"].bytes_list.value.append(path)
        message.context.feature["clip/start/timestamp"].int64_list.value.append(0)
        message.context.feature["clip/end/timestamp"].int64_list.value.append(10_000_000)
    for prefix, frames, times in (("RGB", rgb, rgb_times), ("AUDIO", audio, audio_times)):
        if frames is None:
            continue
        stamps = times if times is not None else [t * 1_000_000 for t in range(len(frames))]
        for frame in frames:
            message.feature_lists.feature_list[f"{prefix}/feature/floats"].feature.add().float_list.value.extend(frame)
        for stamp in stamps:
            message.feature_lists.feature_list[f"{prefix}/feature/timestamp"].feature.add().int64_list.value.append(
                stamp
            )
    for name, frames in lists.items():
        for frame in frames:
            message.feature_lists.feature_list[name].feature.add().float_list.value.extend(frame)
    return bytes(message.SerializeToString(deterministic=True))


def test_floats_are_quantized_like_youtube8m() -> None:
    video = read_one("features.pb", features_pb())
    assert video.frames.dtype == np.uint8
    np.testing.assert_array_equal(video.frames, BOTH)
    assert (video.id, video.labels) == ("My clip.v2", None)
    assert len(video.notes) == 1
    assert has_note(video, "clipped to [-2, 2]")


def test_quantization_is_exact_to_half_a_step_and_clips() -> None:
    rgb = np.random.default_rng(0).normal(0, 1.5, (40, 8)).astype(np.float32)
    video = read_one("features.pb", features_pb(rgb=rgb, audio=None))
    assert abs(values(video.frames[:, :8]) - np.clip(rgb, -2, 2)).max() <= 4 / 512 + 1e-4
    assert {0, 255} <= set(video.frames[:, :8].ravel().tolist())
    outside = (abs(rgb) > 2).mean()
    assert outside > 0.1
    assert has_note(video, f"({outside:.1%} of the values)")


def test_video_level_model_takes_the_mean() -> None:
    video = read_one("features.pb", features_pb(), VIDEO)
    assert video.frames.shape == (1, 12)
    np.testing.assert_allclose(video.frames[0], values(BOTH).mean(0), atol=1e-5)


def test_missing_audio_is_filled_and_noted() -> None:
    video = read_one("features.pb", features_pb(audio=None))
    np.testing.assert_array_equal(video.frames[:, 8:], np.full((5, 4), 128))
    assert has_note(video, "no 'audio'")


def test_longer_stream_is_cut() -> None:
    video = read_one("features.pb", features_pb(audio=EXACT_AUDIO[:4]))
    np.testing.assert_array_equal(video.frames, BOTH[:4])
    assert has_note(video, "differ in length")


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ({"rgb_times": range(0, 2_500_000, 500_000)}, "'rgb' has a frame every 0.5 s"),
        ({"rgb_times": range(0, 2_500_000, 500_000)}, "up to 2 s apart"),
        ({"audio_times": range(3_000_000, 8_000_000, 1_000_000)}, "up to 3 s apart"),
        ({"audio_times": [2**63 - 1, -(2**63), 0, 1, 2]}, "'audio' has a frame every"),
    ],
)
def test_frames_with_other_timestamps_are_used_and_noted(times: dict[str, Sequence[int]], text: str) -> None:
    video = read_one("features.pb", features_pb(**times))
    np.testing.assert_array_equal(video.frames, BOTH)
    assert has_note(video, text)


@pytest.mark.parametrize("times", [(), (7,), range(0, 5_040_000, 1_008_000)])
def test_missing_and_nearly_right_timestamps_are_accepted(times: Sequence[int]) -> None:
    assert len(read_one("features.pb", features_pb(audio_times=times)).notes) == 1


@pytest.mark.parametrize(
    ("path", "video_id"),
    [
        (None, "features"),
        (b"", "features"),
        (b"C:\\clips\\a.mp4", "a"),
        (b"/x/.mp4", ".mp4"),
        (b"\xff\x00\n/../b", "b"),
    ],
)
def test_video_is_named_after_its_file_without_folder(path: bytes | None, video_id: str) -> None:
    assert read_one("features.pb", features_pb(path=path)).id == video_id


def test_custom_streams_are_found_by_mediapipes_naming_rule() -> None:
    content = features_pb(rgb=None, audio=None, **{"AUDIO_EMBEDDING/feature/floats": EXACT_AUDIO})
    np.testing.assert_array_equal(read_one("a.pb", content, SOUND).frames, AUDIO)


# Refused files


def with_bad(value: float) -> Frames:
    bad = EXACT_RGB.copy()
    bad[3, 6] = value
    return bad


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (features_pb()[:-3], "a damaged message; expected a serialized tf.SequenceExample"),
        (b"", "empty"),
        (b"hello world!", "a damaged message"),
        (features_pb(rgb=EXACT_RGB[:, :7]), "'rgb': found the shape (5, 7); expected (T, 8)"),
        (features_pb(rgb=with_bad(np.nan)), "found nan in frame 3, position 6"),
        (features_pb(rgb=with_bad(-np.inf)), "found -inf in frame 3, position 6"),
        (features_pb(rgb=with_bad(1e13)), "position 6; expected numbers of at most 1e+12 in magnitude"),
        (features_pb(rgb=None), "found the arrays 'audio' [5, 4]; expected an .npz with 'rgb'"),
        (features_pb(rgb=None, audio=None), "metadata.pb is the input of MediaPipe's extractor"),
        (features_pb(rgb=EXACT_RGB[:0], audio=None, **{"RGB/feature/bytes": RGB}), "'RGB/feature/bytes'"),
        (b"\x0a\x00" * (MAX_MESSAGE // 2) + b"\x0a\x00", "8,388,610 bytes; expected at most 8,388,608"),
    ],
)
def test_invalid_message_is_refused(content: bytes, text: str) -> None:
    assert text in error_message("features.pb", content)


def test_list_without_frames_is_refused() -> None:
    empty = SequenceExample()
    empty.feature_lists.feature_list["RGB/feature/floats"].SetInParent()
    assert "no frames" in error_message("features.pb", empty.SerializeToString())


def test_message_is_recognized_whatever_its_name() -> None:
    assert EXTENSIONS == (".npz", ".npy", ".tfrecord", ".pb")
    for name in ("features.npz", "output.tfrecord", "features"):
        np.testing.assert_array_equal(read_one(name, features_pb()).frames, BOTH)


def test_messages_collected_in_a_tfrecord_file_are_read() -> None:
    first, second = read_upload(
        "all.tfrecord", shard(features_pb(path=b"/v/0.mp4"), features_pb(path=b"/v/1.mp4")), FRAME
    )
    assert (first.id, second.id) == ("0", "1")
    np.testing.assert_array_equal(second.frames, BOTH)
    assert has_note(second, "clipped to [-2, 2]")


def test_audio_alone_serves_a_model_of_audioset() -> None:
    video = read_one("features.pb", features_pb(rgb=None), SOUND)
    np.testing.assert_array_equal(video.frames, AUDIO)
    assert has_note(video, "'audio' is used as 'audio_embedding'")


# Random damage


def test_file_before_mutation_is_valid() -> None:
    assert read_or_refuse("features.pb", features_pb()) == 3


@settings(max_examples=400)
@given(st.data())
def test_mutated_message_is_read_or_refused(data: st.DataObject) -> None:
    content = features_pb(rgb=EXACT_RGB[:2], audio=EXACT_AUDIO[:2])
    read_or_refuse("features.pb", mutate(data, content))


@settings(max_examples=200)
@given(st.binary())
def test_random_bytes_are_refused(content: bytes) -> None:
    assert read_or_refuse("features.pb", b"\x0a" + content) == 0
