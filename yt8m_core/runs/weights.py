"""Read the weights of a run from an untrusted file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from yt8m_core.errors import UserError
from yt8m_core.models.size import MAX_WEIGHTS
from yt8m_core.storage.paths import check_file
from yt8m_core.storage.tensor_files import TENSOR_TYPES


def read_weights(file: Path, model: Mapping[str, Tensor], owner: str) -> dict[str, Tensor]:
    """Read weights that fit a model exactly. Shapes are compared before memory is allocated.

    Args:
        file: the file.
        model: the model's tensors by name, on any device; only their shapes and types matter.
        owner: what the model comes from, for the error message.

    Raises:
        UserError: the file cannot be read, a tensor does not fit, or a value is not finite. The message names the
            first such tensor.
    """
    wanted = {name: f"{list(tensor.shape)} {TENSOR_TYPES[tensor.dtype]}" for name, tensor in model.items()}
    try:
        check_file(file, MAX_WEIGHTS)
        with safe_open(file, framework="pt") as stored:
            parts = {name: stored.get_slice(name) for name in stored.keys()}  # noqa: SIM118
            held = {name: f"{part.get_shape()} {part.get_dtype()}" for name, part in parts.items()}
        for name in sorted(wanted.keys() | held.keys()):
            if wanted.get(name) != held.get(name):
                raise UserError(
                    f"weights that do not fit {owner}: '{name[:80]}' {held.get(name, 'missing')[:80]}",
                    where=str(file),
                    expected=wanted.get(name, "no such tensor"),
                )
        weights: dict[str, Tensor] = load_file(file)
    except FileNotFoundError:
        raise UserError(f"run {file.parent} has no trained weights", advice="Finish its training.") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"cannot read the weights ({str(error)[:200]})", where=str(file)) from None
    for name, tensor in weights.items():
        if not tensor.isfinite().all():
            raise UserError(f"weights '{name}' that are not finite", where=str(file))
    return weights


def weights_digest(file: Path) -> str:
    """Return 16 hex digits that identify the weights in a file. Raises UserError where it cannot be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()[:16]
    except OSError as error:
        raise UserError(f"cannot read the weights ({error.strerror})", where=str(file)) from None
