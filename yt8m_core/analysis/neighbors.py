"""Nearest videos of a vector by cosine similarity, exact, in one pass with bounded memory.

The vectors are pooled frames or probabilities (``vectors.py``). For probabilities, cosine similarity measures how much
the confident predictions overlap: for probabilities of 0 and 1 it is the number of shared labels divided by the
geometric mean of both numbers of labels. Logits would weight labels that neither video has as much as those.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.analysis.vectors import CHUNK, VectorReader
from yt8m_core.data.dataset import Videos


def nearest_videos(
    read: VectorReader,
    videos: NDArray[np.int64],
    vector: NDArray[np.float32],
    *,
    exclude: int | None = None,
    limit: int = 20,
) -> pd.DataFrame:
    """Return the videos whose vectors are most similar to a vector.

    Args:
        read: reader of the vectors.
        videos: positions of the videos to search.
        vector: the vector [D], for example of one of the videos.
        exclude: position of a video to leave out: the one whose vector is given.
        limit: maximum number of rows.

    Returns:
        video (position in the data set), similarity (cosine, -1 to 1; 0 where a vector is zero); most similar first,
        ties by position.
    """
    candidates = videos if exclude is None else videos[videos != exclude]
    query = _normalize(np.asarray(vector, np.float32)[None])[0]
    nearest, similarity = np.empty(0, np.int64), np.empty(0, np.float32)
    step = max(1, CHUNK // len(query))
    for first in range(0, len(candidates), step):
        chunk = candidates[first : first + step]
        # Not a matrix product, whose rounding depends on the row, so that equal vectors would not tie.
        cosine = (_normalize(read(chunk)) * query).sum(axis=1)
        nearest, similarity = np.concatenate([nearest, chunk]), np.concatenate([similarity, cosine])
        order = np.lexsort((nearest, -similarity))[:limit]
        nearest, similarity = nearest[order], similarity[order]
    return pd.DataFrame({"video": nearest, "similarity": similarity.clip(-1, 1)})


def compare_labels(videos: Videos, labels: Collection[int], neighbors: pd.DataFrame) -> pd.DataFrame:
    """Add the true labels that each neighbor shares with a video, and those in which they differ.

    Args:
        videos: the data set.
        labels: true labels of the video.
        neighbors: result of ``nearest_videos``.

    Returns:
        ``neighbors`` with lists of labels, ascending: shared, only_video, only_neighbor; None for a neighbor without
        known labels.
    """
    own = set(labels)
    columns: dict[str, list[list[int] | None]] = {"shared": [], "only_video": [], "only_neighbor": []}
    for neighbor in neighbors["video"].tolist():
        other = set(videos.labels(neighbor).tolist())
        for name, part in zip(columns, (own & other, own - other, other - own), strict=True):
            columns[name].append(sorted(part) if videos.is_labeled[neighbor] else None)
    return neighbors.assign(**{name: pd.Series(lists, neighbors.index, object) for name, lists in columns.items()})


def _normalize(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale vectors [n, D] to length 1; zero vectors stay zero."""
    length: NDArray[np.float32] = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    length[length == 0] = 1
    return vectors / length
