"""Quantize and dequantize the 8-bit features of YouTube-8M."""

import numpy as np
from numpy.typing import NDArray
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


def quantize(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Quantize values to bytes like MediaPipe's QuantizeFloatVectorCalculator for the range [-2, 2].

    It truncates, so that ``dequantize`` restores a value of the range to within half a step, 1/127.5.

    >>> quantize(np.float32([-3, -2, 0, 2]))
    array([  0,   0, 127, 255], dtype=uint8)
    """
    return ((np.clip(values, -2, 2) + 2) * np.float32(255 / 4)).astype(np.uint8)
