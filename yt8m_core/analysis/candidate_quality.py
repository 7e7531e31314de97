"""Precision and recall of candidates for missing labels, where the missing labels are known, as in the demo world."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

KS = (50, 100, 200, 500, 1000)
DRAWS = 1000
MEASURES = ("precision", "recall", "lift")


def candidate_quality(
    rankings: Mapping[str, pd.DataFrame],
    missing: csr_array,
    labels: csr_array,
    *,
    ks: Sequence[int] = KS,
    draws: int = DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure rankings of pairs of a video and a label, with 95% bootstrap CIs over videos.

    All rankings are measured on the same draws, so that their differences have intervals too. A draw takes the first k
    pairs of the drawn videos; a ranking needs somewhat more than k pairs.

    Args:
        rankings: by name; columns video (position) and label, best pair first, as ``CandidateRanking.rank``.
        missing: the missing labels, sparse bool [N, C].
        labels: the label matrix, sparse [N, C].
        ks: numbers of pairs.
        draws: number of bootstrap draws.
        seed: seed of the bootstrap.

    Returns:
        One row per ranking and k: ranking, k; precision (share of the first k pairs that are missing labels), recall
        (share of the missing labels that are among them), lift (precision divided by the share of missing labels among
        all pairs that are not listed) and difference (of the precision to that of the first ranking); each with _low
        and _high.
    """
    num_missing = missing.sum(axis=1)
    num_absent = labels.shape[1] - labels.sum(axis=1)
    positions = {name: pairs["video"].to_numpy() for name, pairs in rankings.items()}
    hits = {
        name: np.asarray(missing[pairs["video"].to_numpy(), pairs["label"].to_numpy()]).ravel().astype(float)
        for name, pairs in rankings.items()
    }

    def measure(copies: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the measures [rankings, ks, 4] of a data set with so many copies [N] of each video."""
        missing_pairs, absent_pairs = copies @ num_missing, copies @ num_absent
        rows = []
        for name in rankings:
            number = copies[positions[name]]  # copies of each pair
            before = np.cumsum(number) - number
            for k in ks:
                taken = np.clip(k - before, 0, number)
                found = taken @ hits[name]
                precision = found / max(taken.sum(), 1)
                rows.append((precision, found / missing_pairs, precision * absent_pairs / missing_pairs))
        values = np.array(rows).reshape(len(rankings), len(ks), len(MEASURES))
        return np.concatenate([values, values[..., :1] - values[:1, :, :1]], axis=-1)

    random, size = np.random.default_rng(seed), len(num_missing)
    point = measure(np.ones(size, np.int64))
    drawn = [measure(random.multinomial(size, np.full(size, 1 / size))) for _ in range(draws)]
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    table = pd.DataFrame([(name, k) for name in rankings for k in ks], columns=["ranking", "k"])
    for column, name in enumerate((*MEASURES, "difference")):
        for suffix, values in (("", point), ("_low", low), ("_high", high)):
            table[f"{name}{suffix}"] = values[..., column].ravel()
    return table
