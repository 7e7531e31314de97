"""CNN: convolution over time, then the strongest answer of each filter (section 2.2.2, equation 7, Table 1).

"CNN-64", "CNN-256" and "CNN-1024" of Table 1 are ``channels``. Max-over-time as in https://arxiv.org/abs/1408.5882.
https://arxiv.org/abs/1706.07960
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.outputs import VARIANTS, Pooled, promote_to_float32
from yt8m_core.models.pooling.sum import build_post

AUTHORS_FRAMES = 300  # to which the authors' code pads every video


class CNN(nn.Module):
    """g(I) = max_t ReLU(w·[I_t, …, I_t+4] + b) over the windows that lie within the video.

    A video shorter than a window is one window, with zeros behind it. The authors' code has no mask: with it windows
    over the padding up to 300 frames count, the last of which answer ReLU(b) to everything.
    """

    def __init__(
        self, in_features: int, *, channels: int = 256, kernel: int = 5, post: str = "l2", variant: str = "paper"
    ) -> None:
        """Choose the filters.

        Args:
            in_features: D.
            channels: d, how many filters.
            kernel: c_v, how many frames a filter sees.
            post: what follows the maximum: "none", as the paper reads, "l2", as the authors' code, or "ln_relu".
            variant: "paper" or "authors".

        Raises:
            UserError: there is no filter or frame to see, or ``post`` or ``variant`` is unknown.
        """
        super().__init__()
        check_choice("variant", variant, VARIANTS)
        for option, value in {"channels": channels, "kernel": kernel}.items():
            if value < 1:
                raise UserError(str(value), where=f"cnn, option '{option}'", expected="1 or more")
        self.out_features = channels
        self.kernel = kernel
        self.sees_padding = variant == "authors"
        self.conv = nn.Conv1d(in_features, channels, kernel)
        nn.init.xavier_uniform_(self.conv.weight)
        nn.init.zeros_(cast(Tensor, self.conv.bias))
        self.post = build_post(post, channels)

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → vector [B, d]."""
        T = frames.shape[1]
        frames = frames.masked_fill(~mask[..., None], 0.0)
        # Zeros behind the last frame: every window that touches a frame is there, in a short video too.
        frames = F.pad(frames, (0, 0, 0, self.kernel - 1))
        answers = promote_to_float32(self.conv(frames.transpose(1, 2))).relu()  # [B, d, T]
        lengths = mask.sum(dim=1, keepdim=True)  # [B, 1]
        last = (lengths - self.kernel).clamp(min=0)  # where the last window starts
        if self.sees_padding:
            last = torch.maximum(last, (lengths - 1).clamp(max=AUTHORS_FRAMES - self.kernel))
        within = torch.arange(T, device=mask.device) <= last  # [B, T]
        strongest = answers.masked_fill(~within[:, None], 0.0).amax(dim=2)  # [B, d]; after a ReLU nothing is below 0
        if self.sees_padding:  # the windows of nothing but padding
            padding = promote_to_float32(cast(Tensor, self.conv.bias)).relu()
            strongest = torch.where(
                lengths <= AUTHORS_FRAMES - self.kernel, torch.maximum(strongest, padding), strongest
            )
        return Pooled(self.post(strongest))
