"""Videos page: all videos of the data set in one table, filtered, sorted and as a file."""

import streamlit as st

from components.selectors import download_csv, require_run, require_run_videos, show_provenance
from components.video_filters import video_filters
from components.video_selection import VideoSelection, select_videos, show_chart_selection, show_missing_choices
from components.video_table import open_video, show_video_table, visible_columns
from context import PageContext, current_page

MAX_ROWS = 500  # sent to the browser


def show_actions(page: PageContext, selection: VideoSelection) -> None:
    """Show how many videos are selected, and what can be done with them."""
    table = selection.table
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
        download_csv(table[[*visible_columns(page, table), "video"]], f"videos-{page.data_key}")
        note = f"The first {MAX_ROWS:,} are shown; the file has all. " if len(table) > MAX_ROWS else ""
        st.caption(f"{note}Click a row to open the video.", width="content")


page = current_page()
run = require_run(page)
videos = require_run_videos(page)
show_provenance(page, run=run, videos=videos)
is_labeled = bool(videos.is_labeled.any())
filters = video_filters(page, is_labeled=is_labeled, picks_label=True)
positions = show_chart_selection(page)
selection = select_videos(page, filters, positions)
if not is_labeled:
    st.caption(":material/info: No video has labels: there is nothing to compare the predictions with.")
show_missing_choices(page, selection)
show_actions(page, selection)
shown = selection.table.head(MAX_ROWS)
show_video_table(
    page,
    shown,
    key="video table",
    height=480,
    alt=f"{len(shown)} of {len(selection.table)} selected videos with their quality and errors",
)
