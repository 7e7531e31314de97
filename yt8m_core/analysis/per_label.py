"""Average precision by label, frequency, and band; the videos and labels most relevant to one label."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import digamma
from scipy.stats import t as student

from yt8m_core.labels.cooccurrence import strongest_pairs
from yt8m_core.labels.statistics import BANDS

# Only for type checking: score_cache imports torch, which takes seconds. Pages that only count labels do without it.
if TYPE_CHECKING:
    from yt8m_core.inference.score_cache import CachedScores

ALL = "all"
FEW_POSITIVES = 10  # scored videos; the average precision of a label with fewer is mostly chance


def precision_by_frequency(table: pd.DataFrame) -> pd.DataFrame:
    """Summarize average precision by frequency bin: labels in 1 video, in 2 to 3, in 4 to 7, and so on.

    Args:
        table: One row per label: count, ap. Rows without an ap are ignored.

    Returns:
        One row per non-empty bin: min_count and max_count (videos per label), center (their geometric mean), labels
        (number of labels), and the lower quartile, median, and upper quartile of ap: low, median, high.

    >>> bins = precision_by_frequency(pd.DataFrame({"count": [2, 3, 3, 9, 0], "ap": [0.25, 0.5, 0.75, 1, np.nan]}))
    >>> bins.drop(columns="center").to_numpy().tolist()
    [[2.0, 3.0, 3.0, 0.375, 0.5, 0.625], [8.0, 15.0, 1.0, 1.0, 1.0, 1.0]]
    """
    measured = table[table["ap"].notna() & (table["count"] > 0)]
    exponent = np.frexp(measured["count"].to_numpy(np.float64))[1] - 1  # exact floor of log2
    groups = measured.groupby(exponent)["ap"]
    min_count = 1 << groups.size().index.to_numpy(np.int64)
    max_count = 2 * min_count - 1
    return pd.DataFrame(
        {
            "min_count": min_count,
            "max_count": max_count,
            "center": np.sqrt(min_count * max_count),
            "labels": groups.size().to_numpy(),
            "low": groups.quantile(0.25).to_numpy(),
            "median": groups.median().to_numpy(),
            "high": groups.quantile(0.75).to_numpy(),
        }
    )


def precision_by_band(table: pd.DataFrame) -> pd.DataFrame:
    """Summarize average precision by band: band, labels, median, mean. Bands without labels are omitted.

    Args:
        table: One row per label: band, ap. Rows without an ap are ignored.

    >>> table = pd.DataFrame({"band": ["head", "tail", "tail"], "ap": [0.75, 0.25, 0.5]})
    >>> precision_by_band(table).to_numpy().tolist()
    [['head', 1, 0.75, 0.75], ['tail', 2, 0.375, 0.375], ['all', 3, 0.5, 0.5]]
    """
    measured = table[table["ap"].notna()]
    rows = [(band, measured.loc[(measured["band"] == band) | (band == ALL), "ap"]) for band in (*BANDS, ALL)]
    return pd.DataFrame(
        [(band, len(ap), ap.median(), ap.mean()) for band, ap in rows if len(ap)],
        columns=["band", "labels", "median", "mean"],
    )


def summarize_bands(table: pd.DataFrame, num_videos: int) -> pd.DataFrame:
    """Summarize each band: its size, and how far its average precision can be measured.

    Args:
        table: One row per label: band, count, positives and ap; positives and ap are missing for labels that no scored
            video has.
        num_videos: Number of scored videos.

    Returns:
        One row per band that has labels, and one for all: band, labels, share (of all label assignments), measured
        (number of labels with an ap), median (of ap), chance (median over the same labels of the ap of a random order),
        rare (share of the measured labels with fewer than ``FEW_POSITIVES`` scored videos). NaN where no label is
        measured.

    >>> table = pd.DataFrame(
    ...     {"band": ["head", "tail", "tail"], "count": [6, 1, 1], "positives": [20, 1, None], "ap": [0.75, 0.25, None]}
    ... )
    >>> summarize_bands(table, 100)[["band", "labels", "share", "measured", "median", "rare"]].to_numpy().tolist()
    [['head', 1, 0.75, 1, 0.75, 0.0], ['tail', 2, 0.25, 1, 0.25, 1.0], ['all', 3, 1.0, 2, 0.5, 0.5]]
    """
    total = table["count"].sum()
    rows = []
    for band in (*BANDS, ALL):
        labels = table[(table["band"] == band) | (band == ALL)]
        measured = labels[labels["ap"].notna()]
        positives = measured["positives"].to_numpy(np.int64)
        chance = np.median(random_precision(positives, num_videos)) if len(measured) else np.nan
        rare = (positives < FEW_POSITIVES).mean() if len(measured) else np.nan
        share = labels["count"].sum() / total if total else np.nan
        if len(labels):
            rows.append((band, len(labels), share, len(measured), measured["ap"].median(), chance, rare))
    return pd.DataFrame(rows, columns=["band", "labels", "share", "measured", "median", "chance", "rare"])


def add_gain(table: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Add the average precision of a second run (ap_b) and its difference from the first (gain = ap_b - ap)."""
    joined = table.merge(other[["label", "ap"]].rename(columns={"ap": "ap_b"}), on="label", how="left")
    return joined.assign(gain=joined["ap_b"] - joined["ap"])


