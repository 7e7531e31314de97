"""GAP, Hit@1, PERR and mAP compared with slow references, all orders of tied entries, and two processes."""

import heapq
import json
import math
import random
from fractions import Fraction
from functools import cache
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed
import torch.multiprocessing
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.errors import UserError
from yt8m_core.metrics import bootstrap, top_k
from yt8m_core.metrics.average_precision import reciprocal_sum
from yt8m_core.metrics.label_precision import LabelPrecision
from yt8m_core.metrics.score_keys import descending_keys, sortable_scores
from yt8m_core.metrics.sparse import sparse_gap
from yt8m_core.metrics.top_k import TopLabels, global_average_precision

Matrices = tuple[NDArray[np.float32], NDArray[np.int64]]


def random_data(videos: int, classes: int, *, seed: int = 0, levels: int | None = None, share: float = 0.2) -> Matrices:
    """Return scores (all different, or with ``levels`` distinct values) and labels with at least one positive."""
    numbers = np.random.default_rng(seed)
    if levels:
        scores = numbers.integers(1, levels + 1, (videos, classes)) / levels
    else:
        scores = (numbers.permutation(videos * classes) + 1).reshape(videos, classes) / (videos * classes + 1)
    labels = (numbers.random((videos, classes)) < share).astype(np.int64)
    labels[0, 0] = 1
    return scores.astype(np.float32), labels


def fill_metric(scores: NDArray[Any], labels: NDArray[Any], k: int = 20, batch: int = 1000) -> TopLabels:
    metric = TopLabels(scores.shape[1], k=k)
    for first in range(0, len(scores), batch):
        part = slice(first, first + batch)
        metric.update(torch.from_numpy(scores[part].copy()), torch.from_numpy(labels[part].copy()))
    return metric


# Slow references


def heap_gap(scores: NDArray[Any], labels: NDArray[Any], k: int, seed: int = 0) -> float:
    """Compute GAP as Google's calculator does: a heap, a shuffle, a stable sort and a loop."""
    heap: list[tuple[float, int]] = []
    for score, label in zip(scores, labels, strict=True):
        for index in np.argpartition(score, -min(k, len(score)))[-min(k, len(score)) :]:
            heapq.heappush(heap, (float(score[index]), int(label[index])))
    random.Random(seed).shuffle(heap)
    return average_precision(sorted(heap, key=lambda entry: -entry[0]), int(labels.sum()))


def average_precision(ranked: list[tuple[float, int]], positives: int) -> float:
    hits, total = 0, 0.0
    for place, (_, hit) in enumerate(ranked, start=1):
        hits += hit
        total += hits / place * hit
    return total / positives


def enumerated_gap(scores: NDArray[Any], labels: NDArray[Any], k: int) -> float:
    """Compute the mean of GAP over all choices at each video's k-th place and all orders of the pooled ties."""

    def possible_top_k(score: NDArray[Any], label: NDArray[Any]) -> list[tuple[tuple[float, int], ...]]:
        # All sets of k labels that omit no larger score; they are equally likely.
        entries = [(float(s), int(y)) for s, y in zip(score, label, strict=True)]
        k_th = sorted(score)[-min(k, len(score))]
        above = tuple(entry for entry in entries if entry[0] > k_th)
        tied = [entry for entry in entries if entry[0] == k_th]
        return [above + choice for choice in combinations(tied, min(k, len(score)) - len(above))]

    total, number = Fraction(0), 0
    for choice in product(*(possible_top_k(score, label) for score, label in zip(scores, labels, strict=True))):
        pool = [entry for video in choice for entry in video]
        total += mean_over_orders(tuple(sorted(pool, reverse=True)))
        number += 1
    return float(total / number / int(labels.sum()))


@cache
def mean_over_orders(pool: tuple[tuple[float, int], ...]) -> Fraction:
    groups = [[hit for score, hit in pool if score == level] for level in sorted({s for s, _ in pool}, reverse=True)]
    total, orders = Fraction(0), 0
    for order in product(*(permutations(group) for group in groups)):
        hits = 0
        for place, hit in enumerate((hit for group in order for hit in group), start=1):
            hits += hit
            total += Fraction(hits * hit, place)
        orders += 1
    return total / orders


# GAP


def test_gap_is_one_half_when_one_of_two_positives_is_outside_the_top_20() -> None:
    scores, labels = np.linspace(1, 0, 25)[None], np.zeros((1, 25), int)
    labels[0, [0, 24]] = 1
    assert global_average_precision(scores, labels) == 0.5


