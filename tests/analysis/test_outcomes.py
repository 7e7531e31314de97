"""Right and wrong of a video and of a data set, against slow references."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from yt8m_core.analysis.outcomes import BEST, VERDICTS, side_by_side, verdicts
from yt8m_core.analysis.per_label import true_ranks
from yt8m_core.analysis.per_video import in_order, own_precision, video_difficulty, video_list
from yt8m_core.analysis.thresholds import threshold_counts
from yt8m_core.data.vocabulary import unnamed
from yt8m_core.errors import UserError
from yt8m_core.inference.prediction import Prediction
from yt8m_core.inference.score_cache import Scored

C = 30  # more than the best 20, so that there are misses
THRESHOLD = st.integers(0, 100).map(lambda hundredths: hundredths / 100)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Scored, np.ndarray, np.ndarray]:
    random = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    p = random.choice(np.array([0.0, 0.07, 0.29, 0.5, 0.57, 1.0], np.float32), (draw(st.integers(1, 5)), C))
    truth = random.random(p.shape) < draw(st.sampled_from([0.0, 0.1, 0.5]))
    return Scored("a", np.arange(len(p)), len(p), p, p, csr_array(truth.astype(np.int32))), p, truth


def ranking_of(p: np.ndarray, true: np.ndarray | None) -> pd.DataFrame:
    return Prediction(p, p, None).ranking(unnamed(len(p)), None if true is None else np.flatnonzero(true))


def verdict_of(p: np.ndarray, true: np.ndarray, label: int, threshold: float) -> str:
    rank = 1 + sum(other > p[label] or (other == p[label] and j < label) for j, other in enumerate(p))
    above = p[label] >= np.float32(threshold)
    if true[label]:
        return "hit" if above else "near hit" if rank <= BEST else "miss"
    return "false alarm" if above else ""


@given(cases(), THRESHOLD)
def test_verdicts_are_those_of_each_label_judged_by_itself(
    case: tuple[Scored, np.ndarray, np.ndarray], threshold: float
) -> None:
    scored, p, truth = case
    listed = video_list(scored, true_ranks(scored), video_difficulty(scored), threshold)
    totals = 0
    for row in range(len(p)):
        expected = {label: verdict_of(p[row], truth[row], label, threshold) for label in range(C)}
        table = verdicts(ranking_of(p[row], truth[row]), threshold)
        shown = dict(zip(table["label"], table["verdict"], strict=True))
        assert table["rank"].is_monotonic_increasing
        assert shown.items() <= expected.items()
        assert set(shown.values()) <= set(VERDICTS)
        assert all(not expected[label] for label in set(range(C)) - set(shown))
        for name, column in (("miss", "misses"), ("false alarm", "false_alarms")):
            assert listed[column][row] == list(expected.values()).count(name)
        totals += int(table["predicted"].sum())
        np.testing.assert_allclose(own_precision(ranking_of(p[row], truth[row])), listed["ap"][row])
    # What a video's table marks is what the precision of all videos counts.
    assert totals == threshold_counts(scored).at(threshold).predicted


def test_without_truth_there_is_no_verdict_but_what_is_predicted() -> None:
    table = verdicts(ranking_of(np.linspace(0, 1, C, dtype=np.float32), None), 0.9)
    assert table["verdict"].isna().all()
    assert table["predicted"].tolist() == [True] * 3 + [False] * 17
    assert np.isnan(own_precision(ranking_of(np.ones(C, np.float32), None)))


def test_videos_stand_by_their_own_precision_and_those_without_last() -> None:
    listed = pd.DataFrame(
        {"video": [0, 1, 2, 3, 4], "ap": [0.5, np.nan, 0.1, 0.5, 1.0], "worst_rank": [9, pd.NA, 40, 30, 2]}
    )
    assert in_order(listed, "data set")["video"].tolist() == [0, 1, 2, 3, 4]
    assert in_order(listed, "hardest first")["video"].tolist() == [2, 3, 0, 4, 1]
    assert in_order(listed, "easiest first")["video"].tolist() == [4, 0, 3, 2, 1]
    with pytest.raises(UserError, match="order"):
        in_order(listed, "longest first")


def test_runs_stand_side_by_side_under_their_mean() -> None:
    one, other = np.array([0.9, 0.2, 0.4], np.float32), np.array([0.1, 0.6, 0.4], np.float32)
    table = side_by_side({"mean": one, "b": other}, ranking_of(one, np.array([0, 1, 0])))
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["label"].tolist() == [0, 1, 2]  # the means are 0.5, 0.4 and 0.4
    np.testing.assert_allclose(table["mean"], [0.5, 0.4, 0.4], atol=1e-6)
    np.testing.assert_allclose(table["spread"], [0.8, 0.4, 0.0], atol=1e-6)
    np.testing.assert_array_equal(table["p mean"], one)
    np.testing.assert_array_equal(table["p b"], other)
    assert table["true"].tolist() == [False, True, False]
