"""Ablations: train the tables of the paper, compare their rows and check the paper's claims.

    table = ablate("pooling")
    result = save_result(table)
    result_table(result.rows)

``recipe`` sets data, widths and training for each scale. ``learning_rates`` and ``learning_rate_search`` find the
learning rate of each architecture. ``runner`` trains missing runs, ``significance`` computes confidence intervals,
``compare``, ``band_gains`` and ``claims`` derive verdicts, ``report`` formats them, ``results`` stores them, and
``demo_sweeps`` varies the demo world.
"""

from yt8m_core.ablation.band_gains import band_gains
from yt8m_core.ablation.claims import check_claims
from yt8m_core.ablation.compare import compare_rows, compare_variants, difference_verdict
from yt8m_core.ablation.correlation_readings import rank_readings, stored_readings, sweep_readings
from yt8m_core.ablation.demo_sweeps import SWEEPS, Sweep, run_sweep
from yt8m_core.ablation.report import (
    band_table,
    claim_table,
    count_verdicts,
    folded_bands,
    format_table,
    result_table,
    stored_result,
    summarize,
    summarize_sweep,
    to_markdown,
)
from yt8m_core.ablation.results import Result, all_claims, outdated, read_result, save_result
from yt8m_core.ablation.runner import Ablation, ablate

__all__ = [
    "SWEEPS",
    "Ablation",
    "Result",
    "Sweep",
    "ablate",
    "all_claims",
    "band_gains",
    "band_table",
    "check_claims",
    "claim_table",
    "compare_rows",
    "compare_variants",
    "count_verdicts",
    "difference_verdict",
    "folded_bands",
    "format_table",
    "outdated",
    "rank_readings",
    "read_result",
    "result_table",
    "run_sweep",
    "save_result",
    "stored_readings",
    "stored_result",
    "summarize",
    "summarize_sweep",
    "sweep_readings",
    "to_markdown",
]
