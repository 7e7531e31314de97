"""Precision, recall, and F1 at any threshold, and expected co-occurrence (section 3.1).

Unlike ``metrics``, which evaluates the top 20 labels of each video, this module uses the scores of all C labels from
the score cache.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.inference.score_cache import CachedScores

THRESHOLDS = np.linspace(0, 1, 101)
"""Thresholds of ``ThresholdCounts``: 0.00, 0.01, …, 1.00."""
CHUNK = 1 << 22  # maximum number of scores held in memory at once


class ThresholdMetrics(NamedTuple):
    """Counts and metrics at one threshold, over all videos."""

    threshold: float
    predicted: int  # number of (video, label) pairs at or above the threshold
    hits: int  # number of true pairs among them (true positives)
    positives: int  # number of true pairs

    @property
    def precision(self) -> float:
        """Share of the predicted pairs that are true; NaN if none is predicted."""
        return self.hits / self.predicted if self.predicted else float("nan")

    @property
    def recall(self) -> float:
        """Share of the true pairs that are predicted; NaN if there is no true pair."""
        return self.hits / self.positives if self.positives else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 2 hits / (predicted + positives); NaN if both counts are 0."""
        total = self.predicted + self.positives
        return 2 * self.hits / total if total else float("nan")


class ThresholdCounts(NamedTuple):
    """Counts of each label at each of ``THRESHOLDS``.

    Attributes:
        predicted: Number of videos with a score at or above the threshold [101, C].
        hits: Number of those videos that have the label (true positives) [101, C].
        positives: Number of videos that have the label [C].
    """

    predicted: NDArray[np.int64]
    hits: NDArray[np.int64]
    positives: NDArray[np.int64]

    def at(self, threshold: float, label: int | None = None) -> ThresholdMetrics:
        """Return the metrics of all labels (micro average) or of one; the threshold is rounded to hundredths."""
        row = round(threshold * (len(THRESHOLDS) - 1))
        columns = slice(None) if label is None else slice(label, label + 1)
        sums = (int(counts[..., columns].sum()) for counts in (self.predicted[row], self.hits[row], self.positives))
        return ThresholdMetrics(float(THRESHOLDS[row]), *sums)

    def curve(self, label: int | None = None) -> pd.DataFrame:
        """Return threshold, predicted, hits, precision, recall, f1 at every threshold."""
        rows = [self.at(float(threshold), label) for threshold in THRESHOLDS]
        return pd.DataFrame(
            {
                name: [getattr(row, name) for row in rows]
                for name in ("threshold", "predicted", "hits", "precision", "recall", "f1")
            }
        )


def threshold_counts(scored: CachedScores) -> ThresholdCounts:
    """Count predictions and true positives for all thresholds and labels in one pass over the scores."""
    N, C = scored.probabilities.shape
    bins = len(THRESHOLDS)
    predicted, hits = np.zeros((bins, C), np.int64), np.zeros((bins, C), np.int64)
    edges = THRESHOLDS.astype(np.float32)
    step = max(1, CHUNK // C)
    for first in range(0, N, step):
        p = np.asarray(scored.probabilities[first : first + step])
        # Truncate, then correct by one: a hundredth in float32 may lie on either side of its edge.
        index = np.minimum((p * (bins - 1)).astype(np.int32), bins - 1)
        index += (index < bins - 1) & (p >= edges[np.minimum(index + 1, bins - 1)])
        index -= p < edges[index]
        keys = index * C + np.arange(C, dtype=np.int32)
        predicted += np.bincount(keys.ravel(), minlength=bins * C).reshape(bins, C)
        truth = scored.truth[first : first + step].tocoo()
        hits += np.bincount(keys[truth.row, truth.col], minlength=bins * C).reshape(bins, C)
    predicted, hits = (counts[::-1].cumsum(axis=0)[::-1] for counts in (predicted, hits))
    return ThresholdCounts(predicted, hits, np.bincount(scored.truth.indices, minlength=C))


def expected_cooccurrence(scored: CachedScores, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the number of videos that a run expects to have both of two labels.

    Assumes that the labels of a video are independent given the video, as per-label scores imply.

    Returns:
        Σ_v p_va p_vb, [L, L]; the diagonal is Σ_v p_va.
    """
    p = np.asarray(scored.probabilities[:, labels], np.float64)
    both = p.T @ p
    np.fill_diagonal(both, p.sum(axis=0))
    return both
