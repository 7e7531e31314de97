"""What the paper concludes, written down such that a measurement can judge it (sections 2.1 and 3.2 to 3.3).

https://arxiv.org/abs/1706.07960
"""

from dataclasses import dataclass
from itertools import pairwise

from yt8m_core.errors import check_choice

SAYS = ("better", "worse", "alike")
LITTLE = 0.005
"""A GAP below which a difference is little. The paper finds 0.001 little (center loss) and 0.005 clear (Huber loss)."""

Pair = tuple[str, str]  # two rows of a table: the one that something is said of, and the one that it is compared with


@dataclass(frozen=True)
class Claim:
    """A conclusion, as what it says of pairs of rows of one table; it holds when it holds of every pair."""

    text: str
    where: str  # in the paper
    pairs: tuple[Pair, ...]
    says: str = "better"  # what the first row of each pair is; "alike": it differs by less than ``LITTLE``

    def __post_init__(self) -> None:
        check_choice("word", self.says, SAYS, where=f"claim '{self.text}'")


def each_against(rows: tuple[str, ...], other: str) -> tuple[Pair, ...]:
    """A pair of each row and the same other one.

    >>> each_against(("CNN", "LSTM"), "mean")
    (('CNN', 'mean'), ('LSTM', 'mean'))
    """
    return tuple((row, other) for row in rows)


def one_against_each(row: str, others: tuple[str, ...]) -> tuple[Pair, ...]:
    """A pair of the same row and each other one."""
    return tuple((row, other) for other in others)


def rising(*rows: str) -> tuple[Pair, ...]:
    """Pairs that say that each row is better than the one before.

    >>> rising("CNN-64", "CNN-256", "CNN-1024")
    (('CNN-256', 'CNN-64'), ('CNN-1024', 'CNN-256'))
    """
    return tuple((row, before) for before, row in pairwise(rows))
