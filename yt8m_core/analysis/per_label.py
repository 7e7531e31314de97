"""One label, and the labels as frequent as it: how well a run finds them, and which videos and labels are near.

Needs no torch: a page that only counts imports this at no cost.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_array
from scipy.stats import t as student

from yt8m_core.labels.statistics import strongest_pairs
from yt8m_core.metrics.average_precision import Best, class_sums

if TYPE_CHECKING:
    from yt8m_core.inference.score_cache import Scored

CHUNK = 1 << 22  # scores that are held at once
BANDS = ("head", "mid", "tail")
ALL = "all"


def by_frequency(table: pd.DataFrame) -> pd.DataFrame:
    """The average precision of labels that are about equally frequent: 1 video, 2 to 3, 4 to 7, and so on.

    Args:
        table: One row a label: count, ap. Rows without an ap are left out.

    Returns:
        least and most videos of each step that has a label, middle (their geometric mean), labels, and of their ap the
        low and high quartile and the median.

    >>> steps = by_frequency(pd.DataFrame({"count": [2, 3, 3, 9, 0], "ap": [0.25, 0.5, 0.75, 1, np.nan]}))
    >>> steps.drop(columns="middle").to_numpy().tolist()
    [[2.0, 3.0, 3.0, 0.375, 0.5, 0.625], [8.0, 15.0, 1.0, 1.0, 1.0, 1.0]]
    """
    measured = table[table["ap"].notna() & (table["count"] > 0)]
    step = np.frexp(measured["count"].to_numpy(np.float64))[1] - 1  # exactly the floor of log2
    groups = measured.groupby(step)["ap"]
    least = 1 << groups.size().index.to_numpy(np.int64)
    most = 2 * least - 1
    return pd.DataFrame(
        {
            "least": least,
            "most": most,
            "middle": np.sqrt(least * most),
            "labels": groups.size().to_numpy(),
            "low": groups.quantile(0.25).to_numpy(),
            "median": groups.median().to_numpy(),
            "high": groups.quantile(0.75).to_numpy(),
        }
    )


def precision_by_band(table: pd.DataFrame) -> pd.DataFrame:
    """The average precision of the labels of each band: band, labels, median, mean; bands without a label left out.

    Args:
        table: One row a label: band, ap. Rows without an ap are left out.

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


def with_gain(table: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """A table of labels with ap, and of a second run's: ap_b and gain, the second's ap less the first's."""
    joined = table.merge(other[["label", "ap"]].rename(columns={"ap": "ap_b"}), on="label", how="left")
    return joined.assign(gain=joined["ap_b"] - joined["ap"])


def gain_by_band(table: pd.DataFrame) -> pd.DataFrame:
    """What a band of labels gains in average precision, head, mid, tail and all of them together.

    The interval is the mean's over labels: as if the band's were drawn from many like them. Student's t, since a head
    may be of five labels, with which a bootstrap's interval is too narrow. It holds neither other videos nor another
    training of the same two models. A band of one label has none (NaN).

    Args:
        table: One row a label: band, gain. Rows without a gain are left out.

    Returns:
        band, labels, gained and lost (labels whose gain is above and below 0), gain (the mean), low, high; a band
        without labels is left out.

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
        half = float("nan")
        if len(gain) > 1:
            half = float(student.ppf(0.975, len(gain) - 1)) * float(gain.std(ddof=1)) / np.sqrt(len(gain))
        mean = float(gain.mean())
        rows.append((band, len(gain), int((gain > 0).sum()), int((gain < 0).sum()), mean, mean - half, mean + half))
    return pd.DataFrame(rows, columns=["band", "labels", "gained", "lost", "gain", "low", "high"])


def nearest_labels(
    cooccurrence: csr_array, num_videos: int, label: int, *, minimum_support: int = 1, limit: int = 10
) -> pd.DataFrame:
    """The labels that go with a label most, by φ (``label_statistics.MEASURES``), strongest first.

    Args:
        cooccurrence: [C, C] counts.
        num_videos: N.
        label: The label.
        minimum_support: Videos that must have both; rare pairs are strong by chance.
        limit: Rows at most.

    Returns:
        label, count (videos with both), share (of the given label's videos, those with this one too), phi.

    >>> pairs = csr_array(np.array([[3, 2, 1], [2, 2, 0], [1, 0, 4]]))
    >>> nearest_labels(pairs, 8, 0)[["label", "count", "share"]].round(2).to_numpy().tolist()
    [[1.0, 2.0, 0.67], [2.0, 1.0, 0.33]]
    """
    single = cooccurrence.diagonal()
    row = cooccurrence[[label]].tocoo()
    others = row.col[row.col != label]
    both = row.data[row.col != label]
    size, present = len(single), np.flatnonzero(single)
    # The pairs of this label alone, above the diagonal, which holds the counts of all.
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
    """The videos that have a label and whose ranking puts it last: row, rank, probability, worst first.

    Args:
        ranks: As from ``diagnosis.true_ranks``.
        label: The label.
        limit: Rows at most.
    """
    mine = ranks[ranks["label"] == label].sort_values(["rank", "probability", "row"], ascending=[False, True, True])
    return mine[["row", "rank", "probability"]][:limit].reset_index(drop=True)


def top_false_positives(scored: "Scored", label: int, limit: int = 5) -> pd.DataFrame:
    """The videos without a label that a run gives it with most confidence: row, probability, surest first."""
    probability = np.array(scored.probabilities[:, label], np.float64)
    truth = scored.truth.tocsc()
    probability[truth.indices[truth.indptr[label] : truth.indptr[label + 1]]] = -1
    rows = np.argsort(-probability, kind="stable")[:limit]
    rows = rows[probability[rows] >= 0]
    return pd.DataFrame({"row": rows, "probability": probability[rows]})


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
