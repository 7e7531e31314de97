"""Outcome of each label of a video at a threshold, and the predictions of several runs for one video."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

TOP_K = 20  # number of labels per video that GAP evaluates

OUTCOMES = {
    "true positive": "true labels at or above the threshold",
    "in top 20": f"true labels below the threshold, but in the top {TOP_K}",
    "false negative": f"true labels below the threshold and not in the top {TOP_K}",
    "false positive": "labels at or above the threshold that are not true",
    "": f"labels in the top {TOP_K} that are below the threshold and not true",
}
"""Outcomes of a label and their definitions."""


def label_outcomes(ranking: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Return the relevant labels of a video in rank order, with their outcomes.

    Args:
        ranking: Result of ``Prediction.ranking``.
        threshold: Threshold, rounded to hundredths.

    Returns:
        The rows of ``ranking`` that are in the top 20, at or above the threshold, or true, with two more columns:
        predicted (at or above the threshold) and outcome (a key of ``OUTCOMES``; NA if the true labels are unknown).

    >>> ranking = pd.DataFrame({"rank": [1, 2, 30], "probability": [0.9, 0.6, 0.1], "true": [True, False, True]})
    >>> label_outcomes(ranking, 0.5)["outcome"].tolist()
    ['true positive', 'false positive', 'false negative']
    """
    predicted = ranking["probability"].to_numpy(np.float32) >= float32_threshold(threshold)
    in_top_k = ranking["rank"].to_numpy() <= TOP_K
    known = ranking["true"].notna().to_numpy()
    true = ranking["true"].fillna(False).to_numpy(bool)
    outcome = np.select(
        [true & predicted, true & in_top_k, true, predicted],
        ["true positive", "in top 20", "false negative", "false positive"],
        default="",
    )
    column = pd.Series(outcome, ranking.index, dtype="string").where(known)
    table = ranking.assign(predicted=predicted, outcome=column)
    relevant: NDArray[np.bool_] = in_top_k | predicted | true
    return table.loc[relevant].reset_index(drop=True)


def compare_runs(members: Mapping[str, NDArray[np.float32]], ranking: pd.DataFrame) -> pd.DataFrame:
    """Compare the probabilities of several runs for one video, sorted by their mean.

    The mean is the ensemble of section 3.3 of the paper.

    Args:
        members: Probabilities [C] by run name. All runs have the same labels.
        ranking: Ranking of one of the runs, which provides names and true labels.

    Returns:
        rank (by the mean), label, name, true, mean, spread (largest minus smallest probability), and one column
        "p <name>" per run with its probability.
    """
    probabilities = np.stack(list(members.values()))  # [members, C]
    mean = probabilities.mean(axis=0)
    order = np.lexsort((np.arange(len(mean)), -mean))
    table = ranking.set_index("label").loc[order, ["name", "true"]].reset_index()
    table.insert(0, "rank", np.arange(1, len(order) + 1))
    table["mean"] = mean[order]
    table["spread"] = np.ptp(probabilities, axis=0)[order]
    by_run = pd.DataFrame(probabilities.T[order], columns=[f"p {name}" for name in members])
    return pd.concat([table, by_run], axis=1)


def float32_threshold(threshold: float) -> np.float32:
    """Round a threshold to hundredths in float32, as ``thresholds.threshold_counts`` compares it.

    >>> bool(np.float32(0.07) >= float32_threshold(0.07000000000000001))
    True
    """
    return np.float32(round(threshold, 2))
