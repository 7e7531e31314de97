"""Recompute GAP for other label processing weights α, β, γ from cached scores, without running the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.metrics.sparse import Probabilities, sparse_gap

CELLS = 1 << 24  # maximum number of scores evaluated at once, so that an evaluation takes well under a second


@dataclass(frozen=True)
class MixingTerms:
    """Terms of O_c = α O_h + β M_c O_h + γ M'_c O_h (equation 20), computed once for all α, β, and γ.

    Attributes:
        own: O_h [N, C], the scores before label processing.
        others: M_c O_h [N, C], the scores of correlated labels.
        trained: M'_c O_h [N, C]. Equals ``others`` if the run did not train a matrix, because M'_c starts as M_c.
        truth: Label matrix, sparse [N, C].
    """

    own: Probabilities
    others: Probabilities
    trained: Probabilities
    truth: csr_array

    def scores(self, alpha: float, beta: float, gamma: float) -> Probabilities:
        """Return O_c [N, C], clamped to 0..1 as ``Correlation`` does in the space "prob"."""
        mixed = alpha * self.own
        for weight, term in ((beta, self.others), (gamma, self.trained)):
            if weight:
                mixed += np.float32(weight) * term
        return np.clip(mixed, 0, 1, out=mixed)

    def gap(self, alpha: float, beta: float, gamma: float) -> float:
        """Return GAP@20 for the given weights."""
        return sparse_gap(self.scores(alpha, beta, gamma), self.truth)

    def gap_by_beta(self, betas: Sequence[float]) -> pd.DataFrame:
        """Return beta and the GAP@20 at α = 1 and γ = 0."""
        return pd.DataFrame({"beta": betas, "gap": [self.gap(1.0, beta, 0.0) for beta in betas]})


def mixing_terms(
    scored: CachedScores, matrix: NDArray[np.float32], trained: NDArray[np.float32] | None = None
) -> MixingTerms:
    """Multiply a run's scores by M_c [C, C] and, if given, by its trained M'_c [C, C]."""
    rows = sample_rows(scored)
    own = np.array(scored.classified[rows])
    others = _multiply(own, matrix)
    return MixingTerms(own, others, others if trained is None else _multiply(own, trained), scored.truth[rows])


def _multiply(scores: Probabilities, matrix: NDArray[np.float32]) -> Probabilities:
    product: Probabilities = (torch.from_numpy(scores) @ torch.from_numpy(matrix).T).numpy()
    return product


def sample_rows(scored: CachedScores) -> NDArray[np.int64]:
    """Return the rows to evaluate: all of them, or evenly spaced ones if there are more than ``CELLS`` scores."""
    N, C = scored.probabilities.shape
    max_rows = max(1, CELLS // C)
    return np.arange(N) if max_rows >= N else np.linspace(0, N - 1, max_rows).astype(np.int64)
