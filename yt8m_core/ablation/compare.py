"""Compare the rows of a table: GAP and difference to the reference, with 95% confidence intervals and a verdict."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from yt8m_core.ablation.recipe import SCALES
from yt8m_core.ablation.runner import Ablation, StoredRun
from yt8m_core.inference.band_precision import AP_METRICS
from yt8m_core.metrics.bootstrap import Estimate
from yt8m_core.paper_tables.variants import CODE_DIFFERENCES

BETTER, WORSE, NOT_SIGNIFICANT, BASELINE = "better", "worse", "no significant difference", "baseline"
COLUMNS = (
    "row", "paper_gap", "gap", "gap_low", "gap_high", "reference", "difference", "difference_low", "difference_high",
    "verdict", "hit_at_1", "perr", "map", *AP_METRICS, "parameters", "videos_per_second", "seeds", "videos", "scale",
    "data",
)  # fmt: skip


def difference_verdict(difference: Estimate) -> str:
    """Return "better" or "worse" if the interval excludes 0, else "no significant difference".

    >>> difference_verdict(Estimate(0.02, 0.01, 0.03)), difference_verdict(Estimate(0.02, -0.01, 0.05))
    ('better', 'no significant difference')
    """
    if difference.low > 0:
        return BETTER
    return WORSE if difference.high < 0 else NOT_SIGNIFICANT


def compare_rows(ablation: Ablation) -> pd.DataFrame:
    """Return the rows of a table: ``COLUMNS``.

    ``gap`` is the mean over seeds, with its 95% CI over seeds and videos. ``difference`` is to the row ``reference``,
    paired by video and seed, and ``verdict`` follows from its interval. Other metrics are means over seeds; those
    that a run of an older version lacks are NaN. ``paper_gap`` is from another test set, so only the order of rows is
    comparable. A row whose reference was not trained has no difference.
    """
    rows = []
    for name, runs in ablation.runs.items():
        row_gaps, reference = ablation.row_gaps[name], ablation.table.reference(name)
        gap = row_gaps.gap()
        row = {"row": name, "paper_gap": ablation.table.gap(name)}
        row |= {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high, "reference": reference}
        if reference in ablation.row_gaps:
            difference = row_gaps.minus(ablation.row_gaps[reference])
            row |= {"difference": difference.value, "difference_low": difference.low}
            row["difference_high"] = difference.high
            row["verdict"] = BASELINE if name == reference else difference_verdict(difference)
        rows.append({**row, **_means(runs), "scale": SCALES[ablation.scale], "data": ablation.source.name})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"paper_gap": float})


def _means(runs: tuple[StoredRun, ...]) -> dict[str, float]:
    metrics = [run.metrics for run in runs]
    means = {
        column: float(np.mean([seed["validation"][metric] for seed in metrics]))
        for column, metric in (("hit_at_1", "hit_at_1"), ("perr", "perr"), ("map", "map_present"))
    }
    means |= {name: float(np.mean([seed["validation"].get(name, np.nan) for seed in metrics])) for name in AP_METRICS}
    throughputs = [seed.get("videos_per_second", np.nan) for seed in metrics]  # ensembles are not trained
    return {
        **means,
        "parameters": metrics[0]["parameters"],
        "videos_per_second": float(np.mean(throughputs)),
        "seeds": len(metrics),
        "videos": metrics[0]["validation"]["num_videos"],
    }


def compare_variants(ablations: Iterable[Ablation]) -> pd.DataFrame:
    """Return one row per difference between paper and published code (``CODE_DIFFERENCES``) in these tables.

    Columns: ``description``, ``paper_gap``, ``gap_measures`` (what the paper's GAP belongs to), and those of
    ``compare_rows``, where ``row`` is the paper's variant and ``reference`` the published one; ``reference_gap`` is the
    GAP of the latter.
    """
    tables = {ablation.name: ablation for ablation in ablations}
    rows = []
    for code_difference in CODE_DIFFERENCES:
        if code_difference.table not in tables:
            continue
        ablation = tables[code_difference.table]
        paper, published = (ablation.row_gaps[row] for row in (code_difference.paper, code_difference.published))
        gap, difference = paper.gap(), paper.minus(published)
        row = {"description": code_difference.description, "paper_gap": code_difference.gap}
        row |= {"gap_measures": code_difference.gap_measures, "row": code_difference.paper}
        row |= {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high}
        row |= {"reference": code_difference.published, "reference_gap": published.gap().value}
        row |= {"difference": difference.value, "difference_low": difference.low, "difference_high": difference.high}
        row |= {"verdict": difference_verdict(difference), **_means(ablation.runs[code_difference.paper])}
        rows.append({**row, "scale": SCALES[ablation.scale], "data": ablation.source.name})
    return pd.DataFrame(rows)
