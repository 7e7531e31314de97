"""Hierarchical clustering of thousands of labels, and a downsampled overview of their association matrix.

A dense matrix of thousands of labels is too large for a browser. Labels are therefore ordered by average linkage, so
that similar labels are adjacent; blocks of cells are pooled into one; and branches of the tree are reported as
clusters. All steps work on the pairs that co-occur. The only dense array is one distance per pair of labels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.sparse import csr_array

from yt8m_core.labels.cooccurrence import measure
from yt8m_core.labels.statistics import Floats, Integers

MAX_CLUSTER_SIZE = 100  # labels; a cluster must fit a heatmap with clickable cells
MIN_MEAN_PHI = 0.03  # minimum mean φ between two branches that are merged into one cluster
MAX_OVERVIEW_SIZE = 520  # cells per side


@dataclass(frozen=True)
class LabelOrder:
    """Labels that occur in a data set, ordered so that similar labels are adjacent.

    Attributes:
        labels: Label ids in cluster order [L].
        clusters: Clusters of two or more labels, largest first: first (position of its first label in the order),
            size, label (its most frequent label), videos (number of videos with that label).
    """

    labels: Integers
    clusters: pd.DataFrame

    @property
    def per_cell(self) -> int:
        """Number of labels per side that one cell of ``pool_matrix`` pools."""
        return block_size(len(self.labels))

    def cluster(self, label: int) -> Integers:
        """Return the labels of the cluster whose most frequent label is ``label``, in order; empty if there is none."""
        rows = self.clusters[self.clusters["label"] == label]
        first, size = rows[["first", "size"]].to_numpy(np.int64)[0] if len(rows) else (0, 0)
        return self.labels[first : first + size]

    def table(self) -> pd.DataFrame:
        """Return all labels in order: place, label, cluster (its most frequent label; NA outside all clusters)."""
        cluster = pd.Series([pd.NA] * len(self.labels), dtype="Int64")
        for first, size, label in self.clusters[["first", "size", "label"]].to_numpy(np.int64).tolist():
            cluster.iloc[first : first + size] = label
        return pd.DataFrame({"place": np.arange(len(self.labels)), "label": self.labels, "cluster": cluster})

    def window(self, center: int, size: int) -> Integers:
        """Return up to ``size`` labels around a position in the order.

        >>> LabelOrder(np.array([5, 3, 8, 1]), pd.DataFrame()).window(3, 2).tolist()
        [8, 1]
        """
        first = max(0, min(center - size // 2, len(self.labels) - size))
        return self.labels[first : first + size]


def label_order(cooccurrence: csr_array, num_videos: int) -> LabelOrder:
    """Order the labels that occur, by average linkage on 1 - φ.

    Pairs that never co-occur count as φ = 0. Leaves keep the order of the tree; the optimal leaf order of
    ``cluster_order`` would take O(L³) time. A cluster is a maximal branch with at most ``MAX_CLUSTER_SIZE`` labels
    whose two parts have a mean φ of at least ``MIN_MEAN_PHI``.

    Args:
        cooccurrence: Pair counts [C, C].
        num_videos: N.
    """
    number = cooccurrence.diagonal()
    present = np.flatnonzero(number).astype(np.int64)
    L = len(present)
    if L < 3:
        return LabelOrder(present, _cluster_table([], present, number))
    phi = measure(cooccurrence, num_videos, "phi")[present][:, present].tocoo()
    upper = (phi.row < phi.col) & np.isfinite(phi.data)
    row, column = phi.row[upper].astype(np.int64), phi.col[upper].astype(np.int64)
    distance = np.ones(L * (L - 1) // 2)  # condensed: pairs (0, 1), (0, 2), …, (1, 2), …
    distance[L * row - row * (row + 1) // 2 + column - row - 1] = np.clip(1 - phi.data[upper], 0, 2)
    tree = hierarchy.linkage(distance, "average")
    labels = present[hierarchy.leaves_list(tree)]
    return LabelOrder(labels, _cluster_table(_branches(tree), labels, number))


def _branches(tree: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the (first position, size) of each cluster of a linkage matrix [L - 1, 4]."""
    L = len(tree) + 1
    size = np.append(np.ones(L, np.int64), tree[:, 3].astype(np.int64))
    is_cluster = np.append(np.ones(L, bool), (tree[:, 3] <= MAX_CLUSTER_SIZE) & (tree[:, 2] <= 1 - MIN_MEAN_PHI))
    branches, stack = [], [(2 * L - 2, 0)]
    while stack:
        node, first = stack.pop()
        if is_cluster[node]:
            branches.append((first, int(size[node])))
            continue
        left, right = (int(child) for child in tree[node - L, :2])
        stack += [(right, first + int(size[left])), (left, first)]
    return branches


