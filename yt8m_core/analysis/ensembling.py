"""Average the cached scores of several runs, and measure how similar the members are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import torch

from yt8m_core.analysis.label_mixing import sample_rows
from yt8m_core.errors import UserError
from yt8m_core.inference.ensemble import average
from yt8m_core.inference.ensemble_comparison import Diversity
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.metrics.sparse import sparse_gap


@dataclass(frozen=True)
class EnsembleResult:
    """Evaluation of an average of runs.

    Attributes:
        gap: GAP@20 of the average.
        members: member, weight, gap of each run alone, on the same videos.
        pairs: member_a, member_b, and the measures of ``ensemble_comparison.Diversity``.
        videos: Number of videos evaluated.
    """

    gap: float
    members: pd.DataFrame
    pairs: pd.DataFrame
    videos: int


def average_runs(
    members: Mapping[str, CachedScores], weights: Sequence[float] = (), kind: str = "probability"
) -> EnsembleResult:
    """Average runs that scored the same videos, with equal weights unless ``weights`` is given.

    Raises:
        UserError: There is no member, the members differ in labels or videos, or ``ensemble.average`` fails.
    """
    if not members:
        raise UserError("no member", advice="Choose at least one run.")
    first = next(iter(members.values()))
    for name, other in members.items():
        if other.probabilities.shape != first.probabilities.shape or not np.array_equal(other.videos, first.videos):
            raise UserError(f"other videos or labels of run '{name}'", expected=f"those of '{next(iter(members))}'")
    rows = sample_rows(first)
    shares = list(weights) or [1.0] * len(members)
    scores = [torch.from_numpy(np.array(member.probabilities[rows])) for member in members.values()]
    truth = first.truth[rows]
    gaps = [sparse_gap(p.numpy(), truth) for p in scores]
    pairs = []
    for (name_a, p), (name_b, q) in combinations(zip(members, scores, strict=True), 2):
        diversity = Diversity()
        diversity.update(p, q)
        pairs.append({"member_a": name_a, "member_b": name_b, **diversity.compute()})
    return EnsembleResult(
        sparse_gap(average(scores, shares, kind).numpy(), truth),
        pd.DataFrame({"member": list(members), "weight": shares, "gap": gaps}),
        pd.DataFrame(pairs, columns=["member_a", "member_b", "overlap", "same_best", "correlation"]),
        truth.shape[0],
    )
