"""The labels that occur most with the selected label, and whether the run knows it."""

import contextlib
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from cache import loaders, scores
from components.selectors import download_csv
from components.text import plain
from views.correlation.pair_tables import COLUMNS, Selection, show_pair
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize

MAX_PARTNERS = 30
LIMIT = 3.0  # approximate standard deviations of an observed count that are more than chance


def show_partners(selection: Selection) -> None:
    """List the partners of the selected label by φ, with the verdict of the run where it fits the data."""
    name = plain(selection.name(selection.label or 0))
    st.markdown(f"**Partners of {name}**", help="Labels that occur with it more often than by chance, sorted by φ.")
    pairs = selection.of_label(loaders.strongest_pairs(selection.page.data, "phi", selection.support))
    pairs = pairs[pairs["phi"] > 0][:MAX_PARTNERS].reset_index(drop=True)
    if pairs.empty:
        st.caption("No label with the minimum support is correlated with it.")
        return
    table = selection.partners(pairs)
    with contextlib.suppress(UserError):  # without a run that fits the data, the table has only the labels
        table = pd.concat([table, _compare(selection, pairs)], axis=1)
    event: Any = st.dataframe(
        table,
        hide_index=True,
        column_order=[column for column in ("partner", "count", "phi", "expected", "verdict") if column in table],
        column_config={
            **COLUMNS,
            "count": st.column_config.NumberColumn(
                "Both", help="Videos with both labels.", format="localized", width=50
            ),
            "phi": st.column_config.NumberColumn("φ", format="%.2f", width=45),
            "expected": st.column_config.NumberColumn(
                "Run", help="Videos with both that the run expects: sum of P(A) · P(B).", format="%.1f", width=55
            ),
            "verdict": st.column_config.TextColumn(
                "Verdict",
                help=f"Whether the run knows that they occur together: as expected where observed and expected number "
                f"differ by at most {LIMIT:g} approximate standard deviations.",
                width=110,
            ),
        },
        on_select="rerun",
        selection_mode="single-cell",
        key="partners",
        height=320,
        alt=f"Labels most correlated with {name}, and whether the run expects them together",
    )
    if "verdict" in table:
        known = int((table["verdict"] == "as expected").sum())
        st.caption(f"The run expects {known:,} of {pluralize(len(table), 'pair')} about as often as they occur.")
    if cells := event["selection"]["cells"]:
        pair = pairs.iloc[cells[0][0]]
        show_pair(selection, int(pair["label_a"]), int(pair["label_b"]))
    download_csv(table, f"partners-{selection.label}", f"Download {len(table):,} partners as CSV")


def _compare(selection: Selection, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the number of videos that the run expects for each pair, and a verdict. Raises UserError without a fit."""
    sides = (pairs[f"label_{side}"].to_numpy(np.int64).tobytes() for side in "ab")
    compared = scores.pair_calibration(selection.page, *sides)
    surprise = compared["surprise"].to_numpy()
    verdict = np.select([surprise > LIMIT, surprise < -LIMIT], ["underestimated", "overestimated"], "as expected")
    return pd.DataFrame({"expected": compared["expected"], "surprise": surprise, "verdict": verdict})
