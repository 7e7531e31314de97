"""Ablations: the paper's tables, trained, compared and judged. A notebook's cells are

    table = ablate("pooling")
    result = keep(table)
    readable(result.rows)

``setting`` says what a scale makes of a table, ``search`` and ``rates`` find the learning rate of each line of slots,
``trained`` trains what is missing, ``bootstrap`` says how sure a difference is, ``compare``, ``ledger`` and ``words``
put that in words, ``results`` keeps it, and ``dials`` turns the demo world.
"""

from yt8m_core.ablation.claims import judge
from yt8m_core.ablation.compare import comparison, in_words, side_by_side
from yt8m_core.ablation.demo_sweeps import DIALS, Dial, turn
from yt8m_core.ablation.report import as_markdown, readable, reading, stored, when
from yt8m_core.ablation.results import Result, keep, ledger_of, read_result, stale
from yt8m_core.ablation.runner import Ablation, ablate

__all__ = [
    "DIALS",
    "Ablation",
    "Dial",
    "Result",
    "ablate",
    "as_markdown",
    "comparison",
    "in_words",
    "judge",
    "keep",
    "ledger_of",
    "read_result",
    "readable",
    "reading",
    "side_by_side",
    "stale",
    "stored",
    "turn",
    "when",
]
