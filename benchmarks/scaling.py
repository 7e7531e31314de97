"""Growth of time and peak memory with the numbers of videos and labels, each measured in its own process.

    python -m benchmarks.scaling                        # exponents fitted to 1x, 4x and 16x
    python -m benchmarks.scaling TASK VIDEOS LABELS     # one measurement, as JSON

An exponent of 1 is linear growth. Needs Linux with glibc.
"""

import ctypes
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks.measure import row
from yt8m_core.labels.cooccurrence import cluster_order, count_pairs, strongest_pairs
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.metrics.average_precision import TopLabelsBatch, gap_numerator
from yt8m_core.metrics.top_k import TopLabels

CLASSES = 4716
LABELS_PER_VIDEO = 3.4
DRAWS = 32  # of the bootstrap
STEPS = (1, 4, 16)


class Cost(NamedTuple):
    """CPU seconds of a task on one thread, and its peak memory in MB above the memory before it."""

    seconds: float
    megabytes: float


def random_labels(videos: int, labels: int = CLASSES, seed: int = 0) -> tuple[Any, Any]:
    """Return ragged labels, at least one per video, with frequencies that decrease with rank as in YouTube-8M."""
    random_numbers = np.random.default_rng(seed)
    sizes = 1 + random_numbers.poisson(LABELS_PER_VIDEO - 1, videos)
    offsets = np.append(0, np.cumsum(sizes))
    share = np.cumsum(1 / np.arange(1, labels + 1))
    values = np.searchsorted(share / share[-1], random_numbers.random(offsets[-1]))
    return values.clip(max=labels - 1).astype(np.int32), offsets


