"""Pooled frames of a data set: one vector per video, which a model takes instead of the frames."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos, VideoSubset
from yt8m_core.data.loader import Batch, make_batch


class PooledVideos:
    """One vector per video, which training uses instead of the frames.

    Attributes:
        videos: the data set, or a subset of it.
        values: [N, s], float32 or bfloat16, in the order of the whole data set: a view of the cache file, or on a
            device.
    """

    def __init__(self, videos: Videos, values: Tensor) -> None:
        self.videos = videos
        self.values = values

    def to(self, device: torch.device) -> "PooledVideos":
        """Move the vectors to a GPU where they fit half of its free memory; otherwise return them unchanged."""
        if device.type == "cuda" and 2 * self.values.nbytes < torch.cuda.mem_get_info(device)[0]:
            return PooledVideos(self.videos, self.values.to(device))
        return self

    def load(self, batches: Sequence[NDArray[np.int64]]) -> Iterator[Batch]:
        """Yield batches as ``Loader`` does, with pooled vectors [B, s] in float32 as ``frames``."""
        for batch in batches:
            yield make_batch(self.videos, batch, self.vectors(batch))

    def vectors(self, batch: NDArray[np.int64]) -> Tensor:
        """Return the vectors of videos, given their positions in ``videos``: float32 [B, s]."""
        whole = self.videos.positions[batch] if isinstance(self.videos, VideoSubset) else batch
        return self.values[torch.from_numpy(whole).to(self.values.device)].float()
