"""Attention pooling: learned queries attend to frames, where indirect clustering has no weights.

Not in the paper; a baseline for its section 2.2.4. Multi-head attention (https://arxiv.org/abs/1706.03762, section
3.2.2) with weights as queries.
"""

import torch
from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.models.outputs import Pooled, promote_to_float32


class Attention(nn.Module):
    """a_h = softmax_t(q_h·I_t) for each head h, and O_g = [V_1 Σ_t a_1t I_t, …, V_H Σ_t a_Ht I_t].

    No key projection, scale or bias: the query is learned, so q·(K·I_t) is (Kᵀq)·I_t, one vector per head, and a
    softmax over frames ignores a bias. At initialization all heads are close to the mean of the frames.
    """

    has_attention = True

    def __init__(self, in_features: int, *, heads: int = 8, width: int = 1024) -> None:
        """Set the size.

        Args:
            in_features: D.
            heads: H.
            width: d, split equally among the heads.

        Raises:
            UserError: ``heads`` is less than 1, or ``width`` is not a multiple of ``heads``.
        """
        super().__init__()
        if heads < 1:
            raise UserError(str(heads), where="attention, option 'heads'", expected="1 or more")
        if width < 1 or width % heads:
            raise UserError(str(width), where="attention, option 'width'", expected=f"a multiple of {heads} heads")
        self.out_features = width
        self.queries = nn.Linear(in_features, heads, bias=False)
        self.values = nn.Parameter(torch.randn(heads, width // heads, in_features) / in_features**0.5)

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → vector [B, d] and attention [B, T], the mean over the heads."""
        padding = ~mask[..., None]  # [B, T, 1]
        with torch.autocast(frames.device.type, enabled=False):
            frames = promote_to_float32(frames)
            scores: Tensor = self.queries(frames)  # [B, T, H]
            # The lowest finite number instead of -inf, which gives 0/0 for a video without frames; its attention is 0.
            lowest = torch.finfo(scores.dtype).min
            attention = scores.masked_fill(padding, lowest).softmax(dim=1).masked_fill(padding, 0.0)  # [B, T, H]
            # V_h is linear, so apply it after the sum: to one vector per head instead of T.
            sums = torch.einsum("bth,btd->bhd", attention, frames)  # [B, H, D]
            vector = torch.einsum("bhd,hvd->bhv", sums, self.values).flatten(1)  # [B, H·d/H]
            return Pooled(vector, attention.mean(dim=2))
