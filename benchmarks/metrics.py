"""GAP@20 against Google's implementation, metrics of the whole data set, and label co-occurrence.

    python -m benchmarks.metrics [VIDEOS]

Scores and labels are random, with the sizes and the label frequencies of YouTube-8M.
"""

import heapq
import random
import sys
import warnings
from collections import Counter
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.classification import MultilabelAveragePrecision

from benchmarks.measure import measure_interleaved, one_torch_thread, row
from benchmarks.scaling import CLASSES, measure_in_process, random_batches, random_labels
from yt8m_core.labels.cooccurrence import count_pairs
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.metrics.top_k import TopLabels, global_average_precision

# Targets: all metrics of 1.1 million videos in 8 s and 500 MB including the state, and the co-occurrence of 5.7 million
# videos in 4 s. They are the column ``limit``: a ratio above 1 meets the target.
PER_SECOND, PER_MEGABYTE, PAIRS_PER_SECOND = 1_100_000 / 8, 1_100_000 / 500, 5_700_000 / 4
UNIT = "videos/s of CPU"  # one thread, because the peers have only one


def rows(num_videos: int = 100_000, seed: int = 0) -> list[dict[str, Any]]:
    """Return one row per measurement, in videos per second of CPU time.

    Args:
        num_videos: Number of videos of the GAP measurement; 100,000 take 3 GB and a minute, mostly for the peer. The
            metrics of the whole set use 11 times as many, co-occurrence 57 times as many (5.7 million, the whole data
            set, for 100,000), and its peers a part of those.
        seed: Random seed of scores and labels.
    """
    return [
        _gap_row(num_videos, seed),
        *_full_size_rows(11 * num_videos),
        _class_ap_row(min(2048, num_videos)),
        *_cooccurrence_rows(57 * num_videos, seed),
    ]


def heap_gap(scores: NDArray[np.float32], labels: NDArray[np.bool_], k: int = 20) -> float:
    """Compute GAP@k like google/youtube-8m: top k of each video by argpartition, pushed onto a heap of (score, label),
    shuffled with seed 0, sorted, and summed in a Python loop."""
    by_class: list[list[tuple[float, bool]]] = [[] for _ in range(scores.shape[1])]
    for score, label in zip(scores, labels, strict=True):
        for index in np.argpartition(score, -k)[-k:]:
            by_class[index].append((score[index], label[index]))
    positives = sum(int(labels[:, index].sum()) for index in range(labels.shape[1]))
    heap: list[tuple[float, bool]] = []
    for entries in by_class:
        for entry in entries:
            heapq.heappush(heap, entry)
    score, label = np.array(list(zip(*heap, strict=True)))
    random.seed(0)
    shuffled = random.sample(range(len(score)), len(score))
    score, label = score[shuffled], label[shuffled]
    hits, total = 0.0, 0.0
    for place, index in enumerate(sorted(range(len(score)), key=lambda i: score[i], reverse=True), start=1):
        if label[index] > 0:
            hits += 1
            total += hits / place
    return total / positives


def _gap_row(num_videos: int, seed: int) -> dict[str, Any]:
    random_numbers = np.random.default_rng(seed)
    scores = random_numbers.random((num_videos, CLASSES), dtype=np.float32)
    values, offsets = random_labels(num_videos, seed=seed)
    labels = np.zeros((num_videos, CLASSES), np.bool_)
    labels[np.repeat(np.arange(num_videos), np.diff(offsets)), values] = True
    scores[labels] += random_numbers.random(int(labels.sum()), dtype=np.float32) ** 4  # most hits near the top
    tensor = torch.from_numpy(scores)

    def read_once() -> None:
        for first in range(0, num_videos, 1000):
            tensor[first : first + 1000].amax(dim=1)

    candidates = {
        "ours": lambda: global_average_precision(scores, labels),
        "peer": lambda: heap_gap(scores, labels),
        "limit": read_once,
    }
    with one_torch_thread():
        cost = measure_interleaved(candidates, repeats=1)
    rate = {name: num_videos / seconds.cpu for name, seconds in cost.items()}
    what = f"GAP@20 of {num_videos:,} x {CLASSES:,}"
    return row(what, UNIT, rate["ours"], "Google's heap", rate["peer"], rate["limit"])


