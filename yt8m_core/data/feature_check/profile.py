"""Feature profiles: statistics of a data set's features, for comparison with uploaded features.

Most statistics use a stream's mean over time, for two reasons. Video-level records of YouTube-8M are such means, so
statistics of 15,113 real videos apply at frame level as well; and the mean of a ten-frame clip is close to the mean of
the whole video. ``build_builtin_profiles`` rebuilds the built-in profiles from the folder of real records:

    python -c "from yt8m_core.data.feature_check.profile import *; build_builtin_profiles(Path('$YT8M_REAL_DATA'))"
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
CONSTANT = 1e-3  # a stream with a smaller range of values is constant; a fifteenth of the quantization step
NUM_CENTROIDS = 512  # with 256, a third of the videos with shuffled rgb pass as real
MIN_VIDEOS = 16
_KMEANS_STEPS = 10  # later steps change little
_NUM_FOLDS = 4

Floats = NDArray[np.floating[Any]]
Limits = tuple[float, float]


@dataclass(frozen=True)
class StreamProfile:
    """Statistics of one stream, from the means over time of a data set's videos."""

    mean: Floats  # [dim], over videos
    std: Floats  # [dim], over videos
    centroids: Floats  # [K, dim]: k-means centroids of the directions from ``mean`` to the videos, unit vectors
    limits: Mapping[str, Limits]  # range of each statistic: those of ``MEAN_STATISTICS``, max magnitude, frame norm

    @property
    def is_constant(self) -> bool:
        """Whether the stream is the same in all videos, such as audio of a data set without audio."""
        return float(self.std.max()) < CONSTANT


@dataclass(frozen=True)
class FeatureProfile:
    """Statistics of a data set's features."""

    source: str  # name of the data set and number of videos, for messages
    streams: Mapping[str, StreamProfile]  # by name, without "mean_"


def feature_values(frames: NDArray[Any]) -> Floats:
    """Return model inputs as float32 [T, D], dequantized if they are uint8."""
    return dequantize(torch.tensor(frames)).numpy() if frames.dtype == np.uint8 else frames.astype(np.float32)


def split_streams(frames: NDArray[Any], schema: Schema) -> dict[str, Floats]:
    """Return the values [T, dim] of each stream by name, without "mean_"."""
    ends = np.cumsum([dim for _, dim in schema.streams])
    parts = np.split(feature_values(frames), ends[:-1], axis=1)
    return {name.removeprefix("mean_"): part for (name, _), part in zip(schema.streams, parts, strict=True)}


def max_magnitude(frames: Floats) -> float:
    """Return the largest absolute value of frames [T, dim]."""
    return float(abs(frames).max())


def mean_frame_norm(frames: Floats) -> float:
    """Return the mean L2 norm of frames [T, dim]."""
    return float(np.linalg.norm(frames, axis=1).mean())


def _norm(mean: Floats, _: StreamProfile) -> float:
    return float(np.linalg.norm(mean))


def _offset(mean: Floats, profile: StreamProfile) -> float:
    return float((mean - profile.mean).mean())