def random_batches(size: int, labels: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return scores [size, labels], with most hits near the top, and labels of four batches."""
    batches = []
    for seed in range(4):
        torch.manual_seed(seed)
        truth = torch.rand(size, labels) < LABELS_PER_VIDEO / labels
        truth[:, 0] |= ~truth.any(dim=1)
        batches.append((torch.rand(size, labels) / 2 + truth * torch.rand(size, labels) / 2, truth))
    return batches


def fill_metric(batches: list[tuple[torch.Tensor, torch.Tensor]], videos: int) -> TopLabels:
    """Return the metric after ``videos`` videos; batches repeat with slightly shifted scores to avoid ties."""
    size, labels = batches[0][0].shape
    metric = TopLabels(labels)
    for step in range(-(-videos // size)):
        scores, truth = batches[step % len(batches)]
        rest = videos - step * size
        metric.update((scores + step * 1e-6)[:rest], truth[:rest])
    return metric


def _metrics(size: int) -> Callable[[int, int], Callable[[], object]]:
    def prepare(videos: int, labels: int) -> Callable[[], object]:
        batches = random_batches(size, labels)
        return lambda: fill_metric(batches, videos).compute()

    return prepare


def _bootstrap(draws: int) -> Callable[[int, int], Callable[[], object]]:
    def prepare(videos: int, labels: int) -> Callable[[], object]:
        metric = fill_metric(random_batches(1024, labels), videos)
        return lambda: metric.bootstrap(0, draws)

    return prepare


def _gap_of_sample(videos: int, labels: int) -> Callable[[], object]:
    best = fill_metric(random_batches(1024, labels), videos).top_labels()

    def run() -> None:
        drawn = torch.from_numpy(np.random.default_rng(0).integers(videos, size=videos))
        gap_numerator([TopLabelsBatch(*(rows[drawn] for rows in best))])

    return run


def _cooccurrence(videos: int, labels: int) -> Callable[[], object]:
    matrix = label_matrix(*random_labels(videos, labels), labels)
    return lambda: count_pairs(matrix)


def _strongest_pairs(videos: int, labels: int) -> Callable[[], object]:
    pairs = count_pairs(label_matrix(*random_labels(videos, labels), labels))
    return lambda: strongest_pairs(pairs, videos, "phi", minimum_support=2, limit=100)


def _cluster_order(videos: int, labels: int) -> Callable[[], object]:
    matrix = np.random.default_rng(0).random((labels, labels))
    return lambda: cluster_order(matrix)


TASKS: dict[str, Callable[[int, int], Callable[[], object]]] = {
    "metrics, batches of 128": _metrics(128),
    "metrics, batches of 1024": _metrics(1024),
    "bootstrap": _bootstrap(DRAWS),
    "bootstrap of 200 draws": _bootstrap(200),
    "GAP of a drawn set": _gap_of_sample,
    "co-occurrence": _cooccurrence,
    "strongest_pairs": _strongest_pairs,
    "cluster_order": _cluster_order,
}
"""Task name → function of the numbers of videos and labels that prepares, without measuring, what is measured."""

SERIES = (
    # task, what grows, videos and labels at 1x
    ("metrics, batches of 1024", "videos", 70_000, 32),
    ("metrics, batches of 1024", "labels", 16_384, 300),
    ("bootstrap", "videos", 70_000, 32),
    ("bootstrap", "labels", 70_000, 32),
    ("co-occurrence", "videos", 350_000, CLASSES),
    ("co-occurrence", "labels", 350_000, 300),
    ("strongest_pairs", "videos", 350_000, CLASSES),
    ("strongest_pairs", "labels", 350_000, 300),
    ("cluster_order", "cells", 0, 25),  # of the label × label matrix: 25, 50 and 100 labels, the maximum of the app
)


def measure_in_process(task: str, videos: int, labels: int) -> Cost:
    """Measure a task in its own process."""
    command = [sys.executable, "-m", "benchmarks.scaling", task, str(videos), str(labels)]
    root = Path(__file__).parent.parent
    # Our own program and arguments.
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)  # noqa: S603
    return Cost(**json.loads(done.stdout))


def measure(task: str, videos: int, labels: int) -> Cost:
    """Measure a task in this process; short tasks are repeated for a second, and the fastest run counts."""
    torch.set_num_threads(1)
    TASKS[task](100, 24)()  # warm up
    run = TASKS[task](videos, labels)
    # The kernel's peak covers every allocator. Release the memory of the preparation, then reset the peak.
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before, seconds = _status("VmHWM"), []
    while sum(seconds) < 1:
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return Cost(min(seconds), (_status("VmHWM") - before) / 1024)


def _status(name: str) -> int:
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith(name))


def series(task: str, grows: str, videos: int, labels: int) -> list[Cost]:
    """Return the costs at 1x, 4x and 16x."""
    return [
        measure_in_process(
            task,
            videos * (step if grows == "videos" else 1),
            labels * {"videos": 1, "labels": step, "cells": round(step**0.5)}[grows],
        )
        for step in STEPS
    ]


def exponent(costs: list[float]) -> float:
    """Return the slope of the costs at 1x, 4x and 16x in a log-log plot."""
    return float(np.polyfit(np.log(STEPS), np.log(costs), 1)[0])


def rows() -> list[dict[str, Any]]:
    """Return the rate at 16x of each series, with the rate at 1x as the limit: a ratio of 1 is linear growth."""
    return [line for name in SERIES for line in _lines(*name)]


def _lines(task: str, grows: str, videos: int, labels: int) -> list[dict[str, Any]]:
    costs = series(task, grows, videos, labels)
    work = {"videos": videos, "labels": labels, "cells": labels * labels}[grows]
    what = f"scaling: {task}, {work:,} {grows} x {STEPS[-1]}"
    rate = [step * work / cost.seconds for step, cost in zip(STEPS, costs, strict=True)]
    lines = [row(what, f"{grows}/s of CPU", rate[2], "itself at 4x", rate[1], rate[0])]
    if costs[0].megabytes >= 1:  # below that, the slack of the allocator dominates
        dense = [step * work / cost.megabytes for step, cost in zip(STEPS, costs, strict=True)]
        lines.append(row(what, f"{grows}/MB", dense[2], "itself at 4x", dense[1], dense[0]))
    return lines


def _print_exponents() -> None:
    for name in SERIES:
        costs = series(*name)
        time_slope = exponent([cost.seconds for cost in costs])
        shown = "  ".join(f"{cost.seconds:.3f} s {cost.megabytes:.0f} MB" for cost in costs)
        memory = exponent([max(cost.megabytes, 1) for cost in costs])
        print(f"{name[0]}: {shown}; time ~ {name[1]}^{time_slope:.2f}, memory ~ {name[1]}^{memory:.2f}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))._asdict()))
    else:
        _print_exponents()
