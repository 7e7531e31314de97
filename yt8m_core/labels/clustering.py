"""Where a label stands among thousands: an order in which alike labels are neighbors, its clusters, and an overview.

A matrix of thousands of labels is too large to be sent to a browser, cell by cell. Its labels are put in the order of
a tree that joins alike ones first; blocks of cells are pooled into one; and the branches of the tree are the places
where a closer look is worth it. All of it works on the pairs that occur, so nothing dense but one distance a pair.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.sparse import csr_array

from yt8m_core.labels.statistics import Floats, Integers, measure

LARGEST = 100  # labels of a cluster at most, so that it fits a window whose cells can be clicked
ALIKE = 0.03  # the mean φ between two branches from which they are one cluster
SIDE = 520  # cells a side of an overview at most


@dataclass(frozen=True)
class LabelOrder:
    """The labels that occur, alike ones next to each other.

    Attributes:
        labels: [L] their ids, in order.
        clusters: the stretches of two labels or more that belong together, the largest first: first (its place in
            the order), size, label (its most frequent one), videos (of that label).
    """

    labels: Integers
    clusters: pd.DataFrame

    def cluster(self, label: int) -> Integers:
        """The labels of the cluster whose most frequent label this is, in order; none where there is no such one."""
        rows = self.clusters[self.clusters["label"] == label]
        first, size = rows[["first", "size"]].to_numpy(np.int64)[0] if len(rows) else (0, 0)
        return self.labels[first : first + size]

    def table(self) -> pd.DataFrame:
        """Every label in order: place, label, cluster (its most frequent label; NA outside of all)."""
        cluster = pd.Series([pd.NA] * len(self.labels), dtype="Int64")
        for first, size, label in self.clusters[["first", "size", "label"]].to_numpy(np.int64).tolist():
            cluster.iloc[first : first + size] = label
        return pd.DataFrame({"place": np.arange(len(self.labels)), "label": self.labels, "cluster": cluster})

    def around(self, place: int, size: int) -> Integers:
        """The labels around a place in the order, as many as there are up to ``size``.

        >>> LabelOrder(np.array([5, 3, 8, 1]), pd.DataFrame()).around(3, 2).tolist()
        [8, 1]
        """
        first = max(0, min(place - size // 2, len(self.labels) - size))
        return self.labels[first : first + size]


def label_order(cooccurrence: csr_array, num_videos: int) -> LabelOrder:
    """Order the labels that occur, by average linkage on 1 - φ.

    Labels that no video has together are taken as φ = 0. The leaves stay as the tree has them: the order of least
    distance between neighbors (``cluster_order``) takes time L³. A cluster is the largest branch that has at most
    ``LARGEST`` labels and whose two parts have a mean φ of ``ALIKE`` or more.

    Args:
        cooccurrence: [C, C] counts.
        num_videos: N.
    """
    number = cooccurrence.diagonal()
    present = np.flatnonzero(number).astype(np.int64)
    L = len(present)
    if L < 3:
        return LabelOrder(present, _clusters([], present, number))
    phi = measure(cooccurrence, num_videos, "phi")[present][:, present].tocoo()
    upper = (phi.row < phi.col) & np.isfinite(phi.data)
    row, column = phi.row[upper].astype(np.int64), phi.col[upper].astype(np.int64)
    distance = np.ones(L * (L - 1) // 2)  # of the pairs (0, 1), (0, 2), …, (1, 2), …
    distance[L * row - row * (row + 1) // 2 + column - row - 1] = np.clip(1 - phi.data[upper], 0, 2)
    tree = hierarchy.linkage(distance, "average")
    labels = present[hierarchy.leaves_list(tree)]
    return LabelOrder(labels, _clusters(_branches(tree), labels, number))


def _branches(tree: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The place and size of each cluster of a tree [L - 1, 4], as scipy's ``linkage`` gives it."""
    L = len(tree) + 1
    size = np.append(np.ones(L, np.int64), tree[:, 3].astype(np.int64))
    fits = np.append(np.ones(L, bool), (tree[:, 3] <= LARGEST) & (tree[:, 2] <= 1 - ALIKE))
    found, below = [], [(2 * L - 2, 0)]
    while below:
        node, first = below.pop()
        if fits[node]:
            found.append((first, int(size[node])))
            continue
        left, right = (int(child) for child in tree[node - L, :2])
        below += [(right, first + int(size[left])), (left, first)]
    return found


