"""Adaptive noise: training noise that is stronger for rare labels (section 2.2.5, equations 11 and 12, Table 1).

It changes the frames and not how they are pooled, so it wraps any pooling. https://arxiv.org/abs/1706.07960
"""

from typing import cast

import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.labels.statistics import counts
from yt8m_core.models.outputs import Pooled, promote_to_float32
from yt8m_core.models.pooling.base import CacheablePooling

GAMMA_NORMS = ("none", "max")


class AdaptiveNoise(CacheablePooling):
    """I_t ← I_t + γZ with independent Z ~ N(0, 1) per feature, and γ the mean of 1/S(y) over the labels y of the video.

    S(y) is the number of training videos with label y. With the paper's data γ is 1e-6 to 1e-2, which is negligible for
    unit frames; ``gamma_norm="max"`` scales γ of the rarest label to 1. Noise is added only during training, because it
    needs the labels. The published code has no noise, so there is no "authors" variant: without noise it is ``sum``.

    Before a sum or a mean, the noise is drawn once per video, with the distribution that the noise of n frames has
    after the sum (γ√n Z) or the mean (γ/√n Z).
    """

    inverse_counts: Tensor

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        scale: float = 1.0,
        gamma_norm: str = "none",
        pooling: nn.Module | str = "sum",
    ) -> None:
        """Set the strength of the noise and the pooling of the noisy frames.

        Args:
            in_features: D.
            num_classes: C.
            scale: Factor of γ, 1 in the paper.
            gamma_norm: "none", or "max" to divide γ by its maximum over the labels.
            pooling: The wrapped pooling; the registry builds it from its text.

        Raises:
            UserError: ``gamma_norm`` is unknown, or ``scale`` is negative.
        """
        super().__init__()
        check_choice("gamma_norm", gamma_norm, GAMMA_NORMS)
        if scale < 0:
            raise UserError(str(scale), where="adaptive_noise, option 'scale'", expected="0 or more")
        self.scale = scale
        self.gamma_norm = gamma_norm
        self.pooling = cast(nn.Module, pooling)
        self.out_features = cast(int, self.pooling.out_features)
        self.has_attention = bool(getattr(self.pooling, "has_attention", False))
        self.summary_noise_std = getattr(self.pooling, "summary_noise_std", None)
        self.is_cacheable = self.summary_noise_std is not None
        if self.is_cacheable:
            self.summary = cast(CacheablePooling, self.pooling).summary
            self.summary_features = cast(CacheablePooling, self.pooling).summary_features
        # [C], 1/S(y); no noise before ``fit_label_prior``.
        self.register_buffer("inverse_counts", torch.zeros(num_classes))

    def fit_label_prior(self, labels: csr_array) -> None:
        """Count the training labels [N, C]. A label without videos counts as one video."""
        inverse = 1 / torch.from_numpy(counts(labels)).clamp(min=1)
        self.inverse_counts.copy_(inverse / inverse.max() if self.gamma_norm == "max" else inverse)

    def gamma(self, labels: Tensor) -> Tensor:
        """Labels [B, C] → γ [B]; 0 for a video without labels."""
        return self.scale * (labels @ self.inverse_counts.to(labels.dtype)) / labels.sum(dim=1).clamp(min=1)

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → their sum or mean [B, D], without noise."""
        return cast(CacheablePooling, self.pooling).summarize(frames, mask)

    def finish(self, summaries: Tensor, num_frames: Tensor, labels: Tensor | None = None) -> Tensor:
        """Sums or means [B, D], num_frames [B] and, during training, labels [B, C] → vector [B, d].

        Raises:
            UserError: Labels are missing during training.
        """
        if self.training and self.summary_noise_std is not None:
            gamma = self.require_gamma(labels, summaries.dtype)
            std = gamma * self.summary_noise_std(num_frames.to(summaries.dtype))  # [B]
            summaries = summaries + std[:, None] * torch.randn_like(summaries)
        return cast(CacheablePooling, self.pooling).finish(summaries, num_frames, labels)

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        """Frames [B, T, D], mask [B, T] and, during training, labels [B, C] → output of the wrapped pooling.

        Raises:
            UserError: Labels are missing during training.
        """
        if self.is_cacheable:
            return super().forward(frames, mask, labels)
        if self.training:
            frames = promote_to_float32(frames)
            noise = torch.randn_like(frames) * mask[..., None]  # padding stays 0
            frames = frames + self.require_gamma(labels, frames.dtype)[:, None, None] * noise
        return cast(Pooled, self.pooling(frames, mask, labels))

    def require_gamma(self, labels: Tensor | None, dtype: torch.dtype) -> Tensor:
        """Return γ [B]. Raises UserError if there are no labels."""
        if labels is None:
            raise UserError("no labels", where="adaptive_noise", advice="Training with adaptive noise needs labels.")
        return self.gamma(labels.to(dtype))
