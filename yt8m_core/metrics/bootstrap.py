"""Bootstrap of GAP: all draws share one sort.

A draw gives each video a number of copies, which tie with each other. So the order of the entries is that of the full
data set; only the sizes of the tie groups and of the gaps between them change. R draws process the entries together:
each entry reads one row [R] of the copies, and ``torch.embedding_bag`` sums the rows of each range of entries.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import embedding_bag

from yt8m_core.errors import UserError
from yt8m_core.metrics.average_precision import (
    Floats,
    Integers,
    TieBoundaries,
    TopLabelsBatch,
    certain_hits,
    concatenate_into,
    count_entries,
    group_ties,
    sortable_batches,
    tie_boundaries,
    tie_sums,
)
from yt8m_core.metrics.score_keys import descending_keys

DRAWS = 16
"""Draws processed together: a row of copies fills one cache line."""
BLOCK = 1 << 12
"""Tie groups per step: [BLOCK, DRAWS] float64 fits into the cache of a CPU core."""
EXACT = 1 << 20
"""Maximum number of entries whose copies are summed in float32, which is exact for integers up to 2^24."""


REPLICATES = 400  # draws of a standard error; they estimate it to within 4%
RUN_REPLICATES = 200  # draws of the percentile interval of a run, and of the difference between two runs


class Estimate(NamedTuple):
    """A value and the bounds of its 95% confidence interval."""

    value: float
    low: float
    high: float


class GapResampler:
    """GAP numerators of data sets drawn from N videos with replacement."""

    def __init__(self, batches: Sequence[TopLabelsBatch]) -> None:
        batches, hits = sortable_batches(batches), []

        def keys() -> Iterator[Integers]:
            num_videos = 0
            for batch in batches:
                video = np.arange(num_videos, num_videos + len(batch.scores), dtype=np.uint64)[:, None]
                key = descending_keys(batch.scores).astype(np.uint64) << 32 | video
                hits.append(key[certain_hits(batch)])
                num_videos += len(video)
                yield key

        # Keys hold the score in the upper half and the video in the lower half.
        self.entries = concatenate_into(np.empty(count_entries(batches), np.uint64), keys())
        self.hits = np.concatenate(hits)
        boundaries = tie_boundaries(batches)
        self.boundaries = TieBoundaries(*(field[np.argsort(boundaries.level, kind="stable")] for field in boundaries))
        self.groups = group_ties(self.entries, self.hits, self.boundaries, shift=32)

    def gap_numerators(self, copies: NDArray[np.float32]) -> Floats:
        """Compute the expected Σ_i precision(i) · hit(i) of R draws.

        Args:
            copies: [N, R], how often each draw contains each video.

        Returns:
            One sum per draw, [R].
        """
        start, end, certain = self.groups.start, self.groups.end, self.groups.certain
        num_entries, num_hits, sums = (np.zeros(copies.shape[1]) for _ in range(3))  # [R], totals so far
        last_end = last_hit = 0
        for first in range(0, len(start), BLOCK):
            block = slice(first, first + BLOCK)
            ends = np.empty(2 * len(start[block]) + 1, np.int64)
            ends[0], ends[1::2], ends[2::2] = last_end, start[block], end[block]
            size = _sum_copies(self.entries, ends, copies)  # gaps and groups alternate
            hit_ends = last_hit + np.append(0, np.cumsum(certain[block]))
            p = _sum_copies(self.hits, hit_ends, copies)
            variance: Floats = np.zeros(1)
            if len(self.boundaries.video):
                variance = np.zeros_like(p)
                low, high = np.searchsorted(self.groups.group, [first, first + BLOCK])
                group, weight = self.groups.group[low:high] - first, copies[self.boundaries.video[low:high]]
                np.add.at(p, group, self.boundaries.mean[low:high, None] * weight)
                np.add.at(variance, group, self.boundaries.variance[low:high, None] * weight)
            n = size[1::2]
            rank, hit = num_entries + _cumulative_sum(size[0::2] + n), num_hits + _cumulative_sum(p)
            sums += tie_sums(n, rank - n, p, variance, hit - p).sum(axis=0)
            num_entries, num_hits, last_end, last_hit = rank[-1], hit[-1], ends[-1], hit_ends[-1]
        return sums


def draw_videos(
    num_labels: Integers, replicates: int = REPLICATES, seed: int = 0
) -> tuple[NDArray[np.float32], Integers]:
    """Draw videos with replacement, the same for all runs that are compared.

    Args:
        num_labels: Number of true labels of each video [N].
        replicates: R.
        seed: Random seed of the draws.

    Returns:
        How often each video is drawn [N, R + 1], where the first column has each video once, and the number of labels
        of each draw [R + 1].

    Raises:
        UserError: No video has a label.
    """
    if not num_labels.any():
        raise UserError(f"{len(num_labels)} videos without labels", advice="GAP divides by the number of labels.")
    videos, random = len(num_labels), np.random.default_rng(seed)
    copies = np.ones((videos, replicates + 1), np.int64)
    for draw in range(1, replicates + 1):
        copies[:, draw] = 0
        while not num_labels @ copies[:, draw]:  # GAP of a draw without labels is undefined: draw again
            copies[:, draw] = np.bincount(random.integers(videos, size=videos), minlength=videos)
    return copies.astype(np.float32), num_labels @ copies


def resample_gap(batches: Sequence[TopLabelsBatch], copies: NDArray[np.float32], positives: Integers) -> Floats:
    """Return the GAP of each draw [R + 1]; the arguments are those that ``draw_videos`` returns."""
    resampler, sums = GapResampler(batches), np.empty(copies.shape[1])
    for start in range(0, copies.shape[1], DRAWS):
        draws = slice(start, start + DRAWS)
        sums[draws] = resampler.gap_numerators(copies[:, draws])
    gaps: Floats = sums / positives
    return gaps


def _cumulative_sum(rows: Floats) -> Floats:
    sums: Floats = torch.from_numpy(rows).cumsum(dim=0).numpy()  # three times as fast as numpy
    return sums


def _sum_copies(keys: Integers, ends: Integers, copies: NDArray[np.float32]) -> Floats:
    """Sum the copies of the videos of all entries between consecutive ends: [len(ends) - 1, R]."""
    videos = keys[ends[0] : ends[-1]].astype(np.uint32).view(np.int32)  # the lower half of the keys
    offsets = torch.from_numpy((ends - ends[0]).astype(np.int32))
    float32_sums = embedding_bag(
        torch.from_numpy(videos), torch.from_numpy(copies), offsets, mode="sum", include_last_offset=True
    )
    sums: Floats = float32_sums.numpy().astype(np.float64)
    for i in np.flatnonzero(np.diff(ends) > EXACT):
        long_range = videos[ends[i] - ends[0] : ends[i + 1] - ends[0]]
        sums[i] = np.bincount(long_range, minlength=len(copies)).astype(np.float64) @ copies
    return sums
