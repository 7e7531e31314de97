"""What a run's scores come to, label by label, video by video, and at any threshold (section 3.1).

Unlike ``metrics``, which keeps each video's 20 best labels, everything here looks at all C labels of a video, as
``scored`` keeps them.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.inference.score_cache import Scored

THRESHOLDS = np.linspace(0, 1, 101)
"""The thresholds of ``ThresholdCounts``: 0.00, 0.01, …, 1.00."""
CHUNK = 1 << 22


class AtThreshold(NamedTuple):
    """What the labels whose probability is at least a threshold come to, over all videos."""

    threshold: float
    predicted: int  # (video, label) pairs at or above it
    hits: int  # the true ones of them
    positives: int  # all true pairs

    @property
    def precision(self) -> float:
        """The share of what is predicted that is true; NaN where nothing is predicted."""
        return self.hits / self.predicted if self.predicted else float("nan")

    @property
    def recall(self) -> float:
        """The share of what is true that is predicted; NaN without a true label."""
        return self.hits / self.positives if self.positives else float("nan")

    @property
    def f1(self) -> float:
        """The harmonic mean of both, 2 hits / (predicted + positives); NaN where there is neither."""
        both = self.predicted + self.positives
        return 2 * self.hits / both if both else float("nan")


class ThresholdCounts(NamedTuple):
    """Of each label, how many videos have it at or above each of ``THRESHOLDS``, and how many of those truly."""

    predicted: NDArray[np.int64]  # [101, C]
    hits: NDArray[np.int64]  # [101, C]
    positives: NDArray[np.int64]  # [C]

    def at(self, threshold: float, label: int | None = None) -> AtThreshold:
        """All labels together (micro average), or one; the threshold is rounded to hundredths."""
        row = round(threshold * (len(THRESHOLDS) - 1))
        columns = slice(None) if label is None else slice(label, label + 1)
        sums = (int(counts[..., columns].sum()) for counts in (self.predicted[row], self.hits[row], self.positives))
        return AtThreshold(float(THRESHOLDS[row]), *sums)

    def curve(self, label: int | None = None) -> pd.DataFrame:
        """The same at every threshold: threshold, predicted, hits, precision, recall, f1."""
        every = [self.at(float(threshold), label) for threshold in THRESHOLDS]
        return pd.DataFrame(
            {
                name: [getattr(one, name) for one in every]
                for name in ("threshold", "predicted", "hits", "precision", "recall", "f1")
            }
        )


def threshold_counts(scored: Scored) -> ThresholdCounts:
    """Count once for all thresholds and labels."""
    N, C = scored.probabilities.shape
    bins = len(THRESHOLDS)
    predicted, hits = np.zeros((bins, C), np.int64), np.zeros((bins, C), np.int64)
    edges = THRESHOLDS.astype(np.float32)
    step = max(1, CHUNK // C)
    for first in range(0, N, step):
        p = np.asarray(scored.probabilities[first : first + step])
        # Truncated, then corrected by one: a hundredth in float32 may lie on either side of its edge.
        at = np.minimum((p * (bins - 1)).astype(np.int32), bins - 1)
        at += (at < bins - 1) & (p >= edges[np.minimum(at + 1, bins - 1)])
        at -= p < edges[at]
        keys = at * C + np.arange(C, dtype=np.int32)
        predicted += np.bincount(keys.ravel(), minlength=bins * C).reshape(bins, C)
        truth = scored.truth[first : first + step].tocoo()
        hits += np.bincount(keys[truth.row, truth.col], minlength=bins * C).reshape(bins, C)
    predicted, hits = (counts[::-1].cumsum(axis=0)[::-1] for counts in (predicted, hits))
    return ThresholdCounts(predicted, hits, np.bincount(scored.truth.indices, minlength=C))


def expected_together(scored: Scored, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """How many videos the run expects to have both of two labels, [L, L]: Σ_v p_va p_vb; the diagonal is Σ_v p_va.

    Labels of one video are taken as independent given the video, which is what scores of single labels say.
    """
    p = np.asarray(scored.probabilities[:, labels], np.float64)
    both = p.T @ p
    np.fill_diagonal(both, p.sum(axis=0))
    return both
