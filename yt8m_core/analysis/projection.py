"""Two-dimensional maps of videos: PCA, and UMAP where umap-learn is installed.

The vectors are pooled frames or probabilities (``vectors.py``). Distances in probabilities follow the labels that a run
predicts with confidence: the thousands of probabilities near 0 add almost nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse.linalg import eigsh

from yt8m_core.analysis.vectors import CHUNK, VectorReader
from yt8m_core.errors import UserError
from yt8m_core.inference.sampling import SAMPLE_SEED, sample_videos

MAX_VIDEOS = 100_000  # videos of a map; more are sampled
UMAP_NEIGHBORS = 15  # umap-learn's default


@dataclass(frozen=True)
class Projection:
    """Videos in two dimensions.

    Attributes:
        method: "PCA" or "UMAP".
        points: float32 [n, 2].
        videos: int64 [n], positions of the points' videos in the data set: all that were given, or a sample.
        num_videos: number of videos that were given.
        explained: share of the variance along each axis, from 0 to 1; None for UMAP.
    """

    method: str
    points: NDArray[np.float32]
    videos: NDArray[np.int64]
    num_videos: int
    explained: tuple[float, float] | None = None

    @property
    def is_sample(self) -> bool:
        """Whether some of the given videos have no point."""
        return len(self.videos) < self.num_videos


def pca(read: VectorReader, videos: NDArray[np.int64]) -> Projection:
    """Project videos onto the two directions of largest variance, computed exactly from the covariance matrix.

    The direction of an axis is arbitrary; here the largest element of each axis is positive. Vectors of a single
    element have only one axis; the other is 0.

    Args:
        read: reader of the vectors.
        videos: positions in the data set. Of more than ``MAX_VIDEOS``, a fixed random sample is used.

    Raises:
        UserError: there is no video.
    """
    sample = _sample(videos)
    width = read(sample[:1]).shape[1]
    # At least as many rows as columns, because adding a chunk costs as much as one row per column.
    chunks = np.split(sample, range(0, len(sample), max(width, CHUNK // width))[1:])
    mean = np.zeros(width)
    for chunk in chunks:
        mean += read(chunk).sum(axis=0, dtype=np.float64) / len(sample)
    center = mean.astype(np.float32)
    covariance = np.zeros((width, width))
    for chunk in chunks:
        centered = read(chunk) - center
        covariance += centered.T @ centered
    variances, axes = _largest_axes(covariance)
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    points, shares = np.zeros((len(sample), 2), np.float32), np.zeros(2)
    kept = slice(len(variances))
    points[:, kept] = np.concatenate([(read(chunk) - center) @ axes.astype(np.float32) for chunk in chunks])
    if total := np.trace(covariance):
        shares[kept] = variances / total
    return Projection("PCA", points, sample, len(videos), (float(shares[0]), float(shares[1])))


def umap(read: VectorReader, videos: NDArray[np.int64]) -> Projection:
    """Project videos so that near neighbors stay near (UMAP, by cosine similarity, with a fixed seed).

    Distances between far groups, and the axes, have no meaning. All vectors are held in memory.

    L. McInnes, J. Healy, J. Melville: UMAP: Uniform Manifold Approximation and Projection for Dimension Reduction.
    2018. https://arxiv.org/abs/1802.03426

    Args:
        read: reader of the vectors.
        videos: positions in the data set. Of more than ``MAX_VIDEOS``, a fixed random sample is used.

    Raises:
        UserError: umap-learn is not installed, or there are too few videos.
    """
    try:
        from umap import UMAP
    except ImportError:
        raise UserError("umap-learn is not installed", advice="Install it: pip install 'yt8m[map]'.") from None
    if len(videos) <= UMAP_NEIGHBORS:
        raise UserError(
            f"{len(videos)} videos", expected=f"at least {UMAP_NEIGHBORS + 1} for UMAP", advice="Use PCA instead."
        )
    sample = _sample(videos)
    # A fixed seed needs one job; naming it avoids a warning.
    model = UMAP(n_components=2, n_neighbors=UMAP_NEIGHBORS, metric="cosine", random_state=SAMPLE_SEED, n_jobs=1)
    points = np.asarray(model.fit_transform(read(sample)), np.float32)
    return Projection("UMAP", points, sample, len(videos))


def _largest_axes(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two largest eigenvalues of a covariance matrix [D, D], largest first, and their vectors [D, 2].

    There are D of them where D is below 2.
    """
    width = len(covariance)
    if width > 2 and covariance.any():
        # Lanczos, to machine precision: at 3,862 labels 1.5 to 50 times as fast as a full decomposition.
        start = np.random.default_rng(SAMPLE_SEED).standard_normal(width)
        variances, axes = eigsh(covariance, k=2, v0=start)
    else:
        variances, axes = eigh(covariance, subset_by_index=(max(0, width - 2), width - 1))
    order = np.argsort(-variances)
    return variances[order].clip(min=0), axes[:, order]


def _sample(videos: NDArray[np.int64]) -> NDArray[np.int64]:
    if not len(videos):
        raise UserError("no video", expected="at least one to draw a map")
    return videos[sample_videos(np.ones(len(videos), bool), MAX_VIDEOS)]
