"""Labels that a run confuses with one label: predicted where it is missed, and true where it is a false positive.

A label that is frequent everywhere is in these videos too. So each number is compared with the number that is expected
from all videos, and the tables list only labels that are more frequent than that, most surprising first.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.analysis.outcomes import TOP_K
from yt8m_core.analysis.pair_calibration import poisson_surprise
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.metrics.binomial import share_interval
from yt8m_core.metrics.sparse import top_label_batches


class Confusions(NamedTuple):
    """Labels that are confused with one label.

    Attributes:
        rows: The V videos with the error, as rows of the scores, ascending.
        table: label; videos (number of these videos that have it as described), share (of the V videos), low and high
            (95% CI of the share, Clopper-Pearson), expected (share by the frequency in all videos), lift (share /
            expected, above 1) and surprise (as ``pair_calibration.poisson_surprise``), most surprising first.
    """

    rows: NDArray[np.int64]
    table: pd.DataFrame


def labels_ranked_above(scored: CachedScores, label: int, threshold: float | None = None) -> Confusions:
    """Return the wrong labels that rank above a label in the videos that have it, but where it is missed.

    It is missed if it is not in the top 20, or, with a threshold, below it. Only labels in the top 20 of a video count.
    The expected share accounts for the number of labels above the missed one: if it is at rank 5 of a video, another
    label is expected above it in the share of all videos that have that label, wrongly, in their top 4.

    Args:
        scored: Scores of N videos.
        label: The label.
        threshold: Threshold, compared in float32; None for the top 20.
    """
    N, C = scored.probabilities.shape
    top, wrong = _top_labels(scored)
    k = top.shape[1]
    is_label = top == label
    place = np.where(is_label.any(axis=1), is_label.argmax(axis=1), k)  # number of top labels above it [N]
    missed = place == k if threshold is None else scored.probabilities[:, label] < threshold
    rows = np.flatnonzero(_has_label(scored, label) & missed)
    above = wrong[rows] & (np.arange(k) < place[rows, None])
    observed = np.bincount(top[rows][above], minlength=C)
    # Number of videos with each label, wrongly, in their top 0, 1, …, k.
    by_place = [np.bincount(top[wrong[:, column], column], minlength=C) for column in range(k)]
    in_top = np.cumsum([np.zeros(C, np.int64), *by_place], axis=0)
    expected = np.bincount(place[rows], minlength=k + 1) @ in_top / N
    return Confusions(rows, _table(observed, expected, len(rows)))


def labels_mistaken_for(scored: CachedScores, label: int, threshold: float | None = None) -> Confusions:
    """Return the true labels of the videos in which a label is a false positive.

    It is a false positive if it is in the top 20 of a video that does not have it, or, with a threshold, at or above
    it. The expected share is the share of all videos without the label that have the other one.

    Args:
        scored: Scores of N videos.
        label: The label.
        threshold: Threshold, compared in float32; None for the top 20.
    """
    if threshold is None:
        predicted = (_top_labels(scored)[0] == label).any(axis=1)
    else:
        predicted = scored.probabilities[:, label] >= threshold
    without = ~_has_label(scored, label)
    rows = np.flatnonzero(without & predicted)
    observed, others = (np.asarray(scored.truth[which].sum(axis=0)) for which in (rows, np.flatnonzero(without)))
    expected = others.astype(np.float64) * (len(rows) / max(int(without.sum()), 1))
    return Confusions(rows, _table(observed, expected, len(rows)))


def _top_labels(scored: CachedScores) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return the top labels of each video in rank order, and whether each is wrong, [N, k]."""
    batches = top_label_batches(scored.probabilities, scored.truth, TOP_K)
    labels, hits = (np.concatenate([part.numpy() for part in parts]) for parts in list(zip(*batches, strict=True))[1:3])
    return labels, ~hits


def _has_label(scored: CachedScores, label: int) -> NDArray[np.bool_]:
    has_label: NDArray[np.bool_] = scored.truth[:, [label]].toarray()[:, 0] > 0
    return has_label


def _table(observed: NDArray[np.int64], expected: NDArray[np.float64], total: int) -> pd.DataFrame:
    """Return the table of ``Confusions`` from the number of videos of each label and the expected number [C]."""
    labels = np.flatnonzero(observed > expected * (1 + 1e-9))  # rounding must not make equal numbers a difference
    number, anyway = observed[labels], expected[labels]
    low, high = share_interval(number, total)
    table = pd.DataFrame(
        {
            "label": labels,
            "videos": number,
            "share": number / max(total, 1),
            "low": low,
            "high": high,
            "expected": anyway / max(total, 1),
            "lift": number / anyway,
            "surprise": poisson_surprise(number.astype(np.float64), anyway),
        }
    )
    return table.sort_values(["surprise", "label"], ascending=[False, True], ignore_index=True)
