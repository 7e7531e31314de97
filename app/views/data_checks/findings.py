"""Data checks: faults of the open data set, and validation videos that the run was trained on."""

import streamlit as st

from cache import loaders
from components.text import plain
from context import PageContext
from yt8m_core.data.checks import DataCheck
from yt8m_core.runs.run import Run

MEANING = (
    "Repeated labels, features that are all the same value, missing audio, labels that are not read, and equal videos. "
    "Each record is checked when the data set is first opened."
)


def show_findings(page: PageContext) -> None:
    """Show what the checks of the open data set have found."""
    checks = loaders.data_checks(page.data)
    if page.has_run and page.run.facts.schema.accepts(page.videos.schema):
        checks += loaders.scale_check(page.run, page.data)
    for check in checks:
        _show(check)
    if not checks:
        st.caption(f"No findings in data set {plain(page.data_key)}.", help=MEANING)


def _show(check: DataCheck) -> None:
    if check.is_fatal:
        st.error(plain(check.message), icon=":material/error:")
    else:
        st.warning(plain(check.message), icon=":material/warning:")


def describe_shared_videos(run: Run) -> str:
    """Say whether validation videos of a run are among its training videos, as far as that was compared."""
    shared = run.metrics.get("shared_videos")
    if shared is None:
        return "Whether training videos are among them was not compared: the run is of an older version."
    text = "None of them is a training video, by id and by features."
    if shared:
        text = f"**{shared:,} of them are also training videos**, so the numbers are too good."
    if not run.experiment.init:
        return text
    learned = run.metrics.get("init_shared_videos")
    if learned is None:
        return f"{text} Whether the run that it started from has learned from them could not be compared."
    if not learned:
        return f"{text} The run that it started from has not learned from any of them either."
    return f"{text} **The run that it started from has learned from {learned:,} of them**."
