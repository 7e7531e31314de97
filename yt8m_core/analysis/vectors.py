"""One vector per video, by position in the data set: pooled frames, or the probabilities of a run."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from yt8m_core.errors import UserError
from yt8m_core.inference.pooled_videos import PooledVideos
from yt8m_core.inference.score_cache import CachedScores

VectorReader = Callable[[NDArray[np.int64]], NDArray[np.float32]]
"""Returns the vectors [n, D] of videos, given their positions in the data set [n]. Do not modify the result."""

CHUNK = 1 << 20  # maximum number of vector elements held in memory at once, 4 MB, which a CPU cache holds


def pooled_vectors(pooled: PooledVideos) -> VectorReader:
    """Return a reader of pooled frames, as ``load_pooled`` returns them."""
    return lambda videos: pooled.vectors(videos).numpy()


def score_vectors(scored: CachedScores) -> VectorReader:
    """Return a reader of the probabilities of all labels, which raises UserError for a video that is not scored."""

    def read(videos: NDArray[np.int64]) -> NDArray[np.float32]:
        rows = np.searchsorted(scored.videos, videos)
        is_scored = np.isin(videos, scored.videos)
        if not is_scored.all():
            raise UserError(f"no scores of video {videos[~is_scored][0]} in run {scored.name}")
        return np.asarray(scored.probabilities[rows], np.float32)

    return read
