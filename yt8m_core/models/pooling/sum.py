"""Sum of the frames: position encoding and adaptive noise without their weights and noise (equation 9).

The rows "Position Encoding" and "Adaptive Noise" of Table 1 measured this sum: in the authors' code the weights are all
1 and there is no noise. https://arxiv.org/abs/1706.07960
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from yt8m_core.errors import check_choice
from yt8m_core.models.normalization import l2_normalize
from yt8m_core.models.outputs import Pooled, promote_to_float32
from yt8m_core.models.pooling.base import CacheablePooling


def build_post(name: str, width: int) -> Callable[[Tensor], Tensor]:
    """Return the function that follows a sum of frames: "none" (as the equations read), "l2" or "ln_relu".

    The norm of a bare sum of 300 unit frames is up to 300, so it mainly encodes the length of the video. The authors'
    code uses one of the other two everywhere. Raises UserError for another name.
    """
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "none": nn.Identity(),
        "l2": l2_normalize,
        "ln_relu": nn.Sequential(nn.LayerNorm(width, eps=1e-12), nn.ReLU()),  # TensorFlow's eps
    }
    check_choice("post", name, functions)
    return functions[name]


class Sum(CacheablePooling):
    """g(I) = Σ_t I_t over the real frames."""

    summary = "sum"

    def __init__(self, in_features: int, *, post: str = "l2") -> None:
        """Set the function after the sum.

        Args:
            in_features: D.
            post: "none", "l2" or "ln_relu".

        Raises:
            UserError: ``post`` is unknown.
        """
        super().__init__()
        self.out_features = self.summary_features = in_features
        self.post = build_post(post, in_features)

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → their sum [B, D]."""
        return Pooled(sum_frames(frames, mask))

    def finish(self, summaries: Tensor, num_frames: Tensor, labels: Tensor | None = None) -> Tensor:
        """Sums [B, D] → vector [B, D]."""
        return self.post(summaries)

    def summary_noise_std(self, num_frames: Tensor) -> Tensor:
        """Return the standard deviation [B] of the sum of n frames of N(0, 1) noise: √n."""
        return num_frames.sqrt()


def sum_frames(frames: Tensor, mask: Tensor) -> Tensor:
    """Compute Σ_t I_t [B, D] over the real frames of [B, T, D], in float32 or float64."""
    with torch.autocast(frames.device.type, enabled=False):
        frames = promote_to_float32(frames)
        return torch.einsum("bt,btd->bd", mask.to(frames.dtype), frames)
