"""Counts, imbalance and co-occurrence against dense loops, and the measures against their definitions."""

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.errors import UserError
from yt8m_core.labels import statistics
from yt8m_core.labels.statistics import (
    MEASURES,
    bands,
    cluster_order,
    cooccurrence,
    counts,
    imbalance,
    label_matrix,
    measure,
    rank_frequency,
    strongest_pairs,
)

CLASSES = 6
videos_of_labels = st.lists(st.lists(st.integers(0, CLASSES - 1), max_size=8), min_size=1, max_size=12)


def ragged(videos: list[list[int]]) -> csr_array:
    values = [label for video in videos for label in video]
    return label_matrix(np.array(values, np.int32), np.cumsum([0, *map(len, videos)]), CLASSES)


# Label 0 implies label 1; label 2 goes with nothing; label 3 is in every video; label 4 and 5 in none.
VIDEOS = [[0, 1, 3], [0, 1, 3], [1, 3], [2, 3], [3]]


# Counting.


@given(videos_of_labels)
def test_counts_and_cooccurrence_equal_loops(videos: list[list[int]]) -> None:
    alone, together = [0] * CLASSES, np.zeros((CLASSES, CLASSES), int)
    for video in videos:
        for a in set(video):
            alone[a] += 1
            for b in set(video):
                together[a, b] += 1
    matrix = ragged(videos)
    assert matrix.toarray().tolist() == [[int(c in video) for c in range(CLASSES)] for video in videos]
    assert counts(matrix).tolist() == alone
    pairs = cooccurrence(matrix)
    assert pairs.toarray().tolist() == together.tolist()
    assert pairs.diagonal().tolist() == alone
    assert (pairs.dtype, counts(matrix).dtype) == (np.int64, np.int64)


@given(videos=videos_of_labels, chunk=st.integers(1, 9))
def test_cooccurrence_stays_when_videos_are_counted_in_chunks(videos: list[list[int]], chunk: int) -> None:
    matrix = ragged(videos)
    expected = cooccurrence(matrix).toarray()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "CHUNK", chunk)
        assert np.array_equal(cooccurrence(matrix).toarray(), expected)


def test_cooccurrence_counts_a_video_once_when_labels_are_unsorted() -> None:
    matrix = csr_array((np.ones(4, np.int32), np.array([2, 0, 1, 0]), np.array([0, 2, 4])), (2, 3))
    assert cooccurrence(matrix).toarray().tolist() == [[2, 1, 1], [1, 1, 0], [1, 0, 1]]
    assert matrix.indices.tolist() == [2, 0, 1, 0]  # untouched


def test_cooccurrence_stays_sparse_when_there_are_many_labels() -> None:
    numbers = np.random.default_rng(0)
    sizes = 1 + numbers.poisson(2.4, 57_000)
    values = (4716 * numbers.random(sizes.sum()) ** 4).astype(np.int32)
    matrix = label_matrix(values, np.append(0, sizes.cumsum()), 4716)
    pairs = cooccurrence(matrix)
    assert pairs.nnz < 0.1 * 4716**2
    assert int(pairs.sum()) == int((matrix.sum(axis=1) ** 2).sum())


@pytest.mark.parametrize(
    ("values", "offsets", "message"),
    [
        ([0, 6], [0, 2], "label 6; expected 0 to 5"),
        ([-1, 0], [0, 2], "label -1; expected 0 to 5"),
        ([0, 1], [0, 1], "expected 0 rising to 2"),
        ([0, 1], [1, 2], "expected 0 rising to 2"),
        ([0, 1], [0, 2, 1, 2], "expected 0 rising to 2"),
        ([], [], "expected 0 rising to 0"),
    ],
)
def test_label_matrix_says_what_is_wrong_when_the_labels_are(
    values: list[int], offsets: list[int], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        label_matrix(values, offsets, CLASSES)


# Imbalance.


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any))
def test_imbalance_equals_loops(number: list[int]) -> None:
    spread = imbalance(number)
    size, total = len(number), sum(number)
    differences = sum(abs(a - b) for a in number for b in number)
    assert spread["gini"] == pytest.approx(differences / (2 * size * total), abs=1e-12)
    top = sorted(number, reverse=True)[: math.ceil(0.05 * size)]
    assert spread["top_5_percent_share"] == pytest.approx(sum(top) / total)
    assert (spread["labels"], spread["pairs"], spread["unseen_labels"]) == (size, total, number.count(0))
    assert sum(spread[f"{band}_labels"] for band in ("head", "mid", "tail")) == size
    assert sum(spread[f"{band}_share"] for band in ("head", "mid", "tail")) == pytest.approx(1)


