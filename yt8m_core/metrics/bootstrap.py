"""GAP of resampled videos: all draws of the bootstrap from one sort.

A draw gives each video a number of copies, which tie with each other, so the order of the entries is that of the whole
set and only the sizes of the tie groups and of the gaps between them change. R draws walk through the entries together:
each entry reads one row [R] of the copies, and ``torch.embedding_bag`` sums the rows between two ends.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import embedding_bag

from yt8m_core.metrics.average_precision import (
    Best,
    Cuts,
    Floats,
    Integers,
    cuts,
    entries,
    falling,
    joined,
    rank,
    sure_hits,
    tie_sums,
)

DRAWS = 16
"""Draws that walk together: a row of copies is one cache line."""
BLOCK = 1 << 12
"""Tie groups in one step: [BLOCK, DRAWS] float64 stays in a processor's own cache."""
EXACT = 1 << 20
"""Entries whose copies are summed in float32, which holds whole numbers up to 2^24."""


class Resampling:
    """The precision sums of draws from N videos."""

    def __init__(self, parts: Sequence[Best]) -> None:
        hits = []

        def keys() -> Iterator[Integers]:
            videos = 0
            for best in parts:
                video = np.arange(videos, videos + len(best.scores), dtype=np.uint64)[:, None]
                key = falling(best.scores).astype(np.uint64) << 32 | video
                hits.append(key[sure_hits(best)])
                videos += len(video)
                yield key

        self.entries = joined(keys(), np.empty(entries(parts), np.uint64))  # keys; the video is the lower half
        self.hits = np.concatenate(hits)
        found = cuts(parts)
        self.cuts = Cuts(*(field[np.argsort(found.level, kind="stable")] for field in found))
        self.groups = rank(self.entries, self.hits, self.cuts, shift=32)

    def gap_sums(self, copies: NDArray[np.float32]) -> Floats:
        """The expected Σ_i precision(i) · hit(i) of R draws [R], from how often each has each video [N, R]."""
        start, end, sure = self.groups.start, self.groups.end, self.groups.sure
        seen, hits, sums = (np.zeros(copies.shape[1]) for _ in range(3))  # so far
        last_end = last_hit = 0
        for first in range(0, len(start), BLOCK):
            some = slice(first, first + BLOCK)
            ends = np.empty(2 * len(start[some]) + 1, np.int64)
            ends[0], ends[1::2], ends[2::2] = last_end, start[some], end[some]
            size = _drawn(self.entries, ends, copies)  # of gaps and groups in turn
            hit_ends = last_hit + np.append(0, np.cumsum(sure[some]))
            p = _drawn(self.hits, hit_ends, copies)
            variance: Floats = np.zeros(1)
            if len(self.cuts.video):
                variance = np.zeros_like(p)
                low, high = np.searchsorted(self.groups.group, [first, first + BLOCK])
                group, weight = self.groups.group[low:high] - first, copies[self.cuts.video[low:high]]
                np.add.at(p, group, self.cuts.mean[low:high, None] * weight)
                np.add.at(variance, group, self.cuts.variance[low:high, None] * weight)
            n = size[1::2]
            place, hit = seen + _summed(size[0::2] + n), hits + _summed(p)
            sums += tie_sums(n, place - n, p, variance, hit - p).sum(axis=0)
            seen, hits, last_end, last_hit = place[-1], hit[-1], ends[-1], hit_ends[-1]
        return sums


def _summed(rows: Floats) -> Floats:
    summed: Floats = torch.from_numpy(rows).cumsum(dim=0).numpy()  # numpy takes three times as long
    return summed


def _drawn(keys: Integers, ends: Integers, copies: NDArray[np.float32]) -> Floats:
    """Copies [len(ends) - 1, R] of the videos of the entries between each two ends."""
    videos = keys[ends[0] : ends[-1]].astype(np.uint32).view(np.int32)  # the lower half
    offsets = torch.from_numpy((ends - ends[0]).astype(np.int32))
    sums = embedding_bag(
        torch.from_numpy(videos), torch.from_numpy(copies), offsets, mode="sum", include_last_offset=True
    )
    drawn: Floats = sums.numpy().astype(np.float64)
    for i in np.flatnonzero(np.diff(ends) > EXACT):
        part = videos[ends[i] - ends[0] : ends[i + 1] - ends[0]]
        drawn[i] = np.bincount(part, minlength=len(copies)).astype(np.float64) @ copies
    return drawn
