"""Preprocessing: YouTube-8M frames as stored → unit frame vectors and a mask (section 2.1).

A frame has D = 1,152 features: 1,024 rgb and 128 audio. https://arxiv.org/abs/1706.07960
"""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from yt8m_core.data.quantization import dequantize
from yt8m_core.errors import UserError, check_choice
from yt8m_core.models.outputs import promote_to_float32


def frame_mask(num_frames: Tensor, T: int) -> Tensor:
    """Return the mask of real frames among T rows: [B] → bool [B, T].

    >>> frame_mask(torch.tensor([1, 3]), T=3)
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    return torch.arange(T, device=num_frames.device) < num_frames[:, None]


def l2_normalize(vectors: Tensor) -> Tensor:
    """Compute x·rsqrt(max(Σx², 1e-12)) over the last axis, as TensorFlow's ``l2_normalize``; zero vectors stay zero."""
    return F.normalize(vectors, dim=-1, eps=1e-6)  # x / max(|x|, 1e-6) is the same function


def _normalize_per_modality(frames: Tensor, widths: list[int]) -> Tensor:
    return torch.cat([l2_normalize(stream) for stream in torch.split(frames, widths, dim=-1)], dim=-1)


NORMALIZATIONS: Mapping[str, Callable[[Tensor, list[int]], Tensor]] = {
    "joint": lambda frames, widths: l2_normalize(frames),  # |I_t| = 1: the code of the authors and of Google
    "per_modality": _normalize_per_modality,  # |I_t| = √2 with rgb and audio: section 2.1 as printed
    "none": lambda frames, widths: frames,
}


def normalize(
    frames: Tensor, num_frames: Tensor, *, streams: Sequence[tuple[str, int]], mode: str = "joint"
) -> tuple[Tensor, Tensor]:
    """Convert frames as stored to the frame vectors I_t and the mask of real frames.

    Args:
        frames: [B, T, D], uint8 codes to dequantize, or floats (video-level features: T = 1).
        num_frames: [B], number of real frames of each video.
        streams: Name and width of each feature stream; the widths sum to D.
        mode: "joint" normalizes each frame to a unit vector, "per_modality" each stream of each frame; "none" keeps
            the values.

    Returns:
        Frames [B, T, D] in float32 (float64 stays), 0 on padding, and the mask [B, T].

    Raises:
        UserError: The mode is unknown, or the widths do not sum to D.
    """
    check_choice("normalization", mode, NORMALIZATIONS)
    _, T, D = frames.shape
    widths = [width for _, width in streams]
    if sum(widths) != D:
        expected = f"{sum(widths)} ({', '.join(f'{name} {width}' for name, width in streams)})"
        raise UserError(f"{D} features per frame", where="frames", expected=expected)
    mask = frame_mask(num_frames, T)  # [B, T]
    frames = dequantize(frames) if frames.dtype == torch.uint8 else promote_to_float32(frames)
    # After dequantizing, because byte 0 means -1.99. Fill instead of multiply, because padding may hold NaN.
    frames = frames.masked_fill(~mask[..., None], 0.0)
    return NORMALIZATIONS[mode](frames, widths), mask
