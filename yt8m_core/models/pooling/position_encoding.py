"""Position encoding: a sum of frames whose feature weights depend on time (section 2.2.3, Table 1).

Equations 8 and 9, with L as in End-To-End Memory Networks (https://arxiv.org/abs/1503.08895), where t and j start at 1.
https://arxiv.org/abs/1706.07960
"""

import torch
from torch import Tensor

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.outputs import VARIANTS, Pooled, promote_to_float32
from yt8m_core.models.pooling.base import CacheablePooling
from yt8m_core.models.pooling.sum import build_post, sum_frames


class PositionEncoding(CacheablePooling):
    """g(I) = Σ_t I_t ∘ L_t with L_tj = (1 - t/n) - (j/D)(1 - 2t/n), where n is the number of frames of the video.

    The first features weight early frames more, the last features late frames, and the middle features weight all
    frames equally. Features are sorted by variance, rgb before audio, so the weights also depend on importance: audio
    weights late frames.

    The authors' code divides integers, which makes L all ones: their row of Table 1 is a sum (``variant="authors"``).
    """

    def __init__(self, in_features: int, *, post: str = "l2", fixed_length: int = 0, variant: str = "paper") -> None:
        """Choose the reading of equation 8.

        Args:
            in_features: D.
            post: Function after the sum: "none" (as the equation reads), "l2" or "ln_relu".
            fixed_length: n for all videos, such as 300; 0 uses the length of each video.
            variant: "paper" or "authors".

        Raises:
            UserError: ``post`` or ``variant`` is unknown, or ``fixed_length`` is negative.
        """
        super().__init__()
        check_choice("variant", variant, VARIANTS)
        if fixed_length < 0:
            raise UserError(str(fixed_length), where="position_encoding, option 'fixed_length'", expected="0 or more")
        self.out_features = self.summary_features = in_features
        self.fixed_length = fixed_length
        self.is_weighted = variant == "paper"
        self.summary = f"position_encoding(fixed_length={fixed_length})" if self.is_weighted else "sum"
        self.post = build_post(post, in_features)

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → their weighted sum [B, D]."""
        if not self.is_weighted:
            return Pooled(sum_frames(frames, mask))
        with torch.autocast(frames.device.type, enabled=False):
            frames = promote_to_float32(frames)
            _, T, D = frames.shape
            real = mask.to(frames.dtype)
            lengths = real.sum(dim=1, keepdim=True).clamp(min=1)  # [B, 1]
            if self.fixed_length:
                lengths = torch.full_like(lengths, self.fixed_length)
            times = torch.arange(1, T + 1, device=frames.device) / lengths  # [B, T], t/n
            # L has rank 2: Σ_t L_tj I_tj = Σ_t (1 - t/n) I_tj - (j/D) Σ_t (1 - 2t/n) I_tj, two sums over time.
            weights = torch.stack([1 - times, 1 - 2 * times], dim=1) * real[:, None]  # [B, 2, T]
            early, slope = torch.einsum("bwt,btd->wbd", weights, frames)  # [B, D] each
            features = torch.arange(1, D + 1, device=frames.device, dtype=frames.dtype) / D  # [D], j/D
            return Pooled(early - features * slope)

    def finish(self, summaries: Tensor, num_frames: Tensor, labels: Tensor | None = None) -> Tensor:
        """Weighted sums [B, D] → vector [B, D]."""
        return self.post(summaries)
