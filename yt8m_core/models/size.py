"""Size of a model, counted before memory is allocated for it."""

import os
from collections.abc import Callable, Iterable

import torch
from torch import nn

from yt8m_core.errors import UserError

MAX_WEIGHTS = 1 << 36  # bytes of the weights of a model, in memory or in a file
TRAINING_COPIES = 4  # the weights, their gradients, and the two means of Adam
GIB = 1 << 30


def check_training_size(build: Callable[[], Iterable[nn.Module]], where: str) -> None:
    """Check that this machine can train some modules.

    Args:
        build: Builds the modules. It is called on the meta device, where tensors have shapes but no memory.
        where: What the modules are, for the error message.

    Raises:
        UserError: Their weights exceed ``MAX_WEIGHTS``, or the training exceeds the memory of the machine.
    """
    with torch.device("meta"):
        size = sum(
            tensor.numel() * tensor.element_size()
            for module in build()
            for tensor in (*module.parameters(), *module.buffers())
        )
    limit = min(MAX_WEIGHTS, _machine_bytes() // TRAINING_COPIES)
    if size > limit:
        raise UserError(
            f"weights of {size / GIB:,.1f} GiB",
            where=where,
            expected=f"at most {limit / GIB:,.1f} GiB; a training holds {TRAINING_COPIES} copies of them in memory",
            advice="Choose smaller options of its slots.",
        )


def _machine_bytes() -> int:
    """Return the size of the main memory; without bound where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return MAX_WEIGHTS * TRAINING_COPIES
