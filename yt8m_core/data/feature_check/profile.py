"""What the features of a data set are like, measured: that with which ``feature_check`` compares a stranger's.

All figures are of a stream's mean over time, for two reasons. YouTube-8M's video-level records are such means, so that
the figures of 15,113 real videos hold at frame level as well; and a clip of ten frames has a mean vector much like that
of the whole video. ``make_built_in`` makes the built-in profiles again from the folder of real records:

    python -c "from yt8m_core.data.feature_profile import *; make_built_in(Path('../shared/data'))"
"""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.quantization import dequantize
from yt8m_core.data.schema import Schema
from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write

FILE = Path(__file__).with_name("youtube8m_profile.npz")
CONSTANT = 1e-3  # a stream whose values differ by less says nothing: a fifteenth of the step between two bytes
KINDS = 512  # with half as many, a third of the videos with shuffled rgb pass for real ones
LEAST_VIDEOS = 16
_ROUNDS = 10  # of k-means, which hardly moves after
_PARTS = 4  # of the videos, each measured by what the others say

Floats = NDArray[np.floating[Any]]
Limits = tuple[float, float]


@dataclass(frozen=True)
class StreamProfile:
    """One stream of a data set, as the means over time of its videos show it."""

    mean: Floats  # [dim], of the videos
    deviation: Floats  # [dim], between the videos
    kinds: Floats  # [K, dim]: unit vectors from ``mean`` toward K kinds of videos, found by k-means
    limits: Mapping[str, Limits]  # between which the figures lie, by name: those of ``OF_MEAN``, and some

    @property
    def constant(self) -> bool:
        """Whether the stream is the same in every video: audio that the data set itself lacks."""
        return float(self.deviation.max()) < CONSTANT


@dataclass(frozen=True)
class FeatureProfile:
    """What the features of a data set are like."""

    source: str  # in words: whose features, of how many videos
    streams: Mapping[str, StreamProfile]  # by name, without "mean_"


def values_of(frames: NDArray[Any]) -> Floats:
    """Features as the model takes them → their values, float32 [T, D]."""
    return dequantize(torch.tensor(frames)).numpy() if frames.dtype == np.uint8 else frames.astype(np.float32)


def columns_of(frames: NDArray[Any], schema: Schema) -> dict[str, Floats]:
    """The values of each stream of a video [T, dim], by the stream's name without "mean_"."""
    ends = np.cumsum([dim for _, dim in schema.streams])
    parts = np.split(values_of(frames), ends[:-1], axis=1)
    return {name.removeprefix("mean_"): part for (name, _), part in zip(schema.streams, parts, strict=True)}


def range_of(frames: Floats) -> float:
    """The largest value of a stream's frames [T, dim], whatever its sign."""
    return float(abs(frames).max())


def frame_size_of(frames: Floats) -> float:
    """Mean L2 norm of the frames [T, dim]."""
    return float(np.linalg.norm(frames, axis=1).mean())


def _size(mean: Floats, _: StreamProfile) -> float:
    return float(np.linalg.norm(mean))


def _level(mean: Floats, profile: StreamProfile) -> float:
    return float((mean - profile.mean).mean())


