"""Pair counts against dense loops, measures against their definitions, and the order of pairs and labels."""

import math
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.errors import UserError
from yt8m_core.labels import cooccurrence as module
from yt8m_core.labels.cooccurrence import (
    MEASURES,
    cluster_order,
    count_pairs,
    measure,
    most_asymmetric_pairs,
    strongest_pairs,
)
from yt8m_core.labels.statistics import counts, label_matrix

CLASSES = 6
videos_of_labels = st.lists(st.lists(st.integers(0, CLASSES - 1), max_size=8), min_size=1, max_size=12)


def ragged(videos: list[list[int]]) -> csr_array:
    """Build the label matrix of a few videos."""
    values = [label for video in videos for label in video]
    return label_matrix(np.array(values, np.int32), np.cumsum([0, *map(len, videos)]), CLASSES)


# Label 0 implies label 1; label 2 co-occurs only with label 3, which is in all videos; labels 4 and 5 do not occur.
VIDEOS = [[0, 1, 3], [0, 1, 3], [1, 3], [2, 3], [3]]


@given(videos_of_labels)
def test_counts_match_loops(videos: list[list[int]]) -> None:
    alone, together = [0] * CLASSES, np.zeros((CLASSES, CLASSES), int)
    for video in videos:
        for a in set(video):
            alone[a] += 1
            for b in set(video):
                together[a, b] += 1
    matrix = ragged(videos)
    assert matrix.toarray().tolist() == [[int(c in video) for c in range(CLASSES)] for video in videos]
    assert counts(matrix).tolist() == alone
    pairs = count_pairs(matrix)
    assert pairs.toarray().tolist() == together.tolist()
    assert pairs.diagonal().tolist() == alone
    assert (pairs.dtype, counts(matrix).dtype) == (np.int64, np.int64)


@given(videos=videos_of_labels, chunk=st.integers(1, 9))
def test_count_pairs_does_not_depend_on_the_chunk_size(videos: list[list[int]], chunk: int) -> None:
    matrix = ragged(videos)
    expected = count_pairs(matrix).toarray()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        assert np.array_equal(count_pairs(matrix).toarray(), expected)


def test_count_pairs_accepts_unsorted_duplicate_labels() -> None:
    matrix = csr_array((np.ones(4, np.int32), np.array([2, 0, 1, 0]), np.array([0, 2, 4])), (2, 3))
    assert count_pairs(matrix).toarray().tolist() == [[2, 1, 1], [1, 1, 0], [1, 0, 1]]
    assert matrix.indices.tolist() == [2, 0, 1, 0]  # untouched


def test_count_pairs_stays_sparse_with_many_labels() -> None:
    numbers = np.random.default_rng(0)
    sizes = 1 + numbers.poisson(2.4, 57_000)
    values = (4716 * numbers.random(sizes.sum()) ** 4).astype(np.int32)
    matrix = label_matrix(values, np.append(0, sizes.cumsum()), 4716)
    pairs = count_pairs(matrix)
    assert pairs.nnz < 0.1 * 4716**2
    assert int(pairs.sum()) == int((matrix.sum(axis=1) ** 2).sum())


def by_definition(name: str, dense: NDArray[np.int64], i: int, j: int) -> float:
    """Compute a measure of two labels from their columns of the dense label matrix."""
    x, y = dense[:, i].astype(float), dense[:, j].astype(float)
    both = (x * y).sum()
    if name == "count":
        return float(both)
    if name == "conditional":
        return float(both / x.sum()) if x.any() else math.nan
    if name == "jaccard":
        return float(both / np.maximum(x, y).sum()) if x.any() or y.any() else math.nan
    if name == "lift":
        return float((x * y).mean() / (x.mean() * y.mean())) if x.any() and y.any() else math.nan
    return float(np.corrcoef(x, y)[0, 1]) if 0 < x.mean() < 1 and 0 < y.mean() < 1 else math.nan


@given(videos_of_labels, st.sampled_from(list(MEASURES)))
def test_measure_of_selected_labels_matches_its_definition(videos: list[list[int]], name: str) -> None:
    matrix = ragged(videos)
    selected = [4, 0, 3]
    expected = [[by_definition(name, matrix.toarray(), i, j) for j in selected] for i in selected]
    values = measure(count_pairs(matrix), len(videos), name, selected)
    np.testing.assert_allclose(values, expected, atol=1e-12)


