"""Attention metrics against slow references."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from yt8m_core.explain import attention_metrics as metrics


def scenes(*lengths: int, spread: float = 0.05, width: int = 40) -> np.ndarray:
    """Return unit frames of consecutive, well separated scenes."""
    random = np.random.default_rng(1)
    centers = np.repeat(np.eye(len(lengths), width), lengths, axis=0)
    frames = centers + spread * random.standard_normal(centers.shape) / math.sqrt(width)
    return frames / np.linalg.norm(frames, axis=1, keepdims=True)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=20))
def test_effective_frames_are_between_1_and_the_number_of_frames(raw: list[float]) -> None:
    p = np.array(raw) / sum(raw)
    assert metrics.entropy(p) == pytest.approx(sum(-x * math.log(x) for x in p), abs=1e-9)
    assert 1 - 1e-9 <= metrics.effective_frames(p) <= len(p) + 1e-9
    assert metrics.effective_frames(np.append(p, 0)) == pytest.approx(metrics.effective_frames(p))


def test_k_means_finds_scenes_and_numbers_them_by_size() -> None:
    clusters = metrics.k_means(scenes(5, 12, 5, 8), 4)
    assert clusters.tolist() == [2] * 5 + [0] * 12 + [3] * 5 + [1] * 8  # ties are numbered by first frame


def test_k_means_is_close_to_the_optimal_partition() -> None:
    random = np.random.default_rng(3)
    for _ in range(5):
        frames = random.standard_normal((7, 3))

        def cost(labels: tuple[int, ...] | np.ndarray, frames: np.ndarray = frames) -> float:
            groups = [frames[np.asarray(labels) == group] for group in set(labels)]
            return float(sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups))

        best = min(cost(labels) for labels in itertools.product(range(2), repeat=7))
        assert cost(metrics.k_means(frames, 2)) <= 1.15 * best


def test_k_means_has_at_most_one_cluster_per_distinct_frame() -> None:
    assert metrics.k_means(np.zeros((5, 3)), 4).tolist() == [0] * 5
    assert metrics.k_means(np.eye(2)[[0, 1, 1, 0, 1]], 8).tolist() == [1, 0, 0, 1, 0]
    assert metrics.k_means(np.ones((1, 2)), 2).tolist() == [0]


def test_k_means_is_deterministic() -> None:
    frames = np.random.default_rng(0).standard_normal((30, 8))
    assert (metrics.k_means(frames, 5) == metrics.k_means(frames.copy(), 5)).all()


def test_similarity_is_the_cosine_of_each_pair() -> None:
    frames = np.random.default_rng(0).standard_normal((6, 4))
    frames[2] = 0
    result = metrics.similarity(frames)
    for i, j in itertools.product(range(6), repeat=2):
        norms = np.linalg.norm(frames[i]) * np.linalg.norm(frames[j])
        assert result.cosine[i, j] == pytest.approx(frames[i] @ frames[j] / norms if norms else 0, abs=1e-6)
    assert (result.step, result.seconds.tolist()) == (1, [0, 1, 2, 3, 4, 5])


def test_similarity_of_a_long_video_is_the_mean_over_blocks() -> None:
    frames = np.random.default_rng(0).standard_normal((7, 4))
    whole, result = metrics.similarity(frames).cosine, metrics.similarity(frames, max_size=3)
    blocks = [slice(0, 3), slice(3, 6), slice(6, 7)]
    expected = [[whole[rows, columns].mean() for columns in blocks] for rows in blocks]
    np.testing.assert_allclose(result.cosine, expected, atol=1e-6)
    assert (result.step, result.seconds.tolist()) == (3, [1, 4, 6])


def test_roc_auc_is_the_share_of_correctly_ordered_pairs() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        weights, mask = random.integers(0, 5, 9) / 10, random.random(9) < 0.5
        pairs = [(a, b) for a in weights[mask] for b in weights[~mask]]
        expected = np.mean([(a > b) + (a == b) / 2 for a, b in pairs]) if pairs else math.nan
        assert metrics.roc_auc(weights, mask) == pytest.approx(expected, nan_ok=True)


def test_attention_mass_on_intervals() -> None:
    mask = metrics.mask_from_intervals([(0, 1), (2, 4)], 5)
    assert mask.tolist() == [True, False, True, True, False]
    mass = metrics.attention_mass([0.1, 0.2, 0.3, 0.15, 0.25], mask)
    assert (mass.weight, mass.share, mass.excess) == pytest.approx((0.55, 0.6, -0.05))


def test_rank_correlation_matches_scipy() -> None:
    random = np.random.default_rng(0)
    for _ in range(10):
        x, y = random.integers(0, 6, 12), random.integers(0, 6, 12)
        assert metrics.rank_correlation(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assert math.isnan(metrics.rank_correlation([1, 1], [1, 2]))


def test_mean_interval_matches_scipy() -> None:
    values = np.random.default_rng(0).standard_normal(14)
    expected = scipy.stats.t.interval(0.95, 13, values.mean(), scipy.stats.sem(values))
    interval = metrics.mean_interval(np.append(values, np.nan))
    assert (interval.videos, interval.mean) == (14, pytest.approx(values.mean()))
    assert (interval.low, interval.high) == pytest.approx(expected)
    assert math.isnan(metrics.mean_interval([1.0]).low)
    assert metrics.mean_interval([math.nan]).videos == 0