def test_gap_pools_all_videos_into_one_list() -> None:
    # In descending order: 0.9 hit, 0.8 miss, 0.7 hit, 0.6 miss. A mean over videos would be (1 + 1/2) / 2.
    scores, labels = np.array([[0.9, 0.6], [0.7, 0.8]]), np.array([[1, 0], [1, 0]])
    assert global_average_precision(scores, labels) == pytest.approx((1 + 2 / 3) / 2, abs=1e-15)


def test_gap_of_equal_scores_is_the_mean_over_all_orders() -> None:
    # One hit among n tied entries has each rank equally often: mean of 1/j, which is H(n)/n.
    labels = np.zeros((1, 7), bool)
    labels[0, 3] = True
    expected = sum(1 / place for place in range(1, 8)) / 7
    assert global_average_precision(np.full((1, 7), 0.5), labels) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("k", [1, 5, 20, 50])
def test_gap_equals_the_heap_reference_without_ties(k: int) -> None:
    scores, labels = random_data(300, 40, seed=k, share=0.1)
    assert global_average_precision(scores, labels, k) == pytest.approx(heap_gap(scores, labels, k), abs=1e-12)


TIED_CASES = [
    # scores, labels, k; each case has one kind of tie
    ([[0.5, 0.5, 0.5]], [[1, 0, 0]], 1),  # one place, three candidates
    ([[0.5, 0.5, 0.5]], [[1, 1, 0]], 2),  # the number of hits is random
    ([[0.9, 0.5, 0.5, 0.5]], [[0, 1, 1, 0]], 3),  # a tie below a certain place
    ([[0.9, 0.5, 0.5], [0.5, 0.5, 0.1]], [[1, 1, 0], [1, 0, 1]], 2),  # a boundary tie with the score of another tie
    ([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], [[1, 1, 0], [1, 0, 0]], 2),  # two boundary ties with the same score
    ([[0.7, 0.7, 0.7], [0.5, 0.5, 0.5]], [[1, 1, 0], [1, 1, 0]], 2),  # random hits before a random tie
    ([[0.5, 0.5]], [[1, 1]], 2),  # all tied, all hits
    ([[0.1, 0.1, 0.9]], [[1, 0, 0]], 1),  # a tie outside the top k
    ([[np.inf, -np.inf, -np.inf]], [[0, 1, 0]], 2),  # infinite scores are scores
]


@pytest.mark.parametrize(("scores", "labels", "k"), TIED_CASES)
def test_gap_equals_the_mean_over_all_orders_of_ties(
    scores: list[list[float]], labels: list[list[int]], k: int
) -> None:
    expected = enumerated_gap(np.array(scores), np.array(labels), k)
    assert global_average_precision(np.array(scores), np.array(labels), k) == pytest.approx(expected, abs=1e-14)


@settings(max_examples=80)
@given(data=st.data(), k=st.integers(1, 3))
def test_gap_equals_the_mean_over_all_orders_of_random_ties(data: st.DataObject, k: int) -> None:
    videos, classes = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    cells = videos * classes
    scores = np.array(data.draw(st.lists(st.integers(1, 3), min_size=cells, max_size=cells))).reshape(videos, classes)
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=cells, max_size=cells))).reshape(videos, classes)
    labels[0, 0] = 1
    while math.factorial(min(k, classes) * videos) > 6000:
        k -= 1
    expected = enumerated_gap(scores, labels, k)
    assert global_average_precision(scores / 4, labels, k) == pytest.approx(expected, abs=1e-13)


def test_gap_with_ties_is_the_mean_of_the_heap_reference_over_shuffles() -> None:
    # Ties within the top k only: the expectation averages over the shuffles of Google's code.
    scores, labels = random_data(40, 3, levels=4, share=0.4)
    shuffled = [heap_gap(scores, labels, 3, seed) for seed in range(3000)]
    error = np.std(shuffled) / math.sqrt(len(shuffled))
    assert np.std(shuffled) > 0.005  # the case does depend on the order
    assert global_average_precision(scores, labels, 3) == pytest.approx(np.mean(shuffled), abs=4 * error)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([None, 2, 6]), k=st.integers(1, 9))
