"""Do features look like those that a model was trained on? What a stranger's file cannot say of itself.

Models take any numbers of the right shape, and predict nonsense from those of another extractor, another PCA or another
scale. Each figure here is held against what was measured on a data set (``feature_profile``), so that the limits are
nobody's opinion; how often real records fail, and false ones pass, is in tests/test_feature_check.py.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.dataset import Videos
from yt8m_core.data.feature_check.profile import (
    CONSTANT,
    OF_MEAN,
    FeatureProfile,
    Floats,
    Limits,
    StreamProfile,
    built_in_profile,
    columns_of,
    frame_size_of,
    profile_of,
    range_of,
)
from yt8m_core.data.schema import Level, Schema
from yt8m_core.data.upload.contents import MAY_BE_MISSING

Grade = Literal["ok", "odd", "wrong"]
_BYTE_0 = 4 / 512 - 2
STILL = 30  # frames, from which on it is odd that all are the same; the silence of a shorter clip is not

# Beyond its limits a figure is odd. A length is wrong beyond a limit times (or over) this; other figures are, once they
# are off by half the distance of the limits; a likeness to nothing is wrong in any case.
_FAR = {"range": 4.0, "size": 2.0, "frame size": 1.5}
# By figure: what it is, what it may mean that it is too low, and what that it is too high.
_WORDS: Mapping[str, tuple[str, str, str]] = {
    "range": ("The largest value", "", "the values are scaled otherwise, or were never clipped"),
    "size": (
        "The length of the video's mean vector",
        "the frames are noise, or were scaled down or L2-normalized",
        "the values are scaled up, or the mean was not taken off before the PCA",
    ),
    "level": (
        "How much higher the values are than usual",
        "the values are shifted down, or are floats that were cut to bytes",
        "the values are shifted up, or are raw activations without a PCA, which are never negative",
    ),
    "front share": (
        "The share of the first quarter of the dimensions in what sets the video apart",
        "the dimensions are in another order",
        "the PCA was not whitened, or the dimensions are in another order",
    ),
    "resemblance": (
        "The likeness to the nearest kind of video (1 is the same direction)",
        "it is like no kind of video there: another extractor or PCA, shuffled dimensions, or noise",
        "",
    ),
    "frame size": (
        "The mean length of a frame",
        "the frames were scaled down or L2-normalized",
        "the values are scaled up, not whitened, or noise",
    ),
}


@dataclass(frozen=True)
class Finding:
    """What one figure says of one stream."""

    stream: str  # as the model names it
    name: str  # of the figure
    grade: Grade
    measured: float
    expected: Limits  # the lowest and the highest that is ok
    sentence: str  # for a person


@dataclass(frozen=True)
class FeatureCheck:
    """All findings, and what they come to."""

    findings: tuple[Finding, ...]  # by stream; at least one a stream
    grade: Grade  # the worst of theirs
    verdict: str  # one sentence for a person


def check_features(frames: NDArray[Any], schema: Schema, profile: FeatureProfile) -> FeatureCheck:
    """Hold a video's features against a profile.

    Args:
        frames: as the model takes them: uint8 [T, D], or float32 [T, D] of dequantized values; T = 1 at video level.
        schema: what the model takes.
        profile: of the data that the model was trained on, or the built-in one, with every stream of the schema.
    """
    columns = columns_of(frames, schema)
    findings = tuple(
        finding
        for (name, _), (stream, values) in zip(schema.streams, columns.items(), strict=True)
        for finding in _findings(name, values, profile.streams[stream], schema.level)
    )
    grade = _worst(findings)
    bad = [f"{finding.name} of '{finding.stream}'" for finding in findings if finding.grade == grade]
    what = ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
    whose = f"the features of {profile.source}"
    if grade == "wrong" and _swapped(frames, schema, profile):
        order = " before ".join(f"'{name}'" for name, _ in schema.streams)
        verdict = f"These look like {whose} with the streams in the wrong order: put {order}."
    else:
        verdict = {
            "ok": f"These look like {whose}.",
            "odd": f"These look much like {whose}, but for {what}: take the predictions with care.",
            "wrong": f"These do not look like {whose} ({what}): what the model says of them means little.",
        }[grade]
    return FeatureCheck(findings, grade, verdict)


def profile_for(videos: Videos, source: str) -> FeatureProfile:
    """The profile to hold uploads against, for a model that was trained on these videos.

    Where they look like YouTube-8M's or AudioSet's, that is the built-in one, which was measured on more videos than
    are worth reading each time; otherwise they are measured (a second or so for 2,000 videos, ``source`` names them).

    Raises:
        UserError: there are too few to be measured.
    """
    built_in = built_in_profile(videos.schema)
    if built_in:
        some = np.unique(np.linspace(0, len(videos) - 1, 50).astype(int)).tolist()
        grades = [check_features(videos.frames(video), videos.schema, built_in).grade for video in some]
        if grades.count("ok") >= 0.9 * len(grades):
            return built_in
    return profile_of(videos, source)


def _worst(findings: tuple[Finding, ...]) -> Grade:
    grades = {finding.grade for finding in findings}
    return "wrong" if "wrong" in grades else "odd" if "odd" in grades else "ok"


def _findings(stream: str, frames: Floats, profile: StreamProfile, level: Level) -> Iterator[Finding]:
    """All that there is to say of one stream [T, dim]."""
    frames = frames.astype(np.float64)  # in which the square of any float32 is finite
    spread = float(np.ptp(frames))
    if profile.constant or spread < CONSTANT:
        yield _presence(stream, frames, spread, profile)
        return
    mean = frames.mean(0)
    figures = {"range": range_of(frames)} | {name: of(mean, profile) for name, of in OF_MEAN.items()}
    if level == "frame":
        figures["frame size"] = frame_size_of(frames)
        yield _movement(stream, frames)
    for name, measured in figures.items():
        if name in profile.limits:  # the frame size is not known of every data set
            yield _finding(stream, name, measured, profile.limits[name], frames)


def _presence(stream: str, frames: Floats, spread: float, profile: StreamProfile) -> Finding:
    """Of a stream that is one value throughout, here or in the data set."""
    if profile.constant:
        grade: Grade = "ok" if spread < CONSTANT else "odd"
        sentence = "The data set has one value here throughout: the model has learned nothing from this stream."
        return Finding(stream, "presence", grade, spread, (0.0, CONSTANT), sentence)
    value = float(frames[0, 0])
    # Near 0 it adds nothing to a frame, and the other streams speak for themselves.
    grade = "odd" if stream in MAY_BE_MISSING and abs(value) < 0.1 else "wrong"
    google = ", which is byte 0: so Google's old extractor writes missing audio" if abs(value - _BYTE_0) < 1e-3 else ""
    sentence = f"Every value is {value:.2f}{google}. The stream is missing, and the model was trained with it."
    return Finding(stream, "presence", grade, spread, (CONSTANT, math.inf), sentence)


def _movement(stream: str, frames: Floats) -> Finding:
    """How many frames differ from the one before."""
    T = len(frames)
    changes = int((frames[1:] != frames[:-1]).any(axis=1).sum())
    if T >= STILL and not changes:
        sentence = f"All {T} frames are the same: a still picture, silence, or one vector repeated."
        return Finding(stream, "movement", "odd", changes, (1.0, T - 1.0), sentence)
    sentence = f"{changes} of {T} frames differ from the one before."
    return Finding(stream, "movement", "ok", changes, (0.0, T - 1.0), sentence)


def _finding(stream: str, name: str, measured: float, limits: Limits, frames: Floats) -> Finding:
    low, high = limits
    if name in _FAR:
        far = (low / _FAR[name], high * _FAR[name])
    else:
        beyond = 0.0 if name == "resemblance" else (high - low) / 2
        far = (low - beyond, high + beyond)
    grade: Grade = "ok" if low <= measured <= high else "odd" if far[0] <= measured <= far[1] else "wrong"
    what, too_low, too_high = _WORDS[name]
    if grade == "ok":
        sentence = f"{what} is {measured:.3g}, which is usual ({low:.3g} to {high:.3g})."
    else:
        why = too_low if measured < low else too_high
        if name == "range" and frames.min() >= 0 and 64 < measured <= 255:
            why = "these are bytes from 0 to 255 that were saved as floats; save them as uint8"
        sentence = f"{what} is {measured:.3g}, and usual is {low:.3g} to {high:.3g}: {why}."
    return Finding(stream, name, grade, measured, limits, sentence)


def _swapped(frames: NDArray[Any], schema: Schema, profile: FeatureProfile) -> bool:
    """Whether features that look wrong look right when the streams are taken in the opposite order."""
    back = Schema(schema.level, schema.streams[::-1])
    return len(schema.streams) > 1 and all(
        _worst(tuple(_findings(stream, values, profile.streams[stream], schema.level))) != "wrong"
        for stream, values in columns_of(frames, back).items()
    )
