"""Indirect clustering: attention to the frames that are similar to most others (section 2.2.4, equation 10, Table 1).

The frames of the main scene have many similar frames. So the sum of a frame's inner products with all frames measures
the size of its cluster without clustering. https://arxiv.org/abs/1706.07960
"""

import torch
from torch import Tensor

from yt8m_core.errors import check_choice
from yt8m_core.models.outputs import VARIANTS, Pooled, promote_to_float32
from yt8m_core.models.pooling.base import CacheablePooling
from yt8m_core.models.pooling.sum import build_post, sum_frames


class IndirectClustering(CacheablePooling):
    """p_t = softmax_t(α/n^ρ Σ_i I_t·I_i) over the n real frames, g(I) = Σ_t p_t I_t.

    The authors' code applies the softmax to an axis of length 1, so p_t = 1 and g(I) = Σ_t I_t, without attention; α
    and ρ have no effect there. Later versions of that code end with layer normalization and ReLU, the first version
    with an L2 norm (``variant="authors", post="l2"``).
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
            scale: α, 1 in the paper. The scores of unit frames grow with n, so attention is sharper in long videos.
            length_exponent: ρ. ``scale=300, length_exponent=1`` has the paper's sharpness at 300 frames for any n.
            post: Function after the sum: "none", "l2" or "ln_relu". None uses the default of the variant: "none" for
                "paper", "ln_relu" for "authors".
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
        self.has_attention = variant == "paper"
        sharpness = f"scale={float(scale)}, length_exponent={float(length_exponent)}"
        self.summary = f"indirect_clustering({sharpness})" if self.has_attention else "sum"
        self.post = build_post(post, in_features)

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → Σ_t p_t I_t [B, D] and, for the paper's variant, p [B, T]."""
        total = sum_frames(frames, mask)  # [B, D], Σ_i I_i
        if not self.has_attention:
            return Pooled(total)
        # Unit frames score up to n = 300, where bfloat16 has steps of 1 to 2: too coarse for a softmax.
        with torch.autocast(frames.device.type, enabled=False):
            frames = promote_to_float32(frames)
            # Σ_i I_t·I_i = I_t·Σ_i I_i: O(T·D), without the T × T matrix of all pairs.
            lengths = mask.to(frames.dtype).sum(dim=1, keepdim=True).clamp(min=1)  # [B, 1]
            scores = self.scale / lengths**self.length_exponent * torch.einsum("btd,bd->bt", frames, total)  # [B, T]
            # The lowest finite number instead of -inf, which gives 0/0 for a video without frames; its attention is 0.
            lowest = torch.finfo(scores.dtype).min
            attention = scores.masked_fill(~mask, lowest).softmax(dim=1).masked_fill(~mask, 0.0)  # [B, T]
            return Pooled(torch.einsum("bt,btd->bd", attention, frames), attention)

    def finish(self, summaries: Tensor, num_frames: Tensor, labels: Tensor | None = None) -> Tensor:
        """Attended sums [B, D] → vector [B, D]."""
        return self.post(summaries)
