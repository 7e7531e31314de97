"""GAP@20, Hit@1, PERR and mAP from one state: the 20 best labels of each video (paper section 3.1).

    GAP = Σ_i precision(i) · hit(i) / P,

where i runs over the 20 best (score, label) pairs of all videos in one list, best first, and P is the number of all
positives of the ground truth, also of those that no video has among its 20 best. "Google Average Precision" in the
paper is this global average precision. https://github.com/google/youtube-8m computes the same, but breaks ties by
chance; here a tie counts as its expected value over all orders, so the order of videos and labels never matters.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from yt8m_core.errors import UserError

# Scores looked at in one step: small enough to stay in the cache, and no second matrix of scores is ever made.
CHUNK = 1 << 22

Array = NDArray[Any] | Tensor
Floats = NDArray[np.float64]


class Best(NamedTuple):
    """The k best labels of B videos, sorted by (−score, label id), and the tie that the k-th place may cut."""

    scores: Tensor  # [B, k] float32
    labels: Tensor  # [B, k] int32
    hits: Tensor  # [B, k] bool
    candidates: Tensor  # [B] int32, labels whose score equals the k-th, if not all of them found a place; else 0
    positives: Tensor  # [B] int32, the true ones among the candidates


class Interval(NamedTuple):
    """The ends of a 95 % interval."""

    low: float
    high: float


def global_average_precision(scores: Array, labels: Array, k: int = 20) -> float:
    """GAP@k of N videos and C classes.

    Scores are ranked in float32 and sums kept in float64. Tied scores count as their expected value over all orders
    of the tied entries, those at a video's k-th place included.

    Args:
        scores: [N, C], larger is better; only their order matters.
        labels: [N, C], the ground truth, 0/1 or bool.
        k: labels kept per video; fewer where C is smaller.

    Returns:
        GAP between 0 and 1.

    Raises:
        UserError: Shapes that differ, no video, a NaN score, labels other than 0 and 1, no positive at all, k < 1.

    Source: paper section 3.1; SPEC section 8; ``calculate_gap`` of google/youtube-8m.

    The first video has its label at rank 1, the second has its own outside the two kept:

    >>> global_average_precision(np.array([[0.9, 0.5, 0.1], [0.8, 0.7, 0.6]]), np.array([[1, 0, 0], [0, 0, 1]]), k=2)
    0.5

    Two tied scores, one of them a hit: half the time at rank 1, half the time at rank 2.

    >>> global_average_precision(np.array([[0.5, 0.5]]), np.array([[1, 0]]))
    0.75
    """
    _check_shapes(scores, labels, k)
    step = max(1, CHUNK // scores.shape[1])
    parts, positives = [], 0
    for first in range(0, len(scores), step):
        truth = _truth(_tensor(labels[first : first + step]), first)
        positives += int(torch.count_nonzero(truth))
        parts.append(_best(_tensor(scores[first : first + step]), truth, k, first))
    return _gap(_pool(Best(*(torch.cat(field).cpu() for field in zip(*parts, strict=True)))), positives)


class TopLabels(Metric):
    """The metrics of a data set, fed batch by batch, on one process or several.

    Keeps each video's k best labels (about 210 bytes a video), so the result is that of the whole set, not a mean over
    batches. ``compute`` returns

    - ``gap``: see ``global_average_precision``.
    - ``hit_at_1``: share of videos whose best label is true.
    - ``perr``: precision in the best n labels of a video that has n, mean over videos. As in Google's evaluation, only
      scores above 0 count, so it wants probabilities.
    - ``map_present``: AP of each class over the pooled 20 best of all videos (a positive that its video does not rank
      among them counts as missed), mean over the classes with a positive. ``map_all``: the others counted as 0.
    - ``num_videos``, and ``num_unlabelled`` of them: without a label, hence not in ``hit_at_1`` and ``perr``.

    Ties count as their expected value. The one exception is the tie at a video's k-th place in the two mAPs: there the
    labels of smaller id are kept.

    >>> metric = TopLabels(num_classes=3)
    >>> metric.update(torch.tensor([[0.9, 0.5, 0.1], [0.2, 0.7, 0.6]]), torch.tensor([[1, 0, 0], [0, 0, 1]]))
    >>> {name: round(value, 3) for name, value in metric.compute().items()}  # doctest: +NORMALIZE_WHITESPACE
    {'gap': 0.833, 'hit_at_1': 0.5, 'perr': 0.5, 'map_present': 1.0, 'map_all': 0.667,
     'num_videos': 2, 'num_unlabelled': 0}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    scores: list[Tensor]
    labels: list[Tensor]
    hits: list[Tensor]
    candidates: list[Tensor]
    positives: list[Tensor]
    num_labels: list[Tensor]  # [B] int32, of the ground truth
    hit_at_1: list[Tensor]  # [B] float64
    perr: list[Tensor]  # [B] float64
    class_positives: Tensor  # [C] int64

    def __init__(self, num_classes: int, *, k: int = 20) -> None:
        super().__init__()
        if num_classes < 1 or k < 1:
            raise UserError(f"num_classes={num_classes}, k={k}", expected="both at least 1")
        self.num_classes, self.k = num_classes, min(k, num_classes)
        width, best = (0, self.k), Best((), (), (), (), ())  # placeholder, replaced below
        del width, best
