"""Whether a file's features look like those that the run was trained on: without that, its predictions mean little."""

import pandas as pd
import streamlit as st

from cache import scores as answers
from components.selectors import download_csv, plain
from views.predictions.video_source import Shown
from yt8m_core.runs.run import Run

SIGNS = {"ok": "✓ ok", "odd": "! odd", "wrong": "✗ wrong"}


def feature_check(run: Run, shown: Shown) -> None:
    """The verdict on a file's features in a sentence, and the figures behind it."""
    checked = answers.feature_check(run, shown.digest, shown.frames)
    if checked is None:
        st.caption(
            ":material/info: Whether the features look like those of the training is not checked: the run's training "
            "data are gone, or too few to tell."
        )
        return
    box = {"ok": st.success, "odd": st.warning, "wrong": st.error}[checked.grade]
    icon = {"ok": ":material/check:", "odd": ":material/warning:", "wrong": ":material/error:"}[checked.grade]
    box(plain(checked.verdict), icon=icon)
    table = pd.DataFrame(
        {
            "stream": finding.stream,
            "figure": finding.name,
            "grade": SIGNS[finding.grade],
            "measured": finding.measured,
            "from": finding.expected[0],
            "to": finding.expected[1],
            "meaning": finding.sentence,
        }
        for finding in checked.findings
    )
    with st.expander("What was checked", icon=":material/fact_check:", expanded=checked.grade != "ok"):
        st.dataframe(
            table,
            hide_index=True,
            placeholder="–",
            column_config={
                "stream": st.column_config.TextColumn("Stream", pinned=True),
                "figure": st.column_config.TextColumn("Figure"),
                "grade": st.column_config.TextColumn("Grade"),
                "measured": st.column_config.NumberColumn("Measured", format="%.3g"),
                "from": st.column_config.NumberColumn("From", format="%.3g", help="The lowest value that is ok."),
                "to": st.column_config.NumberColumn("To", format="%.3g", help="The highest value that is ok."),
                "meaning": st.column_config.TextColumn("What it means", width="large"),
            },
            alt="Figures of the file's features beside the range of those of the training",
        )
        st.caption(
            "Each figure is held against what was measured on videos that the run was trained on, or on YouTube-8M's "
            "own. That all are in their ranges does not prove that the features are the same, and no figure sees "
            "whether the labels are right."
        )
        download_csv(table, f"features-{shown.video_id}")
