"""Calibration page: reliability of the run's probabilities, and thresholds per label."""

import numpy as np
import streamlit as st

from components.link import linked
from components.selectors import label_picker, require_run, require_run_videos, sample_note, show_provenance
from context import PageContext, current_page
from views.calibration.reliability import Scope, show_reliability
from views.calibration.thresholds import show_thresholds
from yt8m_core.labels.statistics import BANDS

VIEWS = {"reliability": show_reliability, "thresholds": show_thresholds}  # the options are part of links
ALL, LABEL = "all", "label"


def select_labels(page: PageContext) -> Scope | None:
    """Select the labels of the diagram: all, those of a band, or one. Returns None while no label is selected."""
    option = linked(
        st.segmented_control,
        "Labels",
        [ALL, *BANDS, LABEL],
        key="scope",
        default=ALL,
        required=True,
        help="Head: the fewest labels that hold 50% of all label assignments. Head and mid: the fewest that hold 90%. "
        "Tail: all others.",
    )
    if option == LABEL:
        label = label_picker("Label", page.labels.vocabulary)
        return None if label is None else Scope(page.labels.vocabulary.name(label), np.array([label], np.int64), label)
    table = page.labels.table
    chosen = table if option == ALL else table[table["band"] == option]
    return Scope(str(option), np.sort(chosen["label"].to_numpy(np.int64)))


page = current_page()
run = require_run(page)
videos = require_run_videos(page)
show_provenance(page, run=run, videos=videos)
if page.scores.is_sample:
    st.caption(sample_note(page.scores))
controls = st.container(horizontal=True, vertical_alignment="bottom")
with controls:
    view = linked(st.segmented_control, "View", list(VIEWS), key="judge", first="reliability", required=True)
    scope = select_labels(page)
if scope is None:
    st.info("Choose a label by its name.", icon=":material/info:")
elif not len(scope.labels):
    st.info(f"No label is in band {scope.name}.", icon=":material/info:")
else:
    VIEWS[view](page, scope, controls)
