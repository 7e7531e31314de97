"""The K best segments of each label, of any number of segments in bounded memory."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yt8m_core.metrics.map_at_k import K

CHUNK = 8192  # segments that are added at a time, at most


class Best(NamedTuple):
    """The best segments of a label, best first; of equal scores, the earlier segment first."""

    segments: NDArray[np.int64]  # [n] positions in the data set
    scores: NDArray[np.float32]  # [n]


class TopSegments:
    """The K best segments of each label. Of segments with the same score as the K-th, the earlier ones stay.

    It takes 8 bytes for each label and each of K + ``CHUNK`` segments, or of all segments where these are fewer: 870 MB
    for the 1,000 labels of the 2019 edition.

    Args:
        num_labels: number of labels L.
        num_segments: number of segments that will be added, at most.
        k: K.
    """

    def __init__(self, num_labels: int, num_segments: int, k: int = K) -> None:
        self.k = k
        capacity = min(k + CHUNK, num_segments)
        self._scores = np.empty((num_labels, capacity), np.float32)
        self._segments = np.empty((num_labels, capacity), np.int32)
        self._counts = np.zeros(num_labels, np.int64)
        self._limits = np.full(num_labels, -np.inf, np.float32)  # the K-th score, once there are K

    def add(self, first: int, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Add the scores [n, L] of the segments from position ``first`` on, which come in ascending order.

        Returns:
            bool [n, L]: which of them may be among the K best; all others are certainly not.
        """
        is_kept = scores > self._limits
        for start in range(0, len(scores), CHUNK):
            rows = slice(start, start + CHUNK)
            columns, kept = np.ascontiguousarray(scores[rows].T), np.ascontiguousarray(is_kept[rows].T)
            for label in range(len(columns)):
                places = np.flatnonzero(kept[label])
                self._append(label, first + start + places, columns[label][places])
        return is_kept

    def add_best(self, label: int, segments: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        """Add segments of one label, whose positions ascend and come after those that were added before."""
        is_kept = scores > self._limits[label]
        segments, scores = segments[is_kept], scores[is_kept]
        for start in range(0, len(segments), CHUNK):
            self._append(label, segments[start : start + CHUNK], scores[start : start + CHUNK])

    def best(self, label: int) -> Best:
        """Return the best segments of a label."""
        self._shrink(label)
        count = int(self._counts[label])
        scores, segments = self._scores[label, :count], self._segments[label, :count].astype(np.int64)
        order = np.argsort(-scores, kind="stable")  # positions ascend
        return Best(segments[order], scores[order])

    def _append(self, label: int, segments: NDArray[np.int64], scores: NDArray[np.float32]) -> None:
        if self._counts[label] + len(scores) > self._scores.shape[1]:
            self._shrink(label)
            is_kept = scores > self._limits[label]
            segments, scores = segments[is_kept], scores[is_kept]
        count = int(self._counts[label])
        self._scores[label, count : count + len(scores)] = scores
        self._segments[label, count : count + len(scores)] = segments
        self._counts[label] = count + len(scores)

    def _shrink(self, label: int) -> None:
        """Keep the K best of a label, in the order of their positions."""
        count = int(self._counts[label])
        if count < self.k:
            return
        scores, segments = self._scores[label, :count], self._segments[label, :count]
        limit = np.partition(scores, count - self.k)[count - self.k]
        above, ties = scores > limit, np.flatnonzero(scores == limit)
        above[ties[: self.k - int(above.sum())]] = True
        self._scores[label, : self.k], self._segments[label, : self.k] = scores[above], segments[above]
        self._counts[label], self._limits[label] = self.k, limit
