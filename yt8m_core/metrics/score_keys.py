"""Sort keys of 32 bits for scores of 32 and 64 bits.

Keys of float64 scores would take twice the memory, and a score and a video would no longer fit into one integer. Only
the order of scores matters, so float64 scores are replaced by their dense ranks, which have the same order and the same
ties.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def sortable_scores(scores: Sequence[Tensor]) -> Sequence[Tensor]:
    """Replace scores that ``descending_keys`` does not support.

    Args:
        scores: Pieces of a data set, each float32 or float64, without NaN.

    Returns:
        The same pieces if all are float32; otherwise the dense ranks of all scores, int32, lowest first.

    >>> sortable_scores([torch.tensor([0.5, 2.0], dtype=torch.float64), torch.tensor([0.5])])
    [tensor([0, 1], dtype=torch.int32), tensor([0], dtype=torch.int32)]
    """
    if all(piece.dtype == torch.float32 for piece in scores):
        return scores
    values = [piece.double().cpu().numpy() for piece in scores]
    levels = np.unique(np.concatenate([piece.ravel() for piece in values]))
    ranks = (torch.from_numpy(np.searchsorted(levels, piece).astype(np.int32)) for piece in values)
    return [rank.to(piece.device) for rank, piece in zip(ranks, scores, strict=True)]


def descending_keys(scores: Tensor) -> NDArray[np.uint32]:
    """Map ``sortable_scores`` to integer keys: equal scores get equal keys, larger scores get smaller keys."""
    if scores.dtype == torch.int32:
        return (np.iinfo(np.int32).max - scores.cpu().numpy()).view(np.uint32)
    bits = (scores.cpu().numpy() + np.float32(0)).view(np.int32)  # -0 + 0 is 0
    return (bits ^ (~(bits >> 31) & 0x7FFFFFFF)).view(np.uint32)
