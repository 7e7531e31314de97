"""MAP@K of rated segments against an independent evaluator that follows the definition step by step."""

from itertools import permutations
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yt8m_core.errors import UserError
from yt8m_core.metrics.map_at_k import RatedRanking, bootstrap_map, mean_average_precision
from yt8m_core.metrics.top_segments import TopSegments

Rated = dict[int, bool]  # segment → present, of one label


def slow_ap(order: list[int], rated: Rated, k: int) -> float:
    """Rank the segments, cut to K, keep the rated ones, and sum the precision at each positive, over all positives."""
    kept = [segment for segment in order[:k] if segment in rated]
    total, positives = 0.0, 0
    for place, segment in enumerate(kept, 1):
        if rated[segment]:
            positives += 1
            total += positives / place
    return total / sum(rated.values())


def ranking(scores: np.ndarray, rated: Rated, k: int, label: int = 0) -> RatedRanking:
    """Return the ranking of a label as the package makes it."""
    best = TopSegments(1, len(scores), k)
    best.add(0, scores[:, None])
    segments, kept = best.best(0)
    is_rated = np.isin(segments, list(rated))
    rows = segments[is_rated]
    positives = np.array([segment for segment, is_present in rated.items() if is_present])
    present = np.array([rated[int(row)] for row in rows], bool)
    return RatedRanking(label, kept[is_rated], present, rows, positives)


def test_written_out_example() -> None:
    """Segments 0 to 6 by descending score: present, unrated, absent, unrated, present, present, absent; K = 6."""
    rated = {0: True, 2: False, 4: True, 5: True, 6: False}
    scores = np.linspace(1, 0.1, 7, dtype=np.float32)
    expected = (1 / 1 + 2 / 3 + 3 / 4) / 3
    assert ranking(scores, rated, 6).average_precision() == pytest.approx(expected, abs=1e-12)
    # With K = 5, the positive at place 6 is missed, but still counts below.
    assert ranking(scores, rated, 5).average_precision() == pytest.approx((1 + 2 / 3) / 3, abs=1e-12)
    # A label of which no segment is found has AP 0.
    assert ranking(scores, {6: True}, 5).average_precision() == 0


labels = st.integers(1, 7).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.75]), min_size=n, max_size=n),
        st.lists(st.sampled_from([None, False, True]), min_size=n, max_size=n).filter(lambda rated: True in rated),
    )
)


@settings(max_examples=300)
@given(labels)
def test_ties_count_as_the_mean_over_their_orders(label: tuple[list[float], list[bool | None]]) -> None:
    scores = np.float32(label[0])
    rated = {segment: rating for segment, rating in enumerate(label[1]) if rating is not None}
    orders = [order for order in permutations(range(len(scores))) if (np.diff(scores[list(order)]) <= 0).all()]
    expected = mean(slow_ap(list(order), rated, len(scores)) for order in orders)
    assert ranking(scores, rated, len(scores)).average_precision() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=200)
@given(labels, st.integers(1, 8))
def test_order_of_a_file_and_cut_of_ties_take_the_earlier_segment(
    label: tuple[list[float], list[bool | None]], k: int
) -> None:
    scores = np.float32(label[0])
    rated = {segment: rating for segment, rating in enumerate(label[1]) if rating is not None}
    order = sorted(range(len(scores)), key=lambda segment: (-scores[segment], segment))
    assert ranking(scores, rated, k).average_precision("order") == pytest.approx(slow_ap(order, rated, k), abs=1e-12)


def test_mean_is_over_the_labels_and_needs_one() -> None:
    random = np.random.default_rng(0)
    rankings, expected = [], []
    for label in range(20):
        scores = random.random(500).astype(np.float32)
        rated = {int(s): bool(random.integers(2)) for s in random.choice(500, 60, replace=False)} | {0: True}
        rankings.append(ranking(scores, rated, 300, label))
        expected.append(slow_ap(np.argsort(-scores).tolist(), rated, 300))
    assert mean_average_precision(rankings) == pytest.approx(mean(expected), abs=1e-12)
    with pytest.raises(UserError, match="no label that is rated as present"):
        mean_average_precision([])


def test_draw_of_every_video_once_has_the_value_itself_and_copies_tie(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, rated = np.float32([0.9, 0.8, 0.8, 0.3]), {0: True, 1: False, 2: True, 3: True}
    rankings = [ranking(scores, rated, 4)]

    class Draws:
        """Random numbers: each video once, then the videos 0, 1, 1, 3."""

        def __init__(self) -> None:
            self.draws = iter([[0, 1, 2, 3], [0, 1, 1, 3]])

        def integers(self, *_: object, **__: object) -> np.ndarray:
            return np.array(next(self.draws))

    monkeypatch.setattr(np.random, "default_rng", lambda _: Draws())
    monkeypatch.setattr(np, "quantile", lambda values, _: values)
    once, copies = bootstrap_map(rankings, 4, 0, 2)
    assert once == pytest.approx(mean_average_precision(rankings), abs=1e-12)
    # Present, absent, absent, present: (1/1 + 2/4) / 2 positives.
    assert copies == pytest.approx((1 + 2 / 4) / 2, abs=1e-12)


def test_interval_contains_the_value_and_narrows_with_more_videos() -> None:
    random = np.random.default_rng(1)
    widths = []
    for num_videos in (40, 400):
        scores = random.random(num_videos).astype(np.float32)
        rated = {video: bool(random.random() < scores[video]) for video in range(num_videos)}
        rankings = [ranking(scores, rated, num_videos)]
        low, high = bootstrap_map(rankings, num_videos, 0, 200)
        assert low < mean_average_precision(rankings) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
