"""Videos page: table of the selected videos. A click on a row opens the video on the predictions page."""

from typing import Any, NoReturn

import pandas as pd
import streamlit as st

from components.link import open_page
from components.selectors import download_csv
from components.video_selection import VideoSelection
from context import PageContext
from yt8m_core.analysis.outcomes import OUTCOMES
from yt8m_core.analysis.video_table import LABEL_OUTCOMES

MAX_ROWS = 500  # sent to the browser
SIGNS = {
    "true positive": "✓ true positive",
    "missed": "✗ missed",
    "false positive": "✗ false positive",
    "": "neither",
}
COLUMNS: dict[str, Any] = {
    "id": st.column_config.TextColumn("Video", pinned=True, width=70),
    "ap": st.column_config.ProgressColumn(
        "AP",
        format="%.2f",
        min_value=0,
        max_value=1,
        width=90,
        help="Average precision of the video: 1 if all its true labels rank above all others.",
    ),
    "outcome": st.column_config.TextColumn(
        "Outcome",
        help="; ".join(f"{SIGNS[name]}: {meaning}" for name, meaning in LABEL_OUTCOMES.items()),
        width=110,
    ),
    "score": st.column_config.NumberColumn("Score", help="Probability of the selected label.", format="%.3f", width=60),
    "true_names": st.column_config.TextColumn("True labels", width=200),
    "false_negatives": st.column_config.NumberColumn(
        "FN", help=f"False negatives: number of {OUTCOMES['false negative']}.", width=45
    ),
    "false_positives": st.column_config.NumberColumn(
        "FP", help=f"False positives: number of {OUTCOMES['false positive']}.", width=45
    ),
    "lowest_name": st.column_config.TextColumn(
        "Lowest true label", help="The true label that ranks lowest.", width=130
    ),
    "worst_rank": st.column_config.NumberColumn("Its rank", format="localized", width=65),
    "false_name": st.column_config.TextColumn(
        "Top false label", help="The most probable label that is not true, at any threshold.", width=130
    ),
    "false_probability": st.column_config.NumberColumn("Its score", format="%.3f", width=70),
    "disagreement": st.column_config.NumberColumn(
        "Disagreement",
        help="Largest difference between the probabilities of both runs, over all labels.",
        format="%.3f",
        width=95,
    ),
    "disputed_name": st.column_config.TextColumn("Its label", width=130),
    "num_frames": st.column_config.NumberColumn("Seconds", width=65),
}


def visible_columns(page: PageContext, table: pd.DataFrame) -> list[str]:
    """Return the columns that a table has, without lengths at video level."""
    hidden = "num_frames" if page.run_videos.schema.level == "video" else ""
    return [column for column in COLUMNS if column in table and column != hidden]


def show_videos(page: PageContext, selection: VideoSelection) -> None:
    """Show how many videos are selected, and the first of them; open the one that is clicked."""
    table = selection.table
    if "outcome" in table:
        table = table.assign(outcome=table["outcome"].map(SIGNS))
    columns = visible_columns(page, table)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{len(table):,} of {selection.num_videos:,} videos**", width="content")
        if st.button(
            "Use this selection",
            icon=":material/play_circle:",
            disabled=table.empty,
            help="Opens the first video on the predictions page. There and on the attention page, Previous and Next "
            "visit the selected videos.",
        ):
            open_video(str(table["id"].iloc[0]))
        download_csv(table[[*columns, "video"]], f"videos-{page.data_key}")
        note = f"The first {MAX_ROWS:,} are shown; the file has all. " if len(table) > MAX_ROWS else ""
        st.caption(f"{note}Click a row to open the video.", width="content")
    shown = table.head(MAX_ROWS)
    event: Any = st.dataframe(
        shown[columns],
        hide_index=True,
        column_config=COLUMNS,
        key="video table",
        on_select="rerun",
        selection_mode="single-cell",
        height=480 if len(shown) > 12 else "content",
        placeholder="–",
        alt=f"{len(shown)} of {len(table)} selected videos with their quality and errors",
    )
    cells = event["selection"]["cells"]
    if cells and cells[0][0] < len(shown):
        open_video(str(shown["id"].iloc[cells[0][0]]))


def open_video(video_id: str) -> NoReturn:
    """Open a video on the predictions page."""
    st.session_state["video"] = video_id
    st.session_state.pop("go to first", None)
    open_page("views/predictions/page.py")
