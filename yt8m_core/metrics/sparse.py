"""GAP of a score matrix whose ground truth is a sparse label matrix."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.metrics.average_precision import TopLabelsBatch, gap_numerator, top_labels

Probabilities = NDArray[np.float32]
CHUNK = 1 << 22
"""Scores per step."""


def sparse_gap(probabilities: Probabilities, truth: csr_array, k: int = 20) -> float:
    """Compute GAP@k as ``global_average_precision`` does, without a dense copy of the labels.

    Args:
        probabilities: Scores [N, C].
        truth: Labels [N, C], 0/1, with at least one positive.
        k: Number of labels kept per video.
    """
    return gap_numerator(top_label_batches(probabilities, truth, k)) / int(truth.sum())


def top_label_batches(probabilities: Probabilities, truth: csr_array, k: int = 20) -> list[TopLabelsBatch]:
    """Select the top k labels of each video, as ``top_labels`` does; the arguments are those of ``sparse_gap``."""
    return [
        top_labels(torch.from_numpy(scores), torch.from_numpy(labels.astype(bool)), k)
        for scores, labels in _chunks(probabilities, truth)
    ]


def _chunks(scores: Probabilities, truth: csr_array) -> Iterator[tuple[Probabilities, NDArray[np.int32]]]:
    step = max(1, CHUNK // scores.shape[1])
    for first in range(0, len(scores), step):
        rows = slice(first, first + step)
        yield np.array(scores[rows]), truth[rows].toarray()  # a copy, because torch needs writable memory
