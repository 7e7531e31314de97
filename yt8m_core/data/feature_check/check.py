"""Check whether features look like those that a model was trained on.

A model accepts any numbers of the right shape, but its predictions are meaningless for features from another extractor,
another PCA or another scale. Each statistic is compared with limits measured on a data set (``profile.py``).
tests/data/test_feature_check.py measures how often real records fail and wrong ones pass.
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
    MEAN_STATISTICS,
    FeatureProfile,
    Floats,
    Limits,
    StreamProfile,
    builtin_profile,
    max_magnitude,
    mean_frame_norm,
    measure_profile,
    split_streams,
)
from yt8m_core.data.schema import OPTIONAL_STREAMS, Level, Schema

Grade = Literal["ok", "unusual", "wrong"]
_BYTE_0 = 4 / 512 - 2
MIN_STATIC_FRAMES = 30  # this many identical frames are unusual; in a shorter clip they may be silence

# A statistic outside its limits is unusual. It is wrong if it exceeds them by these factors, or, for statistics without
# a factor, by half the width of the limits. A similarity below its limit is always wrong.
_WRONG_FACTORS = {"max magnitude": 4.0, "mean norm": 2.0, "frame norm": 1.5}
# Per statistic: its description, likely causes of a low value, and likely causes of a high value.
_DESCRIPTIONS: Mapping[str, tuple[str, str, str]] = {
    "max magnitude": ("The largest absolute value", "", "the values have another scale, or were not clipped"),
    "mean norm": (
        "The norm of the video's mean vector",
        "the frames are noise, or were scaled down or L2-normalized",
        "the values are scaled up, or the mean was not subtracted before the PCA",
    ),
    "mean offset": (
        "The mean difference from the data set's mean",
        "the values are shifted down, or are floats that were cast to bytes",
        "the values are shifted up, or are raw activations without a PCA, which are never negative",
    ),
    "leading energy": (
        "The share of the first quarter of the dimensions in the squared standard scores",
        "the dimensions are in another order",
        "the PCA was not whitened, or the dimensions are in another order",
    ),
    "similarity": (
        "The cosine similarity to the nearest cluster of videos",
        "no similar videos exist: another extractor or PCA, shuffled dimensions, or noise",
        "",
    ),
    "frame norm": (
        "The mean norm of a frame",
        "the frames were scaled down or L2-normalized",
        "the values are scaled up, not whitened, or noise",
    ),
}


@dataclass(frozen=True)
class Finding:
    """Result of one check of one stream."""

    stream: str  # as the model names it
    name: str  # of the check
    grade: Grade
    measured: float
    expected: Limits  # lowest and highest value that is ok
    sentence: str  # for display


@dataclass(frozen=True)
class FeatureCheck:
    """Results of all checks."""

    findings: tuple[Finding, ...]  # by stream; at least one per stream
    grade: Grade  # the worst grade of the findings
    verdict: str  # one sentence for display


def check_features(frames: NDArray[Any], schema: Schema, profile: FeatureProfile) -> FeatureCheck:
    """Compare a video's features with a profile.

    Args:
        frames: model inputs: uint8 [T, D], or float32 [T, D] of dequantized values; T = 1 at video level.
        schema: the model's schema.
        profile: of the training data, or the built-in one, with all streams of the schema.
    """
    streams = split_streams(frames, schema)
    findings = tuple(
        finding
        for (name, _), (stream, values) in zip(schema.streams, streams.items(), strict=True)
        for finding in _check_stream(name, values, profile.streams[stream], schema.level)
    )
    grade = _worst_grade(findings)
    bad = [f"{finding.name} of '{finding.stream}'" for finding in findings if finding.grade == grade]
    names = ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
    reference = f"the features of {profile.source}"
    if grade == "wrong" and _has_swapped_streams(frames, schema, profile):
        order = " before ".join(f"'{name}'" for name, _ in schema.streams)
        verdict = f"These look like {reference} with the streams in the wrong order: put {order}."
    else:
        verdict = {
            "ok": f"These look like {reference}.",
            "unusual": f"{len(bad)} of {len(findings)} checks {'is' if len(bad) == 1 else 'are'} unusual ({names}), "
            f"compared with {reference}: these features may not be of the kind that the run was trained on. Interpret "
            "the predictions with care.",
            "wrong": f"These do not look like {reference} ({names}). The predictions are probably meaningless.",
        }[grade]
    return FeatureCheck(findings, grade, verdict)


def reference_profile(videos: Videos, source: str) -> FeatureProfile:
    """Return the profile for a model trained on these videos.

    If they look like YouTube-8M or AudioSet, this is the built-in profile, which was measured on more videos than can
    be read each time. Otherwise the videos are measured, in about a second for 2,000 videos.

    Args:
        videos: the training data.
        source: their name, for messages.

    Raises:
        UserError: there are too few videos.
    """
    builtin = builtin_profile(videos.schema)
    if builtin:
        sample = np.unique(np.linspace(0, len(videos) - 1, 50).astype(int)).tolist()
        grades = [check_features(videos.frames(video), videos.schema, builtin).grade for video in sample]
        if grades.count("ok") >= 0.9 * len(grades):
            return builtin
    return measure_profile(videos, source)


def _worst_grade(findings: tuple[Finding, ...]) -> Grade:
    grades = {finding.grade for finding in findings}
    return "wrong" if "wrong" in grades else "unusual" if "unusual" in grades else "ok"


def _check_stream(stream: str, frames: Floats, profile: StreamProfile, level: Level) -> Iterator[Finding]:
    """Yield the findings of one stream [T, dim]."""
    frames = frames.astype(np.float64)  # where the square of any float32 is finite
    spread = float(np.ptp(frames))
    if profile.is_constant or spread < CONSTANT:
        yield _check_presence(stream, frames, spread, profile)
        return
    mean = frames.mean(0)
    statistics = {"max magnitude": max_magnitude(frames)}
    statistics |= {name: statistic(mean, profile) for name, statistic in MEAN_STATISTICS.items()}
    if level == "frame":
        statistics["frame norm"] = mean_frame_norm(frames)
        yield _check_frame_changes(stream, frames)
    for name, measured in statistics.items():
        if name in profile.limits:  # video-level data sets have no frame norm
            yield _check_statistic(stream, name, measured, profile.limits[name], frames)


def _check_presence(stream: str, frames: Floats, spread: float, profile: StreamProfile) -> Finding:
    """Check a stream that is constant, in the video or in the data set."""
    if profile.is_constant:
        grade: Grade = "ok" if spread < CONSTANT else "unusual"
        sentence = "This stream is constant in the training data: the model has learned nothing from it."
        return Finding(stream, "presence", grade, spread, (0.0, CONSTANT), sentence)
    value = float(frames[0, 0])
    # Values near 0 add nothing to a frame, so the other streams can still be used.
    grade = "unusual" if stream in OPTIONAL_STREAMS and abs(value) < 0.1 else "wrong"
    byte_0 = " (byte 0, as Google's old extractor writes for missing audio)" if abs(value - _BYTE_0) < 1e-3 else ""
    sentence = f"All values are {value:.2f}{byte_0}. The stream is missing, but the model was trained with it."
    return Finding(stream, "presence", grade, spread, (CONSTANT, math.inf), sentence)


def _check_frame_changes(stream: str, frames: Floats) -> Finding:
    """Count the frames that differ from the previous one."""
    T = len(frames)
    changes = int((frames[1:] != frames[:-1]).any(axis=1).sum())
    if T >= MIN_STATIC_FRAMES and not changes:
        sentence = f"All {T} frames are the same: a static image, silence, or one repeated vector."
        return Finding(stream, "frame changes", "unusual", changes, (1.0, T - 1.0), sentence)
    sentence = f"{changes} of {T} frames differ from the previous one."
    return Finding(stream, "frame changes", "ok", changes, (0.0, T - 1.0), sentence)


def _check_statistic(stream: str, name: str, measured: float, limits: Limits, frames: Floats) -> Finding:
    low, high = limits
    if name in _WRONG_FACTORS:
        tolerated = (low / _WRONG_FACTORS[name], high * _WRONG_FACTORS[name])
    else:
        margin = 0.0 if name == "similarity" else (high - low) / 2
        tolerated = (low - margin, high + margin)
    grade: Grade = (
        "ok" if low <= measured <= high else "unusual" if tolerated[0] <= measured <= tolerated[1] else "wrong"
    )
    description, low_causes, high_causes = _DESCRIPTIONS[name]
    if grade == "ok":
        sentence = f"{description} is {measured:.3g}, within the usual range ({low:.3g} to {high:.3g})."
    else:
        causes = low_causes if measured < low else high_causes
        if name == "max magnitude" and frames.min() >= 0 and 64 < measured <= 255:
            causes = "these are bytes from 0 to 255 that were saved as floats; save them as uint8"
        sentence = f"{description} is {measured:.3g}, outside the usual range ({low:.3g} to {high:.3g}): {causes}."
    return Finding(stream, name, grade, measured, limits, sentence)


def _has_swapped_streams(frames: NDArray[Any], schema: Schema, profile: FeatureProfile) -> bool:
    """Whether features that look wrong look right with the streams in reverse order."""
    reversed_schema = Schema(schema.level, schema.streams[::-1])
    return len(schema.streams) > 1 and all(
        _worst_grade(tuple(_check_stream(stream, values, profile.streams[stream], schema.level))) != "wrong"
        for stream, values in split_streams(frames, reversed_schema).items()
    )
