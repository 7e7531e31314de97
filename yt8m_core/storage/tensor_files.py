"""Atomic writes of tensors to safetensors files, which cannot contain code."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write

TENSOR_TYPES = {torch.float32: "F32", torch.int64: "I64", torch.bool: "BOOL"}  # dtypes of weights → safetensors names


def write_tensors(
    file: Path, tensors: Mapping[str, Tensor], *, metadata: dict[str, str] | None = None, mode_of: Path | None = None
) -> None:
    """Write named tensors to a file.

    Args:
        file: The file to write.
        tensors: Tensors by name.
        metadata: Strings for the header of the file.
        mode_of: A file whose permissions to copy; safetensors makes files readable by their owner only.

    Raises:
        UserError: The disk is full. The previous content of the file stays.
    """
    try:
        with atomic_write(file) as temporary:
            save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, temporary, metadata)
            if mode_of is not None:
                shutil.copymode(mode_of, temporary)
    except SafetensorError as error:
        raise UserError(
            f"cannot be written ({error})",
            where=str(file),
            advice="Free disk space, then run the same command again to resume.",
        ) from None
