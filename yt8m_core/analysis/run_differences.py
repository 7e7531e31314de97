"""Differences between two runs on the same videos: GAP, labels, videos, and the videos of one label.

A difference is the value of the second run minus that of the first, as in ``per_label.add_gain``. Lists are split by
its sign: no list has a video or label on which the runs are equal.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from yt8m_core.analysis.outcomes import TOP_K
from yt8m_core.analysis.per_label import pair_ranks
from yt8m_core.analysis.per_video import ranking_quality
from yt8m_core.errors import UserError
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.metrics.average_precision import Floats, Integers, TopLabelsBatch
from yt8m_core.metrics.bootstrap import RUN_REPLICATES, Estimate, draw_videos, resample_gap
from yt8m_core.metrics.sparse import top_label_batches

# In simulations, the 95% interval of a difference covered the truth in 93% of cases with 10 positives and 82% with 5;
# the interval of one AP in 91% and 83%, and in 92% with 20.
MIN_POSITIVES = 10


class RunDifference(NamedTuple):
    """A metric of two runs and its difference, with 95% CIs over videos."""

    first: Estimate
    second: Estimate
    difference: Estimate  # second minus first, paired by video


class Sides(NamedTuple):
    """Rows on which one run is better, best first for that run."""

    first: pd.DataFrame  # the first run is better
    second: pd.DataFrame


def check_same_videos(first: CachedScores, second: CachedScores) -> None:
    """Raise UserError unless two runs have scored the same videos with the same labels."""
    is_same = first.probabilities.shape == second.probabilities.shape and all(
        np.array_equal(of_first, of_second)
        for of_first, of_second in (
            (first.videos, second.videos),
            (first.truth.indptr, second.truth.indptr),
            (first.truth.indices, second.truth.indices),
        )
    )
    if not is_same:
        raise UserError(
            f"{_shape(second)} of run '{second.name}'",
            expected=f"the {_shape(first)} of run '{first.name}', with the same true labels",
            advice="Compare two runs on the same data set.",
        )


def gap_difference(first: CachedScores, second: CachedScores, replicates: int = RUN_REPLICATES) -> RunDifference:
    """Compare GAP@20 of two runs.

    Both runs are measured on the same bootstrap draws of the videos. The intervals span the 2.5th to 97.5th percentile
    of the draws, as those of ``TopLabels.bootstrap``, and equal these where the videos and the seed (0) are the same.
    They do not cover the variation between training runs.

    Raises:
        UserError: The runs have other videos or labels, or no video has labels.
    """
    check_same_videos(first, second)
    batches, batches_b = (top_label_batches(scored.probabilities, scored.truth) for scored in (first, second))
    return _compare(batches, batches_b, np.diff(first.truth.indptr), replicates)


def label_difference(
    first: CachedScores, second: CachedScores, label: int, replicates: int = RUN_REPLICATES
) -> RunDifference:
    """Compare the average precision of one label over all videos, with the intervals of ``gap_difference``.

    The bounds are NaN where fewer than ``MIN_POSITIVES`` videos have the label.

    Raises:
        UserError: The runs have other videos or labels, or no video has the label.
    """
    check_same_videos(first, second)
    truth = first.truth[:, [label]].toarray()[:, 0]
    positives = int(truth.sum())
    if not positives:
        raise UserError(f"no video with label {label}", advice="Its average precision is undefined.")
    batches, batches_b = (_single_label(scored, label, truth) for scored in (first, second))
    result = _compare(batches, batches_b, truth, replicates)
    if positives < MIN_POSITIVES:
        result = RunDifference(*(Estimate(estimate.value, float("nan"), float("nan")) for estimate in result))
    return result


def video_differences(
    first: CachedScores, second: CachedScores, ranks: pd.DataFrame, ranks_b: pd.DataFrame
) -> pd.DataFrame:
    """Compare the rankings of each video.

    Args:
        first: Scores of the first run.
        second: Scores of the second run.
        ranks: Result of ``true_ranks`` of the first run.
        ranks_b: The same of the second run.

    Returns:
        One row per row of the scores: row, video, labels (number of true labels), ap and ap_b (average precision of the
        video's ranking; NaN without true labels), gain (ap_b - ap), found_only and found_only_b (number of true labels
        in the top 20 of only the first and only the second run).

    Raises:
        UserError: The runs have other videos or labels.
    """
    check_same_videos(first, second)
    N = len(first.videos)
    quality, ap_b = ranking_quality(ranks, N), ranking_quality(ranks_b, N)["ap"]
    found, found_b = ((table["rank"] <= TOP_K).to_numpy() for table in (ranks, ranks_b))
    rows = ranks["row"].to_numpy()
    return pd.DataFrame(
        {
            "row": np.arange(N),
            "video": first.videos,
            "labels": quality["labels"],
            "ap": quality["ap"],
            "ap_b": ap_b,
            "gain": ap_b - quality["ap"],
            "found_only": np.bincount(rows[found & ~found_b], minlength=N),
            "found_only_b": np.bincount(rows[found_b & ~found], minlength=N),
        }
    )


def split_by_sign(table: pd.DataFrame, column: str = "gain") -> Sides:
    """Split rows by the sign of a column, largest magnitude first; rows with 0 or NaN are in neither part.

    >>> sides = split_by_sign(pd.DataFrame({"gain": [0.5, 0.0, -0.25, 0.75, np.nan]}))
    >>> sides.second["gain"].tolist(), sides.first["gain"].tolist()
    ([0.75, 0.5], [-0.25])
    """
    ordered = table.sort_values(column, kind="stable")
    descending = table.sort_values(column, ascending=False, kind="stable")
    return Sides(ordered[ordered[column] < 0], descending[descending[column] > 0])


def correct_by_one(first: CachedScores, second: CachedScores, label: int, threshold: float | None = None) -> Sides:
    """Return the videos that only one of two runs gets right for a label.

    With a threshold, a run is right if it predicts the label (probability at or above the threshold) exactly where the
    video has it. Without one, only videos with the label count, and a run is right if the label is in its top 20.

    Args:
        first: Scores of the first run.
        second: Scores of the second run.
        label: The label.
        threshold: Threshold, compared in float32; None for the top 20.

    Returns:
        The videos that only the first, and only the second run gets right: row, video, true (whether the video has the
        label), probability, probability_b, rank, rank_b. Largest difference of the probabilities first.

    Raises:
        UserError: The runs have other videos or labels.
    """
    check_same_videos(first, second)
    true = first.truth[:, [label]].toarray()[:, 0] > 0
    p, p_b = (np.array(scored.probabilities[:, label]) for scored in (first, second))
    rows = np.flatnonzero(true if threshold is None else (p >= threshold) != (p_b >= threshold))
    labels = np.full(len(rows), label)
    rank, rank_b = (pair_ranks(scored.probabilities, rows, labels) for scored in (first, second))
    table = pd.DataFrame(
        {
            "row": rows,
            "video": first.videos[rows],
            "true": true[rows],
            "probability": p[rows],
            "probability_b": p_b[rows],
            "rank": rank,
            "rank_b": rank_b,
        }
    )
    if threshold is None:
        right, right_b = rank <= TOP_K, rank_b <= TOP_K
    else:
        right, right_b = ((values[rows] >= threshold) == true[rows] for values in (p, p_b))
    order = np.argsort(-np.abs(p_b[rows] - p[rows]), kind="stable")
    return Sides(
        *(table.iloc[order[only[order]]].reset_index(drop=True) for only in (right & ~right_b, right_b & ~right))
    )


def _compare(
    first: list[TopLabelsBatch], second: list[TopLabelsBatch], num_labels: Integers, replicates: int
) -> RunDifference:
    """Compare two runs on the same draws."""
    copies, positives = draw_videos(num_labels, replicates)
    gaps, gaps_b = (resample_gap(batches, copies, positives) for batches in (first, second))
    return RunDifference(_interval(gaps), _interval(gaps_b), _interval(gaps_b - gaps))


def _interval(draws: Floats) -> Estimate:
    """Return the value of the first draw, which is the data set itself, with the interval of the others."""
    low, high = np.quantile(draws[1:], [0.025, 0.975])
    return Estimate(float(draws[0]), float(low), float(high))


def _single_label(scored: CachedScores, label: int, truth: Integers) -> list[TopLabelsBatch]:
    """Return the scores of a label as lists of one entry, whose GAP is the average precision of the label."""
    scores = torch.from_numpy(np.array(scored.probabilities[:, [label]]))
    zeros = torch.zeros(len(scores), dtype=torch.int32)
    hits = torch.from_numpy(truth.astype(bool))[:, None]
    return [TopLabelsBatch(scores, torch.full_like(scores, label, dtype=torch.int32), hits, zeros, zeros)]


def _shape(scored: CachedScores) -> str:
    N, C = scored.probabilities.shape
    return f"scores of {N:,} videos and {C:,} labels"
