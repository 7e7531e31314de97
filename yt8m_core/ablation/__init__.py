"""Ablations: the paper's tables, trained, compared and judged. A notebook's cell is

    table = ablate("pooling")
    comparison(table)

``setting`` says what a scale makes of a table, ``trained`` trains what is missing, ``bootstrap`` says how sure a
difference is, ``compare`` and ``ledger`` put that in words, ``results`` keeps it, and ``dials`` turns the demo world.
"""

from yt8m_core.ablation.compare import comparison, in_words
from yt8m_core.ablation.dials import DIALS, Dial, turn
from yt8m_core.ablation.ledger import judge
from yt8m_core.ablation.results import Result, ledger_of, read_result, stale, write_result
from yt8m_core.ablation.trained import Ablation, ablate

__all__ = [
    "DIALS",
    "Ablation",
    "Dial",
    "Result",
    "ablate",
    "comparison",
    "in_words",
    "judge",
    "ledger_of",
    "read_result",
    "stale",
    "turn",
    "write_result",
]
