"""Predictions page: check that uploaded features resemble the training features."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from cache import scores
from components.selectors import download_csv
from components.text import plain
from views.predictions.video_source import SelectedVideo
from yt8m_core.runs.run import Run

if TYPE_CHECKING:
    from yt8m_core.data.feature_check.check import FeatureCheck

GRADES = {"ok": "✓ ok", "unusual": "! unusual", "wrong": "✗ wrong"}


def show_feature_check(run: Run, video: SelectedVideo) -> None:
    """Show the verdict on an uploaded video's features, and the checks behind it."""
    check = scores.feature_check(run, video.digest, video.frames)
    if check is None:
        st.caption(
            ":material/info: The features are not checked: the run's training data are missing or too small to compare "
            "with."
        )
        return
    box = {"ok": st.success, "unusual": st.warning, "wrong": st.error}[check.grade]
    icon = {"ok": ":material/check:", "unusual": ":material/warning:", "wrong": ":material/error:"}[check.grade]
    box(plain(check.verdict), icon=icon)
    with st.expander("Feature checks", icon=":material/fact_check:", expanded=check.grade != "ok"):
        table = _check_table(check)
        st.dataframe(
            table,
            hide_index=True,
            placeholder="–",
            column_config={
                "stream": st.column_config.TextColumn("Stream", pinned=True),
                "check": st.column_config.TextColumn("Check"),
                "grade": st.column_config.TextColumn("Grade"),
                "measured": st.column_config.NumberColumn("Measured", format="%.3g"),
                "from": st.column_config.NumberColumn("Min", format="%.3g", help="Lowest value graded ok."),
                "to": st.column_config.NumberColumn("Max", format="%.3g", help="Highest value graded ok."),
                "meaning": st.column_config.TextColumn("Meaning", width="large"),
            },
            alt="Measurements of the uploaded features with the expected range of each",
        )
        st.caption(
            "Ranges are measured on the run's training videos or on YouTube-8M. Passing all checks does not prove that "
            "the features are the same, and labels are not checked."
        )
        download_csv(table, f"features-{video.id}")


def _check_table(check: "FeatureCheck") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "stream": finding.stream,
            "check": finding.name,
            "grade": GRADES[finding.grade],
            "measured": finding.measured,
            "from": finding.expected[0],
            "to": finding.expected[1],
            "meaning": finding.sentence,
        }
        for finding in check.findings
    )