def gain_by_band(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the mean gain in average precision of each band (head, mid, tail) and of all labels.

    The 95% confidence interval of the mean treats the labels of a band as a random sample. It uses Student's t, because
    the head may have only five labels, for which a bootstrap interval is too narrow. It accounts neither for the
    sampling of videos nor for retraining the two models.

    Args:
        table: One row per label: band, gain. Rows without a gain are ignored.

    Returns:
        band, labels (number of labels), gained and lost (number of labels with a gain above and below 0), gain (mean),
        low and high (95% CI; NaN for a single label). Bands without labels are omitted.

    >>> table = pd.DataFrame({"band": ["head", "head", "tail"], "gain": [0.1, 0.3, -0.1]})
    >>> gain_by_band(table)[["band", "labels", "gained", "gain"]].round(3).to_numpy().tolist()
    [['head', 2, 2, 0.2], ['tail', 1, 0, -0.1], ['all', 3, 2, 0.1]]
    """
    measured = table[table["gain"].notna()]
    rows = []
    for band in (*BANDS, ALL):
        gain = measured.loc[(measured["band"] == band) | (band == ALL), "gain"].to_numpy(np.float64)
        if not len(gain):
            continue
        rows.append((band, len(gain), int((gain > 0).sum()), int((gain < 0).sum()), *mean_interval(gain)))
    return pd.DataFrame(rows, columns=["band", "labels", "gained", "lost", "gain", "low", "high"])


def mean_interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the mean of a sample and its 95% CI by Student's t; NaN as the bounds of a single value.

    >>> [round(value, 3) for value in mean_interval(np.array([0.25, 0.5, 0.75]))]
    [0.5, -0.121, 1.121]
    """
    mean, half = float(values.mean()), float("nan")
    if len(values) > 1:
        half = float(student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def random_precision(positives: NDArray[np.int64], num_videos: int) -> NDArray[np.float64]:
    """Compute the expected average precision of a random order of the videos.

    It is above the share of positives: a label with one video among N has H_N / N, where H_N = 1 + 1/2 + … + 1/N.

    Args:
        positives: Number of videos with each label [C], at least 1.
        num_videos: N.

    >>> random_precision(np.array([1, 2]), 2).round(6).tolist()
    [0.75, 1.0]
    """
    first = (digamma(num_videos + 1) + np.euler_gamma) / num_videos  # H_N / N
    others: NDArray[np.float64] = (positives - 1) / max(num_videos - 1, 1)  # mean share of positives among the others
    return first * (1 - others) + others


def most_correlated_labels(
    cooccurrence: csr_array, num_videos: int, label: int, *, minimum_support: int = 1, limit: int = 10
) -> pd.DataFrame:
    """Return the labels most correlated with a label (φ, see ``cooccurrence.MEASURES``), strongest first.

    Args:
        cooccurrence: Pair counts [C, C].
        num_videos: N.
        label: The label.
        minimum_support: Minimum number of videos with both labels. Rare pairs have large values by chance.
        limit: Maximum number of rows.

    Returns:
        label, count (videos with both labels), share (of the given label's videos that also have this one), phi.

    >>> pairs = csr_array(np.array([[3, 2, 1], [2, 2, 0], [1, 0, 4]]))
    >>> most_correlated_labels(pairs, 8, 0)[["label", "count", "share"]].round(2).to_numpy().tolist()
    [[1.0, 2.0, 0.67], [2.0, 1.0, 0.33]]
    """
    single = cooccurrence.diagonal()
    row = cooccurrence[[label]].tocoo()
    others = row.col[row.col != label]
    both = row.data[row.col != label]
    size, present = len(single), np.flatnonzero(single)
    # Upper triangle with the pairs of this label only; the diagonal holds the counts of all labels.
    star = csr_array(
        (
            np.concatenate([both, single[present]]),
            (
                np.concatenate([np.minimum(others, label), present]),
                np.concatenate([np.maximum(others, label), present]),
            ),
        ),
        (size, size),
    )
    pairs = strongest_pairs(star, num_videos, "phi", minimum_support, limit)
    other = np.where(pairs["label_a"] == label, pairs["label_b"], pairs["label_a"])
    return pd.DataFrame(
        {"label": other, "count": pairs["count"], "share": pairs["count"] / single[label], "phi": pairs["phi"]}
    )


def hardest_videos(ranks: pd.DataFrame, label: int, limit: int = 5) -> pd.DataFrame:
    """Return the videos that have a label but rank it lowest: row, rank, probability; lowest rank first.

    Args:
        ranks: Result of ``true_ranks``.
        label: The label.
        limit: Maximum number of rows.
    """
    rows = ranks[ranks["label"] == label].sort_values(["rank", "probability", "row"], ascending=[False, True, True])
    return rows[["row", "rank", "probability"]][:limit].reset_index(drop=True)


def top_false_positives(scored: "CachedScores", label: int, limit: int = 5) -> pd.DataFrame:
    """Return the most confident false positives of a label: row, probability; most probable first."""
    probability = np.array(scored.probabilities[:, label], np.float64)
    truth = scored.truth.tocsc()
    probability[truth.indices[truth.indptr[label] : truth.indptr[label + 1]]] = -1
    rows = np.argsort(-probability, kind="stable")[:limit]
    rows = rows[probability[rows] >= 0]
    return pd.DataFrame({"row": rows, "probability": probability[rows]})


def label_precision(scored: "CachedScores") -> pd.DataFrame:
    """Compute the average precision of each label over all videos.

    Tied scores contribute the expected value over all their orders.

    Returns:
        label, positives (number of videos with the label), ap (NaN without positives).
    """
    import torch

    from yt8m_core.metrics.label_precision import CHUNK, LabelPrecision

    N, C = scored.probabilities.shape
    metric, step = LabelPrecision(C), max(1, CHUNK // C)
    for first in range(0, N, step):
        rows = slice(first, first + step)
        truth = torch.from_numpy(scored.truth[rows].toarray().astype(bool))
        metric.update(torch.from_numpy(np.array(scored.probabilities[rows])), truth)
    table: pd.DataFrame = metric.compute()
    return table


def true_ranks(scored: "CachedScores") -> pd.DataFrame:
    """Return the rank of each true label in its video's ranking.

    Tied scores are ranked by label id, as in ``Prediction.ranking``.

    Returns:
        row (of the video in ``scored``), label, rank (from 1), probability.
    """
    rows = np.repeat(np.arange(len(scored.videos)), np.diff(scored.truth.indptr))
    labels = scored.truth.indices.astype(np.int64)
    rank = pair_ranks(scored.probabilities, rows, labels)
    return pd.DataFrame({"row": rows, "label": labels, "rank": rank, "probability": scored.probabilities[rows, labels]})


def pair_ranks(
    probabilities: NDArray[np.float32], rows: NDArray[np.int64], labels: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the rank of each pair's label in the pair's video [P], from 1; tied scores are ranked by label id.

    Args:
        probabilities: Scores [N, C].
        rows: Row of each pair [P].
        labels: Label of each pair [P].
    """
    rank = np.empty(len(rows), np.int64)
    for first in range(0, len(rows), 1024):
        chunk = slice(first, first + 1024)
        p = probabilities[rows[chunk]]  # [pairs, C]
        own = np.take_along_axis(p, labels[chunk, None], axis=1)
        before = np.arange(p.shape[1]) < labels[chunk, None]
        rank[chunk] = 1 + (p > own).sum(axis=1) + ((p == own) & before).sum(axis=1)
    return rank