def _front_share(mean: Floats, profile: StreamProfile) -> float:
    # A dimension that never varies in the data set must not divide by nothing.
    scale = np.maximum(profile.deviation, max(1e-3 * float(profile.deviation.max()), 1e-12))
    energy = ((mean - profile.mean) / scale) ** 2
    return float(energy[: len(energy) // 4].sum() / max(float(energy.sum()), 1e-12))


def _resemblance(mean: Floats, profile: StreamProfile) -> float:
    apart = mean - profile.mean
    return min(1.0, float((profile.kinds @ apart).max() / max(float(np.linalg.norm(apart)), 1e-12)))


# A stream's mean over time [dim] and its profile → a number.
OF_MEAN: Mapping[str, Callable[[Floats, StreamProfile], float]] = {
    "size": _size,  # L2 norm of the video's mean
    "level": _level,  # mean over the dimensions of what it has more than the data set's mean
    "front share": _front_share,  # share of the first quarter of the dimensions in its squared standard scores
    "resemblance": _resemblance,  # cosine with the nearest kind of video
}
# Of the figures whose low values are seen in real videos and in false ones alike: the share of real ones given up.
LOWEST = {"resemblance": 0.0025}


def profile_of(videos: Videos, source: str, *, sample: int = 2000) -> FeatureProfile:
    """Measure a data set: the one that a run was trained on, say.

    More videos see more: of real videos whose dimensions are shuffled, a profile of 200 finds none, one of 2,000 half,
    and the built-in one of 15,113 nearly all. Every other fault in tests/test_feature_check.py is coarser.

    Args:
        videos: the data set.
        source: in words, whose features these are; the number of videos is added.
        sample: how many videos are looked at, spread evenly over the data set.

    Raises:
        UserError: fewer than ``LEAST_VIDEOS`` videos.
    """
    if len(videos) < LEAST_VIDEOS:
        raise UserError(f"{len(videos)} videos", where="feature profile", expected=f"at least {LEAST_VIDEOS}")
    chosen = np.unique(np.linspace(0, len(videos) - 1, min(sample, len(videos))).round().astype(int)).tolist()
    means: dict[str, list[Floats]] = {}  # by stream; a few kilobytes a video
    others: dict[str, dict[str, list[float]]] = {}  # the figures that a mean over time does not tell
    for video in chosen:
        for name, frames in columns_of(videos.frames(video), videos.schema).items():
            means.setdefault(name, []).append(frames.mean(0))
            figures = others.setdefault(name, {"range": [], "frame size": []})
            figures["range"].append(range_of(frames))
            figures["frame size"].append(frame_size_of(frames))
    if videos.schema.level == "video":
        for figures in others.values():
            del figures["frame size"]
    streams = {name: _stream_profile(np.stack(means[name]), others[name]) for name in means}
    return FeatureProfile(f"{source} ({len(chosen):,} videos)", streams)


def _stream_profile(means: Floats, others: Mapping[str, Sequence[float]]) -> StreamProfile:
    """The profile of a stream by the means [N, dim] of its videos, and by further figures of each."""
    # Each video is measured by a profile that has not seen it: what has been seen is resembled too well.
    figures: dict[str, list[float]] = {name: [] for name in OF_MEAN}
    part = np.arange(len(means)) % _PARTS
    for left_out in range(_PARTS):
        without = _fitted(means[part != left_out])
        for name, of in OF_MEAN.items():
            figures[name] += [of(mean, without) for mean in means[part == left_out]]
    limits = {name: _limits(name, values) for name, values in {**others, **figures}.items()}
    return replace(_fitted(means), limits=limits)


def _fitted(means: Floats) -> StreamProfile:
    mean = means.mean(0)
    return StreamProfile(mean, means.std(0), _kinds(means - mean), {})


def _kinds(apart: Floats) -> Floats:
    """Spherical k-means: [N, dim] → [K, dim], unit vectors."""
    directions = F.normalize(torch.tensor(apart), dim=1)
    K = min(KINDS, max(1, len(apart) // 4))
    kinds = directions[torch.randperm(len(apart), generator=torch.Generator().manual_seed(0))[:K]]
    for _ in range(_ROUNDS):
        nearest = (directions @ kinds.T).argmax(1)
        kinds = F.normalize(1e-3 * kinds.index_add(0, nearest, directions, alpha=1e3), dim=1)  # an empty kind stays
    return kinds.numpy()


def _limits(name: str, values: Sequence[float]) -> Limits:
    """The extremes of a figure, moved out: the fewer videos, the further those to come may lie beyond them."""
    low, middle, high = np.quantile(values, (LOWEST.get(name, 0.0), 0.5, 1.0)).tolist()
    further = 2 / math.sqrt(len(values))
    low, high = low - further * (middle - low), high + further * (high - middle)
    # Small values are for the other figures to judge, and nothing is too much like a video.
    return 0.0 if name == "range" else low, 1.0 if name == "resemblance" else high


@cache
def built_in_profile(schema: Schema) -> FeatureProfile | None:
    """The profile of the real features of YouTube-8M or of AudioSet; None where the streams are others."""
    names = [name.removeprefix("mean_") for name, _ in schema.streams]
    with np.load(FILE) as file:
        held = dict(file)
    wanted = {f"{name}/mean": (dim,) for name, (_, dim) in zip(names, schema.streams, strict=True)}
    if any(key not in held or held[key].shape != shape for key, shape in wanted.items()):
        return None
    streams = {}
    for name in names:
        kinds = F.normalize(torch.tensor(held[f"{name}/kinds"]).float(), dim=1).numpy()
        pairs = zip(held[f"{name}/figures"].tolist(), held[f"{name}/limits"].tolist(), strict=True)
        limits = {figure: (low, high) for figure, (low, high) in pairs}
        streams[name] = StreamProfile(held[f"{name}/mean"], held[f"{name}/deviation"], kinds, limits)
    return FeatureProfile(str(held[f"{names[0]}/source"]), streams)


def make_built_in(folder: Path) -> None:
    """Measure the built-in profiles on the folder of real records, and write them to ``FILE``.

    Of whole videos at frame level there is only one: its frames, which differ more than the means of videos do, give
    the limits of the frame size.
    """
    every = sys.maxsize
    youtube8m = profile_of(open_videos(folder / "yt8m-2018-video" / "train"), "YouTube-8M", sample=every)
    audioset = profile_of(open_videos(str(folder / "audioset" / "bal_train-*")), "AudioSet", sample=every)
    streams = {**youtube8m.streams, **audioset.streams}
    with np.load(folder / "frame-level" / "SjJ3.npz") as video:
        for name in youtube8m.streams:
            sizes = np.linalg.norm(values_of(video[name]), axis=1).tolist()
            limits = {**streams[name].limits, "frame size": _limits("frame size", sizes)}
            streams[name] = replace(streams[name], limits=limits)
    arrays: dict[str, NDArray[Any]] = {}
    for name, profile in streams.items():
        codes = profile.kinds * (127 / abs(profile.kinds).max(axis=1, keepdims=True))
        arrays[f"{name}/source"] = np.array((youtube8m if name in youtube8m.streams else audioset).source)
        arrays[f"{name}/mean"], arrays[f"{name}/deviation"] = profile.mean, profile.deviation
        arrays[f"{name}/kinds"] = np.rint(codes).astype(np.int8)
        arrays[f"{name}/figures"] = np.array(list(profile.limits))
        arrays[f"{name}/limits"] = np.array(list(profile.limits.values()))
    with atomic_write(FILE) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
