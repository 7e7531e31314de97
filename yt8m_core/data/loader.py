"""Batches of videos: in an order that is a pure function of (seed, epoch, step), filled into reused buffers by threads.

torch's DataLoader allocates a fresh 44 MB batch each time and pays for its page faults; here a few buffers go round.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos

# Batches that are drawn together and sorted by length. More pad less (8: an eighth of the rows where lengths are
# uniform, 32: a twentieth), but once they hold all of a small data set, the same videos meet in every epoch.
BUCKET = 8


@dataclass(frozen=True)
class Batch:
    """Some videos, padded to the longest among them. ``frames`` is valid until the next batch is asked for."""

    frames: Tensor  # [B, T, D]: uint8 at frame level; float32 with T = 1 at video level; rows past num_frames are 0
    num_frames: Tensor  # int64 [B]
    labels: Tensor  # int64 [2, P]: the pairs (row of the batch, label); dense only on the device
    videos: NDArray[np.int64]  # [B] positions in the data set

    def to(self, device: torch.device) -> "Batch":
        """The batch with its tensors on a device, where they may still be under way."""
        frames, num_frames, labels = (
            tensor.to(device, non_blocking=True) for tensor in (self.frames, self.num_frames, self.labels)
        )
        return Batch(frames, num_frames, labels, self.videos)

    def targets(self, num_classes: int, device: torch.device | str = "cpu") -> Tensor:
        """The labels as float32 [B, C] of zeros and ones, on ``device``.

        A transposed view, as a classification's scores are: two layouts in one loss would double the time of its
        gradients.
        """
        targets = torch.zeros(num_classes, len(self.videos), device=device)
        rows, labels = self.labels.to(device)
        targets[labels, rows] = 1
        return targets.T


def shuffled_batches(
    num_frames: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """The batches of an epoch, as positions of videos; each video once, the last batch perhaps smaller.

    Random, but bucketed: videos are shuffled, sorted by length within groups of ``BUCKET`` batches, cut into batches,
    and the batches are shuffled. The same (seed, epoch) always gives the same list, on any machine.
    """
    key = np.array([seed % 2**64, epoch], np.uint64)  # a list goes through float64 where the seed is large
    random = np.random.Generator(np.random.Philox(key=key))
    order = random.permutation(len(num_frames))
    batches = []
    for start in range(0, len(order), BUCKET * batch_size):
        group = order[start : start + BUCKET * batch_size]
        group = group[np.argsort(num_frames[group], kind="stable")]
        batches += [group[i : i + batch_size] for i in range(0, len(group), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


@dataclass(frozen=True)
class Share:
    """What one process does of a batch at a time."""

    videos: NDArray[np.int64]  # positions in the data set
    weight: float  # the part of the whole batch's videos that these are


def shares_of(batch: NDArray[np.int64], process: int, processes: int, parts: int = 1) -> list[Share]:
    """A batch's videos of one process out of several, in ``parts`` that it takes one after the other.

    Each video is in one share of one process. Where there are fewer videos than shares, a share is a video that weighs
    nothing, so that every process always has as many to do as the others, which wait for it.
    """
    cut = np.array_split(batch[process::processes], parts)
    return [Share(part, len(part) / len(batch)) if len(part) else Share(batch[:1], 0.0) for part in cut]


def ordered_batches(num_videos: int, batch_size: int) -> list[NDArray[np.int64]]:
    """All videos in the order of the data set, for evaluation."""
    return [np.arange(i, min(i + batch_size, num_videos)) for i in range(0, num_videos, batch_size)]


class Loader:
    """Iterate over the given batches of videos; ``threads`` fill ``buffers`` in turn, ahead of the consumer."""

    def __init__(
        self,
        videos: Videos,
        batches: Sequence[NDArray[np.int64]],
        *,
        threads: int = 1,
        buffers: int = 3,
        pin_memory: bool = False,
    ) -> None:
        self.videos = videos
        self.batches = batches
        self.threads = threads
        self.buffers = buffers
        self.pin_memory = pin_memory

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        size = max((int(self.videos.num_frames[b].max()) * len(b) for b in self.batches), default=0)
        dtype = torch.uint8 if self.videos.schema.level == "frame" else torch.float32
        waiting: deque[tuple[Future[Batch], Tensor]] = deque()
        todo = iter(self.batches)
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="loader")

        def fill_next(buffer: Tensor) -> None:
            copied = None
            if self.pin_memory:  # the consumer's copy to the device may still be reading the buffer
                copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
                copied.record()
            if (batch := next(todo, None)) is not None:
                waiting.append((pool.submit(self._fill, batch, buffer, copied), buffer))

        try:
            for _ in range(min(self.buffers, len(self.batches))):
                if self.pin_memory:
                    buffer = torch.empty(size * self.videos.schema.width, dtype=dtype, pin_memory=True)
                else:  # NumPy asks for huge pages: a fifth of the cost of touching fresh memory
                    buffer = torch.from_numpy(np.empty(size * self.videos.schema.width, self.videos.dtype))
                fill_next(buffer)
            while waiting:
                future, buffer = waiting.popleft()
                yield future.result()
                fill_next(buffer)
        finally:
            pool.shutdown(cancel_futures=True)

    def _fill(self, batch: NDArray[np.int64], buffer: Tensor, copied: torch.cuda.Event | None) -> Batch:
        if copied is not None:
            copied.synchronize()
        videos = self.videos
        lengths = videos.num_frames[batch]
        B, T, D = len(batch), int(lengths.max()), videos.schema.width
        frames = buffer[: B * T * D].view(B, T, D)
        videos.copy_batch(batch, frames.numpy())
        return Batch(frames, torch.from_numpy(lengths), label_pairs(videos, batch), batch)


def label_pairs(videos: Videos, batch: NDArray[np.int64]) -> Tensor:
    """The labels of some videos as pairs (row of the batch, label): int64 [2, P]."""
    first = videos.label_offsets[batch]
    counts = videos.label_offsets[batch + 1] - first  # [B]
    rows = np.repeat(np.arange(len(batch)), counts)  # [P]
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)  # [P] 0, 1, … in each video
    labels = videos.label_values[np.repeat(first, counts) + within]
    return torch.from_numpy(np.stack([rows, labels.astype(np.int64)]))
