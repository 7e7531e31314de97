"""What an average of runs comes to, from cached scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import torch

from yt8m_core.analysis.label_mixing import answered_rows
from yt8m_core.errors import UserError
from yt8m_core.inference.ensemble import Diversity, average
from yt8m_core.inference.score_cache import Scored
from yt8m_core.metrics.top_k import gap_of


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
    some = answered_rows(first)
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
