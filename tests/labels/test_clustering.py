"""Cluster order, clusters, and overview of labels, against slow references."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.cluster import hierarchy
from scipy.sparse import csr_array
from scipy.spatial.distance import squareform

from yt8m_core.labels import clustering
from yt8m_core.labels.clustering import (
    MAX_CLUSTER_SIZE,
    MIN_MEAN_PHI,
    filter_by_support,
    label_order,
    mask_unsupported,
    nearest_by_phi,
    pool_matrix,
    supported_pairs,
)
from yt8m_core.labels.cooccurrence import count_pairs, measure
from yt8m_core.labels.statistics import label_matrix

CLASSES = 9
videos_of_labels = st.lists(st.lists(st.integers(0, CLASSES - 1), max_size=5), min_size=1, max_size=14)


def together(videos: list[list[int]], classes: int = CLASSES) -> csr_array:
    values = [label for video in videos for label in video]
    return count_pairs(label_matrix(np.array(values, np.int32), np.cumsum([0, *map(len, videos)]), classes))


# Topic t has labels 4t to 4t + 3; all its videos have label 4t. Label 12 occurs alone, label 13 never.
RANDOM = np.random.default_rng(0)
TOPICS = [
    [4 * topic, *(4 * topic + 1 + RANDOM.choice(3, 2, replace=False)).tolist()] for topic in range(3) for _ in range(20)
] + [[12]] * 5


class TestOrder:
    def test_clusters_are_named_by_their_most_frequent_label(self) -> None:
        order = label_order(together(TOPICS, 14), len(TOPICS))
        assert sorted(order.labels.tolist()) == list(range(13))
        assert sorted(order.clusters["label"]) == [0, 4, 8]
        assert order.clusters["size"].tolist() == [4, 4, 4]
        assert order.clusters["videos"].tolist() == [20, 20, 20]
        for first, label in zip(order.clusters["first"], order.clusters["label"], strict=True):
            assert sorted(order.labels[first : first + 4].tolist()) == list(range(label, label + 4))
            assert order.cluster(label).tolist() == order.labels[first : first + 4].tolist()
        assert order.cluster(1).tolist() == []
        table = order.table()
        assert table["label"].tolist() == order.labels.tolist()
        expected = [pd.NA if label == 12 else label // 4 * 4 for label in table["label"]]
        assert table["cluster"].tolist() == expected

    @given(videos_of_labels)
    def test_order_and_clusters_match_a_dense_linkage(self, videos: list[list[int]]) -> None:
        pairs = together(videos)
        order = label_order(pairs, len(videos))
        present = np.flatnonzero(pairs.diagonal())
        assert sorted(order.labels.tolist()) == present.tolist()
        if len(present) < 3:
            assert order.clusters.empty
            return
        # Dense reference in which pairs that never co-occur have φ = 0.
        phi = np.nan_to_num(measure(pairs, len(videos), "phi").toarray())[np.ix_(present, present)]
        distance = np.clip(1 - phi, 0, None)
        np.fill_diagonal(distance, 0)
        tree = hierarchy.linkage(squareform(distance, checks=False), "average")
        assert order.labels.tolist() == present[hierarchy.leaves_list(tree)].tolist()
        # Up to MAX_CLUSTER_SIZE labels, the clusters equal scipy's flat clusters at this height.
        assignment = hierarchy.fcluster(tree, 1 - MIN_MEAN_PHI, "distance")
        found = {
            frozenset(order.labels[first : first + size].tolist())
            for first, size in order.clusters[["first", "size"]].to_numpy().tolist()
        }
        members = [frozenset(present[assignment == number].tolist()) for number in np.unique(assignment)]
        assert found == {cluster for cluster in members if len(cluster) > 1}

    def test_clusters_above_the_maximum_size_are_split(self) -> None:
        videos = [[*range(80), *range(100, 160)], [*range(80)], [*range(100, 160)], [*range(80)], [200], [201]]
        order = label_order(together(videos, 202), len(videos))
        assert order.clusters["size"].tolist() == [80, 60]
        assert MAX_CLUSTER_SIZE == 100

    def test_window_stays_within_the_order(self) -> None:
        order = label_order(together(TOPICS, 14), len(TOPICS))
        assert order.window(0, 5).tolist() == order.labels[:5].tolist()
        assert order.window(6, 4).tolist() == order.labels[4:8].tolist()
        assert order.window(12, 5).tolist() == order.labels[-5:].tolist()
        assert order.window(3, 99).tolist() == order.labels.tolist()


class TestOverview:
    @given(
        arrays.arrays(np.float64, st.tuples(st.just(7), st.just(7)), elements=st.sampled_from([0, 0, -0.5, 0.2, 0.9])),
        st.integers(1, 9),
        st.permutations(range(7)),
        st.integers(1, 7),
    )
    def test_pooled_cell_is_the_value_farthest_from_zero(
        self, matrix: np.ndarray, side: int, order: list[int], size: int
    ) -> None:
        labels = np.array(order[:size])
        cells = pool_matrix(csr_array(matrix), labels, side)
        step = clustering.block_size(size, side)
        assert len(cells) <= side
        assert len(cells) == -(-size // step)
        dense = matrix[np.ix_(labels, labels)]
        for i in range(len(cells)):
            for j in range(len(cells)):
                block = dense[i * step : (i + 1) * step, j * step : (j + 1) * step]
                high, low = max(block.max(), 0), min(block.min(), 0)
                assert cells[i, j] == (high if high >= -low else low)

    @given(videos_of_labels, st.integers(1, 4))
    def test_support_filters_exclude_rare_pairs_and_the_diagonal(self, videos: list[list[int]], minimum: int) -> None:
        pairs = together(videos)
        dense = pairs.toarray()
        kept = (dense >= minimum) & ~np.eye(CLASSES, dtype=bool)
        values = measure(pairs, len(videos), "lift")
        expected = np.where(kept, values.toarray(), 0)
        np.testing.assert_array_equal(filter_by_support(values, pairs, minimum).toarray(), expected)
        row, column = supported_pairs(pairs, minimum)
        assert sorted(zip(row.tolist(), column.tolist(), strict=True)) == list(map(tuple, np.argwhere(kept).tolist()))
        labels = np.array([3, 0, 5])
        window = mask_unsupported(np.ones((3, 3)), pairs, labels, minimum)
        inside = kept[np.ix_(labels, labels)] | np.eye(3, dtype=bool)
        np.testing.assert_array_equal(window, np.where(inside, 1, np.nan))


@pytest.mark.parametrize("size", [1, 2, 4, 99])
@given(videos=videos_of_labels, label=st.integers(0, CLASSES - 1))
def test_nearest_labels_have_the_largest_phi(size: int, videos: list[list[int]], label: int) -> None:
    pairs = together(videos)
    nearest = nearest_by_phi(pairs, len(videos), label, size).tolist()
    phi = np.nan_to_num(measure(pairs, len(videos), "phi").toarray()[label])
    cooccurring = [other for other in range(CLASSES) if other != label and pairs[label, other] > 0]
    assert nearest == [label, *sorted(cooccurring, key=lambda other: (-phi[other], other))][:size]