def test_gap_does_not_depend_on_the_order_of_videos_or_labels(seed: int, levels: int | None, k: int) -> None:
    scores, labels = random_data(12, 8, seed=seed, levels=levels)
    numbers = np.random.default_rng(seed)
    videos, classes = numbers.permutation(12), numbers.permutation(8)
    expected = global_average_precision(scores, labels, k)
    assert global_average_precision(scores[videos], labels[videos], k) == pytest.approx(expected, abs=1e-14)
    moved = global_average_precision(scores[:, classes], labels[:, classes], k)
    assert moved == pytest.approx(expected, abs=1e-14)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([None, 2, 6]))
def test_gap_does_not_change_with_monotonic_transforms_of_the_scores(seed: int, levels: int | None) -> None:
    scores, labels = random_data(12, 8, seed=seed, levels=levels)
    expected = global_average_precision(scores, labels, 3)
    for transformed in (np.log(scores), scores**3, 5 * scores - 2):
        assert global_average_precision(transformed, labels, 3) == expected


def test_gap_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = random_data(50, 30, levels=9)
    expected = global_average_precision(scores, labels, 5)
    monkeypatch.setattr(top_k, "CHUNK", 7 * 30)
    assert global_average_precision(scores, labels, 5) == expected


@pytest.mark.filterwarnings("error")
def test_gap_accepts_all_kinds_of_arrays() -> None:
    scores, labels = random_data(20, 30, levels=9)
    expected = global_average_precision(scores, labels)
    read_only = scores.copy()
    read_only.flags.writeable = False
    for other in (
        scores.astype(np.float64),
        read_only,
        np.asfortranarray(scores),
        torch.from_numpy(scores).requires_grad_(),
    ):
        assert global_average_precision(other, labels) == expected
    assert global_average_precision(scores[::-1], labels[::-1]) == pytest.approx(expected, abs=1e-14)
    for truth in (labels.astype(bool), labels.astype(np.float32), labels.astype(np.uint16), torch.from_numpy(labels)):
        assert global_average_precision(scores, truth) == expected


