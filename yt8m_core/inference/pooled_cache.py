"""Cache of pooled frames: one vector per video, so that an epoch of training reads no frames.

Mean, position encoding, indirect clustering and similar poolings have no trainable parameters before the frames are
summed (``models/pooling/base.py``). One pass over the shards then serves all epochs of all experiments that differ in
classification, label processing or loss, as in Tables 2 to 4 of the paper. The vectors are ``.npy`` files in the
workspace, valid as long as the shards are the same.
"""

import errno
import warnings
from dataclasses import astuple
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import ordered_batches
from yt8m_core.data.segments import Segments
from yt8m_core.inference.array_cache import ArrayCache, CacheKey, Put, digest
from yt8m_core.inference.compute import Compute
from yt8m_core.inference.pooled_videos import PooledVideos
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.pooling.base import CacheablePooling
from yt8m_core.processes.group import ALONE, Group
from yt8m_core.progress import Progress, silent

FORMAT = 1  # increase when a pooling's summary changes, which invalidates old files
# Two poolings of the paper's data set: 7.0 million videos of 1,152 float32 take 32 GB.
CACHE = ArrayCache("pooled", max_bytes=1 << 36)
PART_BATCHES = 256  # 8,192 videos
BATCH_SIZE = 32  # 44 MB of float frames, which fit the CPU cache; larger batches take four times as long
PRECISIONS: dict[str, tuple[torch.dtype, type[np.generic]]] = {
    "float32": (torch.float32, np.float32),
    "bfloat16": (torch.bfloat16, np.uint16),  # NumPy has no bfloat16: the same two bytes as an integer
}


def load_pooled(
    model: VideoClassifier,
    videos: Videos,
    *,
    precision: str = "float32",
    compute: Compute | None = None,
    group: Group = ALONE,
    progress: Progress = silent,
) -> PooledVideos | None:
    """Return the cached vectors of a data set, computing them on a miss. A subset uses those of its whole data set.

    Args:
        model: model with the pooling, on the device of ``compute``.
        videos: the data set, or a subset of it.
        precision: "float32"; "bfloat16" with half the size and 8 bits of precision; or "no" to pool in every epoch.
        compute: device that pools the frames; default: the CPU.
        group: the processes that divide the work; each returns the vectors of all videos.
        progress: progress callback.

    Returns:
        None where the pooling trains on the frames, the precision is "no", or the disk has no room.
    """
    if precision == "no" or not getattr(model.pooling, "is_cacheable", False):
        return None
    pooling = cast(CacheablePooling, model.pooling)
    dtype, stored = PRECISIONS[precision]
    whole = videos.whole
    key, shape = _key(model, whole, precision), (len(whole), pooling.summary_features)
    values = CACHE.load(key, shape, stored)
    if values is None:
        try:
            values = _store(key, shape, model, whole, dtype, compute or Compute(), group, progress)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            size = shape[0] * shape[1] * np.dtype(stored).itemsize
            warnings.warn(
                f"No room for {size / 1e9:.1f} GB of pooled frames in {CACHE.path}: every epoch reads the frames.",
                stacklevel=2,
            )
            return None
    return PooledVideos(videos, torch.from_numpy(values).view(dtype))


def _store(
    key: CacheKey,
    shape: tuple[int, int],
    model: VideoClassifier,
    videos: Videos,
    dtype: torch.dtype,
    compute: Compute,
    group: Group,
    progress: Progress,
) -> NDArray[np.generic]:
    """Pool all videos in parts."""
    batches = ordered_batches(len(videos), BATCH_SIZE)
    pieces = [batches[first : first + PART_BATCHES] for first in range(0, len(batches), PART_BATCHES)]
    progress = group.watch(progress)
    stored = np.dtype(np.uint16 if dtype == torch.bfloat16 else np.float32)

    def pool(frames: Tensor, num_frames: Tensor) -> tuple[Tensor, ...]:
        return (model.summarize(frames, num_frames).vector.to(dtype),)

    def fill(number: int, put: Put) -> None:
        for batch, (vectors,) in compute.map(pool, videos, pieces[number]):
            vectors = vectors.cpu()
            put((int(batch.videos[0]),), vectors.view(torch.uint16 if dtype == torch.bfloat16 else dtype).numpy())
            progress("pooling the frames", int(batch.videos[-1]) + 1, len(videos))

    return CACHE.store(key, shape, stored, fill, parts=len(pieces), group=group, progress=progress)


def _key(model: VideoClassifier, videos: Videos, precision: str) -> CacheKey:
    """Return the key: the shards, what is computed, and the state of the shards; an older state is replaced."""
    pooling = cast(CacheablePooling, model.pooling)
    shards = digest([shard.path for shard in videos.shards], 12)
    # Number and lengths of segments depend on how many frames of their videos are used.
    frames: list[int | str] = [videos.max_frames]
    if isinstance(videos, Segments):
        frames += [videos.segments, videos.videos.max_frames]
    recipe = digest([FORMAT, precision, pooling.summary, model.preprocessing, model.streams, *frames], 12)
    state = digest([astuple(shard.state) for shard in videos.shards], 12)
    return CacheKey(f"{shards}-{recipe}-{state}", replaces=f"{shards}-{recipe}-")
