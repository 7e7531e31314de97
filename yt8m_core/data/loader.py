"""Batch order as a pure function of (seed, epoch, step), and a multi-threaded loader with reused buffers.

torch's DataLoader allocates 44 MB for each batch and pays for the page faults; this loader reuses a few buffers.
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
from yt8m_core.data.label_lists import LabelLists
from yt8m_core.data.read_ahead import ReadAhead

# Number of batches whose videos are sorted by length together. Larger buckets pad less (8: an eighth of the rows for
# uniform lengths, 32: a twentieth), but a bucket with all videos of a small data set repeats its batches every epoch.
BUCKET = 8


@dataclass(frozen=True)
class Batch:
    """Videos padded to the longest one. ``frames`` is valid until the next batch is requested."""

    frames: Tensor  # [B, T, D]: uint8 at frame level; float32 with T = 1 at video level; rows past num_frames are 0
    num_frames: Tensor  # int64 [B]
    labels: Tensor  # int64 [2, P]: pairs (row of the batch, label); made dense only on the device
    videos: NDArray[np.int64]  # [B] positions in the data set
    rated: Tensor | None = None  # int64 [2, R], as ``labels``: the labels that are known, if not all are

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors of the batch."""
        return tuple(tensor for tensor in (self.frames, self.num_frames, self.labels, self.rated) if tensor is not None)

    def to(self, device: torch.device) -> "Batch":
        """Copy the tensors to a device, without waiting for the copies."""
        frames, num_frames, labels = (
            tensor.to(device, non_blocking=True) for tensor in (self.frames, self.num_frames, self.labels)
        )
        rated = None if self.rated is None else self.rated.to(device, non_blocking=True)
        return Batch(frames, num_frames, labels, self.videos, rated)

    def targets(self, num_classes: int, device: torch.device | str = "cpu") -> Tensor:
        """Return the labels as a float32 multi-hot tensor [B, C] on ``device``.

        It is a transposed view, like the scores of the classification: mixed layouts would double the time of the
        loss's backward pass.
        """
        return self._multi_hot(self.labels, num_classes, device)

    def weights(self, num_classes: int, device: torch.device | str = "cpu") -> Tensor | None:
        """Return 1 for the known labels and 0 for the others, float32 [B, C] on ``device``; None if all are known."""
        return None if self.rated is None else self._multi_hot(self.rated, num_classes, device)

    def _multi_hot(self, pairs: Tensor, num_classes: int, device: torch.device | str) -> Tensor:
        ones = torch.zeros(num_classes, len(self.videos), device=device)
        rows, labels = pairs.to(device)
        ones[labels, rows] = 1
        return ones.T

    def truth(self, num_classes: int, device: torch.device | str = "cpu") -> Tensor:
        """Return the labels as a bool tensor [B, C] on ``device``, for metrics."""
        truth = torch.zeros(len(self.videos), num_classes, dtype=torch.bool, device=device)
        truth[tuple(self.labels.to(device))] = True
        return truth


