"""Reliability and expected calibration error (ECE) of multi-label probabilities.

Each (video, label) pair is one prediction. The bins have equal mass: each has the same sum of probabilities, so each
is expected to have the same number of true pairs. One pair in a thousand is true, so bins of equal width would have
99.9% of the pairs in the first bin, and bins of equal size all likely labels in the last.

M. P. Naeini, G. F. Cooper, M. Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015
(ECE). J. Nixon, M. Dusenberry, G. Jerfel, T. Nguyen, J. Liu, L. Zhang, D. Tran: Measuring Calibration in Deep Learning,
2019, https://arxiv.org/abs/1904.01685 (adaptive bins).
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.metrics.sparse import CHUNK, Probabilities

BINS = 15
REPLICATES = 1000
Floats = NDArray[np.float64]


class CalibrationError(NamedTuple):
    """ECE with its 95% CI.

    Attributes:
        ece: Mean over all pairs of the difference between the confidence and the frequency of their bin.
        low: Lower bound of the 95% CI.
        high: Upper bound.
        if_calibrated: Expected ECE of a calibrated model with the same scores, which is above 0 by chance.
    """

    ece: float
    low: float
    high: float
    if_calibrated: float


def draw_copies(num_videos: int, seed: int = 0, replicates: int = REPLICATES) -> NDArray[np.float32]:
    """Return how often each bootstrap draw contains each video [N, R]."""
    random = np.random.default_rng(seed)
    copies = np.empty((num_videos, replicates), np.float32)
    for draw in range(replicates):
        copies[:, draw] = np.bincount(random.integers(num_videos, size=num_videos), minlength=num_videos)
    return copies


def equal_mass_edges(probabilities: NDArray[np.floating], bins: int = BINS) -> NDArray[np.floating]:
    """Return the lower edges of all bins but the first. Equal probabilities are in one bin, so there may be fewer bins.

    >>> equal_mass_edges(np.array([0.2, 0.2, 0.2, 0.2, 0.4, 0.8]), bins=3)
    array([0.8])
    """
    ordered = np.sort(probabilities, axis=None)
    mass = np.cumsum(ordered, dtype=np.float64)
    positions = np.searchsorted(mass, mass[-1] * np.arange(1, bins) / bins)
    edges = np.unique(ordered[positions])
    upper: NDArray[np.floating] = edges[edges > ordered[0]]  # the lowest score is in the first bin
    return upper


def reliability(
    probabilities: Probabilities, truth: csr_array, copies: NDArray[np.float32], bins: int = BINS
) -> tuple[CalibrationError, pd.DataFrame]:
    """Measure the calibration of some labels' probabilities, in bins of equal mass.

    Args:
        probabilities: Scores [N, L].
        truth: Labels [N, L], 0/1.
        copies: Bootstrap draws of the N videos, as ``draw_copies``.
        bins: Number of bins.

    Returns:
        As ``reliability_of_bins``.
    """
    return reliability_of_bins(probabilities, truth, copies, equal_mass_edges(probabilities, bins))


def reliability_of_bins(
    probabilities: Probabilities, truth: csr_array, copies: NDArray[np.float32], edges: NDArray[np.floating]
) -> tuple[CalibrationError, pd.DataFrame]:
    """Measure the calibration of some labels' probabilities.

    The CIs are bootstrap intervals over videos, because the labels of a video depend on each other. That of the ECE is
    the basic interval, [2 e - q(97.5%), 2 e - q(2.5%)], cut at 0 and extended to e: chance adds to the ECE of every
    draw once more, so a percentile interval would be too high. Simulated intervals covered the ECE in 91% to 96% of
    cases where the ECE was at least 1.6 times ``if_calibrated``. Below that, only its upper bound means anything.

    Args:
        probabilities: Scores [N, L].
        truth: Labels [N, L], 0/1.
        copies: Bootstrap draws of the N videos, as ``draw_copies``.
        edges: Lower edges of all bins but the first; every bin has a pair.

    Returns:
        The ECE, and one row per bin: pairs (number), confidence (mean probability), frequency (share of true pairs),
        low and high (95% CI of the frequency).
    """
    sums, variance = _video_sums(probabilities, truth, edges)
    pairs, confidence, hits = (part.sum(axis=0) for part in sums)
    ece = float(np.abs(confidence - hits).sum() / pairs.sum())
    resampled = [copies.T @ part for part in sums]  # [R, bins]
    draws = np.abs(resampled[1] - resampled[2]).sum(axis=1) / resampled[0].sum(axis=1)
    lowest, highest = np.quantile(draws, [0.025, 0.975])
    # The mean of |x| for a normal x with the variance of the number of true pairs in a bin.
    if_calibrated = float(np.sqrt(2 / np.pi * variance).sum() / pairs.sum())
    error = CalibrationError(ece, max(0.0, 2 * ece - highest), max(ece, 2 * ece - lowest), if_calibrated)
    low, high = _frequency_interval(pairs, hits, resampled[2] / np.maximum(resampled[0], 1))
    columns = {"confidence": confidence / pairs, "frequency": hits / pairs, "low": low, "high": high}
    return error, pd.DataFrame({"pairs": pairs.astype(np.int64), **columns})


def _video_sums(probabilities: Probabilities, truth: csr_array, edges: NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Return the pairs, their probabilities and the true pairs of each video in each bin, and Σ p (1 - p) of each bin.

    Returns:
        [3, N, bins] and [bins].
    """
    bins = len(edges) + 1
    sums, variance = np.empty((3, len(probabilities), bins)), np.zeros(bins)
    step = max(1, CHUNK // probabilities.shape[1])
    for first in range(0, len(probabilities), step):
        rows = slice(first, first + step)
        p, pairs = probabilities[rows], truth[rows].tocoo()
        index = np.searchsorted(edges, p, side="right")
        variance += np.bincount(index.ravel(), (p * (1.0 - p)).ravel(), bins)
        index += bins * np.arange(len(p))[:, None]
        for part, (values, weights) in zip(
            sums, ((index, None), (index, p.ravel()), (index[pairs.row, pairs.col], None)), strict=True
        ):
            part[rows] = np.bincount(values.ravel(), weights, len(p) * bins).reshape(len(p), bins)
    return sums, variance


def _frequency_interval(pairs: Floats, hits: Floats, draws: Floats) -> tuple[Floats, Floats]:
    """Return the percentile intervals; the exact binomial bound where no pair, or every pair, of a bin is true."""
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    bound = 0.025 ** (1 / pairs)
    return np.where(hits == pairs, bound, low), np.where(hits == 0, 1 - bound, high)