def dense_doubles(videos: int, classes: int, *, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return different float64 scores of which most are equal in float32, and labels."""
    _, labels = random_data(videos, classes, seed=seed, share=0.1)
    scores = 0.5 + np.random.default_rng(seed).random((videos, classes)) * 1e-6
    assert len(np.unique(scores.astype(np.float32))) < 20 < len(np.unique(scores)) == scores.size
    return scores, labels


def test_float64_scores_are_ranked_in_float64() -> None:
    # 1 + 1e-12 is 1 in float32, where the two entries would tie.
    scores, labels = np.array([[1 + 1e-12, 1.0]]), np.array([[1, 0]])
    assert global_average_precision(scores, labels) == 1.0
    assert global_average_precision(-scores, labels) == 0.5
    assert global_average_precision(scores.astype(np.float32), labels) == 0.75


@pytest.mark.parametrize("k", [1, 5, 20])
def test_gap_of_float64_scores_equals_the_heap_reference(k: int) -> None:
    scores, labels = dense_doubles(300, 40, seed=k)
    expected = heap_gap(scores, labels, k)
    assert global_average_precision(scores, labels, k) == pytest.approx(expected, abs=1e-12)
    assert sparse_gap(scores, csr_array(labels), k) == pytest.approx(expected, abs=1e-12)
    assert abs(global_average_precision(scores.astype(np.float32), labels, k) - expected) > 1e-6


def test_gap_of_random_float64_scores_is_within_the_bar_of_the_heap_reference() -> None:
    numbers = np.random.default_rng(1)
    scores, labels = numbers.random((3000, 100)), numbers.random((3000, 100)) < 0.03
    assert global_average_precision(scores, labels) == pytest.approx(heap_gap(scores, labels, 20), abs=1e-9)


@pytest.mark.parametrize(("scores", "labels", "k"), TIED_CASES)
def test_gap_of_float64_ties_equals_the_mean_over_all_orders(
    scores: list[list[float]], labels: list[list[int]], k: int
) -> None:
    # 1 + s/10^12 has the ties of s in float64; in float32 all of these scores tie.
    close = 1 + np.array(scores) * 1e-12
    expected = enumerated_gap(close, np.array(labels), k)
    assert global_average_precision(close, np.array(labels), k) == pytest.approx(expected, abs=1e-14)


@settings(max_examples=60)
@given(data=st.data(), k=st.integers(1, 3))
def test_gap_of_random_float64_ties_equals_the_mean_over_all_orders(data: st.DataObject, k: int) -> None:
    videos, classes = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    cells = videos * classes
    levels = st.sampled_from([-0.0, 0.0, 5e-324, 0.5, 0.5 + 2**-53, 1.0, 1 + 2**-52, np.inf, -np.inf])
    scores = np.array(data.draw(st.lists(levels, min_size=cells, max_size=cells))).reshape(videos, classes)
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=cells, max_size=cells))).reshape(videos, classes)
    labels[0, 0] = 1
    while math.factorial(min(k, classes) * videos) > 6000:
        k -= 1
    expected = enumerated_gap(scores, labels, k)
    assert global_average_precision(scores, labels, k) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_ranked_as_its_float32_values(dtype: torch.dtype) -> None:
    scores, labels = random_data(60, 30)
    half = torch.from_numpy(scores).to(dtype)
    expected = global_average_precision(half.float(), labels)
    assert global_average_precision(half, labels) == expected
    metric = TopLabels(30)
    metric.update(half, torch.from_numpy(labels))
    assert metric.scores[0].dtype == torch.float32
    assert metric.compute()["gap"] == pytest.approx(expected, abs=1e-13)


def test_float64_batches_have_the_metrics_and_intervals_of_float64() -> None:
    scores, labels = dense_doubles(60, 30)
    metric = fill_metric(scores, labels, batch=7)
    values = metric.compute()
    expected = reference(scores, labels, 20)
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    numbers, gaps = np.random.default_rng(5), []
    for _ in range(50):
        video = numbers.integers(60, size=60)
        gaps.append(global_average_precision(scores[video], labels[video]))
    assert metric.bootstrap(seed=5, replicates=50) == pytest.approx(np.quantile(gaps, [0.025, 0.975]), abs=1e-12)


def test_batches_of_both_types_are_ranked_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = mixed_doubles(20, 30, first_double=8)
    for merged_after in (top_k.BATCHES, 2):
        monkeypatch.setattr(top_k, "BATCHES", merged_after)
        metric = TopLabels(30)
        for first in range(0, 20, 4):
            part = torch.from_numpy(scores[first : first + 4])
            metric.update(part if first >= 8 else part.float(), torch.from_numpy(labels[first : first + 4]))
        assert metric.compute() == pytest.approx(fill_metric(scores, labels).compute(), abs=1e-13)


def mixed_doubles(videos: int, classes: int, *, first_double: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return ``dense_doubles`` whose first videos have float32 values."""
    scores, labels = dense_doubles(videos, classes)
    scores[:first_double] = scores[:first_double].astype(np.float32)
    return scores, labels


def test_gap_is_zero_without_positives_in_the_top_k() -> None:
    assert global_average_precision(np.array([[0.9, 0.1]]), np.array([[0, 1]]), k=1) == 0.0


@pytest.mark.parametrize(
    ("scores", "labels", "k", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), 20, r"scores \(2, 3\) and labels \(2, 4\)"),
        (np.zeros(3), np.zeros(3), 20, r"two equal shapes \[N, C\]"),
        (np.zeros((0, 3)), np.zeros((0, 3)), 20, "at least one video"),
        (np.array([[0.0, 1.0], [1.0, np.nan]]), np.ones((2, 2)), 20, "video 1, label 1 is NaN"),
        (np.zeros((2, 3)), np.array([[0, 1, 0], [0, 0, 2]]), 20, "2 as the target of video 1, label 2"),
        (np.zeros((1, 2)), np.array([[0.5, 1.0]]), 20, "0.5 as the target of video 0, label 0"),
        (np.zeros((1, 2)), np.array([[np.nan, 1.0]]), 20, "nan as the target"),
        (np.zeros((2, 3)), np.zeros((2, 3)), 20, "2 videos without labels"),
        (np.zeros((2, 3)), np.ones((2, 3)), 0, "k=0"),
    ],
)
def test_gap_rejects_invalid_input(scores: Any, labels: Any, k: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        global_average_precision(scores, labels, k)


def test_gap_error_names_the_video_in_a_later_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top_k, "CHUNK", 3)
    scores, labels = np.zeros((5, 3)), np.ones((5, 3))
    scores[4, 2] = np.nan
    with pytest.raises(UserError, match="video 4, label 2 is NaN"):
        global_average_precision(scores, labels)
    labels[3, 1] = -1
    with pytest.raises(UserError, match=r"-1\.0 as the target of video 3, label 1"):
        global_average_precision(np.zeros((5, 3)), labels)


# Other metrics


