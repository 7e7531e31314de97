"""What adaptive noise (section 2.2.5) would do to each label: γ, taken from the pooling itself."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

from yt8m_core.errors import UserError
from yt8m_core.inference.score_cache import CELLS, chosen_videos
from yt8m_core.models.pooling.adaptive_noise import AdaptiveNoise
from yt8m_core.models.registry import build

CHUNK = 1 << 22
PAPER: Mapping[str, Any] = MappingProxyType({})


class NoiseStrength(NamedTuple):
    """γ by label, and how long the noise is in the videos looked at; a frame's length is 1, noise's γ√D."""

    table: pd.DataFrame  # label; γ: alone, together; lengths: alone_length, together_length
    videos: int  # those looked at, all labeled ones or a sample
    median_length: float  # of the noise in these videos
    above_a_tenth: float  # share of these videos whose noise is longer than a tenth of a frame


def noise_strength(
    training: csr_array,
    labels: csr_array,
    *,
    width: int,
    options: Mapping[str, Any] = PAPER,
    times: float = 1.0,
) -> NoiseStrength:
    """γ of adaptive noise (equation 12) for each label: of a video with it alone, and of the videos that have it.

    ``alone`` is, in the paper, 1/S(y) of the label; ``together`` the median γ of the videos with it, whose other labels
    count too, NaN where no video looked at has the label.

    Args:
        training: [M, C] the labels of the training videos, whose counts S(y) decide.
        labels: [N, C] those of the videos to look at. Of a large data set a sample is taken.
        width: D, the numbers of a frame.
        options: Those of ``AdaptiveNoise`` that a run was trained with; what pools the noisy frames changes no γ.
        times: A further factor of γ.

    Raises:
        UserError: An option that the pooling refuses, or no video with a label.

    >>> rows = csr_array(np.array([[1, 0], [1, 1], [1, 0], [1, 0]]))
    >>> noise_strength(rows, rows, width=4).table.iloc[1].to_dict()
    {'label': 1.0, 'alone': 1.0, 'together': 0.625, 'alone_length': 2.0, 'together_length': 1.25}
    """
    C = training.shape[1]
    if labels.nnz == 0:
        raise UserError("no video has labels", advice="Choose a data set with labels.")
    chosen = {name: value for name, value in options.items() if name != "pooling"}
    pooling = cast(AdaptiveNoise, build("pooling", "adaptive_noise", chosen, in_features=1, num_classes=C))
    pooling.fit_label_prior(training)
    pooling.scale *= times
    some = labels[chosen_videos(np.diff(labels.indptr) > 0, max(1, CELLS // C))]
    gamma = _gamma(pooling, some)
    each = pd.Series(np.repeat(gamma, np.diff(some.indptr)))  # a row a pair (video, label)
    together = each.groupby(some.indices).median().reindex(range(C)).to_numpy()
    alone = _gamma(pooling, csr_array(eye_array(C, dtype=np.int32)))
    length = width**0.5  # of D numbers of N(0, 1), as good as always
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
    """γ [N] of videos with labels [N, C]."""
    step = max(1, CHUNK // labels.shape[1])
    parts = [
        pooling.gamma(torch.from_numpy(labels[first : first + step].toarray()).float())
        for first in range(0, labels.shape[0], step)
    ]
    return torch.cat([torch.zeros(0), *parts]).double().numpy()
