"""Map page: the videos that are selected in the map."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from components.video_selection import open_videos
from components.video_table import show_video_table
from context import PageContext
from yt8m_core.figures.style import pluralize

MAX_ROWS = 100  # of the table


def selected_positions(event: Any) -> NDArray[np.int64]:
    """Return the positions of the videos that are selected in the map."""
    return np.array([np.ravel(point["customdata"])[0] for point in event["selection"]["points"]], np.int64)


def show_selection(page: PageContext, table: pd.DataFrame, positions: NDArray[np.int64], kind: str) -> None:
    """Show the selected videos, and offer to open them."""
    selected = table[table["video"].isin(positions)]
    st.markdown(f"**{pluralize(len(selected), 'video')} selected**")
    if selected.empty:
        st.caption("Select videos with the lasso or the box above the map.")
        return
    if st.button("Open selection", icon=":material/video_library:", help="Opens the selected videos as a table."):
        open_videos(page, selected["video"].to_numpy(), f"selected in the map of {kind}")
    first = selected.sort_values("ap", kind="stable").head(MAX_ROWS) if "ap" in selected else selected.head(MAX_ROWS)
    columns = [name for name in ("video", "id", "ap", "outcome", "score", "true_names") if name in selected]
    show_video_table(page, first[columns], key="map table", height=400, alt="Selected videos of the map")
    if len(selected) > MAX_ROWS:
        st.caption(f"The {MAX_ROWS} with the lowest AP.")
