"""What would another label processing, or an average of runs, come to? Answered from kept scores, without a model."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.inference.score_cache import Scored
from yt8m_core.metrics.top_k import Probabilities, gap_of

CELLS = 1 << 24  # scores that one answer looks at, so that it takes well under a second


@dataclass(frozen=True)
class Mixtures:
    """The terms of O_c = α O_h + β M_c O_h + γ M'_c O_h (equation 20), each computed once for all α, β and γ.

    Attributes:
        own: O_h [N, C], the scores before label processing.
        others: M_c O_h [N, C], those of the labels that go with each.
        trained: M'_c O_h [N, C], or ``others`` where the run has trained no matrix: M'_c starts as M_c.
        truth: [N, C], sparse.
    """

    own: Probabilities
    others: Probabilities
    trained: Probabilities
    truth: csr_array

    def scores(self, alpha: float, beta: float, gamma: float) -> Probabilities:
        """O_c, clamped to 0 to 1 as ``Correlation`` does in the space "prob"."""
        mixed = alpha * self.own
        for weight, term in ((beta, self.others), (gamma, self.trained)):
            if weight:
                mixed += np.float32(weight) * term
        return np.clip(mixed, 0, 1, out=mixed)

    def gap(self, alpha: float, beta: float, gamma: float) -> float:
        """GAP@20 of these videos with other weights."""
        return gap_of(self.scores(alpha, beta, gamma), self.truth)


def mixtures(scored: Scored, matrix: NDArray[np.float32], trained: NDArray[np.float32] | None = None) -> Mixtures:
    """Weigh a run's scores through M_c [C, C] and, where it has one, its trained M'_c."""
    some = answered_rows(scored)
    own = np.array(scored.classified[some])
    others = _through(own, matrix)
    return Mixtures(own, others, others if trained is None else _through(own, trained), scored.truth[some])


def _through(scores: Probabilities, matrix: NDArray[np.float32]) -> Probabilities:
    mixed: Probabilities = (torch.from_numpy(scores) @ torch.from_numpy(matrix).T).numpy()
    return mixed


def answered_rows(scored: Scored) -> NDArray[np.int64]:
    """The rows that an answer looks at: all, or evenly spaced ones."""
    N, C = scored.probabilities.shape
    most = max(1, CELLS // C)
    return np.arange(N) if most >= N else np.linspace(0, N - 1, most).astype(np.int64)
