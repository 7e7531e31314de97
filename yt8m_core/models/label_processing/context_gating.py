"""Context gating: every label's probability is turned down by what all labels say, as learned.

Not in the paper, a peer to compare its section 2.4 with: the 2017 winner's gate after the classification layer
(WILLOW, equation 1). https://arxiv.org/abs/1706.06905
"""

import torch
import torch.nn.functional as F
from torch import nn

from yt8m_core.models.outputs import Scores, promote_to_float32


class ContextGating(nn.Module):
    """O_c = σ(W·O_h + b) ∘ O_h with W [C, C].

    The winner's code has batch normalization for the bias; then a video's scores would depend on those beside it.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.gate = nn.Linear(num_classes, num_classes)

    def forward(self, scores: Scores) -> Scores:
        """Scores [B, C] → scores [B, C]; the embedding stays.

        log p' = log σ(g) + log p, and 1-p' = (1-p) + p·σ(-g) likewise as logarithms: neither rounds to log 0.
        """
        p = scores.p.to(self.gate.weight.dtype)  # which may be of half precision
        gates = promote_to_float32(self.gate(p))  # [B, C]
        log_not_p = torch.logaddexp(scores.log_not_p, scores.log_p + F.logsigmoid(-gates))
        return Scores(scores.log_p + F.logsigmoid(gates), log_not_p, scores.embedding)
