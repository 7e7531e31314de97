"""CNN: convolution over time and max over time (section 2.2.2, equation 7, Table 1).

"CNN-64", "CNN-256" and "CNN-1024" of Table 1 are ``channels=64``, ``256`` and ``1024``. Max-over-time as in
https://arxiv.org/abs/1408.5882. https://arxiv.org/abs/1706.07960
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.outputs import VARIANTS, Pooled, promote_to_float32
from yt8m_core.models.pooling.sum import build_post

AUTHORS_FRAMES = 300  # the authors' code pads all videos to this length


class CNN(nn.Module):
    """g(I) = max_t ReLU(w·[I_t, …, I_t+4] + b) over the windows within the video.

    A video shorter than a window is one zero-padded window. The authors' code has no mask: it includes windows over the
    padding up to 300 frames, the last of which evaluate to ReLU(b) for any video.
    """

    def __init__(
        self, in_features: int, *, channels: int = 256, kernel: int = 5, post: str = "l2", variant: str = "paper"
    ) -> None:
        """Set the filters.

        Args:
            in_features: D.
            channels: d, number of filters.
            kernel: c_v, number of frames per window.
            post: Function after the maximum: "none" (as the paper reads), "l2" (as the authors' code) or "ln_relu".
            variant: "paper" or "authors".

        Raises:
            UserError: ``channels`` or ``kernel`` is less than 1, or ``post`` or ``variant`` is unknown.
        """
        super().__init__()
        check_choice("variant", variant, VARIANTS)
        for option, value in {"channels": channels, "kernel": kernel}.items():
            if value < 1:
                raise UserError(str(value), where=f"cnn, option '{option}'", expected="1 or more")
        self.out_features = channels
        self.kernel = kernel
        self.includes_padding = variant == "authors"
        self.conv = nn.Conv1d(in_features, channels, kernel)
        nn.init.xavier_uniform_(self.conv.weight)
        nn.init.zeros_(cast(Tensor, self.conv.bias))
        self.post = build_post(post, channels)

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        """Frames [B, T, D] and mask [B, T] → vector [B, d]."""
        T = frames.shape[1]
        frames = frames.masked_fill(~mask[..., None], 0.0)
        # Pad at the end, so that every window that contains a frame exists, for short videos too.
        frames = F.pad(frames, (0, 0, 0, self.kernel - 1))  # [B, T + kernel - 1, D]
        activations = promote_to_float32(self.conv(frames.transpose(1, 2))).relu()  # [B, d, T]
        lengths = mask.sum(dim=1, keepdim=True)  # [B, 1]
        last_start = (lengths - self.kernel).clamp(min=0)  # start of the last window
        if self.includes_padding:
            last_start = torch.maximum(last_start, (lengths - 1).clamp(max=AUTHORS_FRAMES - self.kernel))
        valid = torch.arange(T, device=mask.device) <= last_start  # [B, T]
        maximum = activations.masked_fill(~valid[:, None], 0.0).amax(dim=2)  # [B, d]; ReLU outputs are at least 0
        if self.includes_padding:  # windows that contain only padding
            padding = promote_to_float32(cast(Tensor, self.conv.bias)).relu()  # [d]
            has_padding_window = lengths <= AUTHORS_FRAMES - self.kernel
            maximum = torch.where(has_padding_window, torch.maximum(maximum, padding), maximum)
        return Pooled(self.post(maximum))
