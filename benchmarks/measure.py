"""Interleaved measurement, medians, and the columns of a result row."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from statistics import median
from typing import Any, NamedTuple

import torch

COLUMNS = ("what", "unit", "ours", "peer_name", "peer", "limit", "ours_over_peer", "ours_over_limit")


class Cost(NamedTuple):
    """CPU seconds (all threads of this process) and wall-clock seconds of one run."""

    cpu: float
    wall: float


def measure_interleaved(candidates: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Cost]:
    """Run the candidates in turn, ``repeats`` times after a warm-up round, and return the median cost of each.

    The speed of a shared machine drifts, so only interleaved measurements can be compared. The order changes every
    round, because a candidate that runs after one that released much memory pays for allocating it again.
    """
    random = Random(0)
    costs: dict[str, list[Cost]] = {name: [] for name in candidates}
    for turn in range(repeats + 1):
        for name in random.sample(list(candidates), len(candidates)):
            cpu, wall = time.process_time(), time.perf_counter()
            candidates[name]()
            if turn:
                costs[name].append(Cost(time.process_time() - cpu, time.perf_counter() - wall))
    return {name: Cost(*(median(column) for column in zip(*runs, strict=True))) for name, runs in costs.items()}


def row(
    what: str, unit: str, ours: float | None, peer_name: str, peer: float | None, limit: float | None = None
) -> dict[str, Any]:
    """Return a row of the table. All numbers are rates: larger is better."""
    over_peer = ours / peer if ours and peer else None
    over_limit = ours / limit if ours and limit else None
    return dict(zip(COLUMNS, (what, unit, ours, peer_name, peer, limit, over_peer, over_limit), strict=True))


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Limit torch to one thread while CPU time is measured, because idle threads spin."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
