"""Attention page: weights of the pooling (section 2.2.4 of the paper), the main scene, and occlusion."""

import contextlib

import streamlit as st

from cache import loaders
from components.link import linked
from components.selectors import require_run, require_run_videos, show_provenance
from components.sidebar import open_run
from components.text import plain
from components.video_selection import pick_selected_video
from context import PageContext, current_page
from views.attention.dataset_summary import show_dataset_summary
from views.attention.occlusion import show_random_comparison, show_single_second, show_window_occlusion
from views.attention.sharpness import show_sharpness
from views.attention.video_context import VideoContext
from views.attention.weights import show_true_labels, show_weights
from yt8m_core.errors import UserError


def offer_runs_with_attention(page: PageContext) -> None:
    """Say that the run has no attention weights, and offer the runs that have."""
    st.info(
        f"The pooling of this run, {plain(page.run.experiment.pooling.name)}, has no attention weights. Choose a run "
        "whose pooling has.",
        icon=":material/info:",
    )
    for key, run in page.workspace.runs.items():
        with contextlib.suppress(UserError):  # a faulty run is not offered
            if loaders.has_attention(run):
                st.button(
                    f"Use run {plain(key)}",
                    on_click=open_run,
                    args=(page.workspace, key),
                    icon=":material/model_training:",
                )


page = current_page()
run = require_run(page)
videos = require_run_videos(page)
show_provenance(page, run=run, videos=videos)
if not loaders.has_attention(run):
    offer_runs_with_attention(page)
if videos.schema.level != "frame":
    st.stop()

position, _ = pick_selected_video(page, videos, picks_label=True)
video = VideoContext(page, position)
if video.T < 2:
    st.info("This video has fewer than two seconds. Choose another video.", icon=":material/info:")
    st.stop()
weights = video.prediction.attention
if weights is None:
    show_true_labels(video)
    show_window_occlusion(video)
    show_single_second(video)
else:
    k = linked(
        st.slider,
        "Clusters",
        2,
        8,
        5,
        key="k",
        width=340,
        help="Number of k-means clusters of similar seconds. The paper takes the largest cluster for the main scene.",
    )
    show_weights(video, weights, k)
    show_sharpness(video, weights)
    show_random_comparison(video)
    show_window_occlusion(video)
    show_single_second(video)
    show_dataset_summary(page, k)