def reference(scores: NDArray[Any], labels: NDArray[Any], k: int) -> dict[str, float]:
    """Compute all metrics with loops, for scores without ties."""
    videos, classes = scores.shape
    hits, precisions = [], []
    kept: list[list[tuple[float, int]]] = [[] for _ in range(classes)]
    for score, label in zip(scores, labels, strict=True):
        order = sorted(range(classes), key=lambda c: -score[c])
        for c in order[:k]:
            kept[c].append((score[c], label[c]))
        if n := int(label.sum()):
            hits.append(label[order[0]])
            precisions.append(sum(label[c] for c in order[:n] if score[c] > 0) / n)
    present = [c for c in range(classes) if labels[:, c].any()]
    ap = [average_precision(sorted(kept[c], reverse=True), int(labels[:, c].sum())) for c in present]
    return {
        "gap": heap_gap(scores, labels, k),
        "hit_at_1": float(np.mean(hits)),
        "perr": float(np.mean(precisions)),
        "map_present": float(np.mean(ap)),
        "map_all": sum(ap) / classes,
        "num_videos": videos,
        "num_unlabeled": videos - len(hits),
    }


@pytest.mark.parametrize("k", [1, 3, 20])
@pytest.mark.parametrize("share", [0.03, 0.5])
def test_all_metrics_equal_the_loops_without_ties(k: int, share: float) -> None:
    scores, labels = random_data(60, 12, seed=k, share=share)
    labels[:, 5] = 0  # a class without positives
    labels[7] = 0  # a video without labels
    scores = scores - 0.6  # some scores that PERR does not count
    expected = reference(scores, labels, k)
    assert 0 < expected["perr"] < 1
    assert expected["num_unlabeled"] >= 1
    assert fill_metric(scores, labels, k).compute() == pytest.approx(expected, abs=1e-12)


def test_metrics_do_not_depend_on_the_batches() -> None:
    scores, labels = random_data(50, 30, levels=9)
    whole = fill_metric(scores, labels).compute()
    assert fill_metric(scores, labels, batch=7).compute() == pytest.approx(whole, abs=1e-13)
    assert whole["gap"] == pytest.approx(global_average_precision(scores, labels), abs=1e-13)


def test_forward_returns_batch_metrics_and_accumulates() -> None:
    scores, labels = random_data(20, 6)
    labels[:, 1] = 1
    metric = TopLabels(6)
    for part in (slice(0, 12), slice(12, 20)):
        value = metric(torch.from_numpy(scores[part]), torch.from_numpy(labels[part]))
        assert value["gap"] == pytest.approx(global_average_precision(scores[part], labels[part]), abs=1e-13)
    assert metric.compute() == pytest.approx(fill_metric(scores, labels).compute(), abs=1e-13)


def test_targets_can_be_pairs() -> None:
    scores, labels = random_data(20, 6)
    pairs = TopLabels(6)
    videos, true = torch.from_numpy(labels).nonzero().T
    duplicates = torch.tensor([0, len(videos) - 1])  # a duplicate label counts once
    pairs.update(
        torch.from_numpy(scores), (torch.cat([videos, videos[duplicates]]), torch.cat([true, true[duplicates]]))
    )
    assert pairs.compute() == fill_metric(scores, labels).compute()


def test_hit_at_1_and_perr_are_expected_values_for_ties() -> None:
    # Video 0: three labels tie at the top, one true. Video 1: places 2 and 3 tie, n = 2, one of the two is true.
    scores = np.array([[0.5, 0.5, 0.5, 0.1], [0.9, 0.4, 0.4, 0.1]], np.float32)
    labels = np.array([[0, 1, 0, 0], [1, 0, 1, 0]])
    for k in (1, 2, 4):  # with and without a boundary tie
        values = fill_metric(scores, labels, k).compute()
        assert values["hit_at_1"] == pytest.approx((1 / 3 + 1) / 2, abs=1e-15)
        assert values["perr"] == pytest.approx((1 / 3 + 3 / 4) / 2, abs=1e-15)


def test_perr_uses_more_than_k_labels_if_a_video_has_more() -> None:
    scores = np.linspace(1, 0.1, 30, dtype=np.float32)[None]
    labels = (np.arange(30) % 2 == 0).astype(int)[None]
    labels[0, 29] = 1
    assert labels.sum() == 16
    assert fill_metric(scores, labels, k=4).compute()["perr"] == pytest.approx(8 / 16, abs=1e-15)


def test_perr_ignores_scores_of_zero() -> None:
    scores, labels = np.array([[0.5, 0.0, 0.0]], np.float32), np.array([[1, 1, 0]])
    assert fill_metric(scores, labels).compute()["perr"] == 0.5


