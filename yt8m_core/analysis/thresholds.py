"""What a run's scores come to, label by label, video by video, and at any threshold (section 3.1).

Unlike ``metrics``, which keeps each video's 20 best labels, everything here looks at all C labels of a video, as
``scored`` keeps them.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from yt8m_core.analysis.outcomes import BEST, edge
from yt8m_core.inference.score_cache import Scored
from yt8m_core.metrics.average_precision import Best, class_sums

THRESHOLDS = np.linspace(0, 1, 101)
"""The thresholds of ``ThresholdCounts``: 0.00, 0.01, …, 1.00."""
CHUNK = 1 << 22


def label_precision(scored: Scored) -> pd.DataFrame:
    """The average precision of each label over all videos: label, positives, ap (NaN for a label without a video).

    Ties count as their expected value over all orders.
    """
    N, C = scored.probabilities.shape
    positives = np.bincount(scored.truth.indices, minlength=C)
    step = max(1, CHUNK // C)
    labels = torch.arange(C, dtype=torch.int32)
    parts = []
    for first in range(0, N, step):
        p = torch.from_numpy(np.array(scored.probabilities[first : first + step]))
        hits = torch.from_numpy(scored.truth[first : first + step].toarray().astype(bool))
        none = torch.zeros(len(p), dtype=torch.int32)
        parts.append(Best(p, labels.expand(len(p), C), hits, none, none))
    sums = class_sums(parts, C)
    ap = np.where(positives > 0, sums / np.maximum(positives, 1), np.nan)
    return pd.DataFrame({"label": np.arange(C), "positives": positives, "ap": ap})


def true_ranks(scored: Scored) -> pd.DataFrame:
    """The place of each true label in its video's ranking: row, label, rank (from 1), probability.

    Equal scores rank by label, as ``Prediction.ranking`` does. ``row`` is the video's in ``scored``.
    """
    rows = np.repeat(np.arange(len(scored.videos)), np.diff(scored.truth.indptr))
    labels = scored.truth.indices.astype(np.int64)
    rank = np.empty(len(rows), np.int64)
    probability = np.empty(len(rows), np.float32)
    for first in range(0, len(rows), 1024):
        some = slice(first, first + 1024)
        p = scored.probabilities[rows[some]]  # [pairs, C]
        mine = np.take_along_axis(p, labels[some, None], axis=1)
        before = np.arange(p.shape[1]) < labels[some, None]
        rank[some] = 1 + (p > mine).sum(axis=1) + ((p == mine) & before).sum(axis=1)
        probability[some] = mine[:, 0]
    return pd.DataFrame({"row": rows, "label": labels, "rank": rank, "probability": probability})


def video_difficulty(scored: Scored) -> pd.DataFrame:
    """How well each video's ranking finds its labels, a row of ``scored`` each: video, ap, worst_rank, labels.

    ``ap`` is the average precision of the video's own ranking, 1 where its labels stand before all others; NaN for a
    video without a label. ``worst_rank`` is the place of the true label that stands last.
    """
    ranks = true_ranks(scored).sort_values(["row", "rank"])
    nth = ranks.groupby("row").cumcount() + 1
    by_row = (
        ranks.assign(precision=nth / ranks["rank"])
        .groupby("row")
        .agg(ap=("precision", "mean"), worst_rank=("rank", "max"), labels=("label", "size"))
        .reindex(range(len(scored.videos)))
    )
    by_row["labels"] = by_row["labels"].fillna(0).astype(int)
    by_row["worst_rank"] = by_row["worst_rank"].astype("Int64")
    return by_row.reset_index(drop=True).assign(video=scored.videos)[["video", "ap", "worst_rank", "labels"]]


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


def video_list(scored: Scored, ranks: pd.DataFrame, difficulty: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """How each scored video went: what ``video_difficulty`` says of it, and misses and false alarms.

    ``misses`` and ``false_alarms`` count the labels that ``verdicts`` calls so; ``ranks`` is of ``true_ranks``.
    """
    N, C = scored.probabilities.shape
    least = edge(threshold)
    predicted = np.empty(N, np.int64)
    step = max(1, CHUNK // C)
    for first in range(0, N, step):
        predicted[first : first + step] = (scored.probabilities[first : first + step] >= least).sum(axis=1)
    above = ranks["probability"].to_numpy() >= least
    hits = np.bincount(ranks["row"][above], minlength=N)
    misses = np.bincount(ranks["row"][~above & (ranks["rank"] > BEST).to_numpy()], minlength=N)
    return difficulty.assign(misses=misses, false_alarms=predicted - hits)
