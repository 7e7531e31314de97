"""Mean of the frames: the simplest g, and the pooling of the video-level features (mean_rgb, mean_audio).

Not a row of the paper's Table 1; its position encoding and adaptive noise come down to a sum of frames
(sections 2.2.3 and 2.2.5, https://arxiv.org/abs/1706.07960).
"""

import torch
from torch import Tensor

from yt8m_core.models.outputs import Pooled, promote_to_float32
from yt8m_core.models.pooling.base import PooledOnce


class Mean(PooledOnce):
    """g(I) = 1/n Σ_t I_t over the n real frames; 0 for a video without frames."""

    summary = "mean"

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.out_features = self.summary_features = in_features

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → their mean [B, D]."""
        with torch.autocast(frames.device.type, enabled=False):
            frames = promote_to_float32(frames)
            real = mask.to(frames.dtype)
            shares = real / real.sum(dim=1, keepdim=True).clamp(min=1)  # [B, T]
            return Pooled(torch.einsum("bt,btd->bd", shares, frames))

    def noise_in_summary(self, num_frames: Tensor) -> Tensor:
        """The deviation [B] of the summary of n frames of N(0, 1) each."""
        return num_frames.clamp(min=1).rsqrt()