def _leading_energy(mean: Floats, profile: StreamProfile) -> float:
    # Dimensions that are constant in the data set must not cause a division by zero.
    scale = np.maximum(profile.std, max(1e-3 * float(profile.std.max()), 1e-12))
    energy = ((mean - profile.mean) / scale) ** 2
    return float(energy[: len(energy) // 4].sum() / max(float(energy.sum()), 1e-12))


def _similarity(mean: Floats, profile: StreamProfile) -> float:
    offset = mean - profile.mean
    return min(1.0, float((profile.centroids @ offset).max() / max(float(np.linalg.norm(offset)), 1e-12)))


# Statistics of a stream's mean over time [dim], given its profile.
MEAN_STATISTICS: Mapping[str, Callable[[Floats, StreamProfile], float]] = {
    "mean norm": _norm,  # L2 norm
    "mean offset": _offset,  # difference from the data set's mean, averaged over dimensions
    "leading energy": _leading_energy,  # share of the first quarter of dimensions in the squared standard scores
    "similarity": _similarity,  # cosine similarity to the nearest centroid
}
# Lower quantile for statistics whose low values occur in real videos and in wrong features alike.
LOWER_QUANTILE = {"similarity": 0.0025}


def measure_profile(videos: Videos, source: str, *, sample: int = 2000) -> FeatureProfile:
    """Measure the profile of a data set, such as a run's training data.

    Larger samples detect more. Of real videos with shuffled dimensions, a profile of 200 videos detects none, one of
    2,000 half, and the built-in one of 15,113 nearly all. The other faults in tests/data/test_feature_check.py are
    easier to detect.

    Args:
        videos: the data set.
        source: name of the data set for messages; the number of videos is appended.
        sample: maximum number of videos, evenly spaced over the data set.

    Raises:
        UserError: fewer than ``MIN_VIDEOS`` videos.
    """
    if len(videos) < MIN_VIDEOS:
        raise UserError(f"{len(videos)} videos", where="feature profile", expected=f"at least {MIN_VIDEOS}")
    sampled = np.unique(np.linspace(0, len(videos) - 1, min(sample, len(videos))).round().astype(int)).tolist()
    means: dict[str, list[Floats]] = {}  # by stream; a few kilobytes per video
    frame_statistics: dict[str, dict[str, list[float]]] = {}
    for video in sampled:
        for name, frames in split_streams(videos.frames(video), videos.schema).items():
            means.setdefault(name, []).append(frames.mean(0))
            statistics = frame_statistics.setdefault(name, {"max magnitude": [], "frame norm": []})
            statistics["max magnitude"].append(max_magnitude(frames))
            statistics["frame norm"].append(mean_frame_norm(frames))
    if videos.schema.level == "video":
        for statistics in frame_statistics.values():
            del statistics["frame norm"]
    streams = {name: _stream_profile(np.stack(means[name]), frame_statistics[name]) for name in means}
    return FeatureProfile(f"{source} ({len(sampled):,} videos)", streams)


def _stream_profile(means: Floats, frame_statistics: Mapping[str, Sequence[float]]) -> StreamProfile:
    """Compute a stream's profile from the means [N, dim] and the frame statistics of its videos."""
    # Cross-validated: a video is too similar to centroids that were fitted to it.
    statistics: dict[str, list[float]] = {name: [] for name in MEAN_STATISTICS}
    fold = np.arange(len(means)) % _NUM_FOLDS
    for held_out in range(_NUM_FOLDS):
        profile = _fit_stream(means[fold != held_out])
        for name, statistic in MEAN_STATISTICS.items():
            statistics[name] += [statistic(mean, profile) for mean in means[fold == held_out]]
    limits = {name: _limits(name, values) for name, values in {**frame_statistics, **statistics}.items()}
    return replace(_fit_stream(means), limits=limits)


def _fit_stream(means: Floats) -> StreamProfile:
    mean = means.mean(0)
    return StreamProfile(mean, means.std(0), _spherical_kmeans(means - mean), {})


def _spherical_kmeans(offsets: Floats) -> Floats:
    """Cluster the directions of [N, dim]; returns [K, dim] unit vectors."""
    directions = F.normalize(torch.tensor(offsets), dim=1)
    K = min(NUM_CENTROIDS, max(1, len(offsets) // 4))
    centroids = directions[torch.randperm(len(offsets), generator=torch.Generator().manual_seed(0))[:K]]
    for _ in range(_KMEANS_STEPS):
        nearest = (directions @ centroids.T).argmax(1)
        # The old centroid enters with a small weight, so that an empty cluster keeps it.
        centroids = F.normalize(1e-3 * centroids.index_add(0, nearest, directions, alpha=1e3), dim=1)
    return centroids.numpy()


def _limits(name: str, values: Sequence[float]) -> Limits:
    """Return the extremes of a statistic, widened: the fewer videos, the further future values may be outside."""
    low, median, high = np.quantile(values, (LOWER_QUANTILE.get(name, 0.0), 0.5, 1.0)).tolist()
    margin = 2 / math.sqrt(len(values))
    low, high = low - margin * (median - low), high + margin * (high - median)
    # Other statistics detect small values, and no video is too similar.
    return 0.0 if name == "max magnitude" else low, 1.0 if name == "similarity" else high


@cache
def builtin_profile(schema: Schema) -> FeatureProfile | None:
    """Return the profile of the real features of YouTube-8M or AudioSet, or None for other streams."""
    names = [name.removeprefix("mean_") for name, _ in schema.streams]
    with np.load(FILE) as file:
        arrays = dict(file)
    shapes = {f"{name}/mean": (dim,) for name, (_, dim) in zip(names, schema.streams, strict=True)}
    if any(key not in arrays or arrays[key].shape != shape for key, shape in shapes.items()):
        return None
    streams = {}
    for name in names:
        centroids = F.normalize(torch.tensor(arrays[f"{name}/centroids"]).float(), dim=1).numpy()
        pairs = zip(arrays[f"{name}/statistics"].tolist(), arrays[f"{name}/limits"].tolist(), strict=True)
        limits = {statistic: (low, high) for statistic, (low, high) in pairs}
        streams[name] = StreamProfile(arrays[f"{name}/mean"], arrays[f"{name}/std"], centroids, limits)
    return FeatureProfile(str(arrays[f"{names[0]}/source"]), streams)


def build_builtin_profiles(folder: Path) -> None:
    """Measure the built-in profiles on the folder of real records, and write them to ``FILE``.

    There is only one real video at frame level. The limits of its frame norm come from its individual frames, which
    vary more than the means of videos do.
    """
    all_videos = sys.maxsize
    youtube8m = measure_profile(open_videos(folder / "yt8m-2018-video" / "train"), "YouTube-8M", sample=all_videos)
    audioset = measure_profile(open_videos(str(folder / "audioset" / "bal_train-*")), "AudioSet", sample=all_videos)
    streams = {**youtube8m.streams, **audioset.streams}
    with np.load(folder / "frame-level" / "SjJ3.npz") as video:
        for name in youtube8m.streams:
            norms = np.linalg.norm(feature_values(video[name]), axis=1).tolist()
            limits = {**streams[name].limits, "frame norm": _limits("frame norm", norms)}
            streams[name] = replace(streams[name], limits=limits)
    arrays: dict[str, NDArray[Any]] = {}
    for name, profile in streams.items():
        codes = profile.centroids * (127 / abs(profile.centroids).max(axis=1, keepdims=True))
        arrays[f"{name}/source"] = np.array((youtube8m if name in youtube8m.streams else audioset).source)
        arrays[f"{name}/mean"], arrays[f"{name}/std"] = profile.mean, profile.std
        arrays[f"{name}/centroids"] = np.rint(codes).astype(np.int8)
        arrays[f"{name}/statistics"] = np.array(list(profile.limits))
        arrays[f"{name}/limits"] = np.array(list(profile.limits.values()))
    with atomic_write(FILE) as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