def _full_size_rows(num_videos: int) -> list[dict[str, Any]]:
    """Measure time and memory of the metrics of a validation set of full size, each in its own process."""
    lines = []
    for size in (128, 1024):
        cost = measure_in_process(f"metrics, batches of {size}", num_videos, 32)
        what = f"metrics of {num_videos:,} videos, batches of {size:,}"
        lines.append(row(what, UNIT, num_videos / cost.seconds, "", None, PER_SECOND))
        lines.append(row(what, "videos/MB", num_videos / cost.megabytes, "", None, PER_MEGABYTE))
    cost = measure_in_process("bootstrap of 200 draws", num_videos, 32)
    anew = measure_in_process("GAP of a drawn set", num_videos, 32)
    what = f"bootstrap of {num_videos:,} videos"
    peer = "the drawn set sorted anew"
    lines.append(row(what, "draws/s of CPU", 200 / cost.seconds, peer, 1 / anew.seconds))
    lines.append(row(what, "videos/MB", num_videos / cost.megabytes, peer, num_videos / anew.megabytes))
    return lines


def _class_ap_row(num_videos: int, part: int = 128) -> dict[str, Any]:
    """Compare AP per class from the top 20 labels with AP from all scores, on fewer videos."""
    (scores, truth), *_ = random_batches(num_videos, CLASSES)

    def ours() -> None:
        metric = TopLabels(CLASSES)
        for first in range(0, num_videos, 128):
            metric.update(scores[first : first + 128], truth[first : first + 128])
        metric.per_class()

    def peer() -> None:
        metric = MultilabelAveragePrecision(CLASSES, average="none")
        metric.update(scores[:part], truth[:part].long())
        metric.compute()

    with one_torch_thread(), warnings.catch_warnings(action="ignore"):  # about classes without positives
        cost = measure_interleaved({"ours": ours, "peer": peer}, repeats=1)
    what, name = f"AP of {CLASSES:,} classes, {num_videos:,} videos", f"torchmetrics, {part} videos"
    return row(what, UNIT, num_videos / cost["ours"].cpu, name, part / cost["peer"].cpu)


def _cooccurrence_rows(num_videos: int, seed: int) -> list[dict[str, Any]]:
    values, offsets = random_labels(num_videos, seed=seed)
    matrix = label_matrix(values, offsets, CLASSES)
    part, dense_part = max(1, num_videos // 10), max(1, num_videos // 500)
    videos = np.split(values[: offsets[part]], offsets[1:part])

    def counter_pairs() -> None:
        pairs: Counter[tuple[int, int]] = Counter()
        for labels in videos:
            pairs.update(combinations_with_replacement(sorted(set(labels.tolist())), 2))

    def dense_products() -> None:
        total = torch.zeros(CLASSES, CLASSES)
        for first in range(0, dense_part, 4096):
            chunk = torch.from_numpy(matrix[first : min(first + 4096, dense_part)].toarray()).float()
            total.addmm_(chunk.T, chunk)

    with one_torch_thread():
        candidates = {"ours": lambda: count_pairs(matrix), "counter": counter_pairs, "dense": dense_products}
        cost = {name: seconds.cpu for name, seconds in measure_interleaved(candidates, repeats=1).items()}
    what, ours, limit = f"co-occurrence of {num_videos:,} videos", num_videos / cost["ours"], PAIRS_PER_SECOND
    return [
        row(what, UNIT, ours, "Counter of pairs, a 10th", part / cost["counter"], limit),
        row(what, UNIT, ours, "dense products, a 500th", dense_part / cost["dense"], limit),
    ]


if __name__ == "__main__":
    for line in rows(*map(int, sys.argv[1:])):
        print(f"{line['what']}\n  ours: {line['ours']:,.0f} {line['unit']}")
        if line["peer"]:
            print(f"  {line['peer_name']}: {line['peer']:,.0f} {line['unit']}")
            print(f"  ours over peer: {line['ours_over_peer']:.1f}")
        if line["limit"]:
            print(f"  ours over limit: {line['ours_over_limit']:.2f}")
