"""Claims of the paper in a form that a measurement can test (sections 2.1 and 3.2 to 3.3).

https://arxiv.org/abs/1706.07960
"""

from dataclasses import dataclass
from itertools import pairwise

from yt8m_core.errors import check_choice

EXPECTATIONS = ("better", "worse", "similar")
SMALL_DIFFERENCE = 0.005
"""Differences of GAP below this are small. The paper calls 0.001 small (center loss) and 0.005 clear (Huber loss)."""

Pair = tuple[str, str]  # two rows of a table: the tested row and its reference


@dataclass(frozen=True)
class Claim:
    """A claim of the paper as an expectation on pairs of rows; it is supported if every pair meets it."""

    text: str
    source: str  # section and table of the paper
    pairs: tuple[Pair, ...]
    expects: str = "better"  # of the first row of each pair; "similar": |difference| < SMALL_DIFFERENCE

    def __post_init__(self) -> None:
        check_choice("expectation", self.expects, EXPECTATIONS, where=f"claim '{self.text}'")


def each_versus(rows: tuple[str, ...], reference: str) -> tuple[Pair, ...]:
    """Pair each row with the same reference.

    >>> each_versus(("CNN", "LSTM"), "mean")
    (('CNN', 'mean'), ('LSTM', 'mean'))
    """
    return tuple((row, reference) for row in rows)


def versus_each(row: str, references: tuple[str, ...]) -> tuple[Pair, ...]:
    """Pair one row with each reference."""
    return tuple((row, reference) for reference in references)


def increasing(*rows: str) -> tuple[Pair, ...]:
    """Pair each row with the previous one.

    >>> increasing("CNN-64", "CNN-256", "CNN-1024")
    (('CNN-256', 'CNN-64'), ('CNN-1024', 'CNN-256'))
    """
    return tuple((row, previous) for previous, row in pairwise(rows))
