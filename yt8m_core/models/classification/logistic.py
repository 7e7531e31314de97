"""Logistic regression: one sigmoid per class, the simplest h (section 2.3, https://arxiv.org/abs/1706.07960).

Not a row of the paper's Table 2. Google's starter code has it as ``LogisticModel``.
"""

import torch
from torch import Tensor, nn

from yt8m_core.models.outputs import Scores


class TransposedLinear(nn.Linear):
    """Linear layer for few rows [B, d] and thousands of outputs, computed as (W xᵀ + b)ᵀ.

    On a CPU, with the batch sizes and classes of YouTube-8M, this takes a third less time than x Wᵀ + b.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Rows [B, d] → [B, outputs], a transposed view; other shapes as ``nn.Linear``."""
        if input.ndim != 2:
            return super().forward(input)
        if self.bias is None:
            return (self.weight @ input.T).T
        return torch.addmm(self.bias[:, None], self.weight, input.T).T


def xavier_linear(in_features: int, out_features: int, *, bias: bool) -> nn.Linear:
    """Return a linear layer initialized as in TensorFlow's slim: Xavier-uniform weights and zero biases."""
    layer = TransposedLinear(in_features, out_features, bias=bias)
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
        """Vector [B, d] → scores [B, C]. The embedding is the vector."""
        return Scores.from_logits(self.output(vector), embedding=vector)
