"""Confused labels against loops over all videos and labels."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import binomtest

from yt8m_core.analysis.confusions import Confusions, labels_mistaken_for, labels_ranked_above
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.metrics import sparse
from yt8m_core.metrics.binomial import share_interval

C = 26  # more than the top 20
LEVELS = np.array([0.0, 0.1, 0.29, 0.5, 0.8, 1.0], np.float32)


def scores(p: np.ndarray, truth: np.ndarray) -> CachedScores:
    return CachedScores("a", np.arange(len(p)), len(p), p, p, csr_array(truth.astype(np.int32)))


@st.composite
def cases(draw: st.DrawFn) -> tuple[CachedScores, int, float | None]:
    random = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    shape = (draw(st.integers(1, 8)), draw(st.sampled_from([2, 5, C])))
    p = random.choice(LEVELS, shape) if draw(st.booleans()) else random.random(shape).astype(np.float32)
    truth = random.random(shape) < draw(st.sampled_from([0.0, 0.2, 0.6, 1.0]))
    return scores(p, truth), draw(st.integers(0, shape[1] - 1)), draw(st.none() | st.sampled_from([0.1, 0.29, 0.7, 2]))


def ranking(p: np.ndarray) -> list[int]:
    return sorted(range(len(p)), key=lambda label: (-p[label], label))


def check(found: Confusions, rows: list[int], observed: dict[int, int], expected: dict[int, float]) -> None:
    """Compare the table with the numbers of videos, and with the expected numbers, by label."""
    assert found.rows.tolist() == rows
    listed = {label for label, number in observed.items() if number > expected[label] + 1e-9}
    assert set(found.table["label"]) == listed
    for row in found.table.itertuples():
        number, anyway = observed[row.label], expected[row.label]
        assert (row.videos, row.share) == (number, number / len(rows))
        assert (row.expected, row.lift) == (pytest.approx(anyway / len(rows)), pytest.approx(number / anyway))
        deviance = 2 * (number * math.log(number / anyway) - (number - anyway))
        assert row.surprise == pytest.approx(math.sqrt(max(deviance, 0)), abs=1e-6)
        interval = binomtest(number, len(rows)).proportion_ci(method="exact")
        assert (row.low, row.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.table["surprise"].is_monotonic_decreasing
    assert (found.table["lift"] > 1).all()


@given(cases())
def test_labels_ranked_above_a_missed_label_match_loops(case: tuple[CachedScores, int, float | None]) -> None:
    scored, label, threshold = case
    p, truth = scored.probabilities, scored.truth.toarray() > 0
    tops = [ranking(row)[:20] for row in p]

    def wrong(video: int, depth: int) -> set[int]:
        return {other for other in tops[video][:depth] if not truth[video, other]}

    rows, observed, expected = [], dict.fromkeys(range(p.shape[1]), 0), dict.fromkeys(range(p.shape[1]), 0.0)
    for video in np.flatnonzero(truth[:, label]).tolist():
        is_missed = label not in tops[video] if threshold is None else p[video, label] < np.float32(threshold)
        if not is_missed:
            continue
        rows.append(video)
        depth = min(ranking(p[video]).index(label), 20)
        for other in range(p.shape[1]):
            observed[other] += other in wrong(video, depth)
            expected[other] += sum(other in wrong(any_video, depth) for any_video in range(len(p))) / len(p)
    check(labels_ranked_above(scored, label, threshold), rows, observed, expected)


@given(cases())
def test_true_labels_of_false_positives_match_loops(case: tuple[CachedScores, int, float | None]) -> None:
    scored, label, threshold = case
    p, truth = scored.probabilities, scored.truth.toarray() > 0
    without = np.flatnonzero(~truth[:, label]).tolist()
    rows = [
        video
        for video in without
        if (label in ranking(p[video])[:20] if threshold is None else p[video, label] >= np.float32(threshold))
    ]
    observed = {other: int(truth[rows, other].sum()) for other in range(p.shape[1])}
    expected = {other: len(rows) * truth[without, other].mean() if without else 0.0 for other in observed}
    check(labels_mistaken_for(scored, label, threshold), rows, observed, expected)


def test_frequent_labels_do_not_win_over_those_that_replace_the_label() -> None:
    """Label 0 is missed in 6 of 60 videos; 1 is wrongly on top of all of them, 2 only of 5 of the 6."""
    p, truth = np.full((60, 5), 0.01, np.float32), np.zeros((60, 5))
    p[:, 1], truth[:6, 0], p[:5, 2] = 0.9, 1, 0.8
    p[6:, 0] = 0.7  # a false positive where 3 is true, and 3 is true only there
    truth[6:, 3] = 1
    found = labels_ranked_above(scores(p, truth), 0, 0.5)
    assert found.rows.tolist() == list(range(6))
    assert found.table["label"].tolist() == [2]
    # Two labels are above label 0 in five of its videos, and 2 is among the top two of 5 of 60 videos.
    assert found.table["lift"].tolist() == [pytest.approx(5 / (5 * 5 / 60))]
    mistaken = labels_mistaken_for(scores(p, truth), 0, 0.5)
    assert mistaken.rows.tolist() == list(range(6, 60))
    assert mistaken.table.empty  # each video without label 0 has label 3 and is a false positive


def test_no_error_gives_an_empty_table() -> None:
    p, truth = np.eye(3, dtype=np.float32), np.eye(3)
    for find in (labels_ranked_above, labels_mistaken_for):
        found = find(scores(p, truth), 1, 0.5)
        assert (len(found.rows), len(found.table)) == (0, 0)
        assert list(found.table) == ["label", "videos", "share", "low", "high", "expected", "lift", "surprise"]


def test_chunks_give_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    scored = scores(random.random((50, C)).astype(np.float32), random.random((50, C)) < 0.2)
    whole = labels_ranked_above(scored, 3)
    monkeypatch.setattr(sparse, "CHUNK", 3 * C)
    part = labels_ranked_above(scored, 3)
    assert part.table.equals(whole.table)
    assert len(part.table) > 0


@pytest.mark.parametrize("total", [0, 1, 2, 7])
def test_interval_of_a_share_is_exact(total: int) -> None:
    low, high = share_interval(np.arange(total + 1), total)
    for hits in range(total + 1):
        expected = binomtest(hits, total).proportion_ci(method="exact") if total else (0, 1)
        assert (low[hits], high[hits]) == (pytest.approx(expected[0]), pytest.approx(expected[1]))
