"""MAP@K of rated segments: the metric of the 2019 edition (https://research.google.com/youtube8m/).

Ratings are not exhaustive. A label that was not rated in a segment is unknown there: such a segment takes a place among
the K best of the label, but counts neither as right nor as wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yt8m_core.errors import UserError
from yt8m_core.metrics.top_k import Interval

K = 100_000  # segments per label, of the competition
DRAWS = 64  # of the bootstrap at a time

Integers = NDArray[np.int64]
Ties = Literal["expected", "order"]


@dataclass(frozen=True)
class RatedRanking:
    """The rated segments of a label that are among its K best, best first.

    Attributes:
        label: the label.
        scores: [n] descending.
        is_present: bool [n], whether the label was rated as present.
        videos: int64 [n], the video of each segment, for the bootstrap.
        positives: int64 [P], the videos of all segments that were rated as present, also of those beyond the K best.
    """

    label: int
    scores: NDArray[np.float32]
    is_present: NDArray[np.bool_]
    videos: Integers
    positives: Integers

    def average_precision(self, ties: Ties = "expected") -> float:
        """Return AP = Σ_i precision(i) · present(i) / P; the precision is of the rated segments only.

        Args:
            ties: "expected" counts segments of the same score as the mean over their orders; "order" takes the order
                as it is, as Google's evaluation of a file does.
        """
        ranks = np.arange(1, len(self.scores) + 1)
        hits = np.cumsum(self.is_present)
        precision = np.where(self.is_present, hits / ranks, 0.0)
        if ties == "expected":
            for first, end in _tied_groups(self.scores):
                precision[first:end] = _expected_precision(
                    int(hits[first - 1]) if first else 0, first, int(self.is_present[first:end].sum()), end - first
                )
        return float(precision.sum() / len(self.positives))


def mean_average_precision(rankings: Sequence[RatedRanking], ties: Ties = "expected") -> float:
    """Return MAP@K: the mean AP of the labels. Each has a segment that was rated as present.

    >>> ranking = RatedRanking(
    ...     3, np.float32([0.9, 0.8, 0.2]), np.array([True, False, True]), np.arange(3), np.array([0, 2])
    ... )
    >>> round(mean_average_precision([ranking]), 4)
    0.8333

    Raises UserError without a label.
    """
    _check_rankings(rankings)
    return float(np.mean([ranking.average_precision(ties) for ranking in rankings]))


def bootstrap_map(rankings: Sequence[RatedRanking], num_videos: int, seed: int, replicates: int) -> Interval:
    """Return the 95% percentile bootstrap interval of MAP@K. Arguments as of ``map_draws``."""
    low, high = np.quantile(map_draws(rankings, num_videos, seed, replicates), [0.025, 0.975])
    return Interval(float(low), float(high))


def map_draws(rankings: Sequence[RatedRanking], num_videos: int, seed: int, replicates: int) -> NDArray[np.float64]:
    """Return MAP@K of each draw of a bootstrap, which resamples videos with replacement.

    The draws of two runs on the same ratings are of the same videos, so their differences are paired. A video drawn n
    times has n copies of its segments, which are tied. A draw is over the labels that it has positives of. The segments
    beyond the K best stay those of all videos.

    Args:
        rankings: the rated segments of each label.
        num_videos: number of videos with ratings, which ``RatedRanking.videos`` counts from 0.
        seed: seed of the draws.
        replicates: number of draws.

    Returns:
        The values [replicates].

    Raises UserError without a label.
    """
    _check_rankings(rankings)
    random = np.random.default_rng(seed)
    values: list[float] = []
    while len(values) < replicates:
        draws = min(DRAWS, replicates - len(values))
        copies = np.stack(
            [np.bincount(random.integers(num_videos, size=num_videos), minlength=num_videos) for _ in range(draws)], 1
        )  # [num_videos, draws]
        total, labels = np.zeros(draws), np.zeros(draws)
        for ranking in rankings:
            positives = copies[ranking.positives].sum(axis=0)  # [draws]
            numerators = _numerators(ranking, copies[ranking.videos])
            total += np.divide(numerators, positives, out=np.zeros(draws), where=positives > 0)
            labels += positives > 0
        values.extend((total[labels > 0] / labels[labels > 0]).tolist())
    return np.array(values[:replicates])


def _check_rankings(rankings: Sequence[RatedRanking]) -> None:
    if not rankings:
        raise UserError("no label that is rated as present in a segment", advice="MAP@K needs rated segments.")


def _numerators(ranking: RatedRanking, copies: Integers) -> NDArray[np.float64]:
    """Return Σ of the expected precision at the positives, for each draw; ``copies`` is [n, draws]."""
    if not len(copies):
        return np.zeros(copies.shape[1])
    first = np.flatnonzero(np.append(True, np.diff(ranking.scores) != 0))  # of each group of ties
    sizes = np.add.reduceat(copies, first, axis=0)  # [groups, draws]
    present = np.add.reduceat(copies * ranking.is_present[:, None], first, axis=0)
    seen, hits = np.cumsum(sizes, axis=0) - sizes, np.cumsum(present, axis=0) - present
    harmonic = np.append(0.0, np.cumsum(1.0 / np.arange(1, int(sizes.sum(axis=0).max(initial=0)) + 1)))
    # Σ_i 1 / (seen + i) and Σ_i (i - 1) / (seen + i) for i = 1 to the size of the group
    inverse = harmonic[seen + sizes] - harmonic[seen]
    others = np.maximum(sizes - 1, 1)
    rising = (sizes - (seen + 1) * inverse) * (present - 1) / others
    expected = present * ((hits + 1) * inverse + rising) / np.maximum(sizes, 1)
    result: NDArray[np.float64] = expected.sum(axis=0)
    return result


def _tied_groups(scores: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Return the first place of each group of equal scores, and the place after it; of groups of two and more."""
    borders = np.concatenate([[0], np.flatnonzero(np.diff(scores)) + 1, [len(scores)]]).tolist()
    return [(start, end) for start, end in pairwise(borders) if end - start > 1]


def _expected_precision(hits: int, seen: int, present: int, size: int) -> NDArray[np.float64]:
    """Return the expected precision times presence at each place of a group of ties, over the orders of the group.

    Args:
        hits: positives before the group.
        seen: rated segments before the group.
        present: positives in the group.
        size: rated segments in the group.
    """
    places = np.arange(size)
    before = hits + places * (present - 1) / (size - 1)  # positives before a positive at this place
    result: NDArray[np.float64] = present / size * (before + 1) / (seen + places + 1)
    return result
