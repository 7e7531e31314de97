"""Calibration of label pairs: observed co-occurrence against the co-occurrence that a run predicts."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy

# Only for type checking: score_cache imports torch, which takes seconds.
if TYPE_CHECKING:
    from yt8m_core.inference.score_cache import CachedScores

CHUNK = 1 << 22  # maximum number of score products held in memory at once
MIN_EXPECTED = 1e-12  # lower bound of the expected count, so that its logarithm is finite


def compare_with_truth(scored: "CachedScores", first: NDArray[np.int64], second: NDArray[np.int64]) -> pd.DataFrame:
    """Compare the number of videos with both labels of a pair with the number that a run predicts.

    The expected number is Σ_v p_va p_vb, as in ``thresholds.expected_cooccurrence``. It is the mean count if each score
    is the probability of its label and the labels of a video are independent given its scores.

    Args:
        scored: Scores of N videos.
        first: Label ids [P].
        second: The other label of each pair [P].

    Returns:
        label_a, label_b, observed, expected, and surprise (``poisson_surprise``). It is roughly the difference in
        standard deviations and remains meaningful for very small expected counts. Positive if the labels co-occur more
        often than the run predicts.
    """
    truth = scored.truth.astype(np.float64).tocsc()
    columns, position = np.unique(np.concatenate([first, second]), return_inverse=True)
    p = np.array(scored.probabilities[:, columns], np.float32)
    column_a, column_b = position[: len(first)], position[len(first) :]
    observed, expected = np.zeros(len(first)), np.zeros(len(first))
    step = max(1, CHUNK // max(1, len(p)))
    for start in range(0, len(first), step):
        chunk = slice(start, start + step)
        expected[chunk] = (p[:, column_a[chunk]] * p[:, column_b[chunk]]).sum(axis=0, dtype=np.float64)
        observed[chunk] = truth[:, first[chunk]].multiply(truth[:, second[chunk]]).sum(axis=0)
    return pd.DataFrame(
        {
            "label_a": first,
            "label_b": second,
            "observed": observed.astype(np.int64),
            "expected": expected,
            "surprise": poisson_surprise(observed, expected),
        }
    )


def poisson_surprise(observed: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the signed root of the Poisson deviance 2 (o log(o / e) - (o - e)); positive where o is above e.

    >>> poisson_surprise(np.array([9.0, 4.0]), np.array([4.0, 4.0])).round(2).tolist()
    [2.14, 0.0]
    """
    bounded = np.maximum(expected, MIN_EXPECTED)
    deviance = 2 * (xlogy(observed, observed / bounded) - (observed - bounded))
    surprise: NDArray[np.float64] = np.sign(observed - bounded) * np.sqrt(np.maximum(deviance, 0))
    return surprise
