"""Label counts, imbalance, and bands against plain loops."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

from yt8m_core.errors import UserError
from yt8m_core.labels.statistics import bands, imbalance, label_matrix, rank_frequency

CLASSES = 6
videos_of_labels = st.lists(st.lists(st.integers(0, CLASSES - 1), max_size=8), min_size=1, max_size=12)


def ragged(videos: list[list[int]]) -> csr_array:
    values = [label for video in videos for label in video]
    return label_matrix(np.array(values, np.int32), np.cumsum([0, *map(len, videos)]), CLASSES)


@pytest.mark.parametrize(
    ("values", "offsets", "message"),
    [
        ([0, 6], [0, 2], "label 6; expected 0 to 5"),
        ([-1, 0], [0, 2], "label -1; expected 0 to 5"),
        ([0, 1], [0, 1], "expected non-decreasing offsets from 0 to 2"),
        ([0, 1], [1, 2], "expected non-decreasing offsets from 0 to 2"),
        ([0, 1], [0, 2, 1, 2], "expected non-decreasing offsets from 0 to 2"),
        ([], [], "expected non-decreasing offsets from 0 to 0"),
    ],
)
def test_label_matrix_rejects_invalid_labels_and_offsets(values: list[int], offsets: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        label_matrix(values, offsets, CLASSES)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any))
def test_imbalance_matches_loops(number: list[int]) -> None:
    distribution = imbalance(number)
    size, total = len(number), sum(number)
    differences = sum(abs(a - b) for a in number for b in number)
    assert distribution["gini"] == pytest.approx(differences / (2 * size * total), abs=1e-12)
    top = sorted(number, reverse=True)[: math.ceil(0.05 * size)]
    assert distribution["top_5_percent_share"] == pytest.approx(sum(top) / total)
    assert (distribution["labels"], distribution["pairs"], distribution["unseen_labels"]) == (
        size,
        total,
        number.count(0),
    )
    assert sum(distribution[f"{band}_labels"] for band in ("head", "mid", "tail")) == size
    assert sum(distribution[f"{band}_share"] for band in ("head", "mid", "tail")) == pytest.approx(1)


def test_gini_is_zero_when_labels_are_equally_frequent() -> None:
    assert imbalance([7] * 100)["gini"] == pytest.approx(0, abs=1e-15)
    assert imbalance([0] * 99 + [7])["gini"] == pytest.approx(0.99)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any))
def test_bands_are_the_smallest_sets_that_hold_50_and_90_percent(number: list[int]) -> None:
    order = sorted(range(len(number)), key=lambda label: (-number[label], label))
    total = sum(number)
    fewest = {
        share: next(n for n in range(len(order) + 1) if sum(number[i] for i in order[:n]) >= share * total)
        for share in (0.5, 0.9)
    }
    expected = {label: "head" if place < fewest[0.5] else "mid" if place < fewest[0.9] else "tail"
                for place, label in enumerate(order)}  # fmt: skip
    assert bands(number).tolist() == [expected[label] for label in range(len(number))]


def test_rank_frequency_sorts_by_count_then_label() -> None:
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
def test_rank_frequency_rejects_a_vocabulary_of_other_labels(labels: list[int]) -> None:
    vocabulary = pd.DataFrame({"label": labels, "name": "", "vertical": ""})
    with pytest.raises(UserError, match="expected the labels 0 to 2, each once"):
        rank_frequency([1, 2, 3], vocabulary)


@pytest.mark.parametrize("number", [[0, 0], [], [3, -1], [[1, 2]]])
def test_imbalance_rejects_invalid_counts(number: list[int]) -> None:
    with pytest.raises(UserError, match="the number of videos with each label"):
        imbalance(number)
