"""Label outcomes, video outcomes, and run comparison against slow references."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from yt8m_core.analysis.outcomes import OUTCOMES, TOP_K, compare_runs, label_outcomes
from yt8m_core.analysis.per_label import true_ranks
from yt8m_core.analysis.per_video import sort_videos, video_average_precision, video_difficulty, video_outcomes
from yt8m_core.analysis.thresholds import threshold_counts
from yt8m_core.data.vocabulary import unnamed_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.inference.prediction import Prediction
from yt8m_core.inference.score_cache import CachedScores

C = 30  # more than the top 20, so that false negatives exist
THRESHOLD = st.integers(0, 100).map(lambda hundredths: hundredths / 100)


@st.composite
def cases(draw: st.DrawFn) -> tuple[CachedScores, np.ndarray, np.ndarray]:
    random = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    p = random.choice(np.array([0.0, 0.07, 0.29, 0.5, 0.57, 1.0], np.float32), (draw(st.integers(1, 5)), C))
    truth = random.random(p.shape) < draw(st.sampled_from([0.0, 0.1, 0.5]))
    return CachedScores("a", np.arange(len(p)), len(p), p, p, csr_array(truth.astype(np.int32))), p, truth


def ranking_of(p: np.ndarray, true: np.ndarray | None) -> pd.DataFrame:
    return Prediction(p, p, None).ranking(unnamed_vocabulary(len(p)), None if true is None else np.flatnonzero(true))


def expected_outcome(p: np.ndarray, true: np.ndarray, label: int, threshold: float) -> str:
    rank = 1 + sum(other > p[label] or (other == p[label] and j < label) for j, other in enumerate(p))
    above = p[label] >= np.float32(threshold)
    if true[label]:
        return "true positive" if above else "in top 20" if rank <= TOP_K else "false negative"
    return "false positive" if above else ""


@given(cases(), THRESHOLD)
def test_outcomes_match_those_of_each_label(
    case: tuple[CachedScores, np.ndarray, np.ndarray], threshold: float
) -> None:
    scored, p, truth = case
    videos = video_outcomes(scored, true_ranks(scored), video_difficulty(scored), threshold)
    totals = 0
    for row in range(len(p)):
        expected = {label: expected_outcome(p[row], truth[row], label, threshold) for label in range(C)}
        table = label_outcomes(ranking_of(p[row], truth[row]), threshold)
        shown = dict(zip(table["label"], table["outcome"], strict=True))
        assert table["rank"].is_monotonic_increasing
        assert shown.items() <= expected.items()
        assert set(shown.values()) <= set(OUTCOMES)
        assert all(not expected[label] for label in set(range(C)) - set(shown))
        for name, column in (("false negative", "false_negatives"), ("false positive", "false_positives")):
            assert videos[column][row] == list(expected.values()).count(name)
        totals += int(table["predicted"].sum())
        np.testing.assert_allclose(video_average_precision(ranking_of(p[row], truth[row])), videos["ap"][row])
    # The predictions marked per video add up to those counted over all videos.
    assert totals == threshold_counts(scored).at(threshold).predicted


def test_outcomes_are_missing_if_true_labels_are_unknown() -> None:
    table = label_outcomes(ranking_of(np.linspace(0, 1, C, dtype=np.float32), None), 0.9)
    assert table["outcome"].isna().all()
    assert table["predicted"].tolist() == [True] * 3 + [False] * 17
    assert np.isnan(video_average_precision(ranking_of(np.ones(C, np.float32), None)))


def test_sort_videos_sorts_by_average_precision_with_missing_last() -> None:
    videos = pd.DataFrame(
        {"video": [0, 1, 2, 3, 4], "ap": [0.5, np.nan, 0.1, 0.5, 1.0], "worst_rank": [9, pd.NA, 40, 30, 2]}
    )
    assert sort_videos(videos, "data set")["video"].tolist() == [0, 1, 2, 3, 4]
    assert sort_videos(videos, "hardest first")["video"].tolist() == [2, 3, 0, 4, 1]
    assert sort_videos(videos, "easiest first")["video"].tolist() == [4, 0, 3, 2, 1]
    with pytest.raises(UserError, match="order"):
        sort_videos(videos, "longest first")


def test_compare_runs_sorts_by_the_mean_probability() -> None:
    one, other = np.array([0.9, 0.2, 0.4], np.float32), np.array([0.1, 0.6, 0.4], np.float32)
    table = compare_runs({"mean": one, "b": other}, ranking_of(one, np.array([0, 1, 0])))
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["label"].tolist() == [0, 1, 2]  # the means are 0.5, 0.4 and 0.4
    np.testing.assert_allclose(table["mean"], [0.5, 0.4, 0.4], atol=1e-6)
    np.testing.assert_allclose(table["spread"], [0.8, 0.4, 0.0], atol=1e-6)
    np.testing.assert_array_equal(table["p mean"], one)
    np.testing.assert_array_equal(table["p b"], other)
    assert table["true"].tolist() == [False, True, False]
