"""Differences of rows from stored predictions: against a slow reference, and against the truth of simulated data."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yt8m_core.ablation.compare import CANNOT_TELL, in_words
from yt8m_core.ablation.significance import Measured, interval, measure
from yt8m_core.errors import UserError

CLASSES, KEPT = 30, 20


def predictions(videos: int, seed: int, skill: float = 1.0) -> pd.DataFrame:
    """Videos with 0 to 3 labels, and scores of which those of true labels are higher by ``skill``."""
    truth, noise = np.random.default_rng(0), np.random.default_rng(seed)
    true = [np.sort(truth.choice(CLASSES, truth.integers(0, 4), replace=False)) for _ in range(videos)]
    scores = noise.normal(size=(videos, CLASSES))
    for video, labels in enumerate(true):
        scores[video, labels] += skill
    order = np.argsort(-scores, axis=1)[:, :KEPT]
    return pd.DataFrame(
        {
            "id": [f"video {video}" for video in range(videos)],
            "labels": list(order.astype(np.int32)),
            "scores": list(np.take_along_axis(scores, order, axis=1).astype(np.float32)),
            "true_labels": true,
        }
    )


def slow_gap(frame: pd.DataFrame, drawn: list[int]) -> float:
    """GAP of a list of videos, each as often as it stands there: entry by entry."""
    entries, positives = [], 0
    for video in drawn:
        row = frame.iloc[video]
        positives += len(row["true_labels"])
        entries += [
            (score, label in set(row["true_labels"])) for score, label in zip(row["scores"], row["labels"], strict=True)
        ]
    hits, total = 0, 0.0
    for place, (_, hit) in enumerate(sorted(entries, key=lambda entry: -entry[0]), start=1):
        hits += hit
        total += hit * hits / place
    return total / positives


def test_each_draw_has_the_gap_of_the_videos_that_were_drawn() -> None:
    frames = {"a": [predictions(25, 1), predictions(25, 2)], "b": [predictions(25, 3, 2.0), predictions(25, 4, 2.0)]}
    measured = measure(frames, replicates=8, seed=5)
    random = np.random.default_rng(5)
    drawn = [random.integers(25, size=25).tolist() for _ in range(8)]
    for row, runs in frames.items():
        for seed, frame in enumerate(runs):
            assert measured[row].gaps[seed] == pytest.approx(slow_gap(frame, list(range(25))), abs=1e-12)
            expected = [slow_gap(frame, videos) for videos in drawn]  # the same videos for both rows and both seeds
            np.testing.assert_allclose(measured[row].resampled[:, seed], expected, atol=1e-12)


def test_a_row_does_not_differ_from_itself_at_all() -> None:
    runs = [predictions(40, seed) for seed in (1, 2, 3)]
    measured = measure({"one": runs, "same": runs}, replicates=20)
    difference = measured["one"].less(measured["same"])
    assert difference == (0, 0, 0)
    assert in_words(difference) == CANNOT_TELL


def test_a_better_row_is_found_better_and_the_other_worse() -> None:
    frames = {"weak": [predictions(200, seed) for seed in (1, 2)]}
    frames["strong"] = [predictions(200, seed, 2.0) for seed in (3, 4)]
    measured = measure(frames, replicates=100)
    forth, back = (measured[a].less(measured[b]) for a, b in (("strong", "weak"), ("weak", "strong")))
    assert (in_words(forth), in_words(back)) == ("better", "worse")
    assert forth == pytest.approx((-back.value, -back.high, -back.low))


def test_a_draw_without_labels_is_drawn_again() -> None:
    frame = predictions(30, 1)
    frame["true_labels"] = [np.array([1]), *[np.array([], np.int64)] * 29]
    (measured,) = measure({"a": [frame]}, replicates=50).values()
    assert np.isfinite(measured.resampled).all()


def test_runs_of_other_videos_and_videos_without_labels_are_refused() -> None:
    frame = predictions(20, 1)
    with pytest.raises(UserError, match="other videos"):
        measure({"a": [frame], "b": [frame.assign(id=frame["id"] + "x")]})
    with pytest.raises(UserError, match="20 videos without a label"):
        measure({"a": [frame.assign(true_labels=[np.array([], np.int64)] * 20)]})
    one, two = (Measured(np.zeros(n), np.zeros((5, n))) for n in (1, 2))
    with pytest.raises(UserError, match="draws and seeds"):
        one.less(two)


def test_one_seed_gives_the_normal_interval_over_videos() -> None:
    resampled = np.random.default_rng(0).normal(0.5, 0.02, (4000, 1))
    value, low, high = interval(np.array([0.5]), resampled)
    assert value == 0.5
    assert (high - low) / 2 == pytest.approx(1.96 * 0.02, rel=0.05)


def test_without_videos_to_draw_three_seeds_give_students_interval() -> None:
    values = np.array([0.1, 0.2, 0.3])
    value, low, high = interval(values, np.tile(values, (50, 1)))
    assert (value, (high - low) / 2) == pytest.approx((0.2, 4.302653 * 0.1 / math.sqrt(3)))


@pytest.mark.parametrize(("of_seeds", "of_videos"), [(0.0, 1.0), (1.0, 0.0), (0.3, 1.0), (1.0, 1.0), (1.0, 0.3)])
def test_intervals_hold_the_truth_as_often_as_they_say(of_seeds: float, of_videos: float) -> None:
    """A mean over videos in place of GAP, so that the truth is known: videos and seeds drawn anew 400 times."""
    random, videos, seeds = np.random.default_rng(3), 60, 3
    held = 0
    for _ in range(400):
        of_video = random.normal(0, of_videos * math.sqrt(videos), (videos, 1))  # its mean has a deviation of_videos
        values = of_video + random.normal(0, of_seeds * math.sqrt(seeds), seeds)
        copies = random.multinomial(videos, [1 / videos] * videos, size=100)
        _, low, high = interval(values.mean(axis=0), copies @ values / videos)
        held += low <= 0 <= high
    # Over 2,000 trials it is 0.917 to 0.942; percentiles of a bootstrap that draws seeds too would hold 0.70 to 0.93.
    assert 0.9 <= held / 400 <= 0.98


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=5), st.integers(0, 100))
def test_an_interval_holds_its_value_and_turns_with_its_sign(values: list[float], seed: int) -> None:
    gaps = np.array(values)
    resampled = gaps + np.random.default_rng(seed).normal(0, 0.1, (20, len(gaps)))
    value, low, high = interval(gaps, resampled)
    assert low <= value <= high
    np.testing.assert_allclose(interval(-gaps, -resampled), (-value, -high, -low), atol=1e-12)
