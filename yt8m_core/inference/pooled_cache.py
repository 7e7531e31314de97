"""Pool once: what a pooling without weights makes of each video, kept in a file, so that an epoch reads no frames.

Mean, position encoding, indirect clustering and the like learn nothing before the frames are summed up
(``pooling/once.py``). One pass over the shards is then enough for all epochs of all experiments that differ in the
head, the label processing or the loss, as in Tables 2 to 4 of the paper. The file is a plain ``.npy`` in the workspace;
it is found again as long as the shards are the same, and may be deleted at any time.
"""

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch, Loader, label_pairs, ordered_batches
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.pooling.base import PooledOnce
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import atomic_write, new_array
from yt8m_core.workspace import workspace

FORMAT = 1  # another number when a pooling's summary changes: old files are then not found
BATCH_SIZE = 32  # a batch of frames as floats is 44 MB here, and four times as slow where it is not in a cache
PRECISIONS: dict[str, tuple[torch.dtype, type[np.generic]]] = {
    "float32": (torch.float32, np.float32),
    "bfloat16": (torch.bfloat16, np.uint16),  # NumPy has no bfloat16: the same two bytes as an integer
}


class Summaries:
    """A vector a video, in the order of the data set, for a training in the place of the frames.

    Attributes:
        videos: the data set.
        values: [N, s], float32 or bfloat16: a view of the file, or on a device.
    """

    def __init__(self, videos: Videos, values: Tensor) -> None:
        self.videos = videos
        self.values = values

    def to(self, device: torch.device) -> "Summaries":
        """On a device, where half of its free memory holds them; else as they are."""
        if device.type == "cuda" and 2 * self.values.nbytes < torch.cuda.mem_get_info(device)[0]:
            return Summaries(self.videos, self.values.to(device))
        return self

    def load(self, batches: Sequence[NDArray[np.int64]]) -> Iterator[Batch]:
        """The given batches of videos, as ``Loader`` has them, but ``frames`` are summaries [B, s] in float32."""
        for batch in batches:
            rows = torch.from_numpy(batch).to(self.values.device)
            lengths = torch.from_numpy(self.videos.num_frames[batch])
            yield Batch(self.values[rows].float(), lengths, label_pairs(self.videos, batch), batch)


def summaries_of(
    model: VideoClassifier,
    videos: Videos,
    *,
    precision: str = "float32",
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> Summaries | None:
    """The kept summaries of a data set, after a pass over its frames where there are none yet.

    Args:
        model: whose pooling it is, and what comes before it; on ``device``.
        videos: the data set.
        precision: "float32", or "bfloat16" in half the room, with 8 bits of each number.
        device: where the frames are pooled.
        progress: told how far the pass is.

    Returns:
        None where the pooling has weights that the frames must meet, or where the disk has no room.
    """
    if not getattr(model.pooling, "pools_once", False):
        return None
    pooling = cast(PooledOnce, model.pooling)
    dtype, stored = PRECISIONS[precision]
    shape = (len(videos), pooling.summary_features)
    file = _file(model, videos, precision)
    values = _open(file, shape, stored)
    if values is None:
        needed = shape[0] * shape[1] * np.dtype(stored).itemsize
        file.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(file.parent).free < 1.1 * needed:
            warnings.warn(
                f"No room for {needed / 1e9:.1f} GB of pooled frames in {file.parent}: every epoch reads the frames.",
                stacklevel=2,
            )
            return None
        with atomic_write(file) as unfinished:
            filled = new_array(unfinished, stored, shape)
            _fill(filled, model, videos, dtype, device, progress)
            filled.flush()
        for other in file.parent.glob(f"{file.stem.rpartition('-')[0]}-*.npy"):
            if other != file:  # of the same shards before they changed
                other.unlink(missing_ok=True)
        values = cast(NDArray[np.generic], _open(file, shape, stored))
    return Summaries(videos, torch.from_numpy(values).view(dtype))


def _open(file: Path, shape: tuple[int, int], stored: type[np.generic]) -> NDArray[np.generic] | None:
    """A view of the file, or None where there is none that is whole."""
    try:
        # Copy on write: torch wants memory that it may write to, and nobody writes.
        values: NDArray[np.generic] = np.load(file, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return values if values.shape == shape and values.dtype == stored else None


def _fill(
    values: NDArray[np.generic],
    model: VideoClassifier,
    videos: Videos,
    dtype: torch.dtype,
    device: torch.device | str,
    progress: Progress,
) -> None:
    pinned = torch.device(device).type == "cuda"
    for batch in Loader(videos, ordered_batches(len(videos), BATCH_SIZE), pin_memory=pinned):
        with torch.no_grad():
            frames, num_frames = (t.to(device, non_blocking=True) for t in (batch.frames, batch.num_frames))
            summaries = model.summarize(frames, num_frames).vector.to(dtype).cpu()
        first, last = int(batch.videos[0]), int(batch.videos[-1])
        values[first : last + 1] = summaries.view(torch.uint16 if dtype == torch.bfloat16 else dtype).numpy()
        progress("pooling the frames once", last + 1, len(videos))


def _file(model: VideoClassifier, videos: Videos, precision: str) -> Path:
    """Where the summaries are kept: named by the shards, by what is computed, and by the state of the shards."""
    pooling = cast(PooledOnce, model.pooling)
    parts = [
        [shard.path for shard in videos.shards],
        [FORMAT, precision, pooling.summary, model.recipe, model.streams, videos.max_frames],
        [(shard.size, shard.mtime_ns) for shard in videos.shards],
    ]
    digests = [hashlib.sha256(json.dumps(part).encode()).hexdigest()[:12] for part in parts]
    return workspace() / "pooled" / ("-".join(digests) + ".npy")
