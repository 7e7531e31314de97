"""What would another label processing, or an average of runs, come to? Answered from kept scores, without a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.errors import UserError
from yt8m_core.inference.ensemble import Diversity, average
from yt8m_core.inference.score_cache import Probabilities, Scored, gap_of

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
    some = _some(scored)
    own = np.array(scored.classified[some])
    others = _through(own, matrix)
    return Mixtures(own, others, others if trained is None else _through(own, trained), scored.truth[some])


def _through(scores: Probabilities, matrix: NDArray[np.float32]) -> Probabilities:
    mixed: Probabilities = (torch.from_numpy(scores) @ torch.from_numpy(matrix).T).numpy()
    return mixed


@dataclass(frozen=True)
class EnsembleAnswer:
    """What an average of runs comes to.

    Attributes:
        gap: GAP@20 of the average.
        members: member, weight, gap of each run alone, on the same videos.
        pairs: member_a, member_b and what ``ensemble.Diversity`` measures.
        videos: how many were looked at.
    """

    gap: float
    members: pd.DataFrame
    pairs: pd.DataFrame
    videos: int


def average_of(
    members: Mapping[str, Scored], weights: Sequence[float] = (), kind: str = "probability"
) -> EnsembleAnswer:
    """Average runs that scored the same videos; without weights all count alike.

    Raises:
        UserError: there is no member, they have other labels or videos, or as ``ensemble.average`` does.
    """
    if not members:
        raise UserError("no member", advice="Choose at least one run.")
    first = next(iter(members.values()))
    for name, other in members.items():
        if other.probabilities.shape != first.probabilities.shape or not np.array_equal(other.videos, first.videos):
            raise UserError(f"other videos or labels of run '{name}'", expected=f"those of '{next(iter(members))}'")
    some = _some(first)
    shares = list(weights) or [1.0] * len(members)
    scores = [torch.from_numpy(np.array(member.probabilities[some])) for member in members.values()]
    truth = first.truth[some]
    gaps = [gap_of(p.numpy(), truth) for p in scores]
    pairs = []
    for (one, p), (another, q) in combinations(zip(members, scores, strict=True), 2):
        diversity = Diversity()
        diversity.update(p, q)
        pairs.append({"member_a": one, "member_b": another, **diversity.compute()})
    return EnsembleAnswer(
        gap_of(average(scores, shares, kind).numpy(), truth),
        pd.DataFrame({"member": list(members), "weight": shares, "gap": gaps}),
        pd.DataFrame(pairs, columns=["member_a", "member_b", "overlap", "same_best", "correlation"]),
        truth.shape[0],
    )


def _some(scored: Scored) -> NDArray[np.int64]:
    """The rows that an answer looks at: all, or evenly spaced ones."""
    N, C = scored.probabilities.shape
    most = max(1, CELLS // C)
    return np.arange(N) if most >= N else np.linspace(0, N - 1, most).astype(np.int64)
