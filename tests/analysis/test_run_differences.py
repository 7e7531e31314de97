"""Differences between two runs against loops, resampled data sets, and each other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from yt8m_core.analysis import run_differences as module
from yt8m_core.analysis.per_label import label_precision, true_ranks
from yt8m_core.analysis.per_video import video_difficulty
from yt8m_core.analysis.run_differences import (
    check_same_videos,
    correct_by_one,
    gap_difference,
    label_difference,
    split_by_sign,
    video_differences,
)
from yt8m_core.errors import UserError
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.metrics.top_k import TopLabels, global_average_precision

C = 30  # more than the top 20
TIED = np.array([0.0, 0.07, 0.29, 0.5, 0.57, 1.0], np.float32)


def scores(p: np.ndarray, truth: np.ndarray, name: str = "a") -> CachedScores:
    return CachedScores(name, np.arange(len(p)) * 2, 2 * len(p), p, p, csr_array(truth.astype(np.int32)))


def simulate(seed: int, videos: int = 60) -> tuple[CachedScores, CachedScores]:
    """Return two runs, the second of which is better."""
    random = np.random.default_rng(seed)
    truth = random.random((videos, C)) < 0.1
    p, p_b = (1 / (1 + np.exp(-gain * truth - random.normal(size=truth.shape))) for gain in (1, 2))
    return scores(p.astype(np.float32), truth), scores(p_b.astype(np.float32), truth, "b")


@st.composite
def tied_runs(draw: st.DrawFn) -> tuple[CachedScores, CachedScores]:
    random = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    shape = (draw(st.integers(1, 6)), C)
    truth = random.random(shape) < draw(st.sampled_from([0.0, 0.1, 0.5]))
    return scores(random.choice(TIED, shape), truth), scores(random.choice(TIED, shape), truth, "b")


def place(row: np.ndarray, label: int) -> int:
    return 1 + sum(p > row[label] or (p == row[label] and j < label) for j, p in enumerate(row.tolist()))


def test_gap_difference_is_that_of_resampled_data_sets() -> None:
    """Each draw is built as a data set of its own, whose GAP is computed from scratch."""
    first, second = simulate(0)
    found = gap_difference(first, second, replicates=50)
    truth, random = first.truth.toarray(), np.random.default_rng(0)
    draws = [random.integers(60, size=60) for _ in range(50)]
    gaps = np.array(
        [
            [global_average_precision(scored.probabilities[rows], truth[rows]) for scored in (first, second)]
            for rows in (np.arange(60), *draws)
        ]
    )
    for estimate, values in zip(found, (*gaps.T, gaps[:, 1] - gaps[:, 0]), strict=True):
        assert estimate.value == pytest.approx(values[0])
        # Of 50 draws, the percentiles lie between the second and third from either end: 0.025 · 49 = 1.225.
        ordered = sorted(values[1:].tolist())
        low, high = (near + 0.225 * (far - near) for near, far in (ordered[1:3], ordered[-2:-4:-1]))
        assert (estimate.low, estimate.high) == (pytest.approx(low), pytest.approx(high))
    assert found.difference.low > 0
    # Paired by video: narrower than the interval of two independent samples.
    widths = [estimate.high - estimate.low for estimate in found]
    assert widths[2] < np.hypot(widths[0], widths[1])


def test_intervals_of_the_runs_are_those_of_their_evaluation() -> None:
    """The header of the app shows the latter, and the comparison the former."""
    runs = simulate(4)
    for estimate, run in zip(gap_difference(*runs), runs, strict=False):
        metric = TopLabels(C)
        rows, labels = (torch.from_numpy(part.astype(np.int64)) for part in run.truth.nonzero())
        metric.update(torch.from_numpy(np.array(run.probabilities)), (rows, labels))
        assert tuple(estimate[1:]) == pytest.approx(metric.bootstrap(0), abs=1e-12)
        assert estimate.value == pytest.approx(metric.compute()["gap"])


def test_a_run_has_no_difference_from_itself() -> None:
    first, _ = simulate(1)
    assert gap_difference(first, first, replicates=20).difference == (0, 0, 0)
    assert label_difference(first, first, 0, replicates=20).difference[0] == 0
    table = video_differences(first, first, true_ranks(first), true_ranks(first))
    assert table["gain"].fillna(0).eq(0).all()
    assert [len(side) for side in split_by_sign(table)] == [0, 0]
    assert [len(side) for side in correct_by_one(first, first, 0)] == [0, 0]


@given(tied_runs())
def test_label_difference_has_the_ap_of_both_runs(runs: tuple[CachedScores, CachedScores]) -> None:
    first, second = runs
    for label in (0, C - 1):
        ap, ap_b = (label_precision(run)["ap"][label] for run in runs)
        if np.isnan(ap):
            with pytest.raises(UserError, match=f"no video with label {label}"):
                label_difference(first, second, label, replicates=2)
            continue
        found = label_difference(first, second, label, replicates=2)
        assert (found.first.value, found.second.value) == (pytest.approx(ap), pytest.approx(ap_b))
        assert found.difference.value == pytest.approx(ap_b - ap)
        assert np.isnan(found.difference[1:]).all()  # at most 6 positives


def test_interval_of_a_label_needs_positives(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = simulate(2, videos=300)
    positives = np.asarray(first.truth.sum(axis=0))
    label = int(positives.argmax())
    found = label_difference(first, second, label, replicates=100)
    assert found.difference.low < found.difference.value < found.difference.high
    monkeypatch.setattr(module, "MIN_POSITIVES", int(positives[label]) + 1)
    few = label_difference(first, second, label, replicates=100)
    assert few.difference.value == found.difference.value
    assert np.isnan([estimate[1:] for estimate in few]).all()


@given(tied_runs())
def test_video_differences_match_loops(runs: tuple[CachedScores, CachedScores]) -> None:
    first, second = runs
    table = video_differences(first, second, true_ranks(first), true_ranks(second))
    truth = first.truth.toarray() > 0
    assert table["video"].tolist() == first.videos.tolist()
    for column, scored in (("ap", first), ("ap_b", second)):
        np.testing.assert_array_equal(table[column], video_difficulty(scored)["ap"])
    np.testing.assert_allclose(table["gain"], table["ap_b"] - table["ap"])
    for row in range(len(truth)):
        labels = np.flatnonzero(truth[row])
        found, found_b = (
            {int(label) for label in labels if place(scored.probabilities[row], int(label)) <= 20} for scored in runs
        )
        assert table["labels"][row] == len(labels)
        assert (table["found_only"][row], table["found_only_b"][row]) == (len(found - found_b), len(found_b - found))
    sides = split_by_sign(table)
    assert (sides.first["gain"] < 0).all()
    assert sides.first["gain"].is_monotonic_increasing
    assert (sides.second["gain"] > 0).all()
    assert sides.second["gain"].is_monotonic_decreasing
    assert len(sides.first) + len(sides.second) == (table["gain"].fillna(0) != 0).sum()


@given(tied_runs(), st.integers(0, C - 1), st.none() | st.sampled_from([0.07, 0.29, 0.3, 0.57, 1.0]))
def test_videos_that_one_run_gets_right_match_loops(
    runs: tuple[CachedScores, CachedScores], label: int, threshold: float | None
) -> None:
    truth = runs[0].truth.toarray() > 0
    expected: tuple[dict[int, tuple[object, ...]], dict[int, tuple[object, ...]]] = ({}, {})
    for row in range(len(truth)):
        p = [scored.probabilities[row, label] for scored in runs]
        ranks = [place(scored.probabilities[row], label) for scored in runs]
        if threshold is None:
            right = [bool(truth[row, label]) and rank <= 20 for rank in ranks]
        else:
            right = [bool((value >= np.float32(threshold)) == truth[row, label]) for value in p]
        if right[0] != right[1]:
            expected[int(right[1])][row] = (row, row * 2, bool(truth[row, label]), *p, *ranks)
    found = correct_by_one(*runs, label, threshold)
    for side, rows in zip(found, expected, strict=True):
        assert {row[0]: row for row in side.itertuples(index=False, name=None)} == rows
        assert (side["probability_b"] - side["probability"]).abs().is_monotonic_decreasing
    if threshold is None:
        assert all(side["true"].all() for side in found)


def test_runs_on_other_videos_or_labels_are_refused() -> None:
    first, second = simulate(3)
    truth = second.truth.toarray()
    truth[0, 0] ^= 1
    others = (
        replace(second, videos=second.videos + 1),
        replace(second, truth=csr_array(truth)),
        scores(second.probabilities[:, :-1], truth[:, :-1], "b"),
        scores(second.probabilities[:-1], truth[:-1], "b"),
    )
    ranks = true_ranks(first)
    for other in others:
        for compare in (
            lambda other: check_same_videos(first, other),
            lambda other: gap_difference(first, other),
            lambda other: label_difference(first, other, 0),
            lambda other: video_differences(first, other, ranks, ranks),
            lambda other: correct_by_one(first, other, 0),
        ):
            with pytest.raises(UserError, match=r"videos and .* labels of run 'b'; expected the scores of 60 videos"):
                compare(other)


def test_videos_without_any_label_are_refused_and_one_video_works() -> None:
    p = np.linspace(0, 1, C, dtype=np.float32)[None]
    unlabeled = scores(p, np.zeros((1, C)))
    with pytest.raises(UserError, match="1 videos without labels"):
        gap_difference(unlabeled, unlabeled)
    first, second = (scores(values, np.eye(1, C)) for values in (p, p[:, ::-1].copy()))
    assert gap_difference(first, second).difference == (1, 1, 1)
    only_first, only_second = correct_by_one(first, second, 0)
    assert (only_first.empty, only_second["rank"].tolist(), only_second["rank_b"].tolist()) == (True, [30], [1])
