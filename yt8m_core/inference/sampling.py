"""Fixed random sample of the videos of a large data set, for what needs all scores [N, C] in memory or in one file."""

import numpy as np
from numpy.typing import NDArray

MAX_SCORES = 1 << 26  # scores of a data set, 256 MB; a larger data set is sampled
SAMPLE_SEED = 0


def sample_videos(labeled: NDArray[np.bool_], limit: int) -> NDArray[np.int64]:
    """Return the positions of the labeled videos, or of a fixed random sample of ``limit`` of them; ascending.

    >>> sample_videos(np.array([True, False, True]), 5).tolist()
    [0, 2]
    """
    positions = np.flatnonzero(labeled)
    if len(positions) <= limit:
        return positions
    return np.sort(np.random.default_rng(SAMPLE_SEED).choice(positions, max(1, limit), replace=False))
