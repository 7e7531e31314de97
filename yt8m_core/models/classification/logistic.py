"""Logistic regression: one sigmoid a class, the simplest h (section 2.3, https://arxiv.org/abs/1706.07960).

Not a row of the paper's Table 2; Google's starter code has it as ``LogisticModel``.
"""

import torch
from torch import Tensor, nn

from yt8m_core.models.outputs import Scores


class FewRows(nn.Linear):
    """A fully-connected layer from few rows [B, d] to thousands of outputs, computed as (W xᵀ + b)ᵀ.

    Which of its two sides a matrix product takes for its rows makes a third of its time on a CPU, at a batch of videos
    and the classes of YouTube-8M.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Rows [B, d] → [B, outputs], a transposed view; other shapes as ``nn.Linear``."""
        if input.ndim != 2:
            return super().forward(input)
        if self.bias is None:
            return (self.weight @ input.T).T
        return torch.addmm(self.bias[:, None], self.weight, input.T).T


def xavier_linear(in_features: int, out_features: int, *, bias: bool) -> nn.Linear:
    """A fully-connected layer as TensorFlow's slim starts it: Xavier-uniform weights and zero biases."""
    layer = FewRows(in_features, out_features, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


class Logistic(nn.Module):
    """p_c = σ(w_c·O_g + b_c)."""

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        self.embedding_features = in_features
        self.output = xavier_linear(in_features, num_classes, bias=True)

    def forward(self, vector: Tensor) -> Scores:
        """Vector [B, d] → scores [B, C]; the embedding is the vector itself."""
        return Scores.from_logits(self.output(vector), embedding=vector)
