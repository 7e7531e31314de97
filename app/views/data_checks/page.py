"""Data checks: what the open data set holds, its faults, and validation videos that the run was trained on."""

import shlex

import numpy as np
import pandas as pd
import streamlit as st

from components.selectors import show_provenance
from components.text import plain
from context import PageContext, current_page
from views.data_checks.findings import MEANING, describe_shared_videos, show_findings
from yt8m_core.data.dataset import Videos
from yt8m_core.errors import UserError
from yt8m_core.figures.style import pluralize

UNNAMED = 0.05  # share of the labels; in the 2018 edition, 56 of 3,862 have no name


def describe_videos(videos: Videos) -> list[tuple[str, str]]:
    """Return what the data set holds, as pairs of a property and its value."""
    frames = videos.num_frames
    streams = ", ".join(f"{name} ({width})" for name, width in videos.schema.streams)
    rows = [("Videos", f"{len(videos):,}"), ("Shards", f"{len(videos.shards):,}"), ("Streams", streams)]
    if videos.schema.level == "frame":
        lowest, middle, highest = np.percentile(frames, (0, 50, 100))
        rows.append(("Seconds per video", f"{middle:,.0f} (median), {lowest:,.0f} to {highest:,.0f}"))
    unlabeled = int((~videos.is_labeled).sum())
    rows.append(("Videos without known labels", f"{unlabeled:,}"))
    return rows


def describe_labels(page: PageContext) -> list[tuple[str, str]]:
    """Return what the labels of the data set are, as pairs of a property and its value."""
    labels = page.labels
    per_video = np.diff(labels.matrix.indptr)
    counts = labels.table["count"]
    return [
        ("Labels in the vocabulary", f"{labels.vocabulary.num_classes:,}"),
        ("Labels that occur", f"{(counts > 0).sum():,}"),
        ("Labels without a name", f"{labels.vocabulary.names.count(''):,}"),
        ("Labels per video", f"{per_video.mean():.2f} (mean), at most {per_video.max():,}"),
    ]


def offer_names(page: PageContext) -> None:
    """Say how labels without names get them."""
    run = page.run
    missing = run.vocabulary.names.count("")
    if missing > UNNAMED * run.facts.num_classes:
        st.info(
            f"{pluralize(missing, 'label')} of run {plain(run.name)} without a name. This command adds the names of a "
            "vocabulary file, one row per label:",
            icon=":material/new_label:",
        )
        command = f"yt8m relocate {shlex.quote(str(run.path))} --vocabulary VOCABULARY.csv"
        st.code(command, language="bash", wrap_lines=True)


page = current_page()
videos = page.videos
show_provenance(page, run=page.run if page.has_run else None, videos=videos)
left, right = st.columns([5, 4], gap="large")
with left:
    st.subheader("Findings", anchor=False, help=MEANING)
    show_findings(page)
    if page.has_run:
        st.markdown(f"**Validation videos of {plain(page.run.name)}**")
        st.markdown(describe_shared_videos(page.run))
        offer_names(page)
with right:
    st.subheader("Contents", anchor=False)
    rows = describe_videos(videos)
    if videos.is_labeled.any():
        try:
            rows += describe_labels(page)
        except UserError as error:
            st.caption(plain(str(error)))
    st.dataframe(
        pd.DataFrame(rows, columns=["Property", "Value"]),
        hide_index=True,
        column_config={
            "Property": st.column_config.TextColumn(width=190),
            "Value": st.column_config.TextColumn(width=300),
        },
        height="content",
        alt="Number of videos, shards, streams and labels of the data set",
    )
