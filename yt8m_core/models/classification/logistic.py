"""Logistic regression: one sigmoid per class, the simplest h (section 2.3, https://arxiv.org/abs/1706.07960).

Not a row of the paper's Table 2. Google's starter code has it as ``LogisticModel``.
"""

from torch import Tensor, nn

from yt8m_core.models.linear import xavier_linear
from yt8m_core.models.outputs import Scores


class Logistic(nn.Module):
    """p_c = σ(w_c·O_g + b_c)."""

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        self.embedding_features = in_features
        self.output = xavier_linear(in_features, num_classes, bias=True)

    def forward(self, vector: Tensor) -> Scores:
        """Vector [B, d] → scores [B, C]. The embedding is the vector."""
        return Scores.from_logits(self.output(vector), embedding=vector)
