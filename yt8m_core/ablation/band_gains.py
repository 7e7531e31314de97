"""Gain of a row in average precision, by frequency band of the training labels (head, mid, tail)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from yt8m_core.ablation.compare import difference_verdict
from yt8m_core.ablation.runner import Ablation, StoredRun
from yt8m_core.analysis.per_label import add_gain, gain_by_band
from yt8m_core.errors import UserError, check_choice
from yt8m_core.metrics.bootstrap import Estimate

COLUMNS = ("row", "reference", "band", "labels", "gain", "low", "high", "verdict")


def all_band_gains(ablation: Ablation) -> pd.DataFrame:
    """Return ``COLUMNS``: ``band_gains`` of all rows but baselines; empty for runs of an older version."""
    try:
        gains = [
            band_gains(ablation, row).assign(row=row, reference=reference)
            for row in ablation.runs
            if (reference := ablation.table.reference(row)) != row and reference in ablation.runs
        ]
    except UserError:  # a run of an older version has no AP by label
        gains = []
    return pd.concat(gains, ignore_index=True)[list(COLUMNS)] if gains else pd.DataFrame(columns=list(COLUMNS))


def band_gains(ablation: Ablation, row: str) -> pd.DataFrame:
    """Compare the average precision (AP) of a row with that of its reference, label by label.

    The AP of a label is the mean over seeds. The 95% CI of a band's mean gain treats its labels as a random sample, as
    ``gain_by_band`` does; it accounts neither for the sampling of videos nor for retraining.

    Args:
        ablation: A table with its runs.
        row: A row or ensemble of the table.

    Returns:
        One row per band and one for all labels: band, labels (number of labels with positives), gain (mean), low, high,
        verdict.

    Raises:
        UserError: The row or its reference was not trained, or a run of an older version has no AP by label.
    """
    check_choice("row", row, ablation.runs, where=ablation.table.title)
    reference = ablation.table.reference(row)
    check_choice("row", reference, ablation.runs, where=f"{ablation.table.title}, reference of {row}")
    table = gain_by_band(add_gain(_mean_precision(ablation.runs[reference]), _mean_precision(ablation.runs[row])))
    estimates = zip(table["gain"], table["low"], table["high"], strict=True)
    table["verdict"] = [difference_verdict(Estimate(*estimate)) for estimate in estimates]
    return table[["band", "labels", "gain", "low", "high", "verdict"]]


def _mean_precision(runs: Sequence[StoredRun]) -> pd.DataFrame:
    """Return the label precision of the runs, with the mean AP over seeds."""
    tables = [run.label_precision for run in runs]
    return tables[0].assign(ap=np.mean([table["ap"] for table in tables], axis=0))
