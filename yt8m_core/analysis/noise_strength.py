"""Strength γ of adaptive noise for each label (section 2.2.5), computed by the pooling itself."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

from yt8m_core.errors import UserError
from yt8m_core.inference.sampling import MAX_SCORES, sample_videos
from yt8m_core.models.pooling.adaptive_noise import AdaptiveNoise
from yt8m_core.models.registry import build
from yt8m_core.models.slot import Slot

CHUNK = 1 << 22
PAPER_OPTIONS: Mapping[str, Any] = MappingProxyType({})


def noise_options(pooling: Slot) -> Mapping[str, Any]:
    """Return the options of adaptive noise: those of a run's pooling, or the paper's for another pooling.

    >>> dict(noise_options(Slot("adaptive_noise", {"scale": 2.0}))), dict(noise_options(Slot("mean")))
    ({'scale': 2.0}, {})
    """
    return pooling.options if pooling.name == "adaptive_noise" else PAPER_OPTIONS


class NoiseStrength(NamedTuple):
    """Noise strength γ by label, and noise norms γ√D over the evaluated videos; a frame has norm 1.

    Attributes:
        table: label; γ in alone and together; noise norms in alone_length and together_length.
        videos: Number of evaluated videos: all labeled videos, or a sample.
        median_length: Median norm of the noise over these videos.
        above_a_tenth: Share of these videos whose noise norm exceeds 0.1.
    """

    table: pd.DataFrame
    videos: int
    median_length: float
    above_a_tenth: float


def noise_strength(
    training: csr_array,
    labels: csr_array,
    *,
    width: int,
    options: Mapping[str, Any] = PAPER_OPTIONS,
    factor: float = 1.0,
) -> NoiseStrength:
    """Compute γ of adaptive noise (equation 12) for each label.

    ``alone`` is γ of a video that has only this label, in the paper 1/S(y). ``together`` is the median γ of the videos
    with this label, including the effect of their other labels; NaN if no evaluated video has the label.

    Args:
        training: Label matrix of the training videos [M, C], from which the counts S(y) are taken.
        labels: Label matrix of the videos to evaluate [N, C]. A large data set is sampled.
        width: D, the number of features of a frame.
        options: Options of ``AdaptiveNoise``. The inner pooling does not affect γ.
        factor: Additional factor of γ.

    Raises:
        UserError: The pooling rejects an option, or no video has a label.

    >>> rows = csr_array(np.array([[1, 0], [1, 1], [1, 0], [1, 0]]))
    >>> noise_strength(rows, rows, width=4).table.iloc[1].to_dict()
    {'label': 1.0, 'alone': 1.0, 'together': 0.625, 'alone_length': 2.0, 'together_length': 1.25}
    """
    C = training.shape[1]
    if labels.nnz == 0:
        raise UserError("no video has labels", advice="Choose a data set with labels.")
    own_options = {name: value for name, value in options.items() if name != "pooling"}
    pooling = cast(AdaptiveNoise, build("pooling", "adaptive_noise", own_options, in_features=1, num_classes=C))
    pooling.fit_label_prior(training)
    pooling.scale *= factor
    sample = labels[sample_videos(np.diff(labels.indptr) > 0, max(1, MAX_SCORES // C))]
    gamma = _gamma(pooling, sample)
    pair_gamma = pd.Series(np.repeat(gamma, np.diff(sample.indptr)))  # one row per (video, label) pair
    together = pair_gamma.groupby(sample.indices).median().reindex(range(C)).to_numpy()
    alone = _gamma(pooling, csr_array(eye_array(C, dtype=np.int32)))
    length = width**0.5  # norm of D samples of N(0, 1), up to negligible variation
    table = pd.DataFrame(
        {
            "label": np.arange(C),
            "alone": alone,
            "together": together,
            "alone_length": alone * length,
            "together_length": together * length,
        }
    )
    lengths = gamma * length
    return NoiseStrength(table, len(gamma), float(np.median(lengths)), float((lengths > 0.1).mean()))


def _gamma(pooling: AdaptiveNoise, labels: csr_array) -> NDArray[np.float64]:
    """Compute γ [N] of videos with the label matrix [N, C]."""
    step = max(1, CHUNK // labels.shape[1])
    parts = [
        pooling.gamma(torch.from_numpy(labels[first : first + step].toarray()).float())
        for first in range(0, labels.shape[0], step)
    ]
    return torch.cat([torch.zeros(0), *parts]).double().numpy()
