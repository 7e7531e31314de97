"""The order in which remote shards are read: copies first, the coming ones in the background, and the cost of it.

Nothing here changes which videos a batch has, or their order in it: a training on remote shards has the weights of one
on the same shards on disk.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.shard_cache import VARIABLE, ShardCache, shard_cache
from yt8m_core.data.tfrecord.shard import Shard
from yt8m_core.errors import UserError

WINDOW = 64  # batches
MARGIN = 1.1  # of the budget that is advised, over the size of the data: the size is rounded where it is shown


def is_remote(shards: Sequence[Shard]) -> bool:
    """Whether shards are on another machine. All shards of a data set are, or none."""
    return bool(shards) and shards[0].is_remote


def reading_order(shards: Sequence[Shard], numbers: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Return the rows of a batch in the groups in which they are read: those with a copy first, then by shard.

    So no shard is downloaded twice for a batch, even if the cache has room for one shard only.

    Args:
        shards: shards of the data set.
        numbers: [B] the shard of each row.
    """
    if not is_remote(shards):
        return [np.arange(len(numbers))]
    cache = shard_cache()
    missing = [number for number in np.unique(numbers).tolist() if not cache.has(shards[number])]
    is_missing = np.isin(numbers, missing)
    return [np.flatnonzero(~is_missing), *(np.flatnonzero(numbers == number) for number in missing)]


class ReadAhead:
    """Downloads the shards of the coming batches in a thread, as far as the budget of the cache has room for them.

    For shards on this machine it does nothing.
    """

    def __init__(
        self, shards: Sequence[Shard], numbers: NDArray[np.int32], batches: Sequence[NDArray[np.int64]]
    ) -> None:
        self._shards = shards
        self._numbers = numbers
        self._batches = batches
        self._done = 0  # batches that have been read
        self._is_closed = False
        self._changed = threading.Condition()
        if is_remote(shards) and len(batches):
            threading.Thread(target=self._run, args=(shard_cache(),), name="read ahead", daemon=True).start()

    def advance(self) -> None:
        """Tell that one more batch has been read: its shards may make room for others."""
        with self._changed:
            self._done += 1
            self._changed.notify()

    def close(self) -> None:
        """End the thread, which removes an incomplete copy."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _run(self, cache: ShardCache) -> None:
        # A failure is reported by the batch that needs the shard, whose own attempt may succeed.
        with suppress(UserError, OSError):
            numbers = self._numbers[np.concatenate(self._batches)]
            used, first = np.unique(numbers, return_index=True)
            if sum(self._shards[number].size for number in used) > cache.budget:
                self._fetch_window(cache)
                return
            needed = {self._shards[number] for number in used}
            for number in used[np.argsort(first)]:
                cache.fetch_ahead(self._shards[number], needed, self._is_ended)

    def _fetch_window(self, cache: ShardCache) -> None:
        """Fetch what has room beside the shards of the batches before it, never far ahead."""
        for batch in range(len(self._batches)):
            for number in np.unique(self._numbers[self._batches[batch]]).tolist():
                shard = self._shards[number]
                while not cache.has(shard) and self._done <= batch and not self._is_closed:
                    done = self._done
                    videos = np.concatenate(self._batches[done : batch + 1])
                    needed = {self._shards[other] for other in np.unique(self._numbers[videos])}
                    if batch - done >= WINDOW or not cache.fetch_ahead(shard, needed, self._is_ended):
                        self._wait(done)

    def _wait(self, done: int) -> None:
        """Wait until another batch has been read, or none will be."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._done > done)

    def _is_ended(self) -> bool:
        return self._is_closed


@dataclass(frozen=True)
class DownloadPlan:
    """What an epoch downloads.

    Attributes:
        num_shards: number of shards.
        data_bytes: bytes of all shards.
        budget: bytes of the shard cache.
        epoch_bytes: bytes that an epoch downloads, once the cache is filled.
    """

    num_shards: int
    data_bytes: int
    budget: int
    epoch_bytes: int

    @property
    def message(self) -> str:
        """The plan in a sentence or two, with advice where an epoch downloads more than all shards once."""
        size = f"{self.num_shards:,} remote shards with {_size(self.data_bytes)}, shard cache {_size(self.budget)}"
        if not self.epoch_bytes:
            return f"{size}: each shard is downloaded once."
        text = f"{size}: each epoch downloads {_size(self.epoch_bytes)}"
        if self.epoch_bytes <= self.data_bytes:
            return f"{text}."
        times = self.epoch_bytes / self.data_bytes
        return (
            f"{text}, {times:,.0f} times the data, because every batch has videos of many shards. "
            f"Set {VARIABLE} to {_size(int(MARGIN * self.data_bytes))} or more, or train on a glob with fewer shards."
        )


def plan_downloads(
    shards: Sequence[Shard], numbers: NDArray[np.int32], batches: Sequence[NDArray[np.int64]]
) -> DownloadPlan | None:
    """Return what an epoch with these batches downloads; None for shards on this machine.

    Args:
        shards: shards of the data set.
        numbers: [N] the shard of each video.
        batches: positions of the videos of each batch.
    """
    if not is_remote(shards) or not len(numbers):
        return None
    sizes = [shard.size for shard in shards]
    used = np.unique(numbers).tolist()
    budget, total = shard_cache().budget, sum(sizes[number] for number in used)
    if total <= budget:
        return DownloadPlan(len(used), total, budget, 0)
    order = (np.unique(numbers[batch]).tolist() for batch in batches)
    return DownloadPlan(len(used), total, budget, _downloaded(sizes, order, budget))


def _downloaded(sizes: Sequence[int], batches: Iterator[list[int]], budget: int) -> int:
    """Return the bytes that a cache downloads which reads its copies first and deletes the least recently used one."""
    copies: dict[int, None] = {}  # least recently used first
    cached = downloaded = 0
    for batch in batches:
        for number in sorted(batch, key=lambda number: number not in copies):
            if number in copies:
                del copies[number]
            else:
                downloaded += sizes[number]
                cached += sizes[number]
                while cached > budget and copies:
                    oldest = next(iter(copies))
                    del copies[oldest]
                    cached -= sizes[oldest]
            copies[number] = None
    return downloaded


def _size(num_bytes: int) -> str:
    """Return a number of bytes in words.

    >>> _size(31_400_000_000)
    '31.4 GB'
    """
    value, unit = float(num_bytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if unit != "bytes" else f"{num_bytes} bytes"
