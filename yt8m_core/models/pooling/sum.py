"""Sum of the frames: what is left of position encoding and adaptive noise without their weights (equation 9).

The rows "Position Encoding" and "Adaptive Noise" of Table 1 measured this: in the authors' code the weights are all 1
and the noise is not there. https://arxiv.org/abs/1706.07960
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from yt8m_core.errors import check_choice
from yt8m_core.models.normalization import l2_normalize
from yt8m_core.models.outputs import Pooled, promote_to_float32
from yt8m_core.models.pooling.base import PooledOnce


def build_post(name: str, width: int) -> Callable[[Tensor], Tensor]:
    """What follows a sum of frames: "none" (as the equations read), "l2", or "ln_relu".

    A bare sum of 300 unit frames is up to 300 long, so that it tells a video's length more than anything else; the
    authors' code has one of the other two everywhere. Raises UserError for another name.
    """
    posts: dict[str, Callable[[Tensor], Tensor]] = {
        "none": nn.Identity(),
        "l2": l2_normalize,
        "ln_relu": nn.Sequential(nn.LayerNorm(width, eps=1e-12), nn.ReLU()),  # TensorFlow's eps
    }
    check_choice("post", name, posts)
    return posts[name]


class Sum(PooledOnce):
    """g(I) = Σ_t I_t over the real frames."""

    summary = "sum"

    def __init__(self, in_features: int, *, post: str = "l2") -> None:
        """Choose what follows the sum: "none", "l2" or "ln_relu"; raises UserError for another name."""
        super().__init__()
        self.out_features = self.summary_features = in_features
        self.post = build_post(post, in_features)

    def summarize(self, frames: Tensor, mask: Tensor) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → their sum [B, D]."""
        return Pooled(sum_of_frames(frames, mask))

    def finish(self, summaries: Tensor, num_frames: Tensor, labels: Tensor | None = None) -> Tensor:
        """Sums [B, D] → vector [B, D]."""
        return self.post(summaries)

    def noise_in_summary(self, num_frames: Tensor) -> Tensor:
        """The deviation [B] of the summary of n frames of N(0, 1) each."""
        return num_frames.sqrt()


def sum_of_frames(frames: Tensor, mask: Tensor) -> Tensor:
    """Σ_t I_t [B, D] over the real ones of frames [B, T, D], in float32 or better."""
    with torch.autocast(frames.device.type, enabled=False):
        frames = promote_to_float32(frames)
        return torch.einsum("bt,btd->bd", mask.to(frames.dtype), frames)
