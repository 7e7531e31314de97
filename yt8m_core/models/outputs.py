"""Outputs that one slot passes to the next.

Shape letters of all models: B videos, T frames per video, D features per frame, d features per video, C classes,
e features of the embedding, k experts per class.
"""

from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from yt8m_core.models.mixture import log_mixture

VARIANTS = ("paper", "authors")  # the equations as printed, or the published code where it differs from them


def promote_to_float32(values: Tensor) -> Tensor:
    """Convert half precision to float32, which attention and log p need; float64 stays."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class Pooled(NamedTuple):
    """Output of a pooling: one vector per video and, if the pooling computes any, attention weights over time."""

    vector: Tensor  # [B, d]
    attention: Tensor | None = None  # [B, T], rows sum to 1 over the real frames, 0 on padding


class Mixture(NamedTuple):
    """The k experts of each class, for a label processing that acts on expert logits.

    With a dummy expert, which always predicts 0, there is one more gate than experts.
    """

    log_gates: Tensor  # [B, C, k or k + 1]
    expert_logits: Tensor  # [B, C, k]


class Scores(NamedTuple):
    """Label probabilities as log p and log(1-p), so that sigmoids, mixtures and means stay exact in float32."""

    log_p: Tensor  # [B, C]
    log_not_p: Tensor  # [B, C]
    embedding: Tensor  # [B, e], output of the penultimate layer (section 2.5.1)
    mixture: Mixture | None = None  # the experts of a mixture of experts

    @classmethod
    def from_logits(cls, logits: Tensor, embedding: Tensor) -> Self:
        """Compute p = σ(logits) and 1-p = σ(-logits) from logits [B, C]."""
        logits = promote_to_float32(logits)
        return cls(F.logsigmoid(logits), F.logsigmoid(-logits), embedding)

    @classmethod
    def from_mixture(cls, gate_logits: Tensor, expert_logits: Tensor, embedding: Tensor) -> Self:
        """Compute p = Σ_i g_i e_i (section 2.3.2) from gates [B, C, k or k + 1] and experts [B, C, k].

        log p = log Σ_i exp(log g_i + log e_i), and log(1-p) likewise with 1-e_i, so neither rounds to log 0.
        """
        # [C, k, B], the memory layout of ``TransposedLinear``: sums over few experts are fast over a contiguous batch.
        gates, experts = (promote_to_float32(logits).permute(1, 2, 0) for logits in (gate_logits, expert_logits))
        log_gates, log_p, log_not_p = log_mixture(gates, experts)
        return cls(log_p.T, log_not_p.T, embedding, Mixture(log_gates.permute(2, 0, 1), expert_logits))

    def add_to_logits(self, residual: Tensor) -> "Scores":
        """Add a residual [B, C] to the logits; where it is 0, no digit of the scores changes. Omits the mixture."""
        logits = self.log_p - self.log_not_p  # the gradient passes here only
        new = Scores.from_logits(logits + residual, self.embedding)
        old = Scores.from_logits(logits.detach(), self.embedding)
        # ``new`` alone would change scores by the rounding of the logits. The clamp keeps p ≤ 1 despite that rounding.
        log_p, log_not_p = (
            (before + (after - unchanged)).clamp(max=before.clamp(min=0))
            for before, after, unchanged in (
                (self.log_p.detach(), new.log_p, old.log_p),
                (self.log_not_p.detach(), new.log_not_p, old.log_not_p),
            )
        )
        return Scores(log_p, log_not_p, self.embedding)

    @property
    def p(self) -> Tensor:
        """Probabilities [B, C]."""
        return self.log_p.exp()