@given(videos_of_labels, st.sampled_from(list(MEASURES)))
def test_measure_of_all_labels_matches_that_of_selected_labels(videos: list[list[int]], name: str) -> None:
    pairs = count_pairs(ragged(videos))
    sparse = measure(pairs, len(videos), name)
    dense = measure(pairs, len(videos), name, range(CLASSES))
    together = pairs.toarray() > 0
    np.testing.assert_array_equal(sparse.toarray()[together], dense[together])
    assert sparse.nnz == pairs.nnz


def test_conditional_is_directed_from_row_to_column() -> None:
    values = measure(count_pairs(ragged(VIDEOS)), 5, "conditional", [0, 1])
    assert values[0, 1] == 1  # every video of label 0 has label 1
    assert values[1, 0] == pytest.approx(2 / 3)


def test_measures_are_neutral_when_labels_are_independent() -> None:
    videos = [[0, 1], [0], [1], []]
    pairs = count_pairs(ragged(videos))
    assert measure(pairs, 4, "lift", [0, 1])[0, 1] == 1
    assert measure(pairs, 4, "phi", [0, 1])[0, 1] == 0
    assert measure(pairs, 4, "jaccard", [0, 1])[0, 1] == pytest.approx(1 / 3)


def test_measure_rejects_unknown_measures_and_too_few_videos() -> None:
    pairs = count_pairs(ragged(VIDEOS))
    with pytest.raises(
        UserError, match="unknown measure 'pmi'; expected one of count, conditional, lift, phi, jaccard"
    ):
        measure(pairs, 5, "pmi")
    with pytest.raises(UserError, match="unknown measure 'pmi'"):
        strongest_pairs(pairs, 5, "pmi", 1, 10)
    for call in (lambda: measure(pairs, 4, "phi"), lambda: strongest_pairs(pairs, 4, "phi", 1, 10)):
        with pytest.raises(UserError, match="4 videos in total, but a label with 5"):
            call()


@given(videos_of_labels, st.sampled_from(list(MEASURES)), st.integers(0, 3), st.integers(0, 8))
def test_strongest_pairs_match_a_loop_over_all_pairs(
    videos: list[list[int]], name: str, support: int, limit: int
) -> None:
    matrix = ragged(videos)
    pairs, dense = count_pairs(matrix), matrix.toarray()
    number = counts(matrix)
    expected = []
    for i in range(CLASSES):
        for j in range(i + 1, CLASSES):
            a, b = (i, j) if number[i] <= number[j] else (j, i)
            if pairs[i, j] >= max(support, 1):  # pairs that never co-occur are not listed
                value = by_definition(name, dense, a, b)
                expected.append((-math.inf if math.isnan(value) else round(value, 9), a, b))
    table = strongest_pairs(pairs, len(videos), name, support, limit)
    # The test below covers which of several ties the limit cuts off.
    column = "p_b_given_a" if name == "conditional" else name
    found = list(zip(table[column].fillna(-math.inf).round(9), table["label_a"], table["label_b"], strict=True))
    assert [value for value, *_ in found] == [value for value, *_ in sorted(expected, reverse=True)[:limit]]
    assert len(set(found)) == len(found)
    assert set(found) <= set(expected)
    for row in table.itertuples():
        assert row.count == pairs[row.label_a, row.label_b]
        assert row.p_b_given_a >= row.p_a_given_b
        assert row.p_b_given_a == pytest.approx(row.count / number[row.label_a])
        assert row.p_a_given_b == pytest.approx(row.count / number[row.label_b])
        for other in ("lift", "phi", "jaccard"):
            value = by_definition(other, dense, row.label_a, row.label_b)
            assert getattr(row, other) == pytest.approx(value, abs=1e-12, nan_ok=True)


