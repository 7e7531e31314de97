"""Metrics of attention over the frames of one video: effective frames, clusters, and agreement (section 2.2.4).

The paper assumes that frames similar to many others belong to the main scene, "the cluster with the largest size", and
weights frames by that similarity instead of clustering them. This module clusters the frames and measures how well the
attention weights agree with the clusters. https://arxiv.org/abs/1706.07960
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.vq import ClusterError, kmeans2
from scipy.special import stdtrit

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MAX_SIMILARITY_SIZE = 300
"""Maximum side of ``similarity``. A browser draws 90,000 cells at once, one per second of a 5-minute video."""
NUM_INIT = 4  # k-means restarts
MAX_ITERATIONS = 10


def entropy(weights: ArrayLike) -> float:
    """Return the entropy -Σ p ln p of weights that sum to 1: ln T if uniform, 0 if one frame has all the weight.

    >>> entropy([1.0, 0.0])
    0.0
    """
    p = np.asarray(weights, np.float64)
    p = p[p > 0]
    return float(max(0.0, -(p * np.log(p)).sum()))


def effective_frames(weights: ArrayLike) -> float:
    """Return the effective number of frames: exp of the entropy, T if uniform, 1 if one frame has all the weight.

    >>> round(effective_frames([0.5, 0.5, 0.0, 0.0]), 9)
    2.0
    """
    return float(np.exp(entropy(weights)))


def k_means(frames: NDArray[Any], clusters: int) -> NDArray[np.int64]:
    """Cluster the frames of a video by k-means.

    Uses k-means++ initialization (https://dl.acm.org/doi/10.5555/1283383.1283494) with fixed random seeds
    and keeps the best of ``NUM_INIT`` runs. Returns fewer clusters if there are fewer distinct frames.

    Args:
        frames: Frames as the pooling receives them [T, D].
        clusters: k, at least 1.

    Returns:
        Cluster of each frame [T], numbered by size from 0, the largest. Ties are broken by the first frame.
    """
    frames = np.asarray(frames, np.float64)
    num_distinct = len({frame.tobytes() for frame in frames})
    for k in range(min(clusters, num_distinct), 1, -1):
        runs = [run for seed in range(NUM_INIT) if (run := _lloyd(frames, k, seed)) is not None]
        if runs:
            return _largest_first(min(runs, key=lambda run: run[0])[1])
    return np.zeros(len(frames), np.int64)


def _lloyd(frames: Floats, k: int, seed: int) -> tuple[float, NDArray[Any]] | None:
    """Run k-means once; return (inertia, clusters), or None if a cluster became empty."""
    rng = np.random.default_rng([k, seed])
    try:
        centers, cluster = kmeans2(
            frames, k, iter=MAX_ITERATIONS, minit="++", missing="raise", check_finite=False, rng=rng
        )
    except ClusterError:
        return None
    return float(np.square(frames - centers[cluster]).sum()), cluster


def _largest_first(cluster: NDArray[Any]) -> NDArray[np.int64]:
    """Renumber clusters by size, largest first; ties by first frame."""
    _, first, group, size = np.unique(cluster, return_index=True, return_inverse=True, return_counts=True)
    return np.argsort(np.lexsort((first, -size)))[group].astype(np.int64)


class Similarity(NamedTuple):
    """Cosine similarity between blocks of frames of a video.

    Attributes:
        cosine: Mean cosine between two blocks [S, S], S at most ``MAX_SIMILARITY_SIZE``.
        seconds: Center of each block, in seconds [S].
        step: Number of frames (seconds) per block.
    """

    cosine: NDArray[np.float32]
    seconds: Floats
    step: int


def similarity(frames: NDArray[Any], max_size: int = MAX_SIMILARITY_SIZE) -> Similarity:
    """Compute the cosine similarity of all pairs of frames [T, D].

    A video longer than ``max_size`` frames is split into blocks of equal length, whose mean cosines are returned. The
    cosines of an all-zero frame are 0.

    >>> similarity(np.array([[1.0, 0.0], [1.0, 1.0]])).cosine.round(2).tolist()
    [[1.0, 0.7099999785423279], [0.7099999785423279, 1.0]]
    """
    frames = np.asarray(frames, np.float64)
    unit = frames / np.maximum(np.linalg.norm(frames, axis=1, keepdims=True), 1e-12)
    step = -(-len(frames) // max_size)
    starts = np.arange(0, len(frames), step)
    sizes = np.diff(starts, append=len(frames))
    # The mean cosine between two blocks is the inner product of their mean unit frames.
    means = np.add.reduceat(unit, starts) / sizes[:, None]
    return Similarity((means @ means.T).astype(np.float32), starts + (sizes - 1) / 2, step)


class AttentionMass(NamedTuple):
    """Attention weight on a subset of the frames.

    Attributes:
        weight: Total weight of the subset, 0 to 1.
        share: Share of the time, 0 to 1, which is the total weight under uniform attention.
    """

    weight: float
    share: float

    @property
    def excess(self) -> float:
        """Weight minus share of the time; positive if attention prefers these frames."""
        return self.weight - self.share


def attention_mass(weights: ArrayLike, mask: Mask) -> AttentionMass:
    """Compute the share of the weights [T] on the frames of ``mask`` [T].

    >>> attention_mass([0.5, 0.25, 0.25], np.array([True, False, False])).excess.__round__(3)
    0.167
    """
    p = np.asarray(weights, np.float64)
    return AttentionMass(float(p[mask].sum()), float(mask.mean()))


def roc_auc(weights: ArrayLike, mask: Mask) -> float:
    """Compute the area under the ROC curve of the weights [T] as a classifier of ``mask`` [T].

    It is the probability that a random frame inside the mask has more weight than one outside; ties count half. NaN if
    all frames are inside or all are outside.

    >>> roc_auc([0.5, 0.3, 0.2], np.array([True, False, True]))
    0.5
    """
    p = np.asarray(weights, np.float64)
    inside, outside = p[mask][:, None], p[~mask]
    if not mask.any() or mask.all():
        return float("nan")
    return float(((inside > outside) + 0.5 * (inside == outside)).mean())


def rank_correlation(x: ArrayLike, y: ArrayLike) -> float:
    """Compute Spearman's rank correlation, -1 to 1; NaN if either series is constant."""
    ranks_x, ranks_y = (_ranks(np.asarray(values, np.float64)) for values in (x, y))
    if np.ptp(ranks_x) == 0 or np.ptp(ranks_y) == 0:
        return float("nan")
    return float(np.corrcoef(ranks_x, ranks_y)[0, 1])


def _ranks(values: Floats) -> Floats:
    """Return ascending ranks; ties share their mean rank."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(size)
    return np.asarray((ends - (size - 1) / 2)[group], np.float64)


def mask_from_intervals(intervals: Sequence[tuple[int, int]], num_frames: int) -> Mask:
    """Convert half-open frame intervals [first, end) to a boolean mask [T].

    >>> mask_from_intervals([(1, 2)], 3).tolist()
    [False, True, False]
    """
    mask = np.zeros(num_frames, bool)
    for first, end in intervals:
        mask[first:end] = True
    return mask


class MeanInterval(NamedTuple):
    """Mean over videos with its 95% confidence interval [low, high]."""

    videos: int
    mean: float
    low: float
    high: float


def mean_interval(values: ArrayLike) -> MeanInterval:
    """Compute the mean of the values that are not NaN, with a 95% CI by Student's t (NaN for fewer than 2 values).

    >>> videos, mean, low, high = mean_interval([1.0, 2.0, 3.0, float("nan")])
    >>> videos, mean, round(low, 4), round(high, 4)
    (3, 2.0, -0.4841, 4.4841)
    """
    x = np.asarray(values, np.float64)
    x = x[~np.isnan(x)]
    if len(x) < 2:
        mean = float(x.mean()) if len(x) else float("nan")
        return MeanInterval(len(x), mean, float("nan"), float("nan"))
    mean, half = float(x.mean()), float(stdtrit(len(x) - 1, 0.975) * x.std(ddof=1) / np.sqrt(len(x)))
    return MeanInterval(len(x), mean, mean - half, mean + half)