def test_gini_is_zero_when_labels_are_equally_frequent() -> None:
    assert imbalance([7] * 100)["gini"] == pytest.approx(0, abs=1e-15)
    assert imbalance([0] * 99 + [7])["gini"] == pytest.approx(0.99)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any))
def test_bands_are_the_fewest_labels_that_hold_half_and_nine_tenths(number: list[int]) -> None:
    order = sorted(range(len(number)), key=lambda label: (-number[label], label))
    total = sum(number)
    fewest = {
        share: next(n for n in range(len(order) + 1) if sum(number[i] for i in order[:n]) >= share * total)
        for share in (0.5, 0.9)
    }
    expected = {label: "head" if place < fewest[0.5] else "mid" if place < fewest[0.9] else "tail"
                for place, label in enumerate(order)}  # fmt: skip
    assert bands(number).tolist() == [expected[label] for label in range(len(number))]


def test_rank_frequency_orders_by_count_then_label() -> None:
    vocabulary = pd.DataFrame({"label": [2, 0, 1], "name": ["c", "a", "b"], "vertical": ["z", "x", "y"]})
    table = rank_frequency([3, 10, 3], vocabulary)
    assert table["label"].tolist() == [1, 0, 2]
    assert table["name"].tolist() == ["b", "a", "c"]
    assert table["vertical"].tolist() == ["y", "x", "z"]
    assert table["count"].tolist() == [10, 3, 3]
    assert table["rank"].tolist() == [1, 2, 3]
    assert table["cumulative_share"].tolist() == pytest.approx([10 / 16, 13 / 16, 1])
    assert table["band"].tolist() == ["head", "mid", "mid"]


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 1], [0, 1, 3]])
def test_rank_frequency_refuses_a_vocabulary_of_other_labels(labels: list[int]) -> None:
    vocabulary = pd.DataFrame({"label": labels, "name": "", "vertical": ""})
    with pytest.raises(UserError, match="expected the labels 0 to 2, each once"):
        rank_frequency([1, 2, 3], vocabulary)


@pytest.mark.parametrize("number", [[0, 0], [], [3, -1], [[1, 2]]])
def test_imbalance_refuses_what_are_no_counts(number: list[int]) -> None:
    with pytest.raises(UserError, match="the videos of each label"):
        imbalance(number)


# Measures.


def from_the_definition(name: str, dense: NDArray[np.int64], i: int, j: int) -> float:
    """A measure of two labels from their columns of the dense label matrix."""
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
def test_measure_equals_its_definition_for_chosen_labels(videos: list[list[int]], name: str) -> None:
    matrix = ragged(videos)
    chosen = [4, 0, 3]
    expected = [[from_the_definition(name, matrix.toarray(), i, j) for j in chosen] for i in chosen]
    values = measure(cooccurrence(matrix), len(videos), name, chosen)
    np.testing.assert_allclose(values, expected, atol=1e-12)


@given(videos_of_labels, st.sampled_from(list(MEASURES)))
def test_measure_of_all_labels_agrees_with_that_of_chosen_ones(videos: list[list[int]], name: str) -> None:
    pairs = cooccurrence(ragged(videos))
    everything = measure(pairs, len(videos), name)
    dense = measure(pairs, len(videos), name, range(CLASSES))
    together = pairs.toarray() > 0
    np.testing.assert_array_equal(everything.toarray()[together], dense[together])
    assert everything.nnz == pairs.nnz


def test_conditional_is_directed_from_row_to_column() -> None:
    values = measure(cooccurrence(ragged(VIDEOS)), 5, "conditional", [0, 1])
    assert values[0, 1] == 1  # every video of label 0 has label 1
    assert values[1, 0] == pytest.approx(2 / 3)


def test_measures_are_neutral_when_labels_are_independent() -> None:
    videos = [[0, 1], [0], [1], []]
    pairs = cooccurrence(ragged(videos))
    assert measure(pairs, 4, "lift", [0, 1])[0, 1] == 1
    assert measure(pairs, 4, "phi", [0, 1])[0, 1] == 0
    assert measure(pairs, 4, "jaccard", [0, 1])[0, 1] == pytest.approx(1 / 3)


