"""Thresholds and F1 against brute force."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array

from yt8m_core.metrics import f1 as module
from yt8m_core.metrics.f1 import best_threshold, choose_thresholds, f1_table

SCORES = st.sampled_from([0.0, 0.07, 0.29, 0.5, 0.57, np.nextafter(np.float32(0.57), np.float32(1)), 0.995, 1.0])


def metrics_at(scores: np.ndarray, truth: np.ndarray, threshold: float) -> tuple[float, float, float]:
    """Return precision, recall and F1, counted one prediction at a time; 0 for a ratio of nothing."""
    predicted = hits = positives = 0
    for score, is_true in zip(scores.tolist(), truth.tolist(), strict=True):
        predicted += score >= threshold
        hits += score >= threshold and is_true
        positives += is_true
    return hits / max(predicted, 1), hits / max(positives, 1), 2 * hits / max(predicted + positives, 1)


def brute_force(scores: np.ndarray, truth: np.ndarray, target_precision: float) -> list[bool]:
    """Return what the best of all thresholds selects; of equally good ones, that with the fewest selected."""

    def value(threshold: float) -> float:
        precision, recall, f1 = metrics_at(scores, truth, threshold)
        if not target_precision:
            return f1
        return recall if precision >= target_precision else precision - 1

    cuts = sorted(set(scores.tolist()), reverse=True)
    best = max(cuts, key=value)  # the first, highest one of equal values
    return [score >= best for score in scores.tolist()]


@given(arrays.arrays(np.float32, 8, elements=SCORES), arrays.arrays(np.bool_, 8), st.sampled_from([0, 0.5, 0.9, 1]))
def test_threshold_selects_what_the_best_of_all_thresholds_selects(
    scores: np.ndarray, truth: np.ndarray, target_precision: float
) -> None:
    assume(truth.any())
    threshold = best_threshold(scores, scores[truth], target_precision)
    assert (scores >= threshold).tolist() == brute_force(scores, truth, target_precision)
    assert 0 <= threshold <= 1


@given(arrays.arrays(np.float32, (7, 3), elements=SCORES), arrays.arrays(np.bool_, (7, 3)), st.integers(1, 4))
def test_label_with_few_positives_has_the_threshold_of_all_pairs(
    p: np.ndarray, truth: np.ndarray, minimum: int
) -> None:
    assume(truth.any())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MIN_POSITIVES", minimum)
        patch.setattr(module, "LABELS", 2)  # two groups
        thresholds, shared = choose_thresholds(p, csr_array(truth.astype(np.int32)))
    assert shared == best_threshold(p.ravel(), p[truth])
    for label, threshold in enumerate(thresholds):
        own = truth[:, label].sum() >= minimum
        assert threshold == (best_threshold(p[:, label], p[truth[:, label], label]) if own else shared)


def weighted_f1(p: np.ndarray, truth: np.ndarray, thresholds: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return micro and macro F1 where video i counts ``weights[i]`` times; macro over the labels with a positive."""
    sums = np.zeros((3, p.shape[1]))
    for i, weight in enumerate(weights):
        for j in range(p.shape[1]):
            predicted, is_true = p[i, j] >= thresholds[j], truth[i, j]
            sums[:, j] += weight * np.array([predicted, predicted and is_true, is_true], float)
    macro = [2 * h / (k + n) for k, h, n in sums.T if n > 0]
    k, h, n = sums.sum(axis=1)
    return 2 * h / (k + n), float(np.mean(macro))


@given(arrays.arrays(np.float32, (6, 3), elements=SCORES), arrays.arrays(np.bool_, (6, 3)))
def test_f1_and_its_standard_errors_match_loops(p: np.ndarray, truth: np.ndarray) -> None:
    assume(truth.any())
    own = np.array([0.3, 0.55, 0.99])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 6)  # two videos
        table = f1_table(p, csr_array(truth.astype(np.int32)), {"0.5": 0.5, "own": own}, "0.5")
    assert list(zip(table["rule"], table["average"], strict=True)) == [
        ("0.5", "micro"), ("0.5", "macro"), ("own", "micro"), ("own", "macro"),
    ]  # fmt: skip
    step = 1e-5
    expected = {}
    for rule, thresholds in (("0.5", np.full(3, 0.5)), ("own", own)):
        value = np.array(weighted_f1(p, truth, thresholds, np.ones(6)))
        shifted = [weighted_f1(p, truth, thresholds, np.ones(6) + step * np.eye(6)[i]) for i in range(6)]
        expected[rule] = value, (np.array(shifted) - value) / step  # [2], [6, 2]
    for number, row in enumerate(table.to_dict("records")):
        value, influence = (part[..., number % 2] for part in expected[row["rule"]])
        base, base_influence = (part[..., number % 2] for part in expected["0.5"])
        half, half_gain = 1.96 * np.linalg.norm(influence), 1.96 * np.linalg.norm(influence - base_influence)
        assert row["f1"] == pytest.approx(value)
        assert (row["low"], row["high"]) == pytest.approx((max(0, value - half), min(1, value + half)), abs=1e-3)
        assert row["gain"] == pytest.approx(value - base)
        interval = value - base - half_gain, value - base + half_gain
        assert (row["gain_low"], row["gain_high"]) == pytest.approx(interval, abs=1e-3)


def test_precision_and_recall_are_micro_and_macro_averages() -> None:
    random = np.random.default_rng(0)
    p, truth = random.random((50, 4)).astype(np.float32), random.random((50, 4)) < 0.3
    truth[:, 3] = False
    micro, macro = f1_table(p, csr_array(truth.astype(np.int32)), {"0.5": 0.5}, "0.5").to_dict("records")
    assert (micro["precision"], micro["recall"], micro["f1"]) == pytest.approx(
        metrics_at(p.ravel(), truth.ravel(), 0.5)
    )
    by_label = [metrics_at(p[:, label], truth[:, label], 0.5) for label in range(3)]
    assert (macro["precision"], macro["recall"], macro["f1"]) == pytest.approx(np.mean(by_label, axis=0))


def test_standard_errors_are_those_over_data_sets_also_with_rare_labels() -> None:
    random = np.random.default_rng(0)
    base = np.geomspace(0.3, 0.002, 60)
    values, errors = [], []
    for _ in range(150):
        z = np.log(base / (1 - base)) + random.normal(0, 0.8, (300, 1)) + random.normal(0, 2, (300, 60))
        truth = csr_array((random.random(z.shape) < 1 / (1 + np.exp(-z))).astype(np.int32))
        p = (1 / (1 + np.exp(-z - random.normal(0, 0.7, z.shape)))).astype(np.float32)
        table = f1_table(p, truth, {"0.5": 0.5, "0.3": 0.3}, "0.3")
        values.append([*table["f1"], *table["gain"][:2]])
        errors.append([*(table["high"] - table["low"]) / 3.92, *(table["gain_high"] - table["gain_low"])[:2] / 3.92])
    np.testing.assert_allclose(np.mean(errors, axis=0), np.std(values, axis=0), rtol=0.2)
