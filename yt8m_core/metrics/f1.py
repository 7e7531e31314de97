"""Thresholds that maximize F1, exactly, and the F1 of thresholds with its interval.

Z. C. Lipton, C. Elkan, B. Naryanaswamy: Thresholding Classifiers to Maximize F1 Score, 2014,
https://arxiv.org/abs/1402.1892. Intervals: B. Efron: Nonparametric Estimates of Standard Error: the Jackknife, the
Bootstrap and Other Methods, Biometrika 68 (1981), section 7 (infinitesimal jackknife).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from yt8m_core.metrics.sparse import CHUNK, Probabilities

MIN_POSITIVES = 20  # with fewer, a label's own threshold follows chance: with 5, micro F1 falls by .010 on real data
LABELS = 256  # labels whose scores are copied together
NORMAL = 1.96  # standard errors to either side of a 95% CI
Floats = NDArray[np.float64]


def best_threshold(scores: Probabilities, positives: Probabilities, target_precision: float = 0) -> float:
    """Return the threshold with the highest F1, or the highest recall at a precision; the higher one of equal ones.

    The lowest score at or above the best threshold belongs to a positive, so only their scores are tried. The threshold
    is halfway between that score and the next lower one, so that rounding does not change what it selects.

    >>> best_threshold(np.float32([0.75, 0.5, 0.25, 0.125]), np.float32([0.75, 0.25]))
    0.1875

    Args:
        scores: Scores of all predictions [n].
        positives: Those of the true ones [P], at least one.
        target_precision: Maximize recall among thresholds with at least this precision; where there is none,
            maximize precision. 0 for F1.
    """
    ordered, true = np.sort(scores), np.sort(positives)
    cuts = np.unique(true)
    predicted = len(ordered) - np.searchsorted(ordered, cuts)
    hits = len(true) - np.searchsorted(true, cuts)
    value = 2 * hits / (predicted + len(true))
    if target_precision:
        precision = hits / predicted
        value = np.where(precision >= target_precision, hits / len(true), precision - 1)
    best = cuts[len(cuts) - 1 - int(np.argmax(value[::-1]))]
    position = int(np.searchsorted(ordered, best))
    lower = ordered[position - 1] if position else 0.0
    return (float(best) + float(lower)) / 2


def choose_thresholds(
    probabilities: Probabilities, truth: csr_array, target_precision: float = 0
) -> tuple[Floats, float]:
    """Return a threshold per label [C], and one for all pairs, which labels with few positives have too.

    Args:
        probabilities: Scores [N, C].
        truth: Labels [N, C], 0/1, with at least one positive.
        target_precision: As in ``best_threshold``.
    """
    shared = best_threshold(probabilities.ravel(), probabilities[truth.nonzero()], target_precision)
    by_label, positives = truth.tocsc(), np.bincount(truth.indices, minlength=truth.shape[1])
    thresholds = np.full(truth.shape[1], shared)
    for first in range(0, truth.shape[1], LABELS):
        columns = np.ascontiguousarray(probabilities[:, first : first + LABELS].T)
        for label, scores in enumerate(columns, first):
            if positives[label] >= MIN_POSITIVES:
                rows = by_label.indices[by_label.indptr[label] : by_label.indptr[label + 1]]
                thresholds[label] = best_threshold(scores, scores[rows], target_precision)
    return thresholds, shared


class _Averages(NamedTuple):
    """Micro and macro averages of a rule."""

    metrics: Floats  # [2, 3]: precision, recall, F1
    influence: Floats  # [2, N], change of F1 per unit of a video's weight


def f1_table(
    probabilities: Probabilities, truth: csr_array, rules: Mapping[str, Floats | float], reference: str
) -> pd.DataFrame:
    """Compare the F1 of several rules that choose labels.

    The micro average counts all pairs; the macro average is the mean over the labels with a positive. A ratio without
    any prediction is 0, as in scikit-learn.

    The 95% CIs are 1.96 standard errors of the infinitesimal jackknife over videos to either side. A bootstrap would be
    biased: a label with one positive has none in 37% of the draws. Differences are paired by video.

    Args:
        probabilities: Scores [N, C].
        truth: Labels [N, C], 0/1, with at least one positive.
        rules: Name of each rule, and its threshold or thresholds [C].
        reference: The rule that the others are compared with.

    Returns:
        rule, average ("micro" or "macro"), precision, recall, f1, low, high, gain (F1 minus that of the reference),
        gain_low, gain_high.
    """
    averages = {name: _average(*_count_pairs(probabilities, truth, rules[name]), truth) for name in rules}
    base, rows = averages[reference], []
    for name, rule in averages.items():
        for number, average in enumerate(("micro", "macro")):
            precision, recall, f1 = rule.metrics[number]
            half = NORMAL * np.sqrt((rule.influence[number] ** 2).sum())
            gain = f1 - base.metrics[number, 2]
            half_gain = NORMAL * np.sqrt(((rule.influence[number] - base.influence[number]) ** 2).sum())
            interval = max(0.0, f1 - half), min(1.0, f1 + half)
            rows.append((name, average, precision, recall, f1, *interval, gain, gain - half_gain, gain + half_gain))
    columns = ["rule", "average", "precision", "recall", "f1", "low", "high", "gain", "gain_low", "gain_high"]
    return pd.DataFrame(rows, columns=columns)


def _count_pairs(
    probabilities: Probabilities, truth: csr_array, thresholds: Floats | float
) -> tuple[csr_array, csr_array]:
    """Return the predicted pairs, and the true ones among them, sparse [N, C] of ones."""
    step = max(1, CHUNK // truth.shape[1])
    chunks = [
        csr_array(probabilities[first : first + step] >= np.float64(thresholds))
        for first in range(0, len(probabilities), step)
    ]
    predicted = csr_array(vstack(chunks).astype(np.float64))
    return predicted, csr_array(predicted.multiply(truth))


def _average(predicted: csr_array, hits: csr_array, truth: csr_array) -> _Averages:
    """Average the metrics of the labels. F1 is 2 h / (k + n) for k predicted and n true videos with h in both."""
    k, h, n = (np.asarray(matrix.sum(axis=0), np.float64) for matrix in (predicted, hits, truth))  # [C]
    weights = (n > 0) / (n > 0).sum()
    metrics, influence = [], []
    for counts, weight in (((k.sum(), h.sum(), n.sum()), np.ones(1)), ((k, h, n), weights)):
        some_k, some_h, some_n = map(np.atleast_1d, counts)
        total = np.maximum(some_k + some_n, 1)
        f1 = 2 * some_h / total
        ratios = (some_h / np.maximum(some_k, 1), some_h / np.maximum(some_n, 1), f1)
        metrics.append([float(ratio @ weight) for ratio in ratios])
        per_hit, per_pair = (np.broadcast_to(weight * change / total, k.shape) for change in (2.0, f1))
        influence.append(hits @ per_hit - predicted @ per_pair - truth @ per_pair)
    return _Averages(np.array(metrics), np.array(influence))
