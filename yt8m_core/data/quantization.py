"""Dequantize the 8-bit features of YouTube-8M."""

from torch import Tensor


def dequantize(codes: Tensor) -> Tensor:
    """Convert uint8 codes to float32 values in about [-2, 2]: code·4/255 + 4/512 - 2.

    Same formula as Google's ``utils.Dequantize``. A value that was clipped to [-2, 2] and quantized comes back 1/128
    too large on average; this is official behavior.

    >>> import torch
    >>> dequantize(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([-1.9922,  2.0078])
    """
    return codes.float().mul_(4 / 255).add_(4 / 512 - 2)  # in place: allocating memory dominates the cost on a CPU
