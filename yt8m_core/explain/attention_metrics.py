"""Measures of attention over the frames of one video: how many take part, and what it lies on (section 2.2.4).

The paper holds that frames like many others are of the main scene, "the cluster with the largest size", and weighs them
by that likeness instead of clustering. Here is the clustering, and how well the weight agrees with it.
https://arxiv.org/abs/1706.07960
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.vq import ClusterError, kmeans2
from scipy.special import stdtrit

Floats = NDArray[np.float64]
Inside = NDArray[np.bool_]

MOST_CELLS = 300
"""A side of ``similarity``: a browser draws 90,000 cells at once, and a second of five minutes has one of its own."""
STARTS = 4
STEPS = 10


def entropy(weights: ArrayLike) -> float:
    """-Σ p ln p of weights that sum to 1: ln T where all frames count alike, 0 where one counts alone.

    >>> entropy([1.0, 0.0])
    0.0
    """
    p = np.asarray(weights, np.float64)
    p = p[p > 0]
    return float(max(0.0, -(p * np.log(p)).sum()))


def effective_frames(weights: ArrayLike) -> float:
    """exp of the entropy: how many frames take part.

    >>> round(effective_frames([0.5, 0.5, 0.0, 0.0]), 9)
    2.0
    """
    return float(np.exp(entropy(weights)))


def k_means(frames: NDArray[Any], clusters: int) -> NDArray[np.int64]:
    """Which cluster each frame is in [T], 0 the largest; of equal ones, the one that starts first has the lower number.

    The best of a few starts (k-means++, https://dl.acm.org/doi/10.5555/1283383.1283494), always the same ones. Fewer
    clusters come out where there are fewer different frames.

    Args:
        frames: [T, D], as the pooling sees them.
        clusters: k, at least 1.
    """
    frames = np.asarray(frames, np.float64)
    different = len({frame.tobytes() for frame in frames})
    for k in range(min(clusters, different), 1, -1):
        found = [run for start in range(STARTS) if (run := _lloyd(frames, k, start)) is not None]
        if found:
            return _largest_first(min(found, key=lambda run: run[0])[1])
    return np.zeros(len(frames), np.int64)


def _lloyd(frames: Floats, k: int, start: int) -> tuple[float, NDArray[Any]] | None:
    """Squared distances to the centers, and the clusters; None where one of them lost all its frames."""
    rng = np.random.default_rng([k, start])
    try:
        centers, cluster = kmeans2(frames, k, iter=STEPS, minit="++", missing="raise", check_finite=False, rng=rng)
    except ClusterError:
        return None
    return float(np.square(frames - centers[cluster]).sum()), cluster


def _largest_first(cluster: NDArray[Any]) -> NDArray[np.int64]:
    """The same clusters, numbered by size."""
    _, first, group, size = np.unique(cluster, return_index=True, return_inverse=True, return_counts=True)
    return np.argsort(np.lexsort((first, -size)))[group].astype(np.int64)


class Similarity(NamedTuple):
    """Cosines between the frames of a video, in steps of ``step`` seconds."""

    cosine: NDArray[np.float32]  # [S, S], S at most ``MOST_CELLS``
    seconds: Floats  # [S], the middle of each step
    step: int


def similarity(frames: NDArray[Any], most: int = MOST_CELLS) -> Similarity:
    """The cosine of each frame [T, D] with each; of a longer video, the means over blocks of as many frames as need be.

    A frame of zeros is like nothing: its cosines are 0.

    >>> similarity(np.array([[1.0, 0.0], [1.0, 1.0]])).cosine.round(2).tolist()
    [[1.0, 0.7099999785423279], [0.7099999785423279, 1.0]]
    """
    frames = np.asarray(frames, np.float64)
    unit = frames / np.maximum(np.linalg.norm(frames, axis=1, keepdims=True), 1e-12)
    step = -(-len(frames) // most)
    starts = np.arange(0, len(frames), step)
    sizes = np.diff(starts, append=len(frames))
    # The mean of all cosines between two blocks is the inner product of their mean unit frames.
    means = np.add.reduceat(unit, starts) / sizes[:, None]
    return Similarity((means @ means.T).astype(np.float32), starts + (sizes - 1) / 2, step)


class AttentionMass(NamedTuple):
    """How much of the weight lies on some frames."""

    weight: float  # their share of the weight
    share: float  # their share of the time, which would be their weight if all frames counted alike

    @property
    def excess(self) -> float:
        """The weight beyond the share of the time: above 0 where attention prefers these frames."""
        return self.weight - self.share


def attention_mass(weights: ArrayLike, inside: Inside) -> AttentionMass:
    """How much of the weights [T] lies on the frames of ``inside`` [T].

    >>> attention_mass([0.5, 0.25, 0.25], np.array([True, False, False])).excess.__round__(3)
    0.167
    """
    p = np.asarray(weights, np.float64)
    return AttentionMass(float(p[inside].sum()), float(inside.mean()))


def detection(weights: ArrayLike, inside: Inside) -> float:
    """The area under the ROC curve of the weights [T] as a detector of ``inside`` [T].

    The probability that a frame drawn from inside has more weight than one from outside, where equal ones count half;
    NaN where there are none of either.

    >>> detection([0.5, 0.3, 0.2], np.array([True, False, True]))
    0.5
    """
    p = np.asarray(weights, np.float64)
    within, without = p[inside][:, None], p[~inside]
    if not inside.any() or inside.all():
        return float("nan")
    return float(((within > without) + 0.5 * (within == without)).mean())


def rank_correlation(one: ArrayLike, other: ArrayLike) -> float:
    """Spearman's: 1 where two series rise and fall together, -1 where against each other; NaN where one is constant."""
    first, second = (_ranks(np.asarray(values, np.float64)) for values in (one, other))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: Floats) -> Floats:
    """Places in rising order; equal values share the mean of theirs."""
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(size)
    return np.asarray((ends - (size - 1) / 2)[group], np.float64)


def mask_from_intervals(runs: Sequence[tuple[int, int]], num_frames: int) -> Inside:
    """Runs of frames [first, end) as a flag for each frame [T].

    >>> mask_from_intervals([(1, 2)], 3).tolist()
    [False, True, False]
    """
    inside = np.zeros(num_frames, bool)
    for first, end in runs:
        inside[first:end] = True
    return inside


class Mean(NamedTuple):
    """A mean over videos and its 95 % confidence interval."""

    videos: int
    mean: float
    low: float
    high: float


def mean_interval(values: ArrayLike) -> Mean:
    """The mean of what is not NaN, and Student's 95 % interval, which has no width to tell where there are under two.

    >>> videos, mean, low, high = mean_interval([1.0, 2.0, 3.0, float("nan")])
    >>> videos, mean, round(low, 4), round(high, 4)
    (3, 2.0, -0.4841, 4.4841)
    """
    x = np.asarray(values, np.float64)
    x = x[~np.isnan(x)]
    if len(x) < 2:
        mean = float(x.mean()) if len(x) else float("nan")
        return Mean(len(x), mean, float("nan"), float("nan"))
    mean, half = float(x.mean()), float(stdtrit(len(x) - 1, 0.975) * x.std(ddof=1) / np.sqrt(len(x)))
    return Mean(len(x), mean, mean - half, mean + half)
