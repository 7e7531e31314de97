"""How often real records fail the feature check, how often false ones pass, and what it says of both."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tiny import write_tiny
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.feature_check.check import FeatureCheck, check_features, profile_for
from yt8m_core.data.feature_check.profile import FeatureProfile, built_in_profile, profile_of, values_of
from yt8m_core.data.schema import KNOWN_STREAMS, Schema
from yt8m_core.demo import world as demo
from yt8m_core.errors import UserError

pytestmark = pytest.mark.filterwarnings("error")

FRAME, VIDEO = Schema("frame", KNOWN_STREAMS["frame"][0]), Schema("video", KNOWN_STREAMS["video"][0])
SOUND = Schema("frame", KNOWN_STREAMS["frame"][1])
Frames = np.ndarray[Any, Any]
Fault = Callable[[Frames], Frames]  # frames [T, D] → frames [T, D]


def built_in(schema: Schema) -> FeatureProfile:
    profile = built_in_profile(schema)
    assert profile
    return profile


def failing(videos: Iterable[Frames], schema: Schema, profile: FeatureProfile) -> float:
    """The share of videos whose features are not ok."""
    return float(np.mean([check_features(frames, schema, profile).grade != "ok" for frames in videos]))


def grades(check: FeatureCheck) -> set[tuple[str, str, str]]:
    """What is not ok."""
    return {(one.stream, one.name, one.grade) for one in check.findings if one.grade != "ok"}


@pytest.fixture(scope="module")
def held_out(real_data: Path) -> Frames:
    """Real video-level vectors [3,541, 1, 1152] that are in no profile."""
    videos = open_videos(real_data / "yt8m-2018-video" / "validate")
    return np.stack([videos.frames(video) for video in range(len(videos))])


@pytest.fixture(scope="module")
def real_video(real_data: Path) -> Frames:
    """The one real video at frame level, uint8 [170, 1152]."""
    with np.load(real_data / "frame-level" / "SjJ3.npz") as video:
        return np.concatenate([video["rgb"], video["audio"]], axis=1)


# Real records

FALSE_ALARMS = 0.01  # at most; measured: 0.5 % at video level, 0.2 % of AudioSet


@pytest.mark.real_data
def test_real_videos_pass(held_out: Frames) -> None:
    assert failing(held_out, VIDEO, built_in(VIDEO)) < FALSE_ALARMS


@pytest.mark.real_data
def test_real_audioset_clips_pass(real_data: Path) -> None:
    videos = open_videos(str(real_data / "audioset" / "eval-*"))
    clips = (videos.frames(video) for video in range(0, len(videos), 4))
    assert failing(clips, SOUND, built_in(SOUND)) < FALSE_ALARMS


@pytest.mark.real_data
@pytest.mark.parametrize(("T", "most"), [(1, 0.1), (10, 0.05), (30, 0.0), (170, 0.0)])
def test_clips_of_the_real_video_pass_unless_very_short(real_video: Frames, T: int, most: float) -> None:
    clips = [real_video[start : start + T] for start in range(0, 170 - T + 1, max(1, T // 2))]
    assert failing(clips, FRAME, built_in(FRAME)) <= most
    assert failing([values_of(clip) for clip in clips], FRAME, built_in(FRAME)) <= most


# False ones

RANDOM = np.random.default_rng(8)
OTHER_ORDER = np.concatenate([RANDOM.permutation(1024), 1024 + RANDOM.permutation(128)])
OTHER_RGB_ORDER = np.concatenate([OTHER_ORDER[:1024], np.arange(1024, 1152)])
TURN_RGB, TURN_AUDIO = (np.linalg.qr(RANDOM.standard_normal((dim, dim)))[0] for dim in (1024, 128))
FALLING = (
    np.concatenate([np.arange(1, dim + 1) ** -0.5 for dim in (1024, 128)]) * 3
)  # as eigenvalues fall, whitening off


def other_pca(frames: Frames) -> Frames:
    return np.concatenate([frames[:, :1024] @ TURN_RGB, frames[:, 1024:] @ TURN_AUDIO], axis=1)


def with_audio(value: float) -> Fault:
    return lambda frames: np.concatenate([frames[:, :1024], np.full_like(frames[:, 1024:], value)], axis=1)


FAULTS: dict[str, tuple[Fault, float]] = {  # of the values of frames, and the share that must be found at video level
    "raw activations": (lambda frames: abs(frames), 0.99),
    "raw activations, anew": (lambda frames: RANDOM.gamma(0.8, 0.5, frames.shape), 0.99),
    "not whitened": (lambda frames: frames * FALLING, 0.99),
    "another PCA": (other_pca, 0.99),
    "shuffled dimensions": (lambda frames: frames[:, OTHER_ORDER], 0.97),
    "shuffled rgb": (lambda frames: frames[:, OTHER_RGB_ORDER], 0.85),
    "bytes as floats": (lambda frames: (frames + 2) * 63.75, 1.0),
    "L2-normalized": (lambda frames: frames / np.linalg.norm(frames, axis=1, keepdims=True), 1.0),
    "normal noise": (lambda frames: RANDOM.standard_normal(frames.shape), 0.99),
    "uniform noise": (lambda frames: RANDOM.uniform(-2, 2, frames.shape), 0.99),
    "noise as large as a mean": (lambda frames: RANDOM.normal(0, 0.46, frames.shape), 0.99),
    "higher by 0.3": (lambda frames: frames + 0.3, 0.99),
    "no audio, 0": (with_audio(0), 1.0),
    "no audio, byte 0": (with_audio(4 / 512 - 2), 1.0),
    "audio before rgb": (lambda frames: np.roll(frames, 128, axis=1), 0.95),
}


@pytest.mark.real_data
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_real_vectors_are_found(held_out: Frames, fault: str) -> None:
    spoil, least = FAULTS[fault]
    spoiled = (spoil(frames).astype(np.float32) for frames in held_out[::12])
    assert failing(spoiled, VIDEO, built_in(VIDEO)) >= least


@pytest.mark.real_data
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_real_video_are_found(real_video: Frames, fault: str) -> None:
    spoiled = FAULTS[fault][0](values_of(real_video)).astype(np.float32)
    assert check_features(spoiled, FRAME, built_in(FRAME)).grade == ("odd" if fault == "no audio, 0" else "wrong")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("spoil", "found", "words"),
    [
        (lambda codes: codes.astype(np.float32), ("rgb", "range", "wrong"), "bytes from 0 to 255"),
        (lambda codes: values_of(codes).astype(np.int8).view(np.uint8), ("rgb", "level", "wrong"), "cut to bytes"),
        (lambda codes: abs(values_of(codes)), ("rgb", "level", "wrong"), "raw activations"),
        (lambda codes: values_of(codes) * 1.3, ("rgb", "range", "odd"), "never clipped"),
        (lambda codes: values_of(codes) * 0.5, ("rgb", "frame size", "odd"), "scaled down"),
        (lambda codes: codes[:, OTHER_ORDER], ("rgb", "resemblance", "wrong"), "shuffled dimensions"),
        (lambda codes: values_of(codes) * FALLING, ("rgb", "front share", "wrong"), "not whitened"),
        (lambda codes: with_audio(128)(codes), ("audio", "presence", "odd"), "The stream is missing"),
        (lambda codes: with_audio(0)(codes), ("audio", "presence", "wrong"), "Google's old extractor"),
        (lambda codes: np.repeat(codes[40:41], 60, axis=0), ("rgb", "movement", "odd"), "All 60 frames are the same"),
    ],
)  # fmt: skip
def test_a_fault_is_named(real_video: Frames, spoil: Fault, found: tuple[str, str, str], words: str) -> None:
    check = check_features(spoil(real_video), FRAME, built_in(FRAME))
    assert found in grades(check)
    (sentence,) = (one.sentence for one in check.findings if (one.stream, one.name) == found[:2])
    assert words in sentence


@pytest.mark.real_data
def test_the_verdict_says_what_to_make_of_it(real_video: Frames) -> None:
    def verdict(frames: Frames) -> str:
        return check_features(frames, FRAME, built_in(FRAME)).verdict

    assert verdict(real_video) == "These look like the features of YouTube-8M (15,113 videos)."
    assert "but for range of 'rgb'" in verdict(values_of(real_video) * 1.3)
    assert "do not look like" in verdict(real_video[:, OTHER_ORDER])
    assert verdict(np.roll(real_video, 128, axis=1)).endswith(
        "the streams in the wrong order: put 'rgb' before 'audio'."
    )


# Profiles


@pytest.mark.real_data
def test_the_built_in_profile_is_of_the_real_records(real_data: Path) -> None:
    videos = open_videos(real_data / "yt8m-2018-video" / "train")
    vectors = np.concatenate([videos.frames(video) for video in range(len(videos))])
    profile = built_in(VIDEO)
    assert profile.source == f"YouTube-8M ({len(videos):,} videos)"
    for name, columns in (("rgb", slice(0, 1024)), ("audio", slice(1024, 1152))):
        stream = profile.streams[name]
        np.testing.assert_allclose(stream.mean, vectors[:, columns].mean(0), atol=1e-5)
        np.testing.assert_allclose(stream.deviation, vectors[:, columns].std(0), rtol=1e-4)
        np.testing.assert_allclose(np.linalg.norm(stream.kinds, axis=1), 1, rtol=1e-5)
        sizes = np.linalg.norm(vectors[:, columns], axis=1)
        assert stream.limits["size"][0] <= sizes.min() < sizes.max() <= stream.limits["size"][1]


@pytest.mark.real_data
def test_who_trains_on_real_videos_gets_the_built_in_profile(real_data: Path) -> None:
    assert profile_for(open_videos(real_data / "yt8m-2018-video" / "validate"), "mine") is built_in(VIDEO)


def test_streams_that_no_real_data_set_has_are_in_no_built_in_profile() -> None:
    assert built_in_profile(Schema("frame", (("rgb", 1024), ("flow", 1024)))) is None
    assert built_in_profile(Schema("frame", (("rgb", 512), ("audio", 128)))) is None


@pytest.fixture(scope="module")
def demo_world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Videos, Videos]:
    folder = tmp_path_factory.mktemp("check") / "demo"
    demo.build(folder, replace(demo.World(), train_videos=160, validation_videos=40))
    return open_videos(folder / "train"), open_videos(folder / "validation")


def test_a_world_of_ones_own_passes_its_own_profile_and_noise_does_not(demo_world: tuple[Videos, Videos]) -> None:
    train, validation = demo_world
    profile = profile_for(train, "the demo world")
    assert profile.source == "the demo world (160 videos)"  # which the built-in one does not know
    videos = [validation.frames(video) for video in range(len(validation))]
    assert failing(videos, train.schema, profile) <= 0.05
    noise = [RANDOM.integers(0, 256, frames.shape, dtype=np.uint8) for frames in videos]
    assert failing(noise, train.schema, profile) >= 0.9
    assert failing([with_audio(128)(frames) for frames in videos], train.schema, profile) == 1
    halves = [values_of(frames) * 0.5 for frames in videos]  # frames of half the length
    assert failing(halves, train.schema, profile) == 1


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Videos:
    return open_videos(
        write_tiny(tmp_path_factory.mktemp("check") / "train", 60, seed=1), streams=(("rgb", 24), ("audio", 8))
    )


@pytest.fixture(scope="module")
def tiny_profile(tiny: Videos) -> FeatureProfile:
    return profile_of(tiny, "tiny")


@pytest.mark.parametrize("sample", [30, 2000])
def test_a_profile_holds_the_figures_of_its_videos(tiny: Videos, sample: int) -> None:
    profile = profile_of(tiny, "tiny", sample=sample)
    chosen = np.unique(np.linspace(0, 59, min(sample, 60)).round().astype(int))
    assert profile.source == f"tiny ({len(chosen)} videos)"
    means = np.stack([values_of(tiny.frames(int(video))).mean(0) for video in chosen])
    np.testing.assert_allclose(profile.streams["rgb"].mean, means[:, :24].mean(0), atol=1e-5)
    np.testing.assert_allclose(profile.streams["audio"].deviation, means[:, 24:].std(0), atol=1e-5)
    low, high = profile.streams["rgb"].limits["size"]
    sizes = np.linalg.norm(means[:, :24], axis=1)
    middle, further = np.median(sizes), 2 / math.sqrt(len(chosen))
    assert low == pytest.approx(sizes.min() - further * (middle - sizes.min()), rel=1e-4)
    assert high == pytest.approx(sizes.max() + further * (sizes.max() - middle), rel=1e-4)


def test_too_few_videos_make_no_profile(tmp_path: Path) -> None:
    few = open_videos(write_tiny(tmp_path / "few", 15, seed=1), streams=(("rgb", 24), ("audio", 8)))
    with pytest.raises(UserError, match="found 15 videos; expected at least 16"):
        profile_of(few, "few")


def test_a_stream_that_the_data_set_lacks_is_not_missed(tiny: Videos, tiny_profile: FeatureProfile) -> None:
    audio = replace(tiny_profile.streams["audio"], deviation=np.zeros(8, np.float32))
    silent = replace(tiny_profile, streams={**tiny_profile.streams, "audio": audio})
    frames = tiny.frames(0).copy()
    assert ("audio", "presence", "odd") in grades(check_features(frames, tiny.schema, silent))
    frames[:, 24:] = 0
    assert not [one for one in grades(check_features(frames, tiny.schema, silent)) if one[0] == "audio"]


# Whatever is given


@settings(max_examples=150)
@given(data=st.data())
def test_any_frames_get_a_check_that_holds_together(
    tiny: Videos, tiny_profile: FeatureProfile, data: st.DataObject
) -> None:
    T, seed = data.draw(st.integers(1, 40)), data.draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    frames: Frames = random.integers(0, data.draw(st.sampled_from([1, 2, 256])), (T, 32), dtype=np.uint8)
    if data.draw(st.booleans()):
        scale = 10.0 ** data.draw(st.integers(-40, 37))
        frames = (random.uniform(-3, 3, (T, 32)) * scale).astype(np.float32)
        frames[:, : data.draw(st.integers(0, 32))] = data.draw(st.sampled_from([0, -2, 1e-30, 7, -3e38]))
    check = check_features(frames, tiny.schema, tiny_profile)
    assert {one.stream for one in check.findings} == {"rgb", "audio"}
    worst = max(check.findings, key=lambda one: ["ok", "odd", "wrong"].index(one.grade)).grade
    assert check.grade == worst
    assert ("do not look" in check.verdict or "wrong order" in check.verdict) == (check.grade == "wrong")
    for one in check.findings:
        low, high = one.expected
        assert math.isfinite(one.measured)
        assert one.sentence.endswith(".")
        assert (one.grade == "ok") == (low <= one.measured <= high)
