"""Reliability of any labels, the pairs in a bin of it, and thresholds per label with what they are worth.

``calibration.calibrate`` stores the reliability of the frequency bands; here it is that of any labels, such as one.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.errors import UserError
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.metrics.binomial import share_interval
from yt8m_core.metrics.f1 import choose_thresholds
from yt8m_core.metrics.reliability import BINS, CalibrationError, draw_copies, equal_mass_edges, reliability_of_bins
from yt8m_core.metrics.sparse import CHUNK
from yt8m_core.storage.typed_json import check_number

MIN_EXPECTED = 5  # expected true pairs per bin; with fewer, the interval of a bin says nothing
Labels = NDArray[np.int64]


class Reliability(NamedTuple):
    """Calibration of some labels.

    Attributes:
        error: ECE with its 95% CI.
        bins: One row per bin: pairs (number), confidence (mean probability), frequency (share of true pairs), low and
            high (95% CI of the frequency, bootstrap over videos), lower (lowest probability of the bin) and upper
            (lowest probability of the next one, infinite for the last).
    """

    error: CalibrationError
    bins: pd.DataFrame


def label_reliability(scored: CachedScores, labels: Labels) -> Reliability:
    """Measure how often labels are true, against the probability that the run gives them.

    There are up to 15 bins, fewer if a bin would have less than ``MIN_EXPECTED`` expected true pairs. To measure scaled
    probabilities, replace those of ``scored`` (``temperature.scale_probabilities``).

    Args:
        scored: Scores of N videos.
        labels: Labels [L], at least one.
    """
    p, truth = scored.probabilities[:, labels], scored.truth[:, labels]
    number = int(np.clip(p.sum(dtype=np.float64) // MIN_EXPECTED, 1, BINS))
    edges = equal_mass_edges(p, number)
    error, bins = reliability_of_bins(p, truth, draw_copies(len(p)), edges)
    return Reliability(error, bins.assign(lower=[float(p.min()), *edges.tolist()], upper=[*edges.tolist(), np.inf]))


def pairs_in_bin(scored: CachedScores, labels: Labels, lower: float, upper: float, limit: int = 200) -> pd.DataFrame:
    """Return the pairs of a video and a label whose probability is in a bin, largest error |true - p| first.

    Args:
        scored: Scores of N videos.
        labels: Labels [L].
        lower: Lowest probability, as ``Reliability.bins``.
        upper: Upper bound of the probability, exclusive.
        limit: Maximum number of pairs.

    Returns:
        row, video (position in the data set), label, probability, true. Ties by row, then label.
    """
    N, step = len(scored.videos), max(1, CHUNK // max(len(labels), 1))
    parts = [np.empty((0, 4))]
    for first in range(0, N, step):
        p = np.asarray(scored.probabilities[first : first + step, labels])
        true = scored.truth[first : first + step][:, labels].toarray()
        error = np.where((p >= lower) & (p < upper), np.abs(true - p), -1)
        smallest = np.partition(error, error.size - limit, axis=None)[-limit] if error.size > limit else 0
        rows, columns = np.nonzero(error >= max(smallest, 0))
        pairs = np.column_stack([rows + first, labels[columns], p[rows, columns], true[rows, columns]])
        parts.append(_largest_errors(pairs, limit))
    row, label, probability, true = _largest_errors(np.concatenate(parts), limit).T
    position = row.astype(np.int64)
    return pd.DataFrame(
        {
            "row": position,
            "video": scored.videos[position],
            "label": label.astype(np.int64),
            "probability": probability,
            "true": true > 0,
        }
    )


def _largest_errors(pairs: NDArray[np.float64], limit: int) -> NDArray[np.float64]:
    """Return the pairs (row, label, probability, true) with the largest errors [limit, 4], in order."""
    row, label, probability, true = pairs.T
    return pairs[np.lexsort((label, row, -np.abs(true - probability)))[:limit]]


def label_thresholds(
    scored: CachedScores, choosing: NDArray[np.bool_], target_precision: float = 0
) -> NDArray[np.float64]:
    """Choose a threshold per label [C] as ``calibration.calibrate`` does; labels with few positives share one.

    Args:
        scored: Scores of N videos.
        choosing: Whether each video helps to choose [N], as ``calibration.in_first_half``.
        target_precision: Maximize the recall of each label at this precision; 0 for the highest F1.

    Raises:
        UserError: None of these videos has labels, or the precision is outside 0 to 1.
    """
    check_number(target_precision, 0, 1, where="target precision")
    truth = scored.truth[choosing]
    if not truth.nnz:
        raise UserError(
            f"{truth.shape[0]:,} videos to choose thresholds on, without labels", advice="Use more labeled videos."
        )
    return choose_thresholds(scored.probabilities[choosing], truth, target_precision)[0]


def threshold_table(scored: CachedScores, thresholds: NDArray[np.float64], measured: NDArray[np.bool_]) -> pd.DataFrame:
    """Measure thresholds per label.

    Args:
        scored: Scores of N videos.
        thresholds: Threshold of each label [C].
        measured: Whether to measure on each video [N]; not on those that chose the thresholds.

    Returns:
        One row per label: label, threshold, positives (number of videos with the label), predicted (number of videos at
        or above the threshold), precision, recall, f1 (NaN where undefined), low and high (95% CI of F1). F1 is
        2 J / (1 + J) for the share J of true positives among the videos that have the label or are predicted to; the
        bounds are those of J (Clopper-Pearson).
    """
    C, rows = scored.probabilities.shape[1], np.flatnonzero(measured)
    predicted, hits, positives = (np.zeros(C, np.int64) for _ in range(3))
    step = max(1, CHUNK // C)
    for first in range(0, len(rows), step):
        chunk = rows[first : first + step]
        above, truth = scored.probabilities[chunk] >= thresholds, scored.truth[chunk].tocoo()
        predicted += above.sum(axis=0)
        hits += np.bincount(truth.col[above[truth.row, truth.col]], minlength=C)
        positives += np.bincount(truth.col, minlength=C)
    either = predicted + positives - hits
    with np.errstate(invalid="ignore"):
        low, high = (np.where(either > 0, 2 * share / (1 + share), np.nan) for share in share_interval(hits, either))
        return pd.DataFrame(
            {
                "label": np.arange(C),
                "threshold": thresholds,
                "positives": positives,
                "predicted": predicted,
                "precision": hits / predicted,
                "recall": hits / positives,
                "f1": 2 * hits / (predicted + positives),
                "low": low,
                "high": high,
            }
        )
