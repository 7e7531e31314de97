"""Ranking quality of each video, and the order in which videos are listed."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from yt8m_core.analysis.outcomes import TOP_K, float32_threshold
from yt8m_core.analysis.per_label import true_ranks
from yt8m_core.errors import check_choice
from yt8m_core.inference.score_cache import CachedScores

CHUNK = 1 << 22  # maximum number of scores held in memory at once
_SORT_COLUMNS: dict[str, dict[str, bool]] = {  # order → columns, and whether small values come first
    "data set": {},
    "hardest first": {"ap": True, "worst_rank": False},
    "easiest first": {"ap": False, "worst_rank": True},
    "most errors": {"errors": False},
    "highest score": {"score": False},
    "lowest score": {"score": True},
    "longest": {"num_frames": False},
    "largest disagreement": {"disagreement": False},
}
SORT_ORDERS = tuple(_SORT_COLUMNS)


def video_average_precision(ranking: pd.DataFrame) -> float:
    """Return the average precision of one video's ranking; NaN if it has no true label.

    >>> video_average_precision(pd.DataFrame({"rank": [1, 2, 3, 4], "true": [True, False, False, True]}))
    0.75
    """
    ranks = ranking.loc[ranking["true"].fillna(False).to_numpy(bool), "rank"].to_numpy()
    return float((np.arange(1, len(ranks) + 1) / ranks).mean()) if len(ranks) else float("nan")


def sort_videos(videos: pd.DataFrame, order: str) -> pd.DataFrame:
    """Sort a table of videos by an order of ``SORT_ORDERS``.

    Hard videos have a low average precision (ap); of equal ones, the last true label has a large rank (worst_rank). The
    other orders need errors, score (of one label), num_frames or disagreement. Ties are sorted by video; missing values
    come last.

    Raises:
        UserError: Unknown order.
    """
    check_choice("order", order, SORT_ORDERS)
    columns = {**_SORT_COLUMNS[order], "video": True}
    if len(columns) == 1:
        return videos
    return videos.sort_values(list(columns), ascending=list(columns.values()), kind="stable")


def possible_orders(columns: Collection[str]) -> list[str]:
    """Return the orders of ``SORT_ORDERS`` that a table with these columns can be sorted by.

    >>> possible_orders(["video", "id", "num_frames"])
    ['data set', 'longest']
    """
    return [order for order, needed in _SORT_COLUMNS.items() if set(needed) <= set(columns)]


def video_difficulty(scored: CachedScores) -> pd.DataFrame:
    """Measure how well the ranking of each video finds its true labels.

    Returns:
        One row per row of ``scored``: video, and the columns of ``ranking_quality``.
    """
    quality = ranking_quality(true_ranks(scored), len(scored.videos))
    quality.insert(0, "video", scored.videos)
    return quality


def ranking_quality(ranks: pd.DataFrame, num_videos: int) -> pd.DataFrame:
    """Measure the rankings of videos from the ranks of their true labels.

    Args:
        ranks: Result of ``true_ranks``.
        num_videos: N, number of rows of the scores.

    Returns:
        One row per row of the scores: ap (average precision of the video's ranking, 1 if its true labels are ranked
        above all others; NaN without true labels), worst_rank (rank of the last true label), labels (number of true
        labels).
    """
    ranks = ranks.sort_values(["row", "rank"])
    nth = ranks.groupby("row").cumcount() + 1
    by_row = (
        ranks.assign(precision=nth / ranks["rank"])
        .groupby("row")
        .agg(ap=("precision", "mean"), worst_rank=("rank", "max"), labels=("label", "size"))
        .reindex(range(num_videos))
    )
    by_row["labels"] = by_row["labels"].fillna(0).astype(int)
    by_row["worst_rank"] = by_row["worst_rank"].astype("Int64")
    return by_row.reset_index(drop=True)


def video_outcomes(
    scored: CachedScores, ranks: pd.DataFrame, difficulty: pd.DataFrame, threshold: float
) -> pd.DataFrame:
    """Add the number of false negatives and false positives to the table of video difficulty.

    Args:
        scored: Scores of the videos.
        ranks: Result of ``true_ranks``.
        difficulty: Result of ``video_difficulty``.
        threshold: Threshold, rounded to hundredths.

    Returns:
        ``difficulty`` with false_negatives and false_positives, counted as ``outcomes.OUTCOMES`` defines them: a true
        label among the top 20 is not a false negative.
    """
    N, C = scored.probabilities.shape
    minimum = float32_threshold(threshold)
    predicted = np.empty(N, np.int64)
    step = max(1, CHUNK // C)
    for first in range(0, N, step):
        predicted[first : first + step] = (scored.probabilities[first : first + step] >= minimum).sum(axis=1)
    above = ranks["probability"].to_numpy() >= minimum
    true_positives = np.bincount(ranks["row"][above], minlength=N)
    false_negatives = np.bincount(ranks["row"][~above & (ranks["rank"] > TOP_K).to_numpy()], minlength=N)
    return difficulty.assign(false_negatives=false_negatives, false_positives=predicted - true_positives)
