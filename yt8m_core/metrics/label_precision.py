"""Average precision of each label over all videos, and not only over the videos that have it in their top 20.

``TopLabels`` computes mAP as Google's evaluation does, from each video's top 20. A rare label is seldom among them, so
its average precision there is mostly 0. Here each label ranks all videos, which shows what a method does for rare
labels.
"""

from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from yt8m_core.metrics.average_precision import TopLabelsBatch, class_ap_numerators
from yt8m_core.metrics.video_rows import VideoRows, check_batch

CHUNK = 1 << 22
"""Scores per step."""


class LabelPrecision(VideoRows):
    """Average precision (AP) of each label, on one process or several.

    The state is all scores: 5 bytes per video and label. ``compute`` returns one row per label: label, positives
    (number of videos with the label), ap (NaN without positives). Tied scores count as the expected value over all
    their orders.

    >>> metric = LabelPrecision(num_classes=2)
    >>> metric.update(torch.tensor([[0.9, 0.1], [0.5, 0.3], [0.5, 0.2]]), torch.tensor([[0, 0], [1, 0], [0, 0]]))
    >>> metric.compute().round(3).to_numpy().tolist()  # rank 2 or 3, with equal probability: (1/2 + 1/3) / 2
    [[0.0, 1.0, 0.417], [1.0, 0.0, nan]]
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    scores: list[Tensor]  # per batch: [B, C]
    hits: list[Tensor]  # per batch: [B, C] bool

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        for name in self.empty_rows():
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, targets: Tensor | tuple[Tensor, Tensor]) -> None:
        """Add a batch; arguments and errors as of ``video_rows.check_batch``."""
        for name, rows in zip(self.empty_rows(), check_batch(scores, targets, self.num_classes), strict=True):
            getattr(self, name).append(rows)

    def empty_rows(self) -> dict[str, Tensor]:
        """Return scores and hits of no videos."""
        scores = torch.empty(0, self.num_classes, device=self.device)
        return {"scores": scores, "hits": scores.bool()}

    def compute(self) -> pd.DataFrame:
        """Return label, positives and ap of each label."""
        C = self.num_classes
        positives, labels, batches = np.zeros(C, np.int64), torch.arange(C, dtype=torch.int32), []
        for scores, hits in zip(*(self._pieces(name) for name in self.empty_rows()), strict=True):
            no_tie = torch.zeros(len(scores), dtype=torch.int32)  # at a k-th place: all labels are kept
            batches.append(TopLabelsBatch(scores, labels.expand(len(scores), C), hits, no_tie, no_tie))
            positives += hits.sum(dim=0).numpy()
        ap = np.full(C, np.nan)
        if batches:
            np.divide(class_ap_numerators(batches, C), positives, out=ap, where=positives > 0)
        return pd.DataFrame({"label": np.arange(C), "positives": positives, "ap": ap})

    def _pieces(self, name: str) -> list[Tensor]:
        """Return a state as small pieces: it is one tensor after a gathering from several processes."""
        state = cast("list[Tensor] | Tensor", getattr(self, name))
        rows = max(1, CHUNK // self.num_classes)
        batches = state if isinstance(state, list) else [state]
        return [batch[i : i + rows].cpu() for batch in batches for i in range(0, len(batch), rows)]
