"""The table of videos and its filters against loops over the scores."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from yt8m_core.analysis import video_table as module
from yt8m_core.analysis.outcomes import OUTCOMES, TOP_K, label_outcomes
from yt8m_core.analysis.per_label import true_ranks
from yt8m_core.analysis.per_video import video_difficulty, video_outcomes
from yt8m_core.analysis.video_table import (
    LABEL_FILTERS,
    LABEL_OUTCOMES,
    disagreement,
    filter_by_band,
    filter_by_id,
    filter_by_label,
    filter_by_position,
    filter_by_probability,
    in_range,
    outcome_of_label,
    video_table,
)
from yt8m_core.data.vocabulary import unnamed_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.inference.prediction import Prediction
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.labels.statistics import BANDS

C = 6
BAND = np.array(["head", "mid", "tail", "tail", "mid", "head"])


@dataclass
class FakeVideos:
    """What the table reads of a data set of any size."""

    num_frames: np.ndarray

    def column(self, name: str) -> Any:
        assert name == "id"
        return pa.array([f"v{position}" for position in range(len(self.num_frames))])


def scores(p: np.ndarray, truth: np.ndarray, videos: np.ndarray | None = None, num_videos: int = 50) -> CachedScores:
    videos = 3 * np.arange(len(p)) if videos is None else videos
    p = p.astype(np.float32)
    return CachedScores("a", videos, num_videos, p, p, csr_array(truth.astype(np.int32)))


@st.composite
def cases(draw: st.DrawFn) -> CachedScores:
    random = np.random.default_rng(draw(st.integers(0, 1 << 20)))
    p = random.choice([0.0, 0.07, 0.29, 0.5, 0.57, 1.0], (draw(st.integers(1, 9)), C))
    return scores(p, random.random(p.shape) < draw(st.sampled_from([0.0, 0.3, 1.0])))


def table_of(scored: CachedScores) -> pd.DataFrame:
    videos: Any = FakeVideos(np.arange(100, 100 + scored.num_videos))
    return video_table(scored, videos, true_ranks(scored), video_difficulty(scored), BAND)


@pytest.fixture(params=[1 << 20, 2 * C])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", request.param)


def check_row(row: dict[str, Any], p: np.ndarray, true: np.ndarray) -> None:
    """Compare a row of the table with a loop over the labels in rank order."""
    order = sorted(range(C), key=lambda label: (-p[label], label))
    lowest = [label for label in order if true[label]][-1:]
    false = [label for label in order if not true[label]][:1]
    for found, column, other in (
        (lowest, "lowest_label", "lowest_probability"),
        (false, "false_label", "false_probability"),
    ):
        if found:
            assert (row[column], row[other]) == (found[0], p[found[0]])
        else:
            assert pd.isna(row[column])
            assert pd.isna(row[other])
    carried = [BANDS.index(BAND[label]) for label in range(C) if true[label]]
    assert row["rarest_band"] == BANDS[max(carried)] if carried else pd.isna(row["rarest_band"])
    assert row["labels"] == true.sum()
    if lowest:
        assert row["worst_rank"] == order.index(lowest[0]) + 1


@given(cases())
def test_table_matches_a_loop(scored: CachedScores) -> None:
    table = table_of(scored)
    assert table["video"].tolist() == scored.videos.tolist()
    assert table["id"].tolist() == [f"v{video}" for video in scored.videos]
    assert table["num_frames"].tolist() == [100 + video for video in scored.videos]
    truth = scored.truth.toarray()
    for row, p, true in zip(table.to_dict("records"), scored.probabilities, truth, strict=True):
        check_row(row, p, true)


def test_table_in_chunks_is_the_same(chunk: None) -> None:
    random = np.random.default_rng(0)
    scored = scores(random.random((9, C)), random.random((9, C)) < 0.5)
    table = table_of(scored)
    for row, p, true in zip(table.to_dict("records"), scored.probabilities, scored.truth.toarray(), strict=True):
        check_row(row, p, true)


def test_table_takes_the_errors_at_a_threshold() -> None:
    scored = scores(np.array([[0.9, 0.2, 0.7, 0, 0, 0]]), np.array([[0, 1, 1, 0, 0, 0]]))
    table = video_outcomes(scored, true_ranks(scored), table_of(scored), 0.5)
    assert table[["false_negatives", "false_positives"]].to_numpy().tolist() == [[0, 1]]  # in the top 20
    assert {"id", "num_frames", "rarest_band"} <= set(table)


@given(cases(), st.integers(0, C - 1), st.integers(0, 100).map(lambda hundredths: hundredths / 100))
def test_label_filters_match_a_loop(scored: CachedScores, label: int, threshold: float) -> None:
    masks = {choice: filter_by_label(scored, label, choice, threshold) for choice in LABEL_FILTERS}
    for row, (p, true) in enumerate(zip(scored.probabilities[:, label], scored.truth.toarray()[:, label], strict=True)):
        above = p >= np.float32(threshold)
        expected = {
            "true": true, "predicted": above, "true positive": true and above, "missed": true and not above,
            "false positive": above and not true,
        }  # fmt: skip
        assert {choice: mask[row] for choice, mask in masks.items()} == expected
    # The outcomes are those of the page of one video; "missed" joins two of them.
    for row, outcome in enumerate(outcome_of_label(scored, label, threshold)):
        p, true = scored.probabilities[row], np.flatnonzero(scored.truth.toarray()[row])
        ranking = Prediction(p, p, None).ranking(unnamed_vocabulary(C), true)
        named = label_outcomes(ranking, threshold).set_index("label")["outcome"][label]
        assert outcome == {"in top 20": "missed", "false negative": "missed"}.get(named, named)
    assert C < TOP_K
    assert set(LABEL_OUTCOMES) - {"missed"} == set(OUTCOMES) - {"in top 20", "false negative"}


def test_unknown_label_filter_and_band_are_refused() -> None:
    scored = scores(np.zeros((1, C)), np.zeros((1, C)))
    with pytest.raises(UserError, match=r"unknown label filter 'mised'. Did you mean 'missed'\?"):
        filter_by_label(scored, 0, "mised", 0.5)
    with pytest.raises(UserError, match=r"unknown band 'heads'. Did you mean 'head'\?"):
        filter_by_band(scored, BAND, ["heads"])


@given(cases(), st.integers(0, C - 1), st.sampled_from([0, 0.07, 0.29, 0.3]), st.sampled_from([0.07, 0.57, 1.0]))
def test_probability_filter_includes_its_bounds(scored: CachedScores, label: int, low: float, high: float) -> None:
    mask = filter_by_probability(scored, label, low, high)
    assert mask.tolist() == [round(low, 2) <= round(float(p), 2) <= high for p in scored.probabilities[:, label]]
    assert filter_by_probability(scored, label, np.float64(low), np.float64(high)).tolist() == mask.tolist()


@given(cases(), st.sets(st.sampled_from(BANDS)))
def test_band_filter_matches_a_loop(scored: CachedScores, chosen: set[str]) -> None:
    mask = filter_by_band(scored, BAND, chosen)
    for selected, true in zip(mask, scored.truth.toarray(), strict=True):
        assert selected == any(true[label] and BAND[label] in chosen for label in range(C))


def test_range_includes_its_bounds_and_not_what_is_missing() -> None:
    assert in_range(pd.Series([0.1, 0.5, np.nan, 1.0]), 0.5, 1).tolist() == [False, True, False, True]
    assert in_range(pd.Series([3, pd.NA, 40], dtype="Int64"), low=4).tolist() == [False, False, True]
    assert in_range(pd.Series([3, 4]), high=3).tolist() == [True, False]
    assert in_range(pd.Series([], dtype=float)).dtype == bool


def test_lists_of_videos_select_them_and_unknown_ids_are_returned() -> None:
    table = pd.DataFrame({"video": [0, 3, 6, 9], "id": ["a", "b", "7", "a"]})
    assert filter_by_position(table, [6, 0, 4]).tolist() == [True, False, True, False]
    assert filter_by_position(table, np.array([3])).tolist() == [False, True, False, False]
    mask, unknown = filter_by_id(table, ["x", "7", "a", "x", "3"])
    assert (mask.tolist(), unknown) == ([True, False, True, True], ["x", "3"])
    mask, unknown = filter_by_id(table, [])
    assert (mask.any(), unknown) == (False, [])


@given(cases(), st.integers(0, 1 << 20))
def test_disagreement_matches_a_loop(scored: CachedScores, seed: int) -> None:
    random = np.random.default_rng(seed)
    videos = np.sort(random.choice(27, 9, replace=False))
    other = scores(random.choice([0.0, 0.07, 0.5, 1.0], (9, C)), np.zeros((9, C)), videos)
    table = disagreement(scored, other)
    assert len(table) == len(scored.videos)
    for row, video in enumerate(scored.videos):
        found = table.iloc[row]
        if video not in videos:
            assert found.isna().all()
            continue
        p, q = scored.probabilities[row], other.probabilities[other.row(int(video))]
        differences = [abs(float(a) - float(b)) for a, b in zip(p, q, strict=True)]
        label = int(found["disputed_label"])
        assert found["disagreement"] == pytest.approx(max(differences))
        assert (found["probability"], found["other_probability"]) == (p[label], q[label])
        assert differences[label] == pytest.approx(max(differences))
        assert label == int(np.argmax(np.abs(p - q)))


def test_disagreement_in_chunks_is_the_same(chunk: None) -> None:
    p = np.random.default_rng(0).random((2, 7, C))
    table = disagreement(*(scores(part, np.zeros((7, C))) for part in p))
    assert table["disagreement"].tolist() == pytest.approx(np.abs(p[0] - p[1]).max(axis=1).tolist())


def test_runs_of_other_labels_or_data_are_not_compared() -> None:
    scored = scores(np.zeros((2, C)), np.zeros((2, C)))
    with pytest.raises(UserError, match=r"found 4 labels; expected 6"):
        disagreement(scored, scores(np.zeros((2, 4)), np.zeros((2, 4))))
    with pytest.raises(UserError, match=r"found 60 videos; expected 50"):
        disagreement(scored, scores(np.zeros((2, C)), np.zeros((2, C)), num_videos=60))