def shuffled_batches(
    num_frames: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Return the batches of an epoch as positions of videos; the last batch of a bucket may be smaller.

    Videos are shuffled, sorted by length within buckets of ``BUCKET`` batches, split into batches, and the batches are
    shuffled. The same (seed, epoch) gives the same batches on any machine.
    """
    key = np.array([seed % 2**64, epoch], np.uint64)  # a list with a large seed would be converted to float64
    random = np.random.Generator(np.random.Philox(key=key))
    order = random.permutation(len(num_frames))
    batches = []
    for start in range(0, len(order), BUCKET * batch_size):
        group = order[start : start + BUCKET * batch_size]
        group = group[np.argsort(num_frames[group], kind="stable")]
        batches += [group[i : i + batch_size] for i in range(0, len(group), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]


@dataclass(frozen=True)
class MicroBatch:
    """The part of a batch that one process computes in one forward and backward pass."""

    videos: NDArray[np.int64]  # positions in the data set
    weight: float  # its fraction of the videos of the whole batch


def split_batch(batch: NDArray[np.int64], rank: int, world_size: int, accumulate: int = 1) -> list[MicroBatch]:
    """Split a batch across processes and accumulation steps.

    Each video is in one micro-batch of one process. All processes get the same number of micro-batches, because they
    wait for each other; if there are too few videos, the rest are one video with weight 0.

    Args:
        batch: positions of the videos in the whole batch.
        rank: number of this process.
        world_size: number of processes.
        accumulate: number of micro-batches per process.

    Returns:
        The micro-batches of process ``rank``.
    """
    parts = np.array_split(batch[rank::world_size], accumulate)
    return [MicroBatch(part, len(part) / len(batch)) if len(part) else MicroBatch(batch[:1], 0.0) for part in parts]


def ordered_batches(num_videos: int, batch_size: int) -> list[NDArray[np.int64]]:
    """Return batches of all videos in data set order, for evaluation."""
    return [np.arange(i, min(i + batch_size, num_videos)) for i in range(0, num_videos, batch_size)]


class Loader:
    """Iterate over batches of videos, prefetching them with threads.

    Args:
        videos: data set.
        batches: positions of the videos of each batch.
        threads: number of threads that fill buffers.
        buffers: number of reused buffers, each as large as the largest batch. Default: one per thread and one for the
            consumer, or two where its copies to a GPU take time. Each further one leaves less of the others in caches.
        pin_memory: whether to allocate the buffers in pinned memory, for copies to a GPU.
    """

    def __init__(
        self,
        videos: Videos,
        batches: Sequence[NDArray[np.int64]],
        *,
        threads: int = 1,
        buffers: int | None = None,
        pin_memory: bool = False,
    ) -> None:
        self.videos = videos
        self.batches = batches
        self.threads = threads
        self.buffers = buffers or threads + 1 + pin_memory
        self.pin_memory = pin_memory

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        size = max((int(self.videos.num_frames[b].max()) * len(b) for b in self.batches), default=0)
        dtype = torch.uint8 if self.videos.dtype == np.uint8 else torch.float32
        pending: deque[tuple[Future[Batch], Tensor]] = deque()
        remaining = iter(self.batches)
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="loader")
        ahead = ReadAhead(self.videos.shards, self.videos.shard_numbers, self.batches)

        def fill_next(buffer: Tensor) -> None:
            copy_done = None
            if self.pin_memory:  # the consumer's copy to the device may still be reading the buffer
                copy_done = torch.cuda.Event()  # type: ignore[no-untyped-call]
                copy_done.record()
            if (batch := next(remaining, None)) is not None:
                pending.append((pool.submit(self._fill, batch, buffer, copy_done), buffer))

        try:
            for _ in range(min(self.buffers, len(self.batches))):
                if self.pin_memory:
                    buffer = torch.empty(size * self.videos.schema.width, dtype=dtype, pin_memory=True)
                else:  # NumPy requests huge pages, which cost a fifth to touch first
                    buffer = torch.from_numpy(np.empty(size * self.videos.schema.width, self.videos.dtype))
                fill_next(buffer)
            while pending:
                future, buffer = pending.popleft()
                yield future.result()
                ahead.advance()
                fill_next(buffer)
        finally:
            ahead.close()
            pool.shutdown(cancel_futures=True)

    def _fill(self, batch: NDArray[np.int64], buffer: Tensor, copy_done: torch.cuda.Event | None) -> Batch:
        if copy_done is not None:
            copy_done.synchronize()
        return fill_batch(self.videos, batch, buffer)


def fill_batch(videos: Videos, batch: NDArray[np.int64], buffer: Tensor) -> Batch:
    """Copy videos into a buffer, and return them as a batch whose frames are a view of it.

    Args:
        videos: data set.
        batch: positions of the videos [B].
        buffer: [n] of the type of the features, with n at least B · T · D.
    """
    B, T, D = len(batch), int(videos.num_frames[batch].max()), videos.schema.width
    frames = buffer[: B * T * D].view(B, T, D)
    videos.copy_batch(batch, frames.numpy())
    return make_batch(videos, batch, frames)


def make_batch(videos: Videos, batch: NDArray[np.int64], frames: Tensor) -> Batch:
    """Return the batch of some videos, given their positions and what stands for their frames."""
    labels = LabelLists(videos.label_values, videos.label_offsets).pairs(batch)
    rated = None if videos.rated is None else torch.from_numpy(videos.rated.pairs(batch))
    return Batch(frames, torch.from_numpy(videos.num_frames[batch]), torch.from_numpy(labels), batch, rated)
