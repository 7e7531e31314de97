"""The feature check: how often real features fail and wrong ones pass, and its messages."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tiny import write_tiny
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.feature_check.check import FeatureCheck, check_features, reference_profile
from yt8m_core.data.feature_check.profile import FeatureProfile, builtin_profile, feature_values, measure_profile
from yt8m_core.data.quantization import dequantize
from yt8m_core.data.schema import BYTE_VALUES, KNOWN_STREAMS, Schema
from yt8m_core.demo import world as demo
from yt8m_core.errors import UserError

pytestmark = pytest.mark.filterwarnings("error")

FRAME, VIDEO = Schema("frame", KNOWN_STREAMS["frame"][0]), Schema("video", KNOWN_STREAMS["video"][0])
SOUND = Schema("frame", KNOWN_STREAMS["frame"][1])
Frames = np.ndarray[Any, Any]
Fault = Callable[[Frames], Frames]  # frames [T, D] → frames [T, D]


def builtin(schema: Schema) -> FeatureProfile:
    profile = builtin_profile(schema)
    assert profile
    return profile


def failure_rate(videos: Iterable[Frames], schema: Schema, profile: FeatureProfile) -> float:
    """Return the fraction of videos whose grade is not ok."""
    return float(np.mean([check_features(frames, schema, profile).grade != "ok" for frames in videos]))


def failures(check: FeatureCheck) -> set[tuple[str, str, str]]:
    """Return stream, check and grade of the findings that are not ok."""
    return {(finding.stream, finding.name, finding.grade) for finding in check.findings if finding.grade != "ok"}


@pytest.fixture(scope="module")
def held_out(real_data: Path) -> Frames:
    """Real video-level vectors [3,541, 1, 1152] that no profile was measured on."""
    videos = open_videos(real_data / "yt8m-2018-video" / "validate")
    return np.stack([videos.frames(video) for video in range(len(videos))])


@pytest.fixture(scope="module")
def real_video(real_data: Path) -> Frames:
    """The only real video at frame level, uint8 [170, 1152]."""
    with np.load(real_data / "frame-level" / "SjJ3.npz") as video:
        return np.concatenate([video["rgb"], video["audio"]], axis=1)


# Real records

MAX_FALSE_ALARMS = 0.01  # measured: 0.5% at video level, 0.2% for AudioSet


@pytest.mark.real_data
def test_real_videos_pass(held_out: Frames) -> None:
    assert failure_rate(held_out, VIDEO, builtin(VIDEO)) < MAX_FALSE_ALARMS


@pytest.mark.real_data
def test_real_audioset_clips_pass(real_data: Path) -> None:
    videos = open_videos(str(real_data / "audioset" / "eval-*"))
    clips = (videos.frames(video) for video in range(0, len(videos), 4))
    assert failure_rate(clips, SOUND, builtin(SOUND)) < MAX_FALSE_ALARMS


@pytest.mark.real_data
@pytest.mark.parametrize(("T", "max_failures"), [(1, 0.1), (10, 0.05), (30, 0.0), (170, 0.0)])
def test_clips_of_the_real_video_pass_unless_very_short(real_video: Frames, T: int, max_failures: float) -> None:
    clips = [real_video[start : start + T] for start in range(0, 170 - T + 1, max(1, T // 2))]
    assert failure_rate(clips, FRAME, builtin(FRAME)) <= max_failures
    assert failure_rate([feature_values(clip) for clip in clips], FRAME, builtin(FRAME)) <= max_failures


# Wrong features

RANDOM = np.random.default_rng(8)
PERMUTED = np.concatenate([RANDOM.permutation(1024), 1024 + RANDOM.permutation(128)])
PERMUTED_RGB = np.concatenate([PERMUTED[:1024], np.arange(1024, 1152)])
ROTATE_RGB, ROTATE_AUDIO = (np.linalg.qr(RANDOM.standard_normal((dim, dim)))[0] for dim in (1024, 128))
DECAY = (
    np.concatenate([np.arange(1, dim + 1) ** -0.5 for dim in (1024, 128)]) * 3
)  # like eigenvalues, without whitening


def other_pca(frames: Frames) -> Frames:
    return np.concatenate([frames[:, :1024] @ ROTATE_RGB, frames[:, 1024:] @ ROTATE_AUDIO], axis=1)


def with_audio(value: float) -> Fault:
    return lambda frames: np.concatenate([frames[:, :1024], np.full_like(frames[:, 1024:], value)], axis=1)


FAULTS: dict[str, tuple[Fault, float]] = {  # the fault, and the minimum detection rate at video level
    "raw activations": (lambda frames: abs(frames), 0.99),
    "random raw activations": (lambda frames: RANDOM.gamma(0.8, 0.5, frames.shape), 0.99),
    "not whitened": (lambda frames: frames * DECAY, 0.99),
    "another PCA": (other_pca, 0.99),
    "shuffled dimensions": (lambda frames: frames[:, PERMUTED], 0.97),
    "shuffled rgb": (lambda frames: frames[:, PERMUTED_RGB], 0.85),
    "bytes as floats": (lambda frames: (frames + 2) * 63.75, 1.0),
    "L2-normalized": (lambda frames: frames / np.linalg.norm(frames, axis=1, keepdims=True), 1.0),
    "normal noise": (lambda frames: RANDOM.standard_normal(frames.shape), 0.99),
    "uniform noise": (lambda frames: RANDOM.uniform(-2, 2, frames.shape), 0.99),
    "noise with the norm of a mean": (lambda frames: RANDOM.normal(0, 0.46, frames.shape), 0.99),
    "shifted by 0.3": (lambda frames: frames + 0.3, 0.99),
    "no audio, 0": (with_audio(0), 1.0),
    "no audio, byte 0": (with_audio(4 / 512 - 2), 1.0),
    "audio before rgb": (lambda frames: np.roll(frames, 128, axis=1), 0.95),
}


@pytest.mark.real_data
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_in_real_vectors_are_detected(held_out: Frames, fault: str) -> None:
    apply_fault, min_rate = FAULTS[fault]
    faulty = (apply_fault(frames).astype(np.float32) for frames in held_out[::12])
    assert failure_rate(faulty, VIDEO, builtin(VIDEO)) >= min_rate


@pytest.mark.real_data
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_in_a_real_video_are_detected(real_video: Frames, fault: str) -> None:
    faulty = FAULTS[fault][0](feature_values(real_video)).astype(np.float32)
    assert check_features(faulty, FRAME, builtin(FRAME)).grade == ("unusual" if fault == "no audio, 0" else "wrong")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("apply_fault", "finding", "text"),
    [
        (lambda codes: codes.astype(np.float32), ("rgb", "max magnitude", "wrong"), "bytes from 0 to 255"),
        (lambda codes: feature_values(codes).astype(np.int8).view(np.uint8), ("rgb", "mean offset", "wrong"),
         "cast to bytes"),
        (lambda codes: abs(feature_values(codes)), ("rgb", "mean offset", "wrong"), "raw activations"),
        (lambda codes: feature_values(codes) * 1.3, ("rgb", "max magnitude", "unusual"), "not clipped"),
        (lambda codes: feature_values(codes) * 0.5, ("rgb", "frame norm", "unusual"), "scaled down"),
        (lambda codes: codes[:, PERMUTED], ("rgb", "similarity", "wrong"), "shuffled dimensions"),
        (lambda codes: feature_values(codes) * DECAY, ("rgb", "leading energy", "wrong"), "not whitened"),
        (lambda codes: with_audio(128)(codes), ("audio", "presence", "unusual"), "The stream is missing"),
        (lambda codes: with_audio(0)(codes), ("audio", "presence", "wrong"), "Google's old extractor"),
        (lambda codes: np.repeat(codes[40:41], 60, axis=0), ("rgb", "frame changes", "unusual"),
         "All 60 frames are the same"),
    ],
)  # fmt: skip
def test_fault_is_named(real_video: Frames, apply_fault: Fault, finding: tuple[str, str, str], text: str) -> None:
    check = check_features(apply_fault(real_video), FRAME, builtin(FRAME))
    assert finding in failures(check)
    (sentence,) = (f.sentence for f in check.findings if (f.stream, f.name) == finding[:2])
    assert text in sentence


@pytest.mark.real_data
def test_verdict_says_what_to_do(real_video: Frames) -> None:
    def verdict(frames: Frames) -> str:
        return check_features(frames, FRAME, builtin(FRAME)).verdict

    assert verdict(real_video) == "These look like the features of YouTube-8M (15,113 videos)."
    assert verdict(feature_values(real_video) * 1.3).startswith("2 of 14 checks are unusual (max magnitude of 'rgb'")
    assert "do not look like" in verdict(real_video[:, PERMUTED])
    assert verdict(np.roll(real_video, 128, axis=1)).endswith(
        "the streams in the wrong order: put 'rgb' before 'audio'."
    )


# Profiles


@pytest.mark.real_data
def test_builtin_profile_matches_the_real_records(real_data: Path) -> None:
    videos = open_videos(real_data / "yt8m-2018-video" / "train")
    vectors = np.concatenate([videos.frames(video) for video in range(len(videos))])
    profile = builtin(VIDEO)
    assert profile.source == f"YouTube-8M ({len(videos):,} videos)"
    for name, columns in (("rgb", slice(0, 1024)), ("audio", slice(1024, 1152))):
        stream = profile.streams[name]
        np.testing.assert_allclose(stream.mean, vectors[:, columns].mean(0), atol=1e-5)
        np.testing.assert_allclose(stream.std, vectors[:, columns].std(0), rtol=1e-4)
        np.testing.assert_allclose(np.linalg.norm(stream.centroids, axis=1), 1, rtol=1e-5)
        norms = np.linalg.norm(vectors[:, columns], axis=1)
        assert stream.limits["mean norm"][0] <= norms.min() < norms.max() <= stream.limits["mean norm"][1]


@pytest.mark.real_data
def test_real_training_data_get_the_builtin_profile(real_data: Path) -> None:
    assert reference_profile(open_videos(real_data / "yt8m-2018-video" / "validate"), "mine") is builtin(VIDEO)


def test_unknown_streams_have_no_builtin_profile() -> None:
    assert builtin_profile(Schema("frame", (("rgb", 1024), ("flow", 1024)))) is None
    assert builtin_profile(Schema("frame", (("rgb", 512), ("audio", 128)))) is None


@pytest.fixture(scope="module")
def demo_world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Videos, Videos]:
    folder = tmp_path_factory.mktemp("check") / "demo"
    demo.build(folder, replace(demo.World(), train_videos=160, validation_videos=40))
    return open_videos(folder / "train"), open_videos(folder / "validation")


def test_custom_data_pass_their_own_profile_and_noise_does_not(demo_world: tuple[Videos, Videos]) -> None:
    train, validation = demo_world
    profile = reference_profile(train, "the demo world")
    assert profile.source == "the demo world (160 videos)"  # measured, not the built-in one
    videos = [validation.frames(video) for video in range(len(validation))]
    assert failure_rate(videos, train.schema, profile) <= 0.05
    noise = [RANDOM.integers(0, 256, frames.shape, dtype=np.uint8) for frames in videos]
    assert failure_rate(noise, train.schema, profile) >= 0.9
    assert failure_rate([with_audio(128)(frames) for frames in videos], train.schema, profile) == 1
    halves = [feature_values(frames) * 0.5 for frames in videos]  # frames with half the norm
    assert failure_rate(halves, train.schema, profile) == 1


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Videos:
    return open_videos(
        write_tiny(tmp_path_factory.mktemp("check") / "train", 60, seed=1), streams=(("rgb", 24), ("audio", 8))
    )


@pytest.fixture(scope="module")
def tiny_profile(tiny: Videos) -> FeatureProfile:
    return measure_profile(tiny, "tiny")


@pytest.mark.parametrize("sample", [30, 2000])
def test_profile_equals_the_statistics_of_its_videos(tiny: Videos, sample: int) -> None:
    profile = measure_profile(tiny, "tiny", sample=sample)
    sampled = np.unique(np.linspace(0, 59, min(sample, 60)).round().astype(int))
    assert profile.source == f"tiny ({len(sampled)} videos)"
    means = np.stack([feature_values(tiny.frames(int(video))).mean(0) for video in sampled])
    np.testing.assert_allclose(profile.streams["rgb"].mean, means[:, :24].mean(0), atol=1e-5)
    np.testing.assert_allclose(profile.streams["audio"].std, means[:, 24:].std(0), atol=1e-5)
    low, high = profile.streams["rgb"].limits["mean norm"]
    norms = np.linalg.norm(means[:, :24], axis=1)
    median, margin = np.median(norms), 2 / math.sqrt(len(sampled))
    assert low == pytest.approx(norms.min() - margin * (median - norms.min()), rel=1e-4)
    assert high == pytest.approx(norms.max() + margin * (norms.max() - median), rel=1e-4)


def test_too_few_videos_are_refused(tmp_path: Path) -> None:
    few = open_videos(write_tiny(tmp_path / "few", 15, seed=1), streams=(("rgb", 24), ("audio", 8)))
    with pytest.raises(UserError, match="found 15 videos; expected at least 16"):
        measure_profile(few, "few")


def test_stream_missing_in_the_data_set_may_be_missing(tiny: Videos, tiny_profile: FeatureProfile) -> None:
    audio = replace(tiny_profile.streams["audio"], std=np.zeros(8, np.float32))
    without_audio = replace(tiny_profile, streams={**tiny_profile.streams, "audio": audio})
    frames = tiny.frames(0).copy()
    assert ("audio", "presence", "unusual") in failures(check_features(frames, tiny.schema, without_audio))
    frames[:, 24:] = 0
    assert not [
        failure for failure in failures(check_features(frames, tiny.schema, without_audio)) if failure[0] == "audio"
    ]


def test_verdict_starts_with_the_number_of_unusual_checks(tiny: Videos, tiny_profile: FeatureProfile) -> None:
    check = check_features(feature_values(tiny.frames(0)) * 1.2, tiny.schema, tiny_profile)
    assert check.grade == "unusual"
    number = len(failures(check))
    verb = "is" if number == 1 else "are"
    assert check.verdict.startswith(f"{number} of {len(check.findings)} checks {verb} unusual (")
    assert "may not be of the kind that the run was trained on" in check.verdict
    assert "look like" not in check.verdict


# Any input


@settings(max_examples=150)
@given(data=st.data())
def test_check_of_any_frames_is_consistent(tiny: Videos, tiny_profile: FeatureProfile, data: st.DataObject) -> None:
    T, seed = data.draw(st.integers(1, 40)), data.draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    frames: Frames = random.integers(0, data.draw(st.sampled_from([1, 2, 256])), (T, 32), dtype=np.uint8)
    if data.draw(st.booleans()):
        scale = 10.0 ** data.draw(st.integers(-40, 37))
        frames = (random.uniform(-3, 3, (T, 32)) * scale).astype(np.float32)
        frames[:, : data.draw(st.integers(0, 32))] = data.draw(st.sampled_from([0, -2, 1e-30, 7, -3e38]))
    check = check_features(frames, tiny.schema, tiny_profile)
    assert {finding.stream for finding in check.findings} == {"rgb", "audio"}
    worst = max(check.findings, key=lambda finding: ["ok", "unusual", "wrong"].index(finding.grade)).grade
    assert check.grade == worst
    assert ("do not look" in check.verdict or "wrong order" in check.verdict) == (check.grade == "wrong")
    for finding in check.findings:
        low, high = finding.expected
        assert math.isfinite(finding.measured)
        assert finding.sentence.endswith(".")
        assert (finding.grade == "ok") == (low <= finding.measured <= high)


def test_values_of_bytes_without_torch_are_those_of_dequantize() -> None:
    codes = torch.arange(256, dtype=torch.uint8)
    np.testing.assert_allclose(BYTE_VALUES, dequantize(codes).numpy(), atol=2e-7)
    assert BYTE_VALUES.dtype == np.float32
