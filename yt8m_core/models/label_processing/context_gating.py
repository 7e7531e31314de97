"""Context gating: scale each probability by a learned gate that depends on all probabilities.

Not in the paper; a baseline for its section 2.4: the gate of the 2017 winner after the classification layer (WILLOW,
equation 1). https://arxiv.org/abs/1706.06905
"""

import torch
import torch.nn.functional as F
from torch import nn

from yt8m_core.models.outputs import Scores, promote_to_float32


class ContextGating(nn.Module):
    """O_c = σ(W·O_h + b) ∘ O_h with W [C, C].

    The winner's code has batch normalization in place of the bias, which would make the scores of a video depend on the
    other videos of its batch.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.gate = nn.Linear(num_classes, num_classes)

    def forward(self, scores: Scores) -> Scores:
        """Scores [B, C] → scores [B, C] with the same embedding.

        log p' = log σ(g) + log p, and 1-p' = (1-p) + p·σ(-g) also in logarithms, so neither rounds to log 0.
        """
        p = scores.p.to(self.gate.weight.dtype)  # the weights may have half precision
        gates = promote_to_float32(self.gate(p))  # [B, C]
        log_not_p = torch.logaddexp(scores.log_not_p, scores.log_p + F.logsigmoid(-gates))
        return Scores(scores.log_p + F.logsigmoid(gates), log_not_p, scores.embedding)
