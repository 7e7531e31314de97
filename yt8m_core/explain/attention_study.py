"""A run's attention over the videos of a data set, held against clusters and main scenes; and with another sharpness.

The paper (section 2.2.4) says that indirect clustering finds the largest cluster of the frames and with it the main
scene, and shows neither. https://arxiv.org/abs/1706.07960
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
    detection,
    effective_frames,
    k_means,
    mask_from_intervals,
)
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.pooling.indirect_clustering import IndirectClustering
from yt8m_core.progress import Progress, silent

MOST_FRAMES = 60_000
"""Frames of a data set that are clustered at most, some seconds of work; of a larger one, a sample of the videos."""
SAMPLE_SEED = 0
BATCH = 32

Scene = Sequence[tuple[int, int]]


def seen_frames(model: VideoClassifier, frames: NDArray[Any]) -> NDArray[np.float32]:
    """A video as stored [T, D] → its frames as the pooling sees them: unit vectors, unless the run says otherwise."""
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(frames))[None]
        prepared, _ = model.prepare(batch, torch.tensor([len(frames)]))
    return prepared[0].float().numpy()


def sample(num_frames: NDArray[np.int64]) -> NDArray[np.int64]:
    """The videos that ``study`` looks at, rising: all, or as many random ones, always the same, as have so many frames.

    >>> sample(np.array([10, 20])).tolist()
    [0, 1]
    """
    order = np.random.default_rng(SAMPLE_SEED).permutation(len(num_frames))
    fits = int((np.cumsum(num_frames[order]) <= MOST_FRAMES).sum())
    return np.sort(order[: max(1, fits)])


def study(
    model: VideoClassifier,
    videos: Videos,
    clusters: int,
    *,
    scene: Callable[[str, int], Scene | None] = lambda video_id, num_frames: None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """What the weight lies on in each video of a data set, or of a sample.

    Args:
        model: its pooling attends.
        videos: the data set.
        clusters: k of the k-means of each video's frames.
        scene: the true main scene of the video with an id, as runs of frames; None where it is not known.
        progress: told how far it is.

    Returns:
        A row a video: video (its position), id, frames, effective_frames; of its largest cluster, cluster_weight,
        cluster_share of the time and cluster_excess, the weight less the share; of the true main scene, NaN where it is
        not known, main_weight, main_share, main_excess, main_auc (``detection``), and cluster_main, the share of the
        largest cluster that belongs to it.
    """
    chosen = sample(videos.num_frames)
    rows = []
    for batch in Loader(videos, np.split(chosen, range(BATCH, len(chosen), BATCH))):
        with torch.inference_mode():
            frames, mask = model.prepare(batch.frames, batch.num_frames)
            attention = model.score(frames, mask)[1].attention
        if attention is None:
            raise UserError("a model whose pooling weighs no seconds")
        for row, (video, T) in enumerate(zip(batch.videos.tolist(), batch.num_frames.tolist(), strict=True)):
            about = {"video": video, "id": videos.id(video), "frames": T}
            weights = attention[row, :T].float().numpy()
            runs = scene(videos.id(video), T)
            rows.append(about | _row(weights, k_means(frames[row, :T].float().numpy(), clusters), runs))
        progress("clustering", len(rows), len(chosen))
    return pd.DataFrame(rows)


def _row(weights: NDArray[np.float32], cluster: NDArray[np.int64], runs: Scene | None) -> dict[str, float]:
    largest = cluster == 0
    on = attention_mass(weights, largest)
    known = {
        "effective_frames": effective_frames(weights),
        "cluster_weight": on.weight,
        "cluster_share": on.share,
        "cluster_excess": on.excess,
    }
    if runs is None:
        unknown = ("main_weight", "main_share", "main_excess", "main_auc", "cluster_main")
        return known | dict.fromkeys(unknown, float("nan"))
    main = mask_from_intervals(runs, len(weights))
    on = attention_mass(weights, main)
    return known | {
        "main_weight": on.weight,
        "main_share": on.share,
        "main_excess": on.excess,
        "main_auc": detection(weights, main),
        "cluster_main": float(main[largest].mean()),
    }


def sharpness(model: VideoClassifier) -> float | None:
    """α, the factor before the softmax over the frames; None for a pooling that has none, or does not attend."""
    for module in model.pooling.modules() if model.pooling is not None else ():
        if isinstance(module, IndirectClustering) and module.attends:
            return module.scale
    return None


def sharpened(model: VideoClassifier, scale: float) -> VideoClassifier:
    """The same model with another α. It shares all weights with ``model``, which stays as it is."""
    if model.pooling is None:
        raise UserError("a model without a pooling", expected="one whose pooling has an α")
    other = copy.copy(model)
    other._modules = {**model._modules, "pooling": _rescaled(model.pooling, scale)}
    return other


def _rescaled(pooling: nn.Module, scale: float) -> nn.Module:
    other = copy.copy(pooling)  # its weights are the same tensors
    # One pooling may wrap another, as adaptive noise does.
    other._modules = {name: module and _rescaled(module, scale) for name, module in pooling._modules.items()}
    if isinstance(other, IndirectClustering):
        other.scale = scale
    return other