def test_strongest_pairs_break_ties_by_count_then_label() -> None:
    # Label 5 implies 0, and 1 and 2 imply each other, once each; 3 and 4 imply each other, twice.
    pairs = count_pairs(ragged([[0, 5], [0], [1, 2], [3, 4], [3, 4]]))
    table = strongest_pairs(pairs, 5, "conditional", 1, 10)
    assert table[["label_a", "label_b"]].to_numpy().tolist() == [[3, 4], [1, 2], [5, 0]]


def test_strongest_pairs_list_the_rarer_label_first() -> None:
    best = strongest_pairs(count_pairs(ragged(VIDEOS)), 5, "lift", 2, 1).iloc[0]
    assert (best["label_a"], best["label_b"], best["count"]) == (0, 1, 2)
    assert (best["p_b_given_a"], best["p_a_given_b"]) == (1, pytest.approx(2 / 3))
    assert best["lift"] == pytest.approx(5 / 3)


def test_strongest_pairs_exclude_pairs_below_minimum_support() -> None:
    pairs = count_pairs(ragged(VIDEOS))
    assert strongest_pairs(pairs, 5, "count", 3, 10)[["label_a", "label_b"]].to_numpy().tolist() == [[1, 3]]
    assert len(strongest_pairs(pairs, 5, "count", 6, 10)) == 0


def test_cluster_order_groups_blocks_for_any_input_order() -> None:
    block = np.kron(np.eye(3), np.ones((4, 4))) + 0.01
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation(12)
        order = cluster_order(block[shuffled][:, shuffled])
        assert sorted(order.tolist()) == list(range(12))
        members = (shuffled[order] // 4).tolist()
        assert [members[4 * i : 4 * i + 4] == [members[4 * i]] * 4 for i in range(3)] == [True] * 3


def test_cluster_order_uses_both_directions_of_a_directed_measure() -> None:
    directed = np.zeros((4, 4))
    directed[2, 0] = directed[3, 1] = 1
    neighbors = {frozenset(pair) for pair in pairwise(cluster_order(directed).tolist())}
    assert {frozenset({0, 2}), frozenset({1, 3})} <= neighbors


@pytest.mark.parametrize(
    "matrix", [np.zeros((0, 0)), [[1.0]], [[1, 0], [0, 1]], np.full((4, 4), np.nan), np.ones((3, 3))]
)
def test_cluster_order_is_a_permutation_if_nothing_can_be_clustered(matrix: NDArray[np.float64]) -> None:
    assert sorted(cluster_order(matrix).tolist()) == list(range(len(matrix)))


def test_cluster_order_treats_nan_as_not_similar() -> None:
    matrix = np.array([[1, np.nan, 0.9, 0.1], [np.nan, 1, 0.2, 0.8], [0.9, 0.2, 1, 0.1], [0.1, 0.8, 0.1, 1]])
    order = cluster_order(matrix).tolist()
    assert abs(order.index(0) - order.index(2)) == 1
    assert abs(order.index(1) - order.index(3)) == 1


def test_most_asymmetric_pairs_drop_only_pairs_without_a_direction() -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 12, (60, 3))
    pairs = count_pairs(label_matrix(values.ravel(), np.arange(0, 181, 3), 12))
    table = strongest_pairs(pairs, 60, "phi", 1, 1000)
    ordered = most_asymmetric_pairs(table)
    difference = (ordered["p_b_given_a"] - ordered["p_a_given_b"]).to_numpy()
    assert (np.diff(difference) <= 0).all()
    assert (difference > 0).all()
    table = table[table["p_b_given_a"] > table["p_a_given_b"]]
    assert len(table) < len(strongest_pairs(pairs, 60, "phi", 1, 1000))
    key = ["label_a", "label_b"]
    pd.testing.assert_frame_equal(
        ordered.sort_values(key, ignore_index=True), table.sort_values(key, ignore_index=True)
    )


@pytest.mark.fault
def test_pairs_of_videos_with_thousands_of_labels_are_refused_before_they_are_counted() -> None:
    size = 1 << 20
    labels = label_matrix(np.tile(np.arange(size), 2), [0, size, 2 * size], size)
    started = time.monotonic()
    with pytest.raises(UserError, match=r"1,099,510,579,200 pairs of labels, of videos with up to 1,048,576 labels"):
        count_pairs(labels)
    assert time.monotonic() - started < 5
