"""Nearest videos against a loop over all videos, and the readers of vectors."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.support.tiny import tiny_experiment
from yt8m_core.analysis import neighbors as module
from yt8m_core.analysis.neighbors import compare_labels, nearest_videos
from yt8m_core.analysis.vectors import pooled_vectors, score_vectors
from yt8m_core.data.dataset import open_videos
from yt8m_core.errors import UserError
from yt8m_core.inference.pooled_videos import PooledVideos
from yt8m_core.inference.score_cache import CachedScores


def cosine(a: list[float], b: list[float]) -> float:
    lengths = math.hypot(*a) * math.hypot(*b)
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


@given(st.integers(0, 1 << 20), st.integers(1, 30), st.integers(1, 5), st.integers(0, 40), st.booleans())
def test_nearest_videos_match_a_loop(seed: int, n: int, width: int, limit: int, searches_itself: bool) -> None:
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((2 * n, width)).astype(np.float32)
    videos = np.sort(random.choice(2 * n, n, replace=False))
    video = int(videos[random.integers(n)])
    exclude = None if searches_itself else video
    found = nearest_videos(lambda rows: vectors[rows], videos, vectors[video], exclude=exclude, limit=limit)
    expected = {
        int(other): cosine(vectors[video].tolist(), vectors[other].tolist()) for other in videos if other != exclude
    }
    assert len(found) == min(limit, len(expected))
    assert found["similarity"].is_monotonic_decreasing
    for neighbor, similarity in zip(found["video"], found["similarity"], strict=True):
        assert similarity == pytest.approx(expected[neighbor], abs=1e-5)
    others = [similarity for other, similarity in expected.items() if other not in set(found["video"])]
    if len(found) and others:
        assert found["similarity"].iloc[-1] >= max(others) - 1e-5


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_equal_vectors_are_sorted_by_position_in_any_chunks(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    monkeypatch.setattr(module, "CHUNK", step * 33)
    different = random.standard_normal((3, 33)).astype(np.float32)
    vectors = different[random.integers(0, 3, 101)]
    found = nearest_videos(lambda rows: vectors[rows], np.arange(101), vectors[4], exclude=4, limit=100)
    same = [video for video in range(101) if video != 4 and (vectors[video] == vectors[4]).all()]
    assert found["video"].tolist()[: len(same)] == same
    assert found["similarity"].iloc[0] == pytest.approx(1)
    assert found["similarity"].max() <= 1
    for _, group in found.groupby("similarity"):
        assert group["video"].is_monotonic_increasing


def test_length_of_a_vector_does_not_matter_and_zero_vectors_are_similar_to_none() -> None:
    vectors = np.array([[0, 0], [1, 1], [-2, -2], [30, 30], [1, 0]], np.float32)
    found = nearest_videos(lambda rows: vectors[rows], np.arange(5), np.array([1, 1], np.float32))
    assert found["video"].tolist() == [1, 3, 4, 0, 2]
    assert found["similarity"].tolist() == pytest.approx([1, 1, math.sqrt(0.5), 0, -1])
    to_zero = nearest_videos(lambda rows: vectors[rows], np.arange(5), vectors[0], exclude=0)
    assert to_zero.to_numpy().tolist() == [[1, 0], [2, 0], [3, 0], [4, 0]]


def test_a_single_video_has_no_neighbor() -> None:
    found = nearest_videos(lambda rows: np.ones((len(rows), 3), np.float32), np.array([8]), np.ones(3), exclude=8)
    assert found.empty
    assert found.columns.tolist() == ["video", "similarity"]


class FakeVideos:
    """Labels by position; those of video 3 are unknown."""

    is_labeled = np.array([True, True, True, False])

    def labels(self, video: int) -> np.ndarray:
        return np.array([[1, 4], [4, 7, 9], [], []][video], np.int32)


def test_labels_are_divided_into_shared_and_differing() -> None:
    videos: Any = FakeVideos()
    neighbors = pd.DataFrame({"video": [1, 2, 3, 0], "similarity": [0.9, 0.8, 0.7, 0.6]})
    table = compare_labels(videos, [1, 4], neighbors)
    assert table["shared"].tolist() == [[4], [], None, [1, 4]]
    assert table["only_video"].tolist() == [[1], [1, 4], None, []]
    assert table["only_neighbor"].tolist() == [[7, 9], [], None, []]
    assert table["video"].tolist() == [1, 2, 3, 0]
    assert compare_labels(videos, [1], neighbors[:0])["shared"].tolist() == []


def test_scores_are_read_by_position_in_the_data_set() -> None:
    p = np.random.default_rng(0).random((3, 4), np.float32)
    scored = CachedScores("a", np.array([2, 5, 9]), 12, p, p, csr_array(np.zeros((3, 4), np.int32)))
    read = score_vectors(scored)
    np.testing.assert_array_equal(read(np.array([9, 2])), p[[2, 0]])
    with pytest.raises(UserError, match="no scores of video 4 in run a"):
        read(np.array([2, 4]))
    with pytest.raises(UserError, match="no scores of video 10"):
        read(np.array([10]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pooled_frames_are_read_by_position_in_a_subset(dtype: torch.dtype, tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path)
    videos = open_videos(experiment.data.train, streams=experiment.data.streams)
    values = torch.arange(3 * len(videos)).reshape(-1, 3).to(dtype)
    whole = pooled_vectors(PooledVideos(videos, values))
    part = pooled_vectors(PooledVideos(videos.subset(np.array([4, 1])), values))
    assert part(np.array([1, 0])).tolist() == [[3, 4, 5], [12, 13, 14]]
    assert whole(np.array([2])).tolist() == [[6, 7, 8]]
    assert whole(np.array([2])).dtype == np.float32