def test_unlabeled_videos_are_counted_and_skipped() -> None:
    scores, labels = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32), np.array([[1, 0], [0, 0]])
    values = fill_metric(scores, labels).compute()
    assert (values["num_videos"], values["num_unlabeled"]) == (2, 1)
    assert (values["hit_at_1"], values["perr"]) == (1.0, 1.0)


def test_per_class_counts_missed_positives_and_has_nan_for_empty_classes() -> None:
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.7, 0.3], [0.2, 0.6, 0.1]], np.float32)
    labels = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]])
    table = fill_metric(scores, labels, k=1).per_class()
    # k = 1 keeps label 0 of the videos 0 and 1 and label 1 of video 2: one hit of two for 0, none of two for 1.
    assert table["label"].tolist() == [0, 1, 2]
    assert table["positives"].tolist() == [2, 2, 0]
    assert table["ap"][:2].tolist() == [0.5, 0.0]
    assert np.isnan(table["ap"][2])


def test_map_is_an_expected_value_for_ties_within_a_class() -> None:
    # In class 0 a hit ties with a miss: rank 1 or 2 with equal probability.
    scores, labels = np.array([[0.5, 0.1], [0.5, 0.2]], np.float32), np.array([[1, 0], [0, 0]])
    assert fill_metric(scores, labels).per_class()["ap"][0] == 0.75


def test_map_ranks_each_class_separately() -> None:
    scores, labels = np.array([[0.5, 0.1], [0.1, 0.5]], np.float32), np.array([[1, 0], [0, 1]])
    assert fill_metric(scores, labels, k=1).per_class()["ap"].tolist() == [1.0, 1.0]


def test_map_keeps_the_smaller_label_of_a_boundary_tie() -> None:
    scores, labels = np.full((1, 3), 0.5, np.float32), np.array([[1, 1, 0]])
    table = fill_metric(scores, labels, k=1).per_class()
    assert table["ap"][:2].tolist() == [1.0, 0.0]


def test_top_labels_are_sorted_by_score_then_label() -> None:
    metric = fill_metric(np.array([[0.2, 0.7, 0.2, 0.7, 0.2, 0.9]], np.float32), np.array([[1, 0, 0, 1, 0, 0]]), k=4)
    assert metric.labels[0].tolist() == [[5, 1, 3, 0]]
    assert metric.hits[0].tolist() == [[False, False, True, True]]
    assert metric.scores[0].tolist() == [pytest.approx([0.9, 0.7, 0.7, 0.2])]
    assert (metric.candidates[0].tolist(), metric.positives[0].tolist()) == ([3], [1])
    assert (metric.labels[0].dtype, metric.scores[0].dtype) == (torch.int32, torch.float32)


@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        (torch.zeros(2, 4), torch.zeros(2, 4), r"scores \(2, 4\); expected \[B, 3\]"),
        (torch.zeros(2, 3), torch.zeros(1, 3), r"targets \(1, 3\)"),
        (torch.full((2, 3), torch.nan), torch.zeros(2, 3), "video 0, label 0 is NaN"),
        (torch.zeros(2, 3), torch.full((2, 3), 0.5), "0.5 as the target"),
        (torch.zeros(2, 3), (torch.tensor([2]), torch.tensor([0])), r"a video outside 0\.\.1"),
        (torch.zeros(2, 3), (torch.tensor([0]), torch.tensor([-1])), r"a label outside 0\.\.2"),
        (torch.zeros(2, 3), (torch.tensor([0, 1]), torch.tensor([1])), "one label per pair"),
    ],
)
def test_update_rejects_invalid_batches(scores: Any, targets: Any, message: str) -> None:
    metric = TopLabels(3)
    with pytest.raises(UserError, match=message):
        metric.update(scores, targets)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_compute_needs_labeled_videos() -> None:
    metric = TopLabels(3)
    with pytest.raises(UserError, match="no video"):
        metric.compute()
    metric.update(torch.zeros(2, 3), torch.zeros(2, 3))
    with pytest.raises(UserError, match="2 videos without labels"):
        metric.compute()
    with pytest.raises(UserError, match="2 videos without labels"):
        metric.bootstrap(0)
    with pytest.raises(UserError, match="num_classes=0"):
        TopLabels(0)


def test_an_empty_batch_changes_nothing() -> None:
    scores, labels = random_data(10, 5)
    metric = fill_metric(scores, labels)
    expected = metric.compute()
    metric.update(torch.zeros(0, 5), torch.zeros(0, 5))
    assert metric.compute() == expected


