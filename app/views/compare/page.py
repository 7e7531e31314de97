"""Compare page: difference of two runs on the same videos, by band, label and video."""

import streamlit as st

from cache import comparisons
from components.link import linked
from components.page_end import end_page
from components.selectors import (
    require_run,
    require_run_videos,
    sample_note,
    second_run_picker,
    show_differences,
    show_provenance,
)
from components.text import plain
from context import PageContext, current_page
from views.compare.answer import show_answer
from views.compare.label_filters import filter_labels
from views.compare.labels import show_labels
from views.compare.one_label import show_one_label
from views.compare.videos import show_videos
from yt8m_core.analysis import per_label

VIEWS = {"labels": show_labels, "videos": show_videos, "one label": show_one_label}  # the options are part of links


def find_second_runs(page: PageContext) -> dict[str, str]:
    """Return each other run, and why it cannot score the videos of the data set; empty if it can."""
    runs = page.workspace.runs
    own = page.run
    reasons = {}
    for key, run in runs.items():
        if key == page.run_key:
            continue
        if run.facts.num_classes != own.facts.num_classes:
            reasons[key] = f"It scores {run.facts.num_classes:,} labels, and this run {own.facts.num_classes:,}."
        elif not run.vocabulary.fits(own.vocabulary):
            reasons[key] = "It has other labels."
        else:
            reasons[key] = page.workspace.misfit(key, page.data_key)
    return reasons


def explain_misfits(reasons: dict[str, str]) -> None:
    """Say why there is no second run."""
    st.info(
        f"No second run scores these videos with the same labels as {plain(page.run_key)}. Train another run on the "
        "same data to compare.",
        icon=":material/info:",
    )
    for key, reason in reasons.items():
        st.caption(f"**{plain(key)}**: {plain(reason)}")


def swap_runs(other: str) -> None:
    """Make the second run the first one, on the same data; a callback."""
    st.session_state["run"], st.session_state["run_b"] = other, page.run_key


page = current_page()
run = require_run(page)
require_run_videos(page)
show_provenance(page, run=run, videos=page.videos)
reasons = find_second_runs(page)
fitting = [key for key, reason in reasons.items() if not reason]
if not fitting:
    explain_misfits(reasons)
    end_page()
with st.container(horizontal=True, vertical_alignment="bottom"):
    other = second_run_picker(page, "Second run", fitting)
    if other is None:
        end_page()
    st.button("Swap", icon=":material/swap_horiz:", on_click=swap_runs, args=(other.run_key,), help="Swaps both runs.")
    view = linked(st.segmented_control, "View", list(VIEWS), key="by", first="labels", required=True)
    require_run_videos(other)
    table, minimum = filter_labels(comparisons.label_gains(page, other))
show_differences(page, [other.run_key])
if page.scores.is_sample:
    st.caption(sample_note(page.scores))
supported = table[table["positives"] >= minimum]
answer, details = st.columns([2, 3], gap="large")
with answer:
    show_answer(page, other, per_label.gain_by_band(supported), minimum)
VIEWS[view](page, other, supported, details)
