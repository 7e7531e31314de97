"""Tensors in a file: safetensors, which hold no code, written whole or not at all."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write

TENSOR_TYPES = {torch.float32: "F32", torch.int64: "I64", torch.bool: "BOOL"}  # of weights, by their name in a file


def write_tensors(
    file: Path, tensors: Mapping[str, Tensor], *, metadata: dict[str, str] | None = None, mode_of: Path | None = None
) -> None:
    """Write tensors by name, with the permissions of another file: safetensors writes for the owner's eyes alone.

    Raises UserError where the disk does not take them; what the file held before is then still there.
    """
    try:
        with atomic_write(file) as unfinished:
            save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, unfinished, metadata)
            if mode_of is not None:
                shutil.copymode(mode_of, unfinished)
    except SafetensorError as error:
        raise UserError(
            f"cannot be written ({error})", where=str(file), advice="Make room; then the same command goes on."
        ) from None