def test_measure_says_what_is_wrong_when_it_cannot_be() -> None:
    pairs = cooccurrence(ragged(VIDEOS))
    with pytest.raises(
        UserError, match="unknown measure 'pmi'; expected one of count, conditional, lift, phi, jaccard"
    ):
        measure(pairs, 5, "pmi")
    with pytest.raises(UserError, match="unknown measure 'pmi'"):
        strongest_pairs(pairs, 5, "pmi", 1, 10)
    for call in (lambda: measure(pairs, 4, "phi"), lambda: strongest_pairs(pairs, 4, "phi", 1, 10)):
        with pytest.raises(UserError, match="4 videos in all, but a label with 5"):
            call()


# Pairs and order.


@given(videos_of_labels, st.sampled_from(list(MEASURES)), st.integers(0, 3), st.integers(0, 8))
def test_strongest_pairs_equal_a_loop_over_all_pairs(
    videos: list[list[int]], name: str, support: int, limit: int
) -> None:
    matrix = ragged(videos)
    pairs, dense = cooccurrence(matrix), matrix.toarray()
    number = counts(matrix)
    expected = []
    for i in range(CLASSES):
        for j in range(i + 1, CLASSES):
            a, b = (i, j) if number[i] <= number[j] else (j, i)
            if pairs[i, j] >= max(support, 1):  # pairs that never occur are not listed
                value = from_the_definition(name, dense, a, b)
                expected.append((-math.inf if math.isnan(value) else round(value, 9), a, b))
    table = strongest_pairs(pairs, len(videos), name, support, limit)
    # Which of equally strong pairs is cut off by the limit is left to the test below.
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
            value = from_the_definition(other, dense, row.label_a, row.label_b)
            assert getattr(row, other) == pytest.approx(value, abs=1e-12, nan_ok=True)


def test_strongest_pairs_of_equal_value_rank_by_count_then_label() -> None:
    # Label 5 implies 0, and 1 and 2 imply each other, once each; 3 and 4 imply each other, twice.
    pairs = cooccurrence(ragged([[0, 5], [0], [1, 2], [3, 4], [3, 4]]))
    table = strongest_pairs(pairs, 5, "conditional", 1, 10)
    assert table[["label_a", "label_b"]].to_numpy().tolist() == [[3, 4], [1, 2], [5, 0]]


def test_strongest_pairs_read_as_implication() -> None:
    best = strongest_pairs(cooccurrence(ragged(VIDEOS)), 5, "lift", 2, 1).iloc[0]
    assert (best["label_a"], best["label_b"], best["count"]) == (0, 1, 2)
    assert (best["p_b_given_a"], best["p_a_given_b"]) == (1, pytest.approx(2 / 3))
    assert best["lift"] == pytest.approx(5 / 3)


def test_strongest_pairs_leave_out_what_has_too_little_support() -> None:
    pairs = cooccurrence(ragged(VIDEOS))
    assert strongest_pairs(pairs, 5, "count", 3, 10)[["label_a", "label_b"]].to_numpy().tolist() == [[1, 3]]
    assert len(strongest_pairs(pairs, 5, "count", 6, 10)) == 0


def test_cluster_order_puts_blocks_together_whatever_the_order_of_the_labels() -> None:
    block = np.kron(np.eye(3), np.ones((4, 4))) + 0.01
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation(12)
        order = cluster_order(block[shuffled][:, shuffled])
        assert sorted(order.tolist()) == list(range(12))
        members = (shuffled[order] // 4).tolist()
        assert [members[4 * i : 4 * i + 4] == [members[4 * i]] * 4 for i in range(3)] == [True] * 3


def test_cluster_order_reads_both_directions_of_a_directed_measure() -> None:
    directed = np.zeros((4, 4))
    directed[2, 0] = directed[3, 1] = 1
    neighbors = {frozenset(pair) for pair in pairwise(cluster_order(directed).tolist())}
    assert {frozenset({0, 2}), frozenset({1, 3})} <= neighbors


@pytest.mark.parametrize(
    "matrix", [np.zeros((0, 0)), [[1.0]], [[1, 0], [0, 1]], np.full((4, 4), np.nan), np.ones((3, 3))]
)
def test_cluster_order_is_an_order_when_there_is_nothing_to_cluster(matrix: NDArray[np.float64]) -> None:
    assert sorted(cluster_order(matrix).tolist()) == list(range(len(matrix)))


def test_cluster_order_takes_nan_as_not_alike() -> None:
    matrix = np.array([[1, np.nan, 0.9, 0.1], [np.nan, 1, 0.2, 0.8], [0.9, 0.2, 1, 0.1], [0.1, 0.8, 0.1, 1]])
    order = cluster_order(matrix).tolist()
    assert abs(order.index(0) - order.index(2)) == 1
    assert abs(order.index(1) - order.index(3)) == 1
