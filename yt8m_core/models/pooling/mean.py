"""Mean of the frames: the simplest g, and the pooling of the video-level features (mean_rgb, mean_audio).

Not a row of the paper's Table 1. Related rows, position encoding and adaptive noise, are sums of frames in the authors'
code (sections 2.2.3 and 2.2.5, https://arxiv.org/abs/1706.07960).
"""

import torch
from torch import Tensor

from yt8m_core.models.outputs import Pooled, promote_to_float32
from yt8m_core.models.pooling.base import CacheablePooling


class Mean(CacheablePooling):
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
            weights = real / real.sum(dim=1, keepdim=True).clamp(min=1)  # [B, T]
            return Pooled(torch.einsum("bt,btd->bd", weights, frames))

    def summary_noise_std(self, num_frames: Tensor) -> Tensor:
        """Return the standard deviation [B] of the mean of n frames of N(0, 1) noise: 1/√n."""
        return num_frames.clamp(min=1).rsqrt()
