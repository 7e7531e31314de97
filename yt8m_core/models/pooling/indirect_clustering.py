"""Indirect clustering: attend to the frames that resemble most others (section 2.2.4, equation 10, Table 1).

Frames of the main scene have many like them, so the sum of a frame's inner products with all frames tells its cluster's
size without clustering. https://arxiv.org/abs/1706.07960
"""

import torch
from torch import Tensor

from yt8m_core.errors import check_choice
from yt8m_core.models.outputs import VARIANTS, Pooled, promote_to_float32
from yt8m_core.models.pooling.base import PooledOnce
from yt8m_core.models.pooling.sum import build_post, sum_of_frames


class IndirectClustering(PooledOnce):
    """p_t = softmax_t(α/n^ρ Σ_i I_t·I_i) over the n real frames, g(I) = Σ_t p_t I_t.

    The authors' code takes that softmax over an axis of length 1, so p_t = 1 and g(I) = Σ_t I_t, without attention;
    α and ρ are without effect there. Its later versions end in layer normalization and ReLU, its first in an L2 norm
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
        self.out_features = self.summary_features = in_features
        self.scale = scale
        self.length_exponent = length_exponent
        self.attends = variant == "paper"
        sharpness = f"scale={float(scale)}, length_exponent={float(length_exponent)}"
        self.summary = f"indirect_clustering({sharpness})" if self.attends else "sum"
        self.post = build_post(post, in_features)

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → Σ_t p_t I_t [B, D] and, in the paper's variant, p [B, T]."""
        total = sum_of_frames(frames, mask)  # Σ_i I_i
        if not self.attends:
            return Pooled(total)
        # Unit frames score up to n = 300, where bfloat16 moves in steps of 1 to 2: no softmax survives that.
        with torch.autocast(frames.device.type, enabled=False):
            frames = promote_to_float32(frames)
            # Σ_i I_t·I_i = I_t·Σ_i I_i: O(T·D), without the T × T matrix of all pairs.
            lengths = mask.to(frames.dtype).sum(dim=1, keepdim=True).clamp(min=1)  # [B, 1]
            scores = self.scale / lengths**self.length_exponent * torch.einsum("btd,bd->bt", frames, total)
            # The lowest finite number, not -inf: a video without frames would get 0/0. Its attention is 0 throughout.
            lowest = torch.finfo(scores.dtype).min
            attention = scores.masked_fill(~mask, lowest).softmax(dim=1).masked_fill(~mask, 0.0)  # [B, T]
            return Pooled(torch.einsum("bt,btd->bd", attention, frames), attention)

    def finish(self, summaries: Tensor, num_frames: Tensor, labels: Tensor | None = None) -> Tensor:
        """Attended sums [B, D] → vector [B, D]."""
        return self.post(summaries)
