"""What one slot hands to the next (ARCHITECTURE: "Contracts"). B videos, T frames, D frame features, d, C classes."""

from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

VARIANTS = ("paper", "authors")  # the equations as printed, or what the published code computes, where the two differ


def at_least_float32(values: Tensor) -> Tensor:
    """The values in float32, or as they are in float64: half precision is too coarse for attention and log p."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class Pooled(NamedTuple):
    """What a pooling returns: one vector a video and, where it attends, its weights over time."""

    vector: Tensor  # [B, d]
    attention: Tensor | None = None  # [B, T], rows sum to 1 over the real frames, 0 on padding


class Scores(NamedTuple):
    """Label probabilities as log p and log(1-p), so that sigmoids, mixtures and means stay exact in float32."""

    log_p: Tensor  # [B, C]
    log_not_p: Tensor  # [B, C]
    embedding: Tensor  # [B, e], the penultimate layer (section 2.5.1)

    @classmethod
    def from_logits(cls, logits: Tensor, embedding: Tensor) -> Self:
        """Scores of p = sigmoid(logits [B, C]), where 1-p = sigmoid(-logits)."""
        logits = at_least_float32(logits)
        return cls(F.logsigmoid(logits), F.logsigmoid(-logits), embedding)

    @property
    def p(self) -> Tensor:
        """Probabilities [B, C]."""
        return self.log_p.exp()
