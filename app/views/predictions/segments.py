"""Predictions page: where in the video a label is, with the ratings of its segments and the attention beside it."""

import html
from typing import Any

import pandas as pd
import streamlit as st

from cache import loaders, scores
from components.charts import show_chart
from components.selection import on_selection
from components.selectors import download_csv, fragment
from context import PageContext
from views.predictions.video_source import SelectedVideo
from yt8m_core import figures
from yt8m_core.data.tfrecord.ratings import SEGMENT_FRAMES

TOP = 8  # labels of a segment


@fragment
def show_segments(page: PageContext, video: SelectedVideo, label: int) -> None:
    """Show the score of a label over time, and the top labels of the segment that is clicked.

    Args:
        page: The page.
        video: The selected video.
        label: The explained label.
    """
    if page.run.facts.schema.level != "frame" or len(video.frames) <= SEGMENT_FRAMES:
        return
    from yt8m_core.explain.segment_table import segment_table

    st.subheader("Where in the video", anchor=False)
    probabilities = scores.segment_scores(page.run, video.digest, video.frames)
    table = segment_table(probabilities[:, label], len(video.frames), video.prediction.attention)
    ratings = [] if video.position is None else loaders.ratings(page.data, video.position, label)
    name = page.run.vocabulary.name(label)
    title = video.title(f"{html.escape(name)} in")
    whole = float(video.prediction.probabilities[label])

    def select(points: list[dict[str, Any]]) -> None:
        st.session_state["segment"] = video.digest, int(points[0]["customdata"][0])  # its first second

    chart, labels = st.columns([5, 4], gap="large")
    with chart:
        show_chart(
            figures.segment_scores(
                table, title=title, scale=video.scale, whole=whole, ratings=ratings, main_scene=video.main_scene
            ),
            key="segments",
            provenance=video.provenance(page),
            data=table,
            code=video.code(
                page,
                "segment_scores",
                f"video.segment_table({label})",
                "main_scene=video.main_scene",
                title=title,
                whole=whole,
                ratings=ratings or None,
            ),
            on_select=on_selection("segments", "points", select),
            selection_mode="points",
            alt=f"Probability of {name} in each five-second segment of the video",
        )
        st.caption(
            "Each five-second segment is scored as if it were a video. A run that was trained on whole videos has "
            "never seen such short ones; one that was trained on rated segments has."
        )
        download_csv(table, f"segments-{video.id}-{label}", "Download segments as CSV")
    with labels:
        _show_top_labels(page, video, probabilities, table)


def _show_top_labels(page: PageContext, video: SelectedVideo, probabilities: Any, table: pd.DataFrame) -> None:
    """Show what the run says in the selected segment; default: the one with the highest score of the label."""
    digest, first = st.session_state.get("segment", ("", 0))
    row = first // SEGMENT_FRAMES if digest == video.digest else int(table["probability"].argmax())
    start, end = int(table["start"][row]), int(table["end"][row])
    st.markdown(f"**Top labels from {start} to {end - 1} s**")
    st.caption("Click a segment of the chart to see its labels.")
    order = (-probabilities[row]).argsort(kind="stable")[:TOP]
    shown = pd.DataFrame(
        {
            "name": [page.run.vocabulary.name(int(label)) for label in order],
            "segment": probabilities[row][order],
            "video": video.prediction.probabilities[order],
        }
    )
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "name": st.column_config.TextColumn("Label", pinned=True),
            "segment": st.column_config.ProgressColumn(
                "Segment", min_value=0, max_value=1, format="%.3f", width="small"
            ),
            "video": st.column_config.NumberColumn("Video", format="%.3f", width="small"),
        },
        alt=f"The top {len(shown)} labels of the segment from {start} s on",
    )
