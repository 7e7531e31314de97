"""Reliability, the pairs of a bin, and thresholds of labels against loops and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import binomtest
from sklearn.metrics import f1_score, precision_score, recall_score

from yt8m_core.analysis import label_calibration as module
from yt8m_core.analysis.label_calibration import label_reliability, label_thresholds, pairs_in_bin, threshold_table
from yt8m_core.errors import UserError
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.metrics.f1 import best_threshold
from yt8m_core.metrics.reliability import draw_copies, reliability

LEVELS = np.array([0.0, 0.01, 0.1, 0.3, 0.5, 0.9, 1.0], np.float32)


def scores(p: np.ndarray, truth: np.ndarray) -> CachedScores:
    return CachedScores("a", np.arange(len(p)) * 3, 3 * len(p), p, p, csr_array(truth.astype(np.int32)))


def simulate(videos: int = 400, classes: int = 6) -> CachedScores:
    random = np.random.default_rng(0)
    z = np.linspace(1, -4, classes) + random.normal(0, 2, (videos, classes))
    return scores((1 / (1 + np.exp(-z))).astype(np.float32), random.random(z.shape) < 1 / (1 + np.exp(-z)))


@st.composite
def small(draw: st.DrawFn) -> CachedScores:
    random = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    shape = (draw(st.integers(1, 8)), 4)
    return scores(random.choice(LEVELS, shape), random.random(shape) < draw(st.sampled_from([0.0, 0.4, 1.0])))


@pytest.mark.parametrize("labels", [[0], [1, 3], [0, 1, 2, 3, 4, 5]])
def test_reliability_is_that_of_the_labels_and_bins_have_their_bounds(labels: list[int]) -> None:
    scored, columns = simulate(), np.array(labels)
    found = label_reliability(scored, columns)
    p, truth = scored.probabilities[:, columns], scored.truth.toarray()[:, columns]
    error, bins = reliability(p, csr_array(truth), draw_copies(400), 15)
    assert found.error == error
    assert found.bins[list(bins)].equals(bins)
    assert len(bins) > 10
    for row in found.bins.itertuples():
        inside = (p >= row.lower) & (p < row.upper)
        assert (inside.sum(), row.frequency) == (row.pairs, pytest.approx(truth[inside].mean()))
        pairs = pairs_in_bin(scored, columns, row.lower, row.upper, limit=10_000)
        assert (len(pairs), pairs["true"].mean()) == (row.pairs, pytest.approx(row.frequency))


def test_rare_labels_have_fewer_bins() -> None:
    scored = simulate(videos=200)
    bins = label_reliability(scored, np.array([5])).bins
    assert 1 < len(bins) == scored.probabilities[:, 5].sum() // 5 < 5
    empty = label_reliability(scores(np.zeros((3, 2), np.float32), np.zeros((3, 2))), np.array([1]))
    assert empty.bins[["pairs", "frequency", "lower", "upper"]].to_numpy().tolist() == [[3, 0, 0, np.inf]]
    assert empty.error.ece == 0


@given(small(), st.sampled_from(LEVELS.tolist()), st.sampled_from([0.3, 0.9, np.inf]), st.integers(1, 12))
def test_pairs_of_a_bin_match_a_sorted_list(scored: CachedScores, lower: float, upper: float, limit: int) -> None:
    lower, labels, truth = float(np.float32(lower)), np.array([2, 0, 3]), scored.truth.toarray() > 0
    expected = sorted(
        (-abs(float(truth[row, label]) - float(scored.probabilities[row, label])), row, label)
        for row in range(len(truth))
        for label in labels.tolist()
        if lower <= scored.probabilities[row, label] < np.float32(upper)
    )[:limit]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 6)  # two videos
        found = pairs_in_bin(scored, labels, lower, float(np.float32(upper)), limit)
    assert list(zip(found["row"], found["label"], strict=True)) == [(row, label) for _, row, label in expected]
    assert found["video"].tolist() == (found["row"] * 3).tolist()
    assert found["probability"].tolist() == [scored.probabilities[row, label] for _, row, label in expected]
    assert found["true"].tolist() == [truth[row, label] for _, row, label in expected]


@given(small(), st.lists(st.sampled_from([0.0, 0.1, 0.4, 1.0, 2.0]), min_size=4, max_size=4), st.integers(0, 3))
def test_measured_thresholds_match_scikit_learn(scored: CachedScores, thresholds: list[float], step: int) -> None:
    measured = np.arange(len(scored.videos)) % 4 != step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 8)
        table = threshold_table(scored, np.array(thresholds), measured)
    truth, p = scored.truth.toarray()[measured] > 0, scored.probabilities[measured]
    for row in table.itertuples():
        true, predicted = truth[:, row.label], p[:, row.label] >= np.float64(thresholds[row.label])
        assert (row.threshold, row.positives, row.predicted) == (thresholds[row.label], true.sum(), predicted.sum())
        for value, score in ((row.precision, precision_score), (row.recall, recall_score), (row.f1, f1_score)):
            expected = score(true, predicted, zero_division=np.nan) if len(true) else np.nan
            assert value == pytest.approx(expected, nan_ok=True)
        either, both = int((true | predicted).sum()), int((true & predicted).sum())
        if either:
            share = binomtest(both, either).proportion_ci(method="exact")
            assert row.low == pytest.approx(2 * share.low / (1 + share.low))
            assert row.high == pytest.approx(2 * share.high / (1 + share.high))
            assert row.low <= row.f1 <= row.high
        else:
            assert np.isnan([row.low, row.high]).all()


def test_interval_of_f1_covers_the_truth() -> None:
    """The F1 of a label that is true in 30% of videos, with a classifier that is right in 80% of them."""
    random, inside = np.random.default_rng(0), []
    true_f1 = 2 * 0.3 * 0.8 / (0.3 + 0.3 * 0.8 + 0.7 * 0.2)
    for _ in range(300):
        truth = random.random((80, 1)) < 0.3
        p = (truth == (random.random((80, 1)) < 0.8)).astype(np.float32)
        row = threshold_table(scores(p, truth), np.array([0.5]), np.ones(80, bool)).iloc[0]
        inside.append(row["low"] <= true_f1 <= row["high"])
    assert np.mean(inside) >= 0.94


def test_thresholds_are_chosen_on_the_choosing_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yt8m_core.metrics.f1.MIN_POSITIVES", 20)
    scored, choosing = simulate(), np.arange(400) % 2 == 0
    p, truth = scored.probabilities[choosing], scored.truth.toarray()[choosing] > 0
    for target in (0, 0.8):
        thresholds = label_thresholds(scored, choosing, target)
        shared = best_threshold(p.ravel(), p[truth], target)
        for label, threshold in enumerate(thresholds):
            own = truth[:, label].sum() >= 20
            expected = best_threshold(p[:, label], p[truth[:, label], label], target) if own else shared
            assert threshold == expected
    assert (truth.sum(axis=0) < 20).any()


def test_no_label_to_choose_on_and_an_invalid_precision_are_refused() -> None:
    scored = simulate(20)
    with pytest.raises(UserError, match="0 videos to choose thresholds on, without labels"):
        label_thresholds(scored, np.zeros(20, bool))
    with pytest.raises(UserError, match="target precision: found 2"):
        label_thresholds(scored, np.ones(20, bool), 2)
