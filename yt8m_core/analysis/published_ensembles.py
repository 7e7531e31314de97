"""All mean ensembles of eight published models (section 3.3): does the strength of members decide, or their diversity?

The GAPs are facts from a public log of the team that came second in the competition of 2017: H. Wang, T. Zhang, J. Wu,
"The Monkeytyping Solution to the YouTube-8M Video Understanding Challenge", 2017, arXiv 1706.05150. They were measured
on one held-out split of that team, without intervals, so they cannot be compared with GAPs of other models.

A table of ensembles has one row per nonempty set of models: members (their number), one column per model (1 if it is a
member), gap. Such sets share members, so no significance test applies to them.
"""

from math import factorial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.errors import UserError

PUBLISHED = Path(__file__).with_suffix(".csv")

Floats = NDArray[np.float64]


def read_ensembles(file: Path = PUBLISHED) -> pd.DataFrame:
    """Read a table of ensembles. Lines that begin with # are comments.

    >>> ensembles = read_ensembles()
    >>> len(ensembles), f"{ensembles['gap'].max():.4f}"
    (255, '0.8374')

    Raises:
        UserError: The file cannot be read, or is not a table of all nonempty sets of at least two models.
    """
    try:
        table = pd.read_csv(file, comment="#", index_col=False)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=str(file)) from None
    columns = list(table.columns)
    if len(columns) < 4 or (columns[0], columns[-1]) != ("members", "gap"):
        expected = "members, one column for each of at least two models, gap"
        raise UserError(f"columns {', '.join(columns)[:200]}", where=str(file), expected=expected)
    models = columns[1:-1]
    for model in models:
        _check_column(table[model], table[model].isin([0, 1]), "1 for a member, else 0", file)
    size = table[models].sum(axis=1)
    _check_column(table["members"], size.eq(table["members"]) & (size > 0), "the number of members, at least 1", file)
    gap = pd.to_numeric(table["gap"], errors="coerce")
    _check_column(table["gap"], gap.between(0, 1), "a GAP from 0 to 1", file)
    if (repeated := table.duplicated(models)).any():
        where = f"{file}, row {int(np.flatnonzero(repeated)[0]) + 1}"
        raise UserError("the models of an earlier row", where=where, expected="each set of models once")
    if len(table) != 2 ** len(models) - 1:
        expected = f"{2 ** len(models) - 1}, all nonempty sets of {len(models)} models"
        raise UserError(f"{len(table)} rows", where=str(file), expected=expected)
    return table.astype({name: int for name in ["members", *models]} | {"gap": float})


def member_gains(ensembles: pd.DataFrame) -> pd.DataFrame:
    """Compute how much each model contributes to the ensembles.

    The Shapley value is the gain in GAP when the model joins, averaged over all orders in which the models can join.
    An ensemble without members counts as the mean of the single models, so the values sum to the gain of the ensemble
    of all models over that mean. Another constant would shift all values equally.

    Returns:
        One row per model, strongest first: model, gap (alone), last (gain from adding it to all others; negative if
        the others are better without it), shapley.
    """
    models, gaps = _gap_by_set(ensembles)
    n, sets = len(models), np.arange(len(gaps))
    orders = np.array([factorial(size) * factorial(n - 1 - size) / factorial(n) for size in range(n)])
    rows = []
    for number, model in enumerate(models):
        own = 1 << number
        others = sets[sets & own == 0]
        gains = gaps[others | own] - gaps[others]
        shapley = float(orders[_sizes(others, n)] @ gains)
        rows.append({"model": model, "gap": gaps[own], "last": gains[-1], "shapley": shapley})
    return pd.DataFrame(rows).sort_values("gap", ascending=False, kind="stable", ignore_index=True)