def test_metrics_do_not_change_when_batches_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = random_data(90, 30, levels=9)
    expected = fill_metric(scores, labels, batch=2).compute()
    monkeypatch.setattr(top_k, "PIECE", 20)
    monkeypatch.setattr(top_k, "BATCHES", 4)
    metric = fill_metric(scores, labels, batch=2)
    assert [len(rows) for rows in metric.scores] == [24, 24, 24, 16, 2]  # of batches 1-12, 13-24, 25-36, 37-44, 45
    assert [len(rows) for rows in metric.perr] == [24, 24, 24, 16, 2]
    assert metric.compute() == pytest.approx(expected, abs=1e-14)
    assert torch.equal(metric.top_labels().labels, fill_metric(scores, labels).top_labels().labels)


def test_float32_scores_are_sorted_without_a_copy_and_others_by_dense_ranks() -> None:
    scores = [torch.tensor([[0.5, -0.0]]), torch.tensor([[0.0, -1.0]])]
    assert sortable_scores(scores) is scores
    ranks = sortable_scores([scores[0].double(), scores[1]])
    assert [piece.tolist() for piece in ranks] == [[[2, 1]], [[1, 0]]]
    keys = [descending_keys(piece).tolist() for piece in ranks]
    assert keys[0][0][0] < keys[0][0][1] == keys[1][0][0] < keys[1][0][1] < 2**32 - 1  # the bound of a group is key + 1


def test_keys_of_zeros_are_equal_and_infinities_are_extreme() -> None:
    scores = torch.tensor([torch.inf, 2.0, 1e-45, 0.0, -0.0, -1e-45, -2.0, -torch.inf])
    keys = descending_keys(scores).tolist()
    assert keys[3] == keys[4]
    assert sorted(set(keys)) == keys[:4] + keys[5:]


@pytest.mark.parametrize("n0", [0, 1, 40, 63, 64, 65, 10_000, 20_000_000])
def test_reciprocal_sum_is_exact_for_short_and_long_sums(n0: int) -> None:
    for n in (0, 1, 2, 3, 30, 64, 199, 5000):  # computed by the series, the table or logarithms
        expected = math.fsum(1 / (n0 + j) for j in range(1, n + 1))
        actual = float(reciprocal_sum(np.array([float(n0)]), np.array([float(n)]))[0])
        assert actual == pytest.approx(expected, rel=2e-15)


# Bootstrap interval


def predictable_data(videos: int, seed: int = 0) -> Matrices:
    scores, labels = random_data(videos, 30, seed=seed, share=0.1)
    return scores + labels.astype(np.float32) * np.float32(0.3), labels


def test_bootstrap_equals_gap_recomputed_for_the_drawn_videos() -> None:
    for levels in (None, 4):  # with ties, copies of a video tie with each other and with other videos
        scores, labels = random_data(15, 10, levels=levels)
        numbers = np.random.default_rng(5)
        gaps = []
        while len(gaps) < 50:
            video = numbers.integers(15, size=15)
            if labels[video].any():
                gaps.append(global_average_precision(scores[video], labels[video], 4))
        interval = fill_metric(scores, labels, 4).bootstrap(seed=5, replicates=50)
        assert interval == pytest.approx(np.quantile(gaps, [0.025, 0.975]), abs=1e-12)


def test_bootstrap_interval_contains_gap_and_shrinks_with_more_videos() -> None:
    widths = []
    for videos in (100, 1600):
        metric = fill_metric(*predictable_data(videos))
        low, high = metric.bootstrap(seed=0)
        assert low < metric.compute()["gap"] < high
        widths.append(high - low)
    assert 2.5 < widths[0] / widths[1] < 6  # 4 = sqrt(16) in theory


def test_bootstrap_coverage_is_close_to_nominal() -> None:
    truth = fill_metric(*predictable_data(20_000, seed=99)).compute()["gap"]
    intervals = [fill_metric(*predictable_data(200, seed)).bootstrap(seed, replicates=100) for seed in range(60)]
    covered = sum(low <= truth <= high for low, high in intervals)
    assert 50 <= covered <= 60  # 57 expected


def test_bootstrap_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = fill_metric(*random_data(40, 10, levels=5), k=4, batch=7)  # ties of 40 entries, also at the k-th place
    expected = metric.bootstrap(2, 20)
    monkeypatch.setattr(bootstrap, "BLOCK", 2)
    monkeypatch.setattr(bootstrap, "EXACT", 3)
    assert metric.bootstrap(2, 20) == pytest.approx(expected, abs=1e-14)


