"""Losses that sum one term per video and class, and report the cross entropy beside it."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models.losses.cross_entropy import CrossEntropy, weigh
from yt8m_core.models.outputs import Scores


class PerClassLoss(nn.Module):
    """L = mean over videos of Σ_c ``per_class``, on the scale of ``CrossEntropy``."""

    name: ClassVar[str]
    """Registry name, which names L among the parts."""

    def __init__(self) -> None:
        super().__init__()
        self.cross_entropy = CrossEntropy()

    def per_class(self, scores: Scores, targets: Tensor) -> Tensor:
        """Scores and targets [B, C] from 0 to 1 → loss of each video and class [B, C]."""
        raise NotImplementedError

    def forward(
        self, scores: Scores, targets: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Scores, targets from 0 to 1 and weights [B, C] → L and its named parts: L and the plain cross entropy."""
        loss = weigh(self.per_class(scores, targets), weights).sum(dim=1).mean()
        with torch.no_grad():
            cross_entropy, _ = self.cross_entropy(scores, targets, weights)
        return loss, {self.name: loss.detach(), "cross_entropy": cross_entropy}

    def check_not_negative(self, **options: float) -> None:
        """Check options by name. Raises UserError that names the first one below 0."""
        for option, value in options.items():
            if not value >= 0:
                raise UserError(str(value), where=f"{self.name}, option '{option}'", expected="0 or more")