def _cluster_table(branches: list[tuple[int, int]], labels: Integers, number: NDArray[Any]) -> pd.DataFrame:
    rows = []
    for first, size in branches:
        if size > 1:
            members = labels[first : first + size]
            most_frequent = int(members[np.argmax(number[members])])
            rows.append((first, size, most_frequent, int(number[most_frequent])))
    table = pd.DataFrame(rows, columns=["first", "size", "label", "videos"]).astype(np.int64)
    return table.sort_values(["size", "videos", "first"], ascending=[False, False, True], ignore_index=True)


def filter_by_support(values: csr_array, cooccurrence: csr_array, minimum_support: int) -> csr_array:
    """Zero out pairs below the minimum support, and the diagonal, in a sparse measure [C, C].

    >>> together = csr_array([[9, 3, 1], [3, 5, 0], [1, 0, 2]])
    >>> filter_by_support(together, together, 2).toarray()
    array([[0., 3., 0.],
           [3., 0., 0.],
           [0., 0., 0.]])
    """
    row, column = supported_pairs(cooccurrence, minimum_support)
    kept = csr_array(values.multiply(csr_array((np.ones(len(row)), (row, column)), cooccurrence.shape)))
    kept.data = np.nan_to_num(kept.data)
    return kept


def mask_unsupported(values: Floats, cooccurrence: csr_array, labels: Integers, minimum_support: int) -> Floats:
    """Set pairs below the minimum support to NaN in a measure of selected labels [L, L]; the diagonal stays.

    >>> together = csr_array([[9, 3, 1], [3, 5, 0], [1, 0, 2]])
    >>> mask_unsupported(np.ones((2, 2)), together, np.array([2, 0]), 2).tolist()
    [[1.0, nan], [nan, 1.0]]
    """
    both = cooccurrence[labels][:, labels].toarray()
    return np.where((both >= minimum_support) | np.eye(len(labels), dtype=bool), values, np.nan)


def supported_pairs(cooccurrence: csr_array, minimum_support: int) -> tuple[Integers, Integers]:
    """Return row and column indices of the pairs with at least the minimum support, in both directions."""
    pairs = cooccurrence.tocoo()
    kept = (pairs.data >= max(1, minimum_support)) & (pairs.row != pairs.col)
    return pairs.row[kept].astype(np.int64), pairs.col[kept].astype(np.int64)


def pool_matrix(matrix: csr_array, order: Integers, max_size: int = MAX_OVERVIEW_SIZE) -> Floats:
    """Downsample a matrix to [S, S] with S <= ``max_size``: each cell is the value of its block farthest from 0.

    A mean would hide the few strong pairs of a block.

    >>> pool_matrix(csr_array([[0, 0.1, 0, 0], [0, 0, 0, -0.7], [0, 0.5, 0, 0], [0, 0, 0, 0]]), np.arange(4), 2)
    array([[ 0.1, -0.7],
           [ 0.5,  0. ]])
    """
    step = block_size(len(order), max_size)
    bins = -(-len(order) // step)
    cells = matrix[order][:, order].tocoo()
    block = cells.row.astype(np.int64) // step * bins + cells.col // step
    high, low = np.zeros(bins * bins), np.zeros(bins * bins)
    np.maximum.at(high, block, cells.data)
    np.minimum.at(low, block, cells.data)
    return np.where(high >= -low, high, low).reshape(bins, bins)


def block_size(num_labels: int, max_size: int = MAX_OVERVIEW_SIZE) -> int:
    """Return the number of labels per side that one cell of an overview pools.

    >>> block_size(3862), block_size(520), block_size(0)
    (8, 1, 1)
    """
    return max(1, -(-num_labels // max_size))


def nearest_by_phi(cooccurrence: csr_array, num_videos: int, label: int, size: int) -> Integers:
    """Return a label followed by the labels most correlated with it (φ); at most ``size`` ids in total.

    Only labels that co-occur with the label are returned.

    >>> from yt8m_core.labels.cooccurrence import count_pairs
    >>> from yt8m_core.labels.statistics import label_matrix
    >>> pairs = count_pairs(label_matrix([0, 1, 0, 1, 0, 2, 2, 3], [0, 2, 4, 6, 7, 8], num_classes=4))
    >>> nearest_by_phi(pairs, 5, 0, 9).tolist()
    [0, 1, 2]
    """
    row = measure(cooccurrence, num_videos, "phi")[[label]].tocoo()
    others = row.col != label
    ids, phi = row.col[others].astype(np.int64), np.nan_to_num(row.data[others])
    return np.append(np.int64(label), ids[np.lexsort((ids, -phi))][: size - 1])
