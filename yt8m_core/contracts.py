"""What one slot hands to the next (ARCHITECTURE: "Contracts"). B videos, T frames, D frame features, d, C classes."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Pooled:
    """What a pooling returns: one vector a video and, where it attends, its weights over time."""

    vector: Tensor  # [B, d]
    attention: Tensor | None = None  # [B, T], rows sum to 1 over the real frames, 0 on padding


@dataclass(frozen=True)
class Scores:
    """Label probabilities as log p and log(1-p), so that sigmoids, mixtures and means stay exact in float32."""

    log_p: Tensor  # [B, C]
    log_not_p: Tensor  # [B, C]
    embedding: Tensor  # [B, e], the penultimate layer (section 2.5.1)

    @property
    def p(self) -> Tensor:
        """Probabilities [B, C]."""
        return self.log_p.exp()
