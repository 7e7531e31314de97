"""Videos page: all videos of the data set in one table, filtered, sorted and as a file."""

import streamlit as st

from components.selectors import require_run, require_run_videos, show_provenance
from components.video_filters import video_filters
from components.video_selection import select_videos, show_chart_selection, show_missing_choices
from context import current_page
from views.videos.table import show_videos

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
show_videos(page, selection)
