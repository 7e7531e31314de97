"""The order of thousands of labels, its clusters and its overview, against slow references."""

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
    ALIKE,
    LARGEST,
    label_order,
    nearest,
    pairs_with,
    pooled,
    supported,
    supported_window,
)
from yt8m_core.labels.statistics import cooccurrence, label_matrix, measure

CLASSES = 9
videos_of_labels = st.lists(st.lists(st.integers(0, CLASSES - 1), max_size=5), min_size=1, max_size=14)


def together(videos: list[list[int]], classes: int = CLASSES) -> csr_array:
    values = [label for video in videos for label in video]
    return cooccurrence(label_matrix(np.array(values, np.int32), np.cumsum([0, *map(len, videos)]), classes))


# Topic t has the labels 4t to 4t + 3, of which 4t is in each of its videos; label 12 is alone, 13 in no video.
RANDOM = np.random.default_rng(0)
TOPICS = [
    [4 * topic, *(4 * topic + 1 + RANDOM.choice(3, 2, replace=False)).tolist()] for topic in range(3) for _ in range(20)
] + [[12]] * 5


class TestOrder:
    def test_topics_are_clusters_named_by_their_most_frequent_label(self) -> None:
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
    def test_tree_is_that_of_all_distances(self, videos: list[list[int]]) -> None:
        pairs = together(videos)
        order = label_order(pairs, len(videos))
        present = np.flatnonzero(pairs.diagonal())
        assert sorted(order.labels.tolist()) == present.tolist()
        if len(present) < 3:
            assert order.clusters.empty
            return
        # The same from a dense matrix, in which pairs that never occur have φ 0.
        phi = np.nan_to_num(measure(pairs, len(videos), "phi").toarray())[np.ix_(present, present)]
        distance = np.clip(1 - phi, 0, None)
        np.fill_diagonal(distance, 0)
        tree = hierarchy.linkage(squareform(distance, checks=False), "average")
        assert order.labels.tolist() == present[hierarchy.leaves_list(tree)].tolist()
        # Within LARGEST labels, clusters are what scipy cuts at this height.
        of = hierarchy.fcluster(tree, 1 - ALIKE, "distance")
        found = {
            frozenset(order.labels[first : first + size].tolist())
            for first, size in order.clusters[["first", "size"]].to_numpy().tolist()
        }
        members = [frozenset(present[of == number].tolist()) for number in np.unique(of)]
        assert found == {cluster for cluster in members if len(cluster) > 1}

    def test_cluster_larger_than_a_window_is_cut(self) -> None:
        videos = [[*range(80), *range(100, 160)], [*range(80)], [*range(100, 160)], [*range(80)], [200], [201]]
        order = label_order(together(videos, 202), len(videos))
        assert order.clusters["size"].tolist() == [80, 60]
        assert LARGEST == 100

    def test_stretch_around_a_place_stays_inside(self) -> None:
        order = label_order(together(TOPICS, 14), len(TOPICS))
        assert order.around(0, 5).tolist() == order.labels[:5].tolist()
        assert order.around(6, 4).tolist() == order.labels[4:8].tolist()
        assert order.around(12, 5).tolist() == order.labels[-5:].tolist()
        assert order.around(3, 99).tolist() == order.labels.tolist()


class TestOverview:
    @given(
        arrays.arrays(np.float64, st.tuples(st.just(7), st.just(7)), elements=st.sampled_from([0, 0, -0.5, 0.2, 0.9])),
        st.integers(1, 9),
        st.permutations(range(7)),
        st.integers(1, 7),
    )
    def test_pooled_cell_is_the_farthest_of_its_block(
        self, matrix: np.ndarray, side: int, order: list[int], size: int
    ) -> None:
        labels = np.array(order[:size])
        cells = pooled(csr_array(matrix), labels, side)
        step = clustering.block(size, side)
        assert len(cells) <= side
        assert len(cells) == -(-size // step)
        dense = matrix[np.ix_(labels, labels)]
        for i in range(len(cells)):
            for j in range(len(cells)):
                block = dense[i * step : (i + 1) * step, j * step : (j + 1) * step]
                high, low = max(block.max(), 0), min(block.min(), 0)
                assert cells[i, j] == (high if high >= -low else low)

    @given(videos_of_labels, st.integers(1, 4))
    def test_pairs_with_little_support_and_the_diagonal_are_left_out(
        self, videos: list[list[int]], minimum: int
    ) -> None:
        pairs = together(videos)
        dense = pairs.toarray()
        kept = (dense >= minimum) & ~np.eye(CLASSES, dtype=bool)
        values = measure(pairs, len(videos), "lift")
        expected = np.where(kept, values.toarray(), 0)
        np.testing.assert_array_equal(supported(values, pairs, minimum).toarray(), expected)
        row, column = pairs_with(pairs, minimum)
        assert sorted(zip(row.tolist(), column.tolist(), strict=True)) == list(map(tuple, np.argwhere(kept).tolist()))
        labels = np.array([3, 0, 5])
        window = supported_window(np.ones((3, 3)), pairs, labels, minimum)
        inside = kept[np.ix_(labels, labels)] | np.eye(3, dtype=bool)
        np.testing.assert_array_equal(window, np.where(inside, 1, np.nan))


@pytest.mark.parametrize("size", [1, 2, 4, 99])
@given(videos=videos_of_labels, label=st.integers(0, CLASSES - 1))
def test_nearest_are_those_of_the_largest_phi(size: int, videos: list[list[int]], label: int) -> None:
    pairs = together(videos)
    found = nearest(pairs, len(videos), label, size).tolist()
    phi = np.nan_to_num(measure(pairs, len(videos), "phi").toarray()[label])
    met = [other for other in range(CLASSES) if other != label and pairs[label, other] > 0]
    assert found == [label, *sorted(met, key=lambda other: (-phi[other], other))][:size]
