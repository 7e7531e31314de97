"""Indirect clustering: attend to the frames that resemble most others (section 2.2.4, equation 10, Table 1).

Frames of the main scene have many like them, so the sum of a frame's inner products with all frames tells its cluster's
size without clustering. https://arxiv.org/abs/1706.07960
"""

import torch
from torch import Tensor, nn

from yt8m_core.contracts import VARIANTS, Pooled, at_least_float32
from yt8m_core.errors import check_choice
from yt8m_core.pooling.sum import build_post


class IndirectClustering(nn.Module):
    """p_t = softmax_t(α/n^ρ Σ_i I_t·I_i) over the n real frames, g(I) = Σ_t p_t I_t.

    The authors' code takes that softmax over an axis of length 1, so p_t = 1 and g(I) = Σ_t I_t, without attention;
    α and ρ are without effect there. Its later versions end in layer normalisation and ReLU, its first in an L2 norm
    (``variant="authors", post="l2"``).
    """

    def __init__(
        self,
        in_features: int,
        *,
        scale: float = 1.0,
        length_exponent: float = 0.0,
        post: str | None = None,
        variant: str = "paper",
    ) -> None:
        """Choose the reading of equation 10.

        Args:
            in_features: D.
            scale: α, 1 in the paper. The score of unit frames grows with n, so long videos get a sharper attention.
            length_exponent: ρ. ``scale=300, length_exponent=1`` is the paper's sharpness at 300 frames for any n.
            post: what follows the sum: "none", "l2" or "ln_relu"; None is the variant's own, "none" for the paper's
                and "ln_relu" for the authors'.
            variant: "paper" or "authors".

        Raises:
            UserError: ``post`` or ``variant`` is unknown.
        """
        super().__init__()
        check_choice("variant", variant, VARIANTS)
        if post is None:
            post = "none" if variant == "paper" else "ln_relu"
        self.out_features = in_features
        self.scale = scale
        self.length_exponent = length_exponent
        self.attends = variant == "paper"
        self.post = build_post(post, in_features)

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → vector [B, D] and, in the paper's variant, attention [B, T]."""
        # Unit frames score up to n = 300, where bfloat16 moves in steps of 1 to 2: no softmax survives that.
        with torch.autocast(frames.device.type, enabled=False):
            frames = at_least_float32(frames)
            real = mask.to(frames.dtype)
            total = torch.einsum("bt,btd->bd", real, frames)  # Σ_i I_i
            if not self.attends:
                return Pooled(self.post(total))
            # Σ_i I_t·I_i = I_t·Σ_i I_i: O(T·D), without the T × T matrix of all pairs.
            lengths = real.sum(dim=1, keepdim=True).clamp(min=1)  # [B, 1]
            scores = self.scale / lengths**self.length_exponent * torch.einsum("btd,bd->bt", frames, total)
            # The lowest finite number, not -inf: a video without frames would get 0/0. Its attention is 0 throughout.
            lowest = torch.finfo(scores.dtype).min
            attention = scores.masked_fill(~mask, lowest).softmax(dim=1).masked_fill(~mask, 0.0)  # [B, T]
            return Pooled(self.post(torch.einsum("bt,btd->bd", attention, frames)), attention)
