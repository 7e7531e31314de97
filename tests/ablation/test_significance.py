"""Confidence intervals of GAP: against a slow reference, and coverage on simulated data."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yt8m_core.ablation.compare import NOT_SIGNIFICANT, difference_verdict
from yt8m_core.ablation.significance import RowGaps, bootstrap_gaps, confidence_interval
from yt8m_core.errors import UserError

CLASSES, BEST = 30, 20


def predictions(videos: int, seed: int, skill: float = 1.0) -> pd.DataFrame:
    """Return videos with 0 to 3 labels, where scores of true labels are higher by ``skill``."""
    truth, noise = np.random.default_rng(0), np.random.default_rng(seed)
    true = [np.sort(truth.choice(CLASSES, truth.integers(0, 4), replace=False)) for _ in range(videos)]
    scores = noise.normal(size=(videos, CLASSES))
    for video, labels in enumerate(true):
        scores[video, labels] += skill
    order = np.argsort(-scores, axis=1)[:, :BEST]
    return pd.DataFrame(
        {
            "id": [f"video {video}" for video in range(videos)],
            "labels": list(order.astype(np.int32)),
            "scores": list(np.take_along_axis(scores, order, axis=1).astype(np.float32)),
            "true_labels": true,
        }
    )


def slow_gap(frame: pd.DataFrame, videos: list[int]) -> float:
    """Compute GAP of a list of videos, which may repeat, entry by entry."""
    entries, positives = [], 0
    for video in videos:
        row = frame.iloc[video]
        positives += len(row["true_labels"])
        entries += [
            (score, label in set(row["true_labels"])) for score, label in zip(row["scores"], row["labels"], strict=True)
        ]
    hits, total = 0, 0.0
    for rank, (_, hit) in enumerate(sorted(entries, key=lambda entry: -entry[0]), start=1):
        hits += hit
        total += hit * hits / rank
    return total / positives


def test_each_draw_has_the_gap_of_its_videos() -> None:
    frames = {"a": [predictions(25, 1), predictions(25, 2)], "b": [predictions(25, 3, 2.0), predictions(25, 4, 2.0)]}
    row_gaps = bootstrap_gaps(frames, replicates=8, seed=5)
    random = np.random.default_rng(5)
    draws = [random.integers(25, size=25).tolist() for _ in range(8)]
    for row, runs in frames.items():
        for seed, frame in enumerate(runs):
            assert row_gaps[row].gaps[seed] == pytest.approx(slow_gap(frame, list(range(25))), abs=1e-12)
            expected = [slow_gap(frame, videos) for videos in draws]  # the same videos for all rows and seeds
            np.testing.assert_allclose(row_gaps[row].resampled[:, seed], expected, atol=1e-12)


def test_identical_rows_have_no_difference() -> None:
    runs = [predictions(40, seed) for seed in (1, 2, 3)]
    row_gaps = bootstrap_gaps({"one": runs, "same": runs}, replicates=20)
    difference = row_gaps["one"].minus(row_gaps["same"])
    assert difference == (0, 0, 0)
    assert difference_verdict(difference) == NOT_SIGNIFICANT


def test_better_row_is_better_and_the_other_is_worse() -> None:
    frames = {"weak": [predictions(200, seed) for seed in (1, 2)]}
    frames["strong"] = [predictions(200, seed, 2.0) for seed in (3, 4)]
    row_gaps = bootstrap_gaps(frames, replicates=100)
    gain, loss = (row_gaps[a].minus(row_gaps[b]) for a, b in (("strong", "weak"), ("weak", "strong")))
    assert (difference_verdict(gain), difference_verdict(loss)) == ("better", "worse")
    assert gain == pytest.approx((-loss.value, -loss.high, -loss.low))


def test_draw_without_labels_is_repeated() -> None:
    frame = predictions(30, 1)
    frame["true_labels"] = [np.array([1]), *[np.array([], np.int64)] * 29]
    (row_gaps,) = bootstrap_gaps({"a": [frame]}, replicates=50).values()
    assert np.isfinite(row_gaps.resampled).all()


def test_different_videos_and_videos_without_labels_are_rejected() -> None:
    frame = predictions(20, 1)
    with pytest.raises(UserError, match="different videos"):
        bootstrap_gaps({"a": [frame], "b": [frame.assign(id=frame["id"] + "x")]})
    with pytest.raises(UserError, match="20 videos without labels"):
        bootstrap_gaps({"a": [frame.assign(true_labels=[np.array([], np.int64)] * 20)]})
    one, two = (RowGaps(np.zeros(n), np.zeros((5, n))) for n in (1, 2))
    with pytest.raises(UserError, match="draws and seeds"):
        one.minus(two)


def test_one_seed_gives_the_normal_interval() -> None:
    resampled = np.random.default_rng(0).normal(0.5, 0.02, (4000, 1))
    value, low, high = confidence_interval(np.array([0.5]), resampled)
    assert value == 0.5
    assert (high - low) / 2 == pytest.approx(1.96 * 0.02, rel=0.05)


def test_three_seeds_without_video_variance_give_the_t_interval() -> None:
    values = np.array([0.1, 0.2, 0.3])
    value, low, high = confidence_interval(values, np.tile(values, (50, 1)))
    assert (value, (high - low) / 2) == pytest.approx((0.2, 4.302653 * 0.1 / math.sqrt(3)))


@pytest.mark.parametrize(("seed_sd", "video_sd"), [(0.0, 1.0), (1.0, 0.0), (0.3, 1.0), (1.0, 1.0), (1.0, 0.3)])
def test_intervals_have_nominal_coverage(seed_sd: float, video_sd: float) -> None:
    """Draw videos and seeds 400 times, with a mean over videos in place of GAP, whose true value is known."""
    random, videos, seeds = np.random.default_rng(3), 60, 3
    covered = 0
    for _ in range(400):
        effects = random.normal(0, video_sd * math.sqrt(videos), (videos, 1))  # their mean has deviation video_sd
        values = effects + random.normal(0, seed_sd * math.sqrt(seeds), seeds)
        copies = random.multinomial(videos, [1 / videos] * videos, size=100)
        _, low, high = confidence_interval(values.mean(axis=0), copies @ values / videos)
        covered += low <= 0 <= high
    # In 2,000 trials: 0.917 to 0.942. Percentile intervals of a bootstrap over seeds and videos: 0.70 to 0.93.
    assert 0.9 <= covered / 400 <= 0.98


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=5), st.integers(0, 100))
def test_interval_contains_its_value_and_is_antisymmetric(values: list[float], seed: int) -> None:
    gaps = np.array(values)
    resampled = gaps + np.random.default_rng(seed).normal(0, 0.1, (20, len(gaps)))
    value, low, high = confidence_interval(gaps, resampled)
    assert low <= value <= high
    np.testing.assert_allclose(confidence_interval(-gaps, -resampled), (-value, -high, -low), atol=1e-12)
