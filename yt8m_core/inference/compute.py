"""Where and how a model computes a data set: the device, its precision, and how many batches at a time.

On a CPU, each thread computes batches of its own. Threads that share a batch wait for each other at every operation, so
that two of them are slower than one as soon as another process is busy. The scores do not depend on the number of
threads.
"""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch, Loader, fill_batch
from yt8m_core.data.read_ahead import ReadAhead
from yt8m_core.errors import UserError, check_choice, is_out_of_memory
from yt8m_core.inference.pooled_videos import PooledVideos

ACCELERATORS = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("float32", "bfloat16")
ACCELERATOR, PRECISION = "YT8M_ACCELERATOR", "YT8M_PRECISION"  # environment variables with the defaults
MAX_BYTES = 1 << 31  # of the float32 frames, and a copy of them, that threads of the CPU compute at the same time
NO_FRAMES = torch.empty(0)

Function = Callable[[Tensor, Tensor], tuple[Tensor, ...]]  # frames [B, T, D], num_frames [B] → tensors [B, …]


@dataclass
class Compute:
    """A device and its precision.

    Attributes:
        device: the device.
        precision: "float32", or "bfloat16" for the matrix products.
        max_rows: number of videos of one pass: halved when the device has too little memory, which is logged once.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: str = "float32"
    max_rows: int = 1 << 30
    _has_warned: bool = False

    def run(self, function: Function, frames: Tensor, num_frames: Tensor) -> tuple[Tensor, ...]:
        """Compute one batch, in several passes where the device has too little memory for one.

        Args:
            function: what to compute, of videos that are independent of each other.
            frames: [B, T, D], on any device.
            num_frames: [B].

        Returns:
            The tensors [B, …] of ``function``, on the device.

        Raises:
            UserError: the device has too little memory for one video.
        """
        while True:
            rows = min(self.max_rows, len(frames))
            try:
                with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, self.precision == "bfloat16"):
                    passes = [
                        function(*(part.to(self.device, non_blocking=True) for part in parts))
                        for parts in zip(torch.split(frames, rows), torch.split(num_frames, rows), strict=True)
                    ]
                    results = passes[0] if len(passes) == 1 else tuple(map(torch.cat, zip(*passes, strict=True)))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
            else:
                self._warn(rows, len(frames))
                return results
            # Not in the except clause, whose traceback keeps the tensors of the pass.
            self._halve(rows, frames.shape)

    def _halve(self, rows: int, shape: Sequence[int]) -> None:
        if rows == 1:
            raise UserError(
                f"too little memory of {self.device} for one video of {shape[1]:,} frames",
                advice="Use another accelerator, or end other programs.",
            )
        self.max_rows = min(self.max_rows, rows // 2)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _warn(self, rows: int, wanted: int) -> None:
        if rows < wanted and not self._has_warned:
            self._has_warned = True
            logging.getLogger(__name__).warning(
                "Too little memory of %s for %d videos at a time: it computes %d.", self.device, wanted, rows
            )

    def map(
        self,
        function: Function,
        videos: Videos,
        batches: Sequence[NDArray[np.int64]],
        pooled: PooledVideos | None = None,
    ) -> Iterator[tuple[Batch, tuple[Tensor, ...]]]:
        """Yield each batch, without its frames, and what ``function`` returns for it, in order.

        Args:
            function: as in ``run``. Several threads may call it at the same time.
            videos: the data set.
            batches: positions of the videos of each batch.
            pooled: pooled vectors of ``videos``, used instead of their frames.
        """
        if self.device.type == "cpu":
            yield from self._map_in_threads(function, videos, batches, pooled)
            return
        loader = Loader(videos, batches, pin_memory=self.device.type == "cuda")
        for batch in loader if pooled is None else pooled.load(batches):
            results = self.run(function, batch.frames, batch.num_frames)
            yield replace(batch, frames=NO_FRAMES), results

    def _map_in_threads(
        self,
        function: Function,
        videos: Videos,
        batches: Sequence[NDArray[np.int64]],
        pooled: PooledVideos | None,
    ) -> Iterator[tuple[Batch, tuple[Tensor, ...]]]:
        values = max((int(videos.num_frames[batch].max()) * len(batch) for batch in batches), default=0)
        values *= videos.schema.width
        local = threading.local()  # a buffer per thread

        def compute(positions: NDArray[np.int64]) -> tuple[Batch, tuple[Tensor, ...]]:
            if pooled is not None:
                (batch,) = pooled.load([positions])
            else:
                if not hasattr(local, "buffer"):
                    local.buffer = torch.from_numpy(np.empty(values, videos.dtype))
                batch = fill_batch(videos, positions, local.buffer)
            return replace(batch, frames=NO_FRAMES), self.run(function, batch.frames, batch.num_frames)

        ahead = ReadAhead(videos.shards, videos.shard_numbers, batches if pooled is None else [])
        pending: deque[Future[tuple[Batch, tuple[Tensor, ...]]]] = deque()
        with _one_thread_per_operation() as cores:
            threads = max(1, min(cores, len(batches), MAX_BYTES // max(8 * values, 1)))
            pool = ThreadPoolExecutor(threads, thread_name_prefix="compute")
            try:
                for batch in batches:
                    pending.append(pool.submit(compute, batch))
                    if len(pending) > threads:  # one more than is computed, so that no thread waits for the caller
                        yield pending.popleft().result()
                        ahead.advance()
                while pending:
                    yield pending.popleft().result()
                    ahead.advance()
            finally:
                ahead.close()
                pool.shutdown(cancel_futures=True)


def choose_compute(accelerator: str = "", precision: str = "") -> Compute:
    """Return the device to compute on. Each process of a machine has a GPU of its own.

    >>> choose_compute("cpu").device
    device(type='cpu')

    Args:
        accelerator: one of ``ACCELERATORS``; "auto" is a GPU where there is one. Default: YT8M_ACCELERATOR, or auto.
        precision: one of ``PRECISIONS``. Default: YT8M_PRECISION, or float32.

    Raises:
        UserError: one of them is unknown, or this machine has no such device, or too few for its processes.
    """
    accelerator = accelerator or os.environ.get(ACCELERATOR) or "auto"
    precision = precision or os.environ.get(PRECISION) or "float32"
    check_choice("accelerator", accelerator, ACCELERATORS)
    check_choice("precision", precision, PRECISIONS)
    counts = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    if accelerator == "auto":
        accelerator = next(name for name, count in counts.items() if count)
    if not counts[accelerator]:
        available = " or ".join(["auto", *(name for name, count in counts.items() if count)])
        raise UserError(f"no {accelerator} device on this machine", where="accelerator", expected=available)
    if accelerator != "cuda":
        return Compute(torch.device(accelerator), precision)
    number = int(os.environ.get("LOCAL_RANK", 0))
    if number >= counts["cuda"]:
        raise UserError(
            f"process {number} of this machine",
            where="accelerator",
            expected=f"one process for each of its {counts['cuda']} GPUs",
            advice="Start fewer processes, or use --accelerator cpu.",
        )
    return Compute(torch.device("cuda", number), precision)


def check_finite(*probabilities: Tensor) -> None:
    """Raise UserError for NaN or infinite probabilities, which finite weights can produce too."""
    if not all(bool(p.isfinite().all()) for p in probabilities):
        raise UserError("the model returns probabilities that are not finite", advice="Choose another run.")


_lock, _users, _cores = threading.Lock(), 0, 1


@contextmanager
def _one_thread_per_operation() -> Iterator[int]:
    """Let each operation of torch use one thread until the last user has ended. Yield how many it used before."""
    global _users, _cores
    with _lock:
        if not _users:
            _cores = torch.get_num_threads()
            torch.set_num_threads(1)
        _users += 1
        cores = _cores
    try:
        yield cores
    finally:
        with _lock:
            _users -= 1
            if not _users:
                torch.set_num_threads(cores)