def test_bootstrap_counts_exactly_beyond_the_range_of_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = np.array([[0.9], [0.8], [0.5]], np.float32), np.array([[0], [0], [1]])
    copies = np.array([[2**24], [1], [1]], np.float32)  # misses, and the hit below them
    monkeypatch.setattr(bootstrap, "EXACT", 1)
    actual = bootstrap.GapResampler([fill_metric(scores, labels).top_labels()]).gap_numerators(copies)[0]
    assert actual == 1 / (2**24 + 2) != 1 / (2**24 + 1)


def test_bootstrap_of_segments_draws_their_videos() -> None:
    random = np.random.default_rng(0)
    scores, labels = random.random((60, 8)).astype(np.float32), random.random((60, 8)) < 0.3
    metric, repeated = TopLabels(8), TopLabels(8)
    metric.update(torch.from_numpy(scores), torch.from_numpy(labels))
    for _ in range(4):  # four equal segments per video say no more than one
        repeated.update(torch.from_numpy(scores), torch.from_numpy(labels))
    numbers = np.tile(np.arange(60), 4)
    assert repeated.bootstrap(0, 50, numbers) == pytest.approx(metric.bootstrap(0, 50), abs=0.02)
    low, high = repeated.bootstrap(0, 200, numbers)
    narrow_low, narrow_high = repeated.bootstrap(0, 200)
    assert narrow_high - narrow_low < 0.7 * (high - low)


def test_bootstrap_depends_only_on_the_seed() -> None:
    metric = fill_metric(*predictable_data(100))
    assert metric.bootstrap(1) == metric.bootstrap(1)
    assert metric.bootstrap(1) != metric.bootstrap(2)


def test_bootstrap_repeats_draws_without_labels() -> None:
    scores, labels = random_data(3, 4)
    labels[:] = 0
    labels[0, int(scores[0].argmax())] = 1
    assert all(0 < end <= 1 for end in fill_metric(scores, labels).bootstrap(0))


# Several processes

# Batch sizes of each process: unequal sizes, and a process without videos.
SHARES = ([[8, 8, 3], [8]], [[5, 4], []], [[9, 2], [3, 8]])


def shared_data(number: int, rank: int | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores and labels of a case of ``SHARES``. In the last one, those of process 1 are float64."""
    videos = sum(map(sum, SHARES[number]))
    if number == len(SHARES) - 1:
        scores, labels = mixed_doubles(videos, 12, first_double=sum(SHARES[number][0]))
        return torch.from_numpy(scores.astype(np.float32) if rank == 0 else scores), torch.from_numpy(labels)
    return tuple(map(torch.from_numpy, random_data(videos, 12, levels=7)))


def measure_together(rank: int, folder: str) -> None:
    """Run one of two processes: update with its share of the videos and write the joint metrics to a file."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    results = []
    for number, shares in enumerate(SHARES):
        scores, labels = shared_data(number, rank)
        first = sum(map(sum, shares[:rank]))
        metric, precision = TopLabels(12, k=5), LabelPrecision(12)
        for size in shares[rank]:
            for each in (metric, precision):
                each.update(scores[first : first + size], labels[first : first + size])
            first += size
        values = {**metric.compute(), "interval": metric.bootstrap(3, 20), "ap": metric.per_class()["ap"].tolist()}
        values["precision"] = precision.compute().to_numpy().tolist()
        # After the synchronization each process has its own videos again.
        own = [sum(len(batch) for batch in rows) for rows in (metric.num_labels, precision.scores)]
        results.append({**values, "num_own_videos": own})
    Path(folder, f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_compute_the_same_metrics_as_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(measure_together, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        for number, values in enumerate(json.loads((tmp_path / f"{rank}.json").read_text())):
            scores, labels = shared_data(number, None)
            single, precision = fill_metric(scores.numpy(), labels.numpy(), 5), LabelPrecision(12)
            precision.update(scores, labels)
            assert values.pop("num_own_videos") == [sum(SHARES[number][rank])] * 2
            assert values.pop("interval") == pytest.approx(single.bootstrap(3, 20), abs=1e-12)
            assert values.pop("ap") == pytest.approx(single.per_class()["ap"].tolist(), abs=1e-12, nan_ok=True)
            np.testing.assert_array_equal(values.pop("precision"), precision.compute().to_numpy())
            assert values == pytest.approx(single.compute(), abs=1e-12)
