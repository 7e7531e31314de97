"""Lists of labels, one per video, as one array of values and one of offsets."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class LabelLists:
    """The labels of row i are ``values[offsets[i]:offsets[i + 1]]``, ascending."""

    values: NDArray[np.int32]  # [P]
    offsets: Integers  # [N + 1]

    @classmethod
    def group(cls, rows: Integers, labels: NDArray[np.int32], num_rows: int) -> Self:
        """Group labels [P] by their rows [P]; those of row -1 are left out.

        >>> lists = LabelLists.group(np.array([2, 0, -1, 2]), np.int32([7, 5, 9, 3]), 3)
        >>> [lists.row(row).tolist() for row in range(3)]
        [[5], [], [3, 7]]
        """
        order = np.lexsort((labels, rows))
        order = order[np.searchsorted(rows[order], 0) :]
        counts = np.bincount(rows[order], minlength=num_rows)
        return cls(labels[order], np.concatenate([[0], np.cumsum(counts)]))

    def row(self, row: int) -> NDArray[np.int32]:
        """Return the labels of a row."""
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def pairs(self, rows: Integers) -> NDArray[np.int64]:
        """Return the labels of some rows [B] as pairs (position in ``rows``, label): [2, P]."""
        first = self.offsets[rows]
        counts = self.offsets[rows + 1] - first  # [B]
        numbers = np.repeat(np.arange(len(rows)), counts)  # [P]
        within = np.arange(len(numbers)) - np.repeat(np.cumsum(counts) - counts, counts)  # [P]: 0, 1, … in each row
        labels = self.values[np.repeat(first, counts) + within]
        return np.stack([numbers, labels.astype(np.int64)])

    def take(self, rows: Integers) -> "LabelLists":
        """Return the lists of some rows [n], in this order."""
        numbers, labels = self.pairs(rows)
        counts = np.bincount(numbers, minlength=len(rows))
        return LabelLists(labels.astype(np.int32), np.concatenate([[0], np.cumsum(counts)]))
