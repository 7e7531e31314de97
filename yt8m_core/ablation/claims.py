"""The claims of the paper, judged by what was measured: holds, does not hold, cannot tell."""

from collections.abc import Sequence

import pandas as pd

from yt8m_core.ablation.recipe import WORDS
from yt8m_core.ablation.runner import Ablation
from yt8m_core.ablation.significance import Estimate
from yt8m_core.paper_tables.claims import LITTLE

HOLDS, FAILS, CANNOT_TELL = "holds", "does not hold", "cannot tell"
COLUMNS = ("claim", "where", "verdict", "evidence", "table", "scale", "data")


def verdict(says: str, differences: Sequence[Estimate]) -> str:
    """Whether a claim holds of all its pairs, from the difference of each.

    It does not hold where one pair's whole interval speaks against it; where none does but one leaves it open, the data
    cannot tell. To differ by less than ``LITTLE`` the whole interval must.

    >>> verdict("better", [Estimate(0.02, 0.01, 0.03), Estimate(0.01, -0.01, 0.03)])
    'cannot tell'
    >>> verdict("alike", [Estimate(0.001, -0.001, 0.003)])
    'holds'
    """
    judged = [_of_one(says, difference) for difference in differences]
    return next((word for word in (FAILS, CANNOT_TELL) if word in judged), HOLDS)


def _of_one(says: str, difference: Estimate) -> str:
    _, low, high = difference
    if says == "worse":
        low, high = -high, -low
    if says == "alike":
        holds, fails = low > -LITTLE and high < LITTLE, low >= LITTLE or high <= -LITTLE
    else:
        holds, fails = low > 0, high < 0
    return HOLDS if holds else FAILS if fails else CANNOT_TELL


def judge(ablation: Ablation) -> pd.DataFrame:
    """The claims of a table: ``COLUMNS``. One that needs a row which was not trained cannot be told."""
    rows = []
    for claim in ablation.table.ledger:
        trained = all(row in ablation.measured for pair in claim.pairs for row in pair)
        differences = [ablation.measured[row].less(ablation.measured[other]) for row, other in claim.pairs * trained]
        evidence = [
            _evidence(*pair, difference) for pair, difference in zip(claim.pairs * trained, differences, strict=True)
        ]
        rows.append(
            {
                "claim": claim.text,
                "where": claim.where,
                "verdict": verdict(claim.says, differences) if trained else CANNOT_TELL,
                "evidence": "; ".join(evidence) or "not all of its rows were trained",
                "table": ablation.name,
                "scale": WORDS[ablation.scale],
                "data": ablation.source.name,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _evidence(row: str, other: str, difference: Estimate) -> str:
    """A pair's difference in words; where nothing at all differs, that is the reason, and not that little does."""
    if difference == Estimate(0, 0, 0):
        return f"{row} − {other}: 0, for both predict the same"
    return f"{row} − {other}: {difference.value:+.4f} ({difference.low:+.4f} to {difference.high:+.4f})"
