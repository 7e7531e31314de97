"""Before the line: YouTube-8M's bytes → unit frame vectors and a mask (section 2.1, https://arxiv.org/abs/1706.07960).

B videos, T frames, D features of a frame (1,152 = 1,024 rgb + 128 audio, side by side).
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from yt8m_core.data.quantization import dequantize
from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.outputs import promote_to_float32


def mask_of(num_frames: Tensor, T: int) -> Tensor:
    """Which of T rows are real frames: [B] → bool [B, T].

    >>> mask_of(torch.tensor([1, 3]), T=3)
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    return torch.arange(T, device=num_frames.device) < num_frames[:, None]


def l2_normalize(vectors: Tensor) -> Tensor:
    """x·rsqrt(max(Σx², 1e-12)) over the last axis, as TensorFlow's ``l2_normalize``; a zero vector stays zero."""
    return F.normalize(vectors, dim=-1, eps=1e-6)  # x / max(|x|, 1e-6) is the same function


def _each_by_itself(frames: Tensor, widths: list[int]) -> Tensor:
    return torch.cat([l2_normalize(stream) for stream in torch.split(frames, widths, dim=-1)], dim=-1)


NORMALIZATIONS: Mapping[str, Callable[[Tensor, list[int]], Tensor]] = {
    "joint": lambda frames, widths: l2_normalize(frames),  # |I_t| = 1: the authors' and Google's code
    "per_modality": _each_by_itself,  # |I_t| = √2 with rgb and audio: section 2.1 as it reads
    "none": lambda frames, widths: frames,
}


def normalize(
    frames: Tensor, num_frames: Tensor, *, streams: Sequence[tuple[str, int]], mode: str = "joint"
) -> tuple[Tensor, Tensor]:
    """Frames as stored → the frame vectors I_t that a pooling takes, and which of them are real.

    Args:
        frames: [B, T, D], uint8 codes or floats that are taken as they are (video level: T = 1).
        num_frames: [B], how many rows of each video are real.
        streams: name and width of each stream; the widths sum to D.
        mode: "joint" makes each frame a unit vector, "per_modality" each stream of each frame, "none" leaves them.

    Returns:
        frames [B, T, D] in float32 (float64 stays), exactly 0 past ``num_frames``, and mask [B, T].

    Raises:
        UserError: the mode is unknown, or the widths do not sum to D.
    """
    check_choice("normalization", mode, NORMALIZATIONS)
    _, T, D = frames.shape
    widths = [width for _, width in streams]
    if sum(widths) != D:
        expected = f"{sum(widths)} ({', '.join(f'{name} {width}' for name, width in streams)})"
        raise UserError(f"{D} features a frame", where="frames", expected=expected)
    mask = mask_of(num_frames, T)  # [B, T]
    frames = dequantize(frames) if frames.dtype == torch.uint8 else promote_to_float32(frames)
    # After dequantizing, because byte 0 stands for -1.99; and by filling, because padding may hold anything, NaN too.
    frames = frames.masked_fill(~mask[..., None], 0.0)
    return NORMALIZATIONS[mode](frames, widths), mask
