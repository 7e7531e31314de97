"""Attention over the videos of a data set compared with frame clusters and main scenes; attention sharpness.

The paper (section 2.2.4) claims that indirect clustering finds the largest cluster of the frames and thereby the main
scene, but does not test either claim. https://arxiv.org/abs/1706.07960
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Loader
from yt8m_core.errors import UserError
from yt8m_core.explain.attention_metrics import (
    attention_mass,
    effective_frames,
    k_means,
    mask_from_intervals,
    roc_auc,
)
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.pooling.indirect_clustering import IndirectClustering
from yt8m_core.progress import Progress, silent

MAX_FRAMES = 60_000
"""Maximum number of frames to cluster, which takes some seconds. A larger data set is sampled by video."""
SAMPLE_SEED = 0
BATCH = 32

Scene = Sequence[tuple[int, int]]
"""Frame intervals as (first, one past the last)."""


def prepared_frames(model: VideoClassifier, frames: NDArray[Any]) -> NDArray[np.float32]:
    """Preprocess stored frames [T, D] as the pooling receives them: unit vectors unless configured otherwise."""
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(frames))[None]
        prepared, _ = model.preprocess(batch, torch.tensor([len(frames)]))
    return prepared[0].float().numpy()


def sample_videos(num_frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """Select the videos that ``study_attention`` evaluates: all, or a fixed random sample of ``MAX_FRAMES`` frames.

    Args:
        num_frames: Number of frames of each video [N].

    Returns:
        Positions of the videos, ascending.

    >>> sample_videos(np.array([10, 20])).tolist()
    [0, 1]
    """
    order = np.random.default_rng(SAMPLE_SEED).permutation(len(num_frames))
    fits = int((np.cumsum(num_frames[order]) <= MAX_FRAMES).sum())
    return np.sort(order[: max(1, fits)])


def study_attention(
    model: VideoClassifier,
    videos: Videos,
    clusters: int,
    *,
    scene: Callable[[str, int], Scene | None] = lambda video_id, num_frames: None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """Measure the attention on the largest cluster and the main scene of each video of a data set or sample.

    Args:
        model: Model whose pooling computes attention.
        videos: The data set.
        clusters: k of the k-means of each video's frames.
        scene: Returns the true main scene of a video, given its id and number of frames; None if unknown.
        progress: Progress callback.

    Returns:
        One row per video: video (its position), id, frames, effective_frames. For its largest cluster: cluster_weight,
        cluster_share (share of the time), cluster_excess (weight minus share). For the true main scene, NaN if unknown:
        main_weight, main_share, main_excess, main_auc (``roc_auc``), and cluster_main, the share of the largest cluster
        that belongs to the main scene.

    Raises:
        UserError: The pooling of the model has no attention.
    """
    selected = sample_videos(videos.num_frames)
    rows = []
    for batch in Loader(videos, np.split(selected, range(BATCH, len(selected), BATCH))):
        with torch.inference_mode():
            frames, mask = model.preprocess(batch.frames, batch.num_frames)
            attention = model.score(frames, mask)[1].attention
        if attention is None:
            raise UserError("a model whose pooling has no attention")
        for row, (video, T) in enumerate(zip(batch.videos.tolist(), batch.num_frames.tolist(), strict=True)):
            identity = {"video": video, "id": videos.id(video), "frames": T}
            weights = attention[row, :T].float().numpy()
            cluster = k_means(frames[row, :T].float().numpy(), clusters)
            rows.append(identity | _row(weights, cluster, scene(videos.id(video), T)))
        progress("clustering", len(rows), len(selected))
    return pd.DataFrame(rows)


def _row(weights: NDArray[np.float32], cluster: NDArray[np.int64], scene: Scene | None) -> dict[str, float]:
    largest = cluster == 0
    mass = attention_mass(weights, largest)
    row = {
        "effective_frames": effective_frames(weights),
        "cluster_weight": mass.weight,
        "cluster_share": mass.share,
        "cluster_excess": mass.excess,
    }
    if scene is None:
        missing = ("main_weight", "main_share", "main_excess", "main_auc", "cluster_main")
        return row | dict.fromkeys(missing, float("nan"))
    main = mask_from_intervals(scene, len(weights))
    mass = attention_mass(weights, main)
    return row | {
        "main_weight": mass.weight,
        "main_share": mass.share,
        "main_excess": mass.excess,
        "main_auc": roc_auc(weights, main),
        "cluster_main": float(main[largest].mean()),
    }


def sharpness(model: VideoClassifier) -> float | None:
    """Return α, the factor before the softmax over the frames; None if the pooling has no α or no attention."""
    for module in model.pooling.modules() if model.pooling is not None else ():
        if isinstance(module, IndirectClustering) and module.has_attention:
            return module.scale
    return None


def with_sharpness(model: VideoClassifier, scale: float) -> VideoClassifier:
    """Return a copy of the model whose indirect clustering has α = ``scale``.

    It shares all parameters with ``model``, which is not modified. Raises UserError for a model without a pooling.
    """
    if model.pooling is None:
        raise UserError("a model without a pooling", expected="a model whose pooling has an α")
    other = copy.copy(model)
    other._modules = {**model._modules, "pooling": _rescaled(model.pooling, scale)}
    return other


def _rescaled(pooling: nn.Module, scale: float) -> nn.Module:
    other = copy.copy(pooling)  # shares its parameters
    # A pooling may wrap another, as adaptive noise does.
    other._modules = {name: module and _rescaled(module, scale) for name, module in pooling._modules.items()}
    if isinstance(other, IndirectClustering):
        other.scale = scale
    return other
