"""Tables of videos. A click on a row opens the video on the predictions page."""

from typing import Any, NoReturn

import pandas as pd
import streamlit as st

from components.link import switch_page
from context import PageContext
from yt8m_core.analysis.outcomes import OUTCOMES
from yt8m_core.analysis.video_table import LABEL_OUTCOMES

MAX_SHORT = 12  # rows of a table that is shown in full
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


def show_video_table(page: PageContext, table: pd.DataFrame, *, key: str, height: int, alt: str) -> None:
    """Show a table of videos, and open the one that is clicked.

    Args:
        page: The page.
        table: As ``video_selection.VideoSelection.table``.
        key: Start of the table's key.
        height: Height in pixels of a long table.
        alt: Description of the table.
    """
    columns = visible_columns(page, table)
    shown = table[columns]
    if "outcome" in columns:
        shown = shown.assign(outcome=shown["outcome"].map(SIGNS))
    event: Any = st.dataframe(
        shown,
        hide_index=True,
        column_config=COLUMNS,
        # A table of its own for other rows: Streamlit ignores the first click on a table whose rows have changed.
        key=f"{key} {hash(tuple(table['id']))}",
        on_select="rerun",
        selection_mode="single-cell",
        height=height if len(shown) > MAX_SHORT else "content",
        placeholder="–",
        alt=alt,
    )
    cells = event["selection"]["cells"]
    if cells and cells[0][0] < len(table):
        open_video(str(table["id"].iloc[cells[0][0]]))


def visible_columns(page: PageContext, table: pd.DataFrame) -> list[str]:
    """Return the columns that a table has, without lengths at video level."""
    hidden = "num_frames" if page.run_videos.schema.level == "video" else ""
    return [column for column in COLUMNS if column in table and column != hidden]


def open_video(video_id: str) -> NoReturn:
    """Open a video on the predictions page."""
    st.session_state["video"] = video_id
    st.session_state.pop("go to first", None)
    switch_page("views/predictions/page.py")
