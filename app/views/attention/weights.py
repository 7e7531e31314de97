"""Attention page, view "Where": weights over the seconds of a video, their clusters, and the main scene."""

import math
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import attention
from components.charts import provenance_text, show_chart
from components.page_links import PREDICTIONS, page_link
from components.selection import on_selection
from components.selectors import download_csv, state_setter
from components.text import plain, signed
from views.attention.sharpness import show_sharpness
from views.attention.video_context import VideoContext, show_weight_of_second
from views.attention.view_names import EFFECT, SECOND, VIEW_KEY
from yt8m_core import figures
from yt8m_core.explain import attention_metrics as metrics
from yt8m_core.figures.style import pluralize

Weights = NDArray[np.float32]

HOW_TO_READ = """
**Top**: the attention weight pₜ of each second. The pooled video vector is the weighted mean of the seconds; the
dashed line marks uniform weights. Click a second to select it.

**Below**: the cluster of each second. Each lane is one cluster, the largest on top.

**Matrix**: the cosine similarity of each pair of seconds, as the pooling sees them. Bright squares along the diagonal
are scenes.
"""
SHADED = "**Shaded**: the true main scene, the seconds that show the labels. It is known only for demo data."
ROC_AUC = (
    "Area under the ROC curve: the probability that a random second of the main scene has more weight than a random "
    "second outside it. 0.5 is chance, 1 is perfect."
)


def show_weights(video: VideoContext, weights: Weights, k: int) -> None:
    """Show the weights over time, the clusters of the seconds, and their pairwise similarity."""
    clusters = attention.clusters(video.page, video.video, k)
    largest = metrics.attention_mass(weights, clusters == 0)
    verdict = share_text(f"The largest of {pluralize(int(clusters.max()) + 1, 'cluster')}", largest) + "."
    table = pd.DataFrame({"second": np.arange(video.T), "weight": weights, "cluster": clusters + 1})
    scene = None
    if video.main_scene is not None:
        main = metrics.mask_from_intervals(video.main_scene, video.T)
        table["main_scene"] = main
        scene, auc = metrics.attention_mass(weights, main), metrics.roc_auc(weights, main)
        verdict += (
            f" {share_text('The true main scene', scene)}; ROC AUC of the weight "
            f"{'undefined' if math.isnan(auc) else f'**{auc:.2f}**'}; {main[clusters == 0].mean():.0%} of the largest "
            "cluster belongs to it."
        )
    st.markdown(verdict, help=None if scene is None else ROC_AUC)
    _show_key_figures(weights, largest, scene)
    left, right = st.columns([5, 1], gap="medium")
    with left:
        _show_weight_figure(video, weights, clusters, k)
        _show_selected_second(video)
        with st.container(horizontal=True, vertical_alignment="center"):
            download_csv(table, f"attention-{video.page.run.name}-{video.id}")
            st.caption(
                "Attention is not explanation: weights show where the pooling looks, not why a label is predicted. "
                f"“{EFFECT}” measures the effect of seconds on the prediction."
            )
    with right:
        _show_true_labels(video)
        with st.popover("How to read", icon=":material/help:"):
            st.markdown(HOW_TO_READ + ("" if scene is None else f"\n\n{SHADED}"))
    left, _ = st.columns([5, 1], gap="medium")  # as wide as the weights
    with left:
        _show_similarity(video)
    show_sharpness(video, weights)


def share_text(part: str, mass: metrics.AttentionMass) -> str:
    """Compare the weight on a part of a video with its share of the time."""
    points = round(mass.excess * 100)
    word = "more than its" if points > 0 else "less than its" if points < 0 else "its"
    return (
        f"{part} receives **{word} share**: {mass.weight:.0%} of the weight for {mass.share:.0%} of the time "
        f"({signed(points, 0) if points else 0} points)"
    )


def _show_true_labels(video: VideoContext) -> None:
    """List the true labels, with a link to the predictions."""
    st.markdown("**True labels**")
    names = [plain(video.page.run.vocabulary.name(label)) for label in video.true_labels or ()]
    st.markdown("\n".join(f"- {name}" for name in names) or "Unknown.")
    page_link(PREDICTIONS, "Predictions", ":material/label:", video=video.id)


def _show_weight_figure(video: VideoContext, weights: Weights, clusters: NDArray[np.int64], k: int) -> None:
    def select_second(points: list[dict[str, Any]]) -> None:
        st.session_state["second"] = round(points[0]["x"])

    title = video.title("Attention on")
    show_chart(
        figures.frame_overview(weights, clusters, title=title, scale=video.page.scale, main_scene=video.main_scene),
        key="seconds_chart",
        provenance=provenance_text(video.page),
        data=pd.DataFrame({"second": np.arange(video.T), "weight": weights, "cluster": clusters + 1}),
        code=video.code(
            "frame_overview",
            "video.prediction.attention",
            f"video.clusters({k})",
            "main_scene=video.main_scene",
            title=title,
        ),
        on_select=on_selection("seconds_chart", "points", select_second),
        selection_mode="points",
        alt="Attention weight and cluster of each second of the video",
    )


def _show_selected_second(video: VideoContext) -> None:
    """Link the selected second to its predictions."""
    second = st.session_state.get("second")
    if second is None or second >= video.T:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        show_weight_of_second(video, second)
        st.button(
            f"Effect of second {second}",
            key="open second",
            on_click=state_setter(VIEW_KEY, SECOND),
            icon=":material/arrow_forward:",
        )


def _show_similarity(video: VideoContext) -> None:
    title = video.title("Similarity of the seconds of")
    show_chart(
        figures.frame_similarity(attention.similarity(video.page, video.video), title=title, scale=video.page.scale),
        key="similarity_chart",
        provenance=provenance_text(video.page),
        code=video.code("frame_similarity", "video.similarity", title=title),
        alt="Cosine similarity of all pairs of seconds of the video",
    )


def _show_key_figures(
    weights: Weights, on_cluster: metrics.AttentionMass, on_scene: metrics.AttentionMass | None
) -> None:
    """Show the spread of the weights, and their share on the largest cluster and, if known, on the main scene."""
    with st.container(horizontal=True):
        st.metric(
            "Effective seconds", f"{metrics.effective_frames(weights):.1f} of {len(weights)}", width="content",
            help="Exponential of the entropy: the number of seconds for uniform weights, 1 if a single second has all "
            "the weight.",
        )  # fmt: skip
        st.metric(
            "Entropy", f"{metrics.entropy(weights):.2f} of {math.log(len(weights)):.2f}", width="content",
            help="−Σ p ln p: 0 if a single second has all the weight, the logarithm of the number of seconds for "
            "uniform weights.",
        )  # fmt: skip
        st.metric(
            "Highest weight", f"{weights.max():.3f} at {int(weights.argmax())} s", width="content",
            help="The largest weight, and the second that has it. Weights sum to 1.",
        )  # fmt: skip
        st.metric(
            "Weight on largest cluster", f"{on_cluster.weight:.0%}", width="content",
            help="Share of the weight on the largest cluster of similar seconds.",
        )  # fmt: skip
        if on_scene is not None:
            st.metric(
                "Weight on main scene", f"{on_scene.weight:.0%}", width="content",
                help="Share of the weight on the seconds that show the labels. They are known only for demo data.",
            )  # fmt: skip
