"""Label page: the videos with the largest errors, each as a link to its predictions."""

from typing import Any

import pandas as pd
import streamlit as st

from components.page_links import label_option, video_link
from components.text import plain
from context import PageContext
from yt8m_core.analysis import per_label

LISTED = 5  # videos


def show_videos(page: PageContext, label: int, ranks: pd.DataFrame) -> None:
    """List the lowest-ranked positives and the most confident false positives.

    Args:
        page: The page.
        label: The label.
        ranks: Result of ``per_label.true_ranks``.
    """
    run_scores, videos = page.scores, page.videos
    option = label_option(label, page.run.vocabulary)
    positives, negatives = st.columns(2, gap="medium")

    def show(video: dict[Any, Any], text: str) -> None:
        video_id = videos.id(int(run_scores.videos[int(video["row"])]))
        video_link(video_id, f"**{plain(video_id)}** {text}", label=option)

    with positives:
        st.markdown("**Lowest-ranked positives**")
        hardest = per_label.hardest_videos(ranks, label, LISTED)
        if hardest.empty:
            st.caption("No scored video has this label.")
        for video in hardest.to_dict("records"):
            show(video, f"rank {video['rank']:,.0f} in the video, probability {video['probability']:.4f}")
    with negatives:
        st.markdown("**Most confident false positives**", help="Some may be true: data sets miss labels.")
        for video in per_label.top_false_positives(run_scores, label, LISTED).to_dict("records"):
            show(video, f"probability {video['probability']:.4f}")
