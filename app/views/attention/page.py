"""Attention page: weights of the pooling (section 2.2.4 of the paper), the main scene, and occlusion."""

import contextlib

import streamlit as st

from cache import loaders
from components.link import linked
from components.page_end import end_page
from components.selectors import require_run, require_run_videos, show_provenance
from components.sidebar import open_run
from components.text import plain
from components.video_selection import pick_selected_video
from context import PageContext, current_page
from views.attention.dataset_summary import show_dataset_summary
from views.attention.occlusion import show_effect
from views.attention.single_second import show_single_second
from views.attention.video_context import VideoContext
from views.attention.view_names import ALL_VIDEOS, EFFECT, SECOND, VIEW_KEY, VIEWS, WHERE, accept_old_links
from views.attention.weights import show_weights
from yt8m_core.errors import UserError

CLUSTERS, DEFAULT_CLUSTERS = ("2", "3", "4", "5", "6", "7", "8"), "5"


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


def select_clusters() -> int:
    """Select k."""
    k = linked(
        st.selectbox,
        "Clusters",
        CLUSTERS,
        None,
        first=DEFAULT_CLUSTERS,
        key="k",
        width=100,
        help="Number of k-means clusters of similar seconds. The paper takes the largest cluster for the main scene.",
    )
    return int(k or DEFAULT_CLUSTERS)


def show_video(page: PageContext, view: str, video: int, k: int) -> None:
    """Show a view of one video."""
    context = VideoContext(page, video)
    if context.T < 2:
        st.info("This video has fewer than two seconds. Choose another video.", icon=":material/info:")
    elif view == WHERE:
        show_weights(context, context.prediction.weights, k)
    elif view == EFFECT:
        show_effect(context)
    else:
        show_single_second(context)


page = current_page()
run = require_run(page)
videos = require_run_videos(page)
show_provenance(page, run=run, videos=videos)
has_attention = loaders.has_attention(run)
if videos.schema.level != "frame":
    offer_runs_with_attention(page)
    end_page()
accept_old_links()
with st.container(horizontal=True, vertical_alignment="bottom"):
    view = linked(
        st.segmented_control,
        "View",
        VIEWS,
        key=VIEW_KEY,
        first=WHERE if has_attention else EFFECT,
        required=True,
        wrap=True,
    )
    video = 0
    if view != ALL_VIDEOS:
        with st.container(width="content"):
            video, _ = pick_selected_video(page, videos, picks_label=True)
    k = select_clusters() if has_attention and view in (WHERE, ALL_VIDEOS) else 0
if not has_attention and view not in (EFFECT, SECOND):
    offer_runs_with_attention(page)
elif view == ALL_VIDEOS:
    show_dataset_summary(page, k)
else:
    show_video(page, view, video, k)
