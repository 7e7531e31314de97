"""The table that every notebook shows: each row's GAP beside the paper's, and how sure its difference is."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from yt8m_core.ablation.recipe import WORDS
from yt8m_core.ablation.runner import Ablation, Trained
from yt8m_core.ablation.significance import Estimate
from yt8m_core.paper_tables.variants import DIFFERENCES

CANNOT_TELL = "no difference that these data can tell"
BASELINE = "the baseline"
COLUMNS = (
    "row", "paper_gap", "gap", "gap_low", "gap_high", "against", "difference", "difference_low", "difference_high",
    "reading", "hit_at_1", "perr", "map", "parameters", "videos_per_second", "seeds", "videos", "scale", "data",
)  # fmt: skip


def in_words(difference: Estimate) -> str:
    """What a difference says: its interval decides, never its value alone.

    >>> in_words(Estimate(0.02, 0.01, 0.03)), in_words(Estimate(0.02, -0.01, 0.05))
    ('better', 'no difference that these data can tell')
    """
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else CANNOT_TELL


def comparison(ablation: Ablation) -> pd.DataFrame:
    """A table's rows: ``COLUMNS``.

    ``gap`` is the mean over seeds, with its 95 % interval over seeds and videos; ``difference`` is that to the row
    ``against``, paired by video and seed, and ``reading`` what its interval says. The other metrics are means over
    seeds. ``paper_gap`` is of another test set: only its order can be compared. A row whose ``against`` was not trained
    has no difference.
    """
    rows = []
    for name, runs in ablation.runs.items():
        measured, against = ablation.measured[name], ablation.table.against(name)
        gap = measured.gap()
        row = {"row": name, "paper_gap": ablation.table.gap(name)}
        row |= {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high, "against": against}
        if against in ablation.measured:
            difference = measured.less(ablation.measured[against])
            row |= {"difference": difference.value, "difference_low": difference.low}
            row["difference_high"] = difference.high
            row["reading"] = BASELINE if name == against else in_words(difference)
        rows.append({**row, **_means(runs), "scale": WORDS[ablation.scale], "data": ablation.source.name})
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"paper_gap": float})


def _means(runs: tuple[Trained, ...]) -> dict[str, float]:
    every = [run.metrics for run in runs]
    means = {
        column: float(np.mean([metrics["validation"][metric] for metrics in every]))
        for column, metric in (("hit_at_1", "hit_at_1"), ("perr", "perr"), ("map", "map_present"))
    }
    speeds = [metrics.get("videos_per_second", np.nan) for metrics in every]  # an average of runs was never trained
    return {
        **means,
        "parameters": every[0]["parameters"],
        "videos_per_second": float(np.mean(speeds)),
        "seeds": len(every),
        "videos": every[0]["validation"]["num_videos"],
    }


def side_by_side(ablations: Iterable[Ablation]) -> pd.DataFrame:
    """Each difference of paper and published code (``DIFFERENCES``) of some tables, both variants in a row.

    ``what``, ``the_papers_gap_is_of``, and the columns of ``comparison`` from ``row``, the paper's variant, to
    ``reading``, what its difference to ``against``, the published one, says; ``gap_against`` is the GAP of the latter.
    """
    tables = {ablation.name: ablation for ablation in ablations}
    rows = []
    for one in (one for one in DIFFERENCES if one.table in tables):
        ablation = tables[one.table]
        paper, published = ablation.measured[one.paper], ablation.measured[one.published]
        gap, difference = paper.gap(), paper.less(published)
        row = {"what": one.what, "paper_gap": one.gap, "the_papers_gap_is_of": one.measured}
        row |= {"row": one.paper, "gap": gap.value, "gap_low": gap.low, "gap_high": gap.high}
        row |= {"against": one.published, "gap_against": published.gap().value}
        row |= {"difference": difference.value, "difference_low": difference.low, "difference_high": difference.high}
        row |= {"reading": in_words(difference), "seeds": len(paper.gaps)}
        row |= {"videos": ablation.runs[one.paper][0].metrics["validation"]["num_videos"]}
        rows.append({**row, "scale": WORDS[ablation.scale], "data": ablation.source.name})
    return pd.DataFrame(rows)
