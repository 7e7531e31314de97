"""Pairs of labels: which of them imply one another one way alone, and which a run expects too often or too seldom."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import xlogy

# It needs torch, which takes seconds to import; the pairs alone do not.
if TYPE_CHECKING:
    from yt8m_core.inference.score_cache import Scored

CHUNK = 1 << 22  # products of two scores that are held at once
LEAST = 1e-12  # expected videos that still have a logarithm


def against_truth(scored: "Scored", first: NDArray[np.int64], second: NDArray[np.int64]) -> pd.DataFrame:
    """How many videos have both labels of some pairs, and how many the run expects to.

    Expected is Σ_v p_va p_vb, as in ``diagnosis.expected_together``: the mean number if each score were the probability
    of its label, and the labels of one video independent given its scores.

    Args:
        scored: of N videos.
        first: [P] label ids.
        second: [P] the other label of each pair.

    Returns:
        label_a, label_b, observed, expected, surprise: how far the two are apart, about in standard deviations of a
        rare event's number, above 0 where the labels are together more often than the run expects. It is the signed
        root of the Poisson deviance 2 (o log(o / e) - (o - e)), which stays sensible where hardly any is expected.
    """
    truth = scored.truth.astype(np.float64).tocsc()
    columns, place = np.unique(np.concatenate([first, second]), return_inverse=True)
    p = np.array(scored.probabilities[:, columns], np.float32)
    one, other = place[: len(first)], place[len(first) :]
    observed, expected = np.zeros(len(first)), np.zeros(len(first))
    step = max(1, CHUNK // max(1, len(p)))
    for at in range(0, len(first), step):
        some = slice(at, at + step)
        expected[some] = (p[:, one[some]] * p[:, other[some]]).sum(axis=0, dtype=np.float64)
        observed[some] = truth[:, first[some]].multiply(truth[:, second[some]]).sum(axis=0)
    least = np.maximum(expected, LEAST)
    deviance = 2 * (xlogy(observed, observed / least) - (observed - least))
    surprise = np.sign(observed - least) * np.sqrt(np.maximum(deviance, 0))
    return pd.DataFrame(
        {
            "label_a": first,
            "label_b": second,
            "observed": observed.astype(np.int64),
            "expected": expected,
            "surprise": surprise,
        }
    )
