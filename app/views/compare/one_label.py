"""Compare page: the videos that only one of two runs gets right for a label."""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components.columns import probability_column, true_column
from components.link import linked
from components.page_links import PREDICTIONS, label_option, show_links
from components.selectors import label_picker
from components.text import plain
from context import PageContext
from views.compare.labels import show_label_difference
from yt8m_core.analysis.outcomes import TOP_K
from yt8m_core.figures.style import pluralize

TOP, AT_THRESHOLD = f"top {TOP_K}", "threshold"
HEIGHT = 330  # pixels


def show_one_label(page: PageContext, other: PageContext, labels: pd.DataFrame, place: DeltaGenerator) -> None:
    """Show the videos that only one run gets right for the selected label; without ``labels``."""
    vocabulary = page.labels.vocabulary
    with place:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            label = label_picker("Label", vocabulary, width=220)
            threshold = _select_criterion()
        if label is None:
            st.info("Choose a label by its name, or by a point in view “labels”.", icon=":material/info:")
            return
        if page.scores.truth[:, [label]].nnz:
            show_label_difference(page, other, label)
        else:
            st.caption("No scored video has this label, so its average precision is undefined.")
        _show_sides(page, other, label, threshold)


def _select_criterion() -> float | None:
    """Select when a run is right about a video. Returns the threshold; None for the top 20."""
    criterion = linked(
        st.segmented_control,
        "Right if",
        [AT_THRESHOLD, TOP],
        key="right_if",
        default=AT_THRESHOLD,
        required=True,
        help=f"- {AT_THRESHOLD}: the label is predicted (probability at or above the threshold) exactly where it is "
        f"true\n- {TOP}: the label is in the top {TOP_K} of a video that has it",
    )
    if criterion == TOP:
        return None
    threshold: float = linked(
        st.number_input, "Threshold", 0.0, 1.0, 0.5, 0.05, key="pair_threshold", width=140, format="%.2f"
    )
    return threshold


def _show_sides(page: PageContext, other: PageContext, label: int, threshold: float | None) -> None:
    from yt8m_core.analysis.run_differences import correct_by_one

    option = label_option(label, page.run.vocabulary)
    videos = page.run_videos
    columns = {
        "id": st.column_config.TextColumn("Video", pinned=True),
        "true": true_column(),
        "probability": probability_column("First run"),
        "probability_b": probability_column("Second run"),
        "rank": st.column_config.NumberColumn("Rank", help="Rank by the first run.", format="localized"),
        "rank_b": st.column_config.NumberColumn("Second rank", help="Rank by the second run.", format="localized"),
    }
    sides = correct_by_one(page.scores, other.scores, label, threshold)
    for column, side, rows in zip(st.columns(2), (page, other), sides, strict=True):
        with column:
            st.markdown(f"Only **{plain(side.run.name)}** is right: {pluralize(len(rows), 'video')}")
            show_links(
                rows.assign(id=[videos.id(video) for video in rows["video"].tolist()]),
                PREDICTIONS,
                lambda row: {"video": row.id, "label": option, "runs": [other.run_key]},
                columns=columns,
                key=f"videos right with {'a' if side is page else 'b'}",
                alt=f"Videos that only run {side.run.name} gets right for label {page.labels.vocabulary.name(label)}",
                height=HEIGHT,
            )
    st.caption("Largest difference of the probabilities first. Click a row to open the video with both runs.")
