"""Classifier chain: a second stage that sees the video and the first stage's scores of all labels.

Not in the paper; a baseline for its section 2.4. The second place of the 2017 challenge chains whole classifiers this
way: Wang, Zhang, Wu: The Monkeytyping Solution to the YouTube-8M Video Understanding Challenge, 2017,
https://arxiv.org/abs/1706.05150. The idea is from Read, Pfahringer, Holmes, Frank: Classifier Chains for Multi-label
Classification, 2011, https://doi.org/10.1007/s10994-011-5256-5, where each link is one label and sees those before it.
"""

import torch
import torch.nn.functional as F
from torch import nn

from yt8m_core.errors import UserError
from yt8m_core.models.linear import xavier_linear
from yt8m_core.models.normalization import l2_normalize
from yt8m_core.models.outputs import Scores, promote_to_float32

STEP = 1 / 30
"""Step of all parameters relative to the learning rate: the best rate of an MLP is about 1/30 of that of a mixture of
experts. At the rate of the mixture, the hidden layers lower GAP by 0.02 to 0.04 on the demo world. On real records,
1/100 and 1/300 change GAP by less than 0.002."""


class Chain(nn.Module):
    """logit' = logit + W_o·ReLU(W_h·[n(ReLU(W_p·p)), n(e)]) with the embedding e and n(x) = x / |x|.

    The output W_o starts at 0, so that training starts from the scores of the first stage.

    Differences from the challenge's code: the second stage corrects the first instead of replacing it, so one loss
    trains both and the first needs no loss of its own; it is a hidden layer instead of a mixture of experts; and the
    embedding is normalized too, because its length depends on the classification.
    """

    def __init__(self, num_classes: int, embedding_features: int, *, width: int = 256, hidden: int = 1024) -> None:
        """Set the size.

        Args:
            num_classes: C.
            embedding_features: e, width of the embedding.
            width: Width of the projected scores; 256 as in the challenge's code.
            hidden: Width of the hidden layer.

        Raises:
            UserError: ``width`` or ``hidden`` is less than 1.
        """
        super().__init__()
        for option, value in (("width", width), ("hidden", hidden)):
            if value < 1:
                raise UserError(str(value), where=f"chain, option '{option}'", expected="1 or more")
        self.project = xavier_linear(num_classes, width, bias=True)
        self.hidden = xavier_linear(width + embedding_features, hidden, bias=True)
        self.output = xavier_linear(hidden, num_classes, bias=True)
        nn.init.zeros_(self.output.weight)
        self.step_scales = {name: STEP for name, _ in self.named_parameters()}

    def forward(self, scores: Scores) -> Scores:
        """Scores [B, C] → scores [B, C] with the same embedding."""
        dtype = self.project.weight.dtype  # may be half precision
        projected = F.relu(self.project(scores.p.to(dtype)))  # [B, width]
        parts = [l2_normalize(promote_to_float32(part)) for part in (projected, scores.embedding)]
        hidden = F.relu(self.hidden(torch.cat(parts, dim=1).to(dtype)))  # [B, hidden]
        return scores.add_to_logits(self.output(hidden))