def best_by_size(ensembles: pd.DataFrame) -> pd.DataFrame:
    """Compare the best ensemble of each size with the ensemble of as many of the strongest models.

    Returns:
        One row per size: members, sets (number of ensembles), best (GAP), strongest (GAP), rank (of the strongest
        models among the sets, from 1), worst (GAP), best_set and worst_set (names of the models, strongest first).
    """
    models, gaps = _gap_by_set(ensembles)
    n = len(models)
    by_strength = sorted(range(n), key=lambda number: -gaps[1 << number])
    sizes = _sizes(np.arange(len(gaps)), n)
    rows = []
    for size in range(1, n + 1):
        sets = np.flatnonzero(sizes == size)
        strongest = gaps[sum(1 << number for number in by_strength[:size])]
        extremes = {"best": int(sets[gaps[sets].argmax()]), "worst": int(sets[gaps[sets].argmin()])}
        names = {
            f"{name}_set": tuple(models[number] for number in by_strength if chosen >> number & 1)
            for name, chosen in extremes.items()
        }
        rows.append(
            {
                "members": size,
                "sets": len(sets),
                "best": gaps[extremes["best"]],
                "strongest": strongest,
                "rank": 1 + int((gaps[sets] > strongest).sum()),
                "worst": gaps[extremes["worst"]],
                **names,
            }
        )
    return pd.DataFrame(rows)


def explained_variance(ensembles: pd.DataFrame) -> pd.DataFrame:
    """Compute how much of the variance of GAP among ensembles of one size strength and diversity explain.

    Strength is the mean GAP of the members. Diversity is not known without the scores of each video; the gain of a pair
    of models over their mean stands for it, averaged over all pairs of members. A pair gains little if its models make
    the same mistakes.

    Returns:
        One row per size of at least three members that has several sets: members, sets, and the R² of linear least
        squares on strength, on pair_gain, and on both. NaN if all sets have the same GAP.
    """
    models, gaps = _gap_by_set(ensembles)
    n, sets = len(models), np.arange(len(gaps))
    member = (sets[:, None] >> np.arange(n) & 1).astype(float)  # [2^n, n]
    alone = gaps[1 << np.arange(n)]
    pairs = gaps[(1 << np.arange(n))[:, None] | (1 << np.arange(n))]  # [n, n]
    pair_gains = np.triu(pairs - (alone[:, None] + alone) / 2, k=1)
    rows = []
    for size in range(3, n):
        of_size = member.sum(axis=1) == size
        chosen, gap = member[of_size], gaps[of_size]
        strength = chosen @ alone / size
        pair_gain = np.einsum("si,ij,sj->s", chosen, pair_gains, chosen) / (size * (size - 1) / 2)
        rows.append(
            {
                "members": size,
                "sets": len(gap),
                "strength": _r_squared(gap, strength),
                "pair_gain": _r_squared(gap, pair_gain),
                "both": _r_squared(gap, strength, pair_gain),
            }
        )
    return pd.DataFrame(rows, columns=["members", "sets", "strength", "pair_gain", "both"])


def _gap_by_set(ensembles: pd.DataFrame) -> tuple[list[str], Floats]:
    """Return the models and the GAP of each set, [2^n]; bit i of an index is 1 if model i is a member."""
    models = list(ensembles.columns[1:-1])
    sets = ensembles[models].to_numpy() @ (1 << np.arange(len(models)))
    gaps = np.empty(1 << len(models))
    gaps[sets] = ensembles["gap"]
    gaps[0] = gaps[1 << np.arange(len(models))].mean()
    return models, gaps


def _sizes(sets: NDArray[np.int64], num_models: int) -> NDArray[np.int64]:
    sizes: NDArray[np.int64] = (sets[:, None] >> np.arange(num_models) & 1).sum(axis=1)
    return sizes


def _r_squared(values: Floats, *features: Floats) -> float:
    """Return R² of linear least squares with an intercept; NaN for constant values."""
    if np.ptp(values) == 0:
        return float("nan")
    inputs = np.column_stack([np.ones_like(values), *features])
    residuals = values - inputs @ np.linalg.lstsq(inputs, values, rcond=None)[0]
    return float(1 - residuals.var() / values.var())


def _check_column(column: pd.Series, valid: pd.Series, expected: str, file: Path) -> None:
    """Raise UserError for the first value that is not valid."""
    if not valid.all():
        row = int(np.flatnonzero(~valid)[0])
        where = f"{file}, row {row + 1}, column '{column.name}'"
        raise UserError(f"'{str(column.iloc[row])[:40]}'", where=where, expected=expected)
