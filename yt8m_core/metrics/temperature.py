"""Temperature scaling: divide all logits by one number T, fitted by cross entropy.

T > 1 makes probabilities less extreme, T < 1 more extreme. The order of the scores stays, and with it GAP.

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: On Calibration of Modern Neural Networks, 2017,
https://arxiv.org/abs/1706.04599, section 4.2; here with a sigmoid per label instead of the softmax.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit, logit

from yt8m_core.metrics.sparse import CHUNK, Probabilities

LEAST, MOST = float(np.finfo(np.float32).tiny), 1 - float(np.finfo(np.float32).epsneg)
"""Probabilities are clamped to these float32 neighbors of 0 and 1, so that their logits are finite."""
LOWEST, HIGHEST = 1 / 64, 64.0
"""Range of T. Scores that separate the true pairs from all others have no best T above 0."""
MAX_STEPS = 100
TOLERANCE = 1e-10  # relative change of 1/T at which the search ends


def logits(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return log p/(1-p), of the clamped probabilities, in float64."""
    return np.asarray(logit(np.clip(probabilities.astype(np.float64), LEAST, MOST)))


def scale_probabilities(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return σ(logit / T).

    >>> scale_probabilities(np.array([[0.5, 0.9]], np.float32), 2.0)
    array([[0.5 , 0.75]], dtype=float32)
    """
    scaled = np.empty(probabilities.shape, np.float32)
    for rows in _chunks(probabilities):
        scaled[rows] = expit(logits(probabilities[rows]) / temperature)
    return scaled


def fit_temperature(probabilities: Probabilities, truth: csr_array) -> float:
    """Return the T that minimizes the summed cross entropy of σ(logit / T).

    The cross entropy is convex in 1/T. The search is Newton's method on its derivative, inside a bracket that shrinks
    at every step; a step that leaves the bracket is replaced by bisection.

    Args:
        probabilities: Scores [N, C].
        truth: Labels [N, C], 0/1.

    Returns:
        T, between ``LOWEST`` and ``HIGHEST``.
    """
    low, high, inverse = 1 / HIGHEST, 1 / LOWEST, 1.0
    for _ in range(MAX_STEPS):
        slope, curvature = _derivatives(probabilities, truth, inverse)
        if slope > 0:
            high = inverse
        else:
            low = inverse
        following = inverse - slope / curvature if curvature > 0 else low
        if not low <= following <= high or (curvature == 0 and slope):
            following = float(np.sqrt(low * high))
        change, inverse = abs(following - inverse), following
        if change <= TOLERANCE * inverse:
            break
    return 1 / inverse


def _derivatives(probabilities: Probabilities, truth: csr_array, inverse: float) -> tuple[float, float]:
    """Return the first and second derivative of Σ log(1 + exp(z / T)) - y z / T by 1/T, over all logits z."""
    slope = curvature = 0.0
    for rows in _chunks(probabilities):
        z = logits(probabilities[rows])
        p = expit(inverse * z)
        pairs = truth[rows].tocoo()
        slope += float((p * z).sum() - z[pairs.row, pairs.col].sum())
        curvature += float((p * (1 - p) * z * z).sum())
    return slope, curvature


def _chunks(probabilities: Probabilities) -> list[slice]:
    step = max(1, CHUNK // probabilities.shape[1])
    return [slice(first, first + step) for first in range(0, len(probabilities), step)]
