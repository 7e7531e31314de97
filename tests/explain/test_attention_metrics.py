"""Measures of attention against slow references."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from yt8m_core.explain import attention_metrics as measures


def scenes(*lengths: int, spread: float = 0.05, width: int = 40) -> np.ndarray:
    """Unit frames of scenes that are far apart, one after the other."""
    random = np.random.default_rng(1)
    centers = np.repeat(np.eye(len(lengths), width), lengths, axis=0)
    frames = centers + spread * random.standard_normal(centers.shape) / math.sqrt(width)
    return frames / np.linalg.norm(frames, axis=1, keepdims=True)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=20))
def test_effective_frames_lie_between_one_and_all(raw: list[float]) -> None:
    p = np.array(raw) / sum(raw)
    assert measures.entropy(p) == pytest.approx(sum(-x * math.log(x) for x in p), abs=1e-9)
    assert 1 - 1e-9 <= measures.effective_frames(p) <= len(p) + 1e-9
    assert measures.effective_frames(np.append(p, 0)) == pytest.approx(measures.effective_frames(p))


def test_k_means_finds_scenes_and_numbers_them_by_size() -> None:
    found = measures.k_means(scenes(5, 12, 5, 8), 4)
    assert found.tolist() == [2] * 5 + [0] * 12 + [3] * 5 + [1] * 8  # of the two equal ones, the earlier first


def test_k_means_is_as_good_as_every_other_partition() -> None:
    random = np.random.default_rng(3)
    for _ in range(5):
        frames = random.standard_normal((7, 3))

        def cost(labels: tuple[int, ...] | np.ndarray, frames: np.ndarray = frames) -> float:
            groups = [frames[np.asarray(labels) == group] for group in set(labels)]
            return float(sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups))

        best = min(cost(labels) for labels in itertools.product(range(2), repeat=7))
        assert cost(measures.k_means(frames, 2)) <= 1.15 * best


def test_k_means_of_few_different_frames_has_as_many_clusters() -> None:
    assert measures.k_means(np.zeros((5, 3)), 4).tolist() == [0] * 5
    assert measures.k_means(np.eye(2)[[0, 1, 1, 0, 1]], 8).tolist() == [1, 0, 0, 1, 0]
    assert measures.k_means(np.ones((1, 2)), 2).tolist() == [0]


def test_k_means_always_gives_the_same() -> None:
    frames = np.random.default_rng(0).standard_normal((30, 8))
    assert (measures.k_means(frames, 5) == measures.k_means(frames.copy(), 5)).all()


def test_similarity_is_the_cosine_of_all_pairs() -> None:
    frames = np.random.default_rng(0).standard_normal((6, 4))
    frames[2] = 0
    found = measures.similarity(frames)
    for i, j in itertools.product(range(6), repeat=2):
        norms = np.linalg.norm(frames[i]) * np.linalg.norm(frames[j])
        assert found.cosine[i, j] == pytest.approx(frames[i] @ frames[j] / norms if norms else 0, abs=1e-6)
    assert (found.step, found.seconds.tolist()) == (1, [0, 1, 2, 3, 4, 5])


def test_similarity_of_a_long_video_is_the_mean_over_blocks() -> None:
    frames = np.random.default_rng(0).standard_normal((7, 4))
    whole, found = measures.similarity(frames).cosine, measures.similarity(frames, most=3)
    blocks = [slice(0, 3), slice(3, 6), slice(6, 7)]
    expected = [[whole[rows, columns].mean() for columns in blocks] for rows in blocks]
    np.testing.assert_allclose(found.cosine, expected, atol=1e-6)
    assert (found.step, found.seconds.tolist()) == (3, [1, 4, 6])


def test_detection_counts_the_pairs_in_the_right_order() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        weights, inside = random.integers(0, 5, 9) / 10, random.random(9) < 0.5
        pairs = [(a, b) for a in weights[inside] for b in weights[~inside]]
        expected = np.mean([(a > b) + (a == b) / 2 for a, b in pairs]) if pairs else math.nan
        assert measures.detection(weights, inside) == pytest.approx(expected, nan_ok=True)


def test_lies_on_and_inside_runs() -> None:
    inside = measures.mask_from_intervals([(0, 1), (2, 4)], 5)
    assert inside.tolist() == [True, False, True, True, False]
    on = measures.attention_mass([0.1, 0.2, 0.3, 0.15, 0.25], inside)
    assert (on.weight, on.share, on.excess) == pytest.approx((0.55, 0.6, -0.05))


def test_rank_correlation_is_spearmans() -> None:
    random = np.random.default_rng(0)
    for _ in range(10):
        one, other = random.integers(0, 6, 12), random.integers(0, 6, 12)
        assert measures.rank_correlation(one, other) == pytest.approx(scipy.stats.spearmanr(one, other).statistic)
    assert math.isnan(measures.rank_correlation([1, 1], [1, 2]))


def test_mean_interval_is_students() -> None:
    values = np.random.default_rng(0).standard_normal(14)
    expected = scipy.stats.t.interval(0.95, 13, values.mean(), scipy.stats.sem(values))
    found = measures.mean_interval(np.append(values, np.nan))
    assert (found.videos, found.mean) == (14, pytest.approx(values.mean()))
    assert (found.low, found.high) == pytest.approx(expected)
    assert math.isnan(measures.mean_interval([1.0]).low)
    assert measures.mean_interval([math.nan]).videos == 0
