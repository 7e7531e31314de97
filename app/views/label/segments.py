"""Label page: the segments with the highest score of the label, each as a link to its video."""

import streamlit as st

from cache import scores
from components.link import linked
from components.page_links import label_option, video_link
from components.text import plain
from context import PageContext

LISTED = 10  # segments
BEST = "best segments"
SIGNS = {True: ", rated present ✓", False: ", rated absent ✗"}


def show_best_segments(page: PageContext, label: int) -> None:
    """List the best segments of the label once a person asks for them: all segments have to be scored first."""
    if page.run_videos.schema.level != "frame":
        return
    wanted = linked(
        st.pills,
        "Segments",
        [BEST],
        key="segments of",
        help="Scores each five-second segment as if it were a video, at most 20,000 of them; once per run.",
    )
    if not wanted:
        return
    best = scores.best_segments(page)
    if best.num_videos < len(page.run_videos):
        st.caption(f"Of a sample of {best.num_videos:,} of {len(page.run_videos):,} videos.")
    option = label_option(label, page.run.vocabulary)
    for segment in best.table(label, LISTED).to_dict("records"):
        start, end = segment["start"], segment["end"] - 1
        rating = SIGNS.get(segment["is_present"], "")
        text = f"**{plain(segment['video'])}** {start} to {end} s, probability {segment['probability']:.4f}{rating}"
        video_link(segment["video"], text, label=option)
