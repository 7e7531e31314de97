"""GAP@20 against Google's way of computing it, and label co-occurrence against counting pairs.

    python -m benchmarks.metrics [VIDEOS]

The scores and labels are drawn; only their sizes and the spread of the label frequencies are those of YouTube-8M.
"""

import heapq
import random
import sys
from collections import Counter
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measure import one_torch_thread, row, take_turns
from yt8m_core.label_statistics import cooccurrence, label_matrix
from yt8m_core.metrics import global_average_precision

CLASSES = 4716
LABELS_PER_VIDEO = 3.4
UNIT = "videos/s of CPU"  # one thread: the machine is shared, and the peers have no second


def rows(num_videos: int = 100_000, seed: int = 0) -> list[dict[str, Any]]:
    """One row a measurement, rates in videos a second of processor time.

    Args:
        num_videos: Videos of the GAP measurement; 100,000 take 3 GB and a minute, for the peer's sake. Labels are
            counted together over 57 times as many (5.7 million, the whole data set, for 100,000), by the peer over a
            tenth of those.
        seed: Of the drawn scores and labels.
    """
    return [_gap_row(num_videos, seed), _cooccurrence_row(57 * num_videos, seed)]


def heap_gap(scores: NDArray[np.float32], labels: NDArray[np.bool_], k: int = 20) -> float:
    """GAP@k as google/youtube-8m computes it: the best k of each video by argpartition, pushed one by one onto a heap
    of (score, label), shuffled with seed 0, sorted, and summed in a Python loop."""
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
    values, offsets = _drawn_labels(num_videos, seed)
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
        cost = take_turns(candidates, repeats=1)
    rate = {name: num_videos / seconds.cpu for name, seconds in cost.items()}
    what = f"GAP@20 of {num_videos:,} x {CLASSES:,}"
    return row(what, UNIT, rate["ours"], "Google's heap", rate["peer"], rate["limit"])


def _cooccurrence_row(num_videos: int, seed: int) -> dict[str, Any]:
    values, offsets = _drawn_labels(num_videos, seed)
    matrix = label_matrix(values, offsets, CLASSES)
    part = max(1, num_videos // 10)
    videos = np.split(values[: offsets[part]], offsets[1:part])

    def count_pairs() -> None:
        pairs: Counter[tuple[int, int]] = Counter()
        for labels in videos:
            pairs.update(combinations_with_replacement(sorted(set(labels.tolist())), 2))

    cost = take_turns({"ours": lambda: cooccurrence(matrix), "peer": count_pairs}, repeats=1)
    what = f"co-occurrence of {num_videos:,} videos"
    return row(what, UNIT, num_videos / cost["ours"].cpu, "Counter of pairs", part / cost["peer"].cpu)


def _drawn_labels(num_videos: int, seed: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Ragged labels, at least one a video, whose frequencies fall off with the rank as in YouTube-8M."""
    random_numbers = np.random.default_rng(seed)
    sizes = 1 + random_numbers.poisson(LABELS_PER_VIDEO - 1, num_videos)
    offsets = np.append(0, np.cumsum(sizes))
    share = np.cumsum(1 / np.arange(1, CLASSES + 1))
    values = np.searchsorted(share / share[-1], random_numbers.random(offsets[-1]))
    return values.clip(max=CLASSES - 1).astype(np.int32), offsets


if __name__ == "__main__":
    for line in rows(*map(int, sys.argv[1:])):
        print(f"{line['what']}\n  ours: {line['ours']:,.0f} {line['unit']}")
        print(f"  {line['peer_name']}: {line['peer']:,.0f} {line['unit']}")
        print(f"  ours over peer: {line['ours_over_peer']:.1f}")
