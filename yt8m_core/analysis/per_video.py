"""How hard each video is, and the order in which videos are listed."""

import numpy as np
import pandas as pd

from yt8m_core.analysis.outcomes import BEST, edge
from yt8m_core.analysis.per_label import true_ranks
from yt8m_core.errors import check_choice
from yt8m_core.inference.score_cache import Scored

CHUNK = 1 << 22  # scores that are held at once
ORDERS = ("data set", "hardest first", "easiest first")


def own_precision(ranking: pd.DataFrame) -> float:
    """The average precision of one video's ranking, as in ``diagnosis.video_difficulty``; NaN without a true label.

    >>> own_precision(pd.DataFrame({"rank": [1, 2, 3, 4], "true": [True, False, False, True]}))
    0.75
    """
    ranks = ranking.loc[ranking["true"].fillna(False).to_numpy(bool), "rank"].to_numpy()
    return float((np.arange(1, len(ranks) + 1) / ranks).mean()) if len(ranks) else float("nan")


def in_order(listed: pd.DataFrame, order: str) -> pd.DataFrame:
    """The rows of ``diagnosis.video_list`` as in the data set, or by the average precision of the videos' rankings.

    Of two alike the one whose last true label stands farther down is the harder. Raises UserError for another order.
    """
    check_choice("order", order, ORDERS)
    if order == "data set":
        return listed
    first = order == "hardest first"
    return listed.sort_values(["ap", "worst_rank", "video"], ascending=[first, not first, True], kind="stable")


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