def _clusters(branches: list[tuple[int, int]], labels: Integers, number: NDArray[Any]) -> pd.DataFrame:
    rows = []
    for first, size in branches:
        if size > 1:
            members = labels[first : first + size]
            most = int(members[np.argmax(number[members])])
            rows.append((first, size, most, int(number[most])))
    table = pd.DataFrame(rows, columns=["first", "size", "label", "videos"]).astype(np.int64)
    return table.sort_values(["size", "videos", "first"], ascending=[False, False, True], ignore_index=True)


def supported(values: csr_array, cooccurrence: csr_array, minimum_support: int) -> csr_array:
    """A measure [C, C] of the pairs that so many videos have; of the others, and of a label with itself, nothing.

    >>> together = csr_array([[9, 3, 1], [3, 5, 0], [1, 0, 2]])
    >>> supported(together, together, 2).toarray()
    array([[0., 3., 0.],
           [3., 0., 0.],
           [0., 0., 0.]])
    """
    row, column = pairs_with(cooccurrence, minimum_support)
    kept = csr_array(values.multiply(csr_array((np.ones(len(row)), (row, column)), cooccurrence.shape)))
    kept.data = np.nan_to_num(kept.data)
    return kept


def supported_window(values: Floats, cooccurrence: csr_array, labels: Integers, minimum_support: int) -> Floats:
    """A measure of chosen labels [L, L], NaN for pairs that fewer videos have; a label with itself stays.

    >>> together = csr_array([[9, 3, 1], [3, 5, 0], [1, 0, 2]])
    >>> supported_window(np.ones((2, 2)), together, np.array([2, 0]), 2).tolist()
    [[1.0, nan], [nan, 1.0]]
    """
    both = cooccurrence[labels][:, labels].toarray()
    return np.where((both >= minimum_support) | np.eye(len(labels), dtype=bool), values, np.nan)


def pairs_with(cooccurrence: csr_array, minimum_support: int) -> tuple[Integers, Integers]:
    """Row and column of the pairs of two labels that so many videos have, both ways round."""
    pairs = cooccurrence.tocoo()
    kept = (pairs.data >= max(1, minimum_support)) & (pairs.row != pairs.col)
    return pairs.row[kept].astype(np.int64), pairs.col[kept].astype(np.int64)


def pooled(matrix: csr_array, order: Integers, side: int = SIDE) -> Floats:
    """An overview [S, S] of a matrix, S at most ``side``: of each block of labels the value that is farthest from 0.

    The farthest and not the mean, in which the few pairs that go together would drown.

    >>> pooled(csr_array([[0, 0.1, 0, 0], [0, 0, 0, -0.7], [0, 0.5, 0, 0], [0, 0, 0, 0]]), np.arange(4), 2)
    array([[ 0.1, -0.7],
           [ 0.5,  0. ]])
    """
    step = block(len(order), side)
    bins = -(-len(order) // step)
    cells = matrix[order][:, order].tocoo()
    place = cells.row.astype(np.int64) // step * bins + cells.col // step
    high, low = np.zeros(bins * bins), np.zeros(bins * bins)
    np.maximum.at(high, place, cells.data)
    np.minimum.at(low, place, cells.data)
    return np.where(high >= -low, high, low).reshape(bins, bins)


def block(num_labels: int, side: int = SIDE) -> int:
    """How many labels one cell of an overview stands for, each way.

    >>> block(3862), block(520), block(0)
    (8, 1, 1)
    """
    return max(1, -(-num_labels // side))


def nearest(cooccurrence: csr_array, num_videos: int, label: int, size: int) -> Integers:
    """A label and those that go with it most, by φ; fewer than ``size`` where it meets fewer.

    >>> from yt8m_core.labels.statistics import cooccurrence, label_matrix
    >>> pairs = cooccurrence(label_matrix([0, 1, 0, 1, 0, 2, 2, 3], [0, 2, 4, 6, 7, 8], num_classes=4))
    >>> nearest(pairs, 5, 0, 9).tolist()
    [0, 1, 2]
    """
    row = measure(cooccurrence, num_videos, "phi")[[label]].tocoo()
    others = row.col != label
    ids, phi = row.col[others].astype(np.int64), np.nan_to_num(row.data[others])
    return np.append(np.int64(label), ids[np.lexsort((ids, -phi))][: size - 1])
