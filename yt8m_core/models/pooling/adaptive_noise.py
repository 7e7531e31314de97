"""Adaptive noise: frames of rare labels get more noise while training (section 2.2.5, equations 11 and 12, Table 1).

A change of the frames, not of how they are pooled, so it goes before any pooling. https://arxiv.org/abs/1706.07960
"""

from typing import cast

import torch
from scipy.sparse import csr_array
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.labels.statistics import counts
from yt8m_core.models.outputs import Pooled, promote_to_float32
from yt8m_core.models.pooling.base import PooledOnce

GAMMA_NORMS = ("none", "max")


class AdaptiveNoise(PooledOnce):
    """I_t ← I_t + γZ with Z ~ N(0, 1) for each number, and γ the mean of 1/S(y) over the video's labels y.

    S(y) counts the training videos of a label: γ is 1e-6 to 1e-2 with the paper's, next to nothing for unit frames.
    ``gamma_norm="max"`` makes the rarest label's γ 1. Noise comes while training alone, since it needs the labels. The
    published code has none of this, so there is no variant of theirs: without noise it is ``sum``.

    Before a sum or a mean, the noise of n frames is drawn as what it comes to there, γ√n Z or γ/√n Z, one Z a video.
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
        """Choose the strength, and what pools the noisy frames.

        Args:
            in_features: D.
            num_classes: C.
            scale: a factor of γ, 1 in the paper.
            gamma_norm: "none", or "max" to divide γ by the largest that a label has.
            pooling: another pooling, which the registry builds from its text.

        Raises:
            UserError: the norm is unknown, or the scale negative.
        """
        super().__init__()
        check_choice("gamma_norm", gamma_norm, GAMMA_NORMS)
        if scale < 0:
            raise UserError(str(scale), where="adaptive_noise, option 'scale'", expected="0 or more")
        self.scale = scale
        self.gamma_norm = gamma_norm
        self.pooling = cast(nn.Module, pooling)
        self.out_features = cast(int, self.pooling.out_features)
        self.attends = bool(getattr(self.pooling, "attends", False))
        self.noise_in_summary = getattr(self.pooling, "noise_in_summary", None)
        self.pools_once = self.noise_in_summary is not None
        if self.pools_once:
            self.summary = cast(PooledOnce, self.pooling).summary
            self.summary_features = cast(PooledOnce, self.pooling).summary_features
        self.register_buffer("inverse_counts", torch.zeros(num_classes))  # [C], 1/S(y); without noise until observed

    def fit_label_prior(self, labels: csr_array) -> None:
        """Count the training labels [N, C]; a label that none has counts as one video."""
        inverse = 1 / torch.from_numpy(counts(labels)).clamp(min=1)
        self.inverse_counts.copy_(inverse / inverse.max() if self.gamma_norm == "max" else inverse)

    def gamma(self, labels: Tensor) -> Tensor:
        """γ [B] of videos with labels [B, C]; 0 without a label."""
        return self.scale * (labels @ self.inverse_counts.to(labels.dtype)) / labels.sum(dim=1).clamp(min=1)

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → their sum or mean [B, D], without noise."""
        return cast(PooledOnce, self.pooling).summarize(frames, mask)

    def finish(self, summaries: Tensor, num_frames: Tensor, labels: Tensor | None = None) -> Tensor:
        """Sums or means [B, D] of num_frames [B] and, while training, labels [B, C] → vector [B, d].

        Raises:
            UserError: labels are missing while training.
        """
        if self.training and self.noise_in_summary is not None:
            gamma = self.needed_gamma(labels, summaries.dtype)
            strength = gamma * self.noise_in_summary(num_frames.to(summaries.dtype))  # [B]
            summaries = summaries + strength[:, None] * torch.randn_like(summaries)
        return cast(PooledOnce, self.pooling).finish(summaries, num_frames, labels)

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        """Frames [B, T, D], mask [B, T] and, while training, labels [B, C] → what the pooling makes of the frames.

        Raises:
            UserError: labels are missing while training.
        """
        if self.pools_once:
            return super().forward(frames, mask, labels)
        if self.training:
            frames = promote_to_float32(frames)
            noise = torch.randn_like(frames) * mask[..., None]  # padding stays 0
            frames = frames + self.needed_gamma(labels, frames.dtype)[:, None, None] * noise
        return cast(Pooled, self.pooling(frames, mask, labels))

    def needed_gamma(self, labels: Tensor | None, dtype: torch.dtype) -> Tensor:
        """γ [B], or a word on what is missing."""
        if labels is None:
            raise UserError("no labels", where="adaptive_noise", advice="It cannot train without.")
        return self.gamma(labels.to(dtype))
