"""What one slot hands to the next (ARCHITECTURE: "Contracts"). B videos, T frames, D frame features, d, C classes."""

from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

VARIANTS = ("paper", "authors")  # the equations as printed, or what the published code computes, where the two differ


def promote_to_float32(values: Tensor) -> Tensor:
    """The values in float32, or as they are in float64: half precision is too coarse for attention and log p."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class Pooled(NamedTuple):
    """What a pooling returns: one vector a video and, where it attends, its weights over time."""

    vector: Tensor  # [B, d]
    attention: Tensor | None = None  # [B, T], rows sum to 1 over the real frames, 0 on padding


class Mixture(NamedTuple):
    """The k experts of each class, where a classification has them, for a label processing that acts on them.

    A gate more than experts is the dummy's, the expert that always answers no.
    """

    log_gates: Tensor  # [B, C, k or k + 1]
    expert_logits: Tensor  # [B, C, k]


class Scores(NamedTuple):
    """Label probabilities as log p and log(1-p), so that sigmoids, mixtures and means stay exact in float32."""

    log_p: Tensor  # [B, C]
    log_not_p: Tensor  # [B, C]
    embedding: Tensor  # [B, e], the penultimate layer (section 2.5.1)
    mixture: Mixture | None = None  # what p was mixed from

    @classmethod
    def from_logits(cls, logits: Tensor, embedding: Tensor) -> Self:
        """Scores of p = sigmoid(logits [B, C]), where 1-p = sigmoid(-logits)."""
        logits = promote_to_float32(logits)
        return cls(F.logsigmoid(logits), F.logsigmoid(-logits), embedding)

    @classmethod
    def from_mixture(cls, gate_logits: Tensor, expert_logits: Tensor, embedding: Tensor) -> Self:
        """Scores of p = Σ_i g_i e_i (section 2.3.2), from gates [B, C, k or k + 1] and experts [B, C, k].

        log p = log Σ_i exp(log g_i + log e_i), and log(1-p) likewise with 1-e_i, so neither ever rounds to log 0.
        """
        # As [C, k, B], which is how ``FewRows`` leaves them in memory: sums over a few experts want many beside them.
        gates, experts = (promote_to_float32(logits).permute(1, 2, 0) for logits in (gate_logits, expert_logits))
        gates = gates - gates.detach().amax(dim=1, keepdim=True)  # first: a large gate has no digits left for its log
        log_gates = gates - gates.exp().sum(dim=1, keepdim=True).log()
        known, dummy = log_gates.tensor_split([experts.shape[1]], dim=1)  # the dummy's is [C, 1, B] or [C, 0, B]
        log_yes = (known + F.logsigmoid(experts)).logsumexp(dim=1)  # [C, B]
        log_no = torch.cat([known + F.logsigmoid(-experts), dummy], dim=1).logsumexp(dim=1)
        return cls(log_yes.T, log_no.T, embedding, Mixture(log_gates.permute(2, 0, 1), expert_logits))

    @property
    def p(self) -> Tensor:
        """Probabilities [B, C]."""
        return self.log_p.exp()
