"""Attention page: weights over the seconds of a video, their clusters, and the main scene."""

import html
import math

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import attention
from components.selectors import download_csv
from components.text import plain
from views.attention.video_context import VideoContext
from yt8m_core import figures
from yt8m_core.explain import attention_metrics as metrics
from yt8m_core.figures.style import pluralize

Weights = NDArray[np.float32]

HOW_TO_READ = """
**Top**: the attention weight pₜ of each second. The pooled video vector is the weighted mean of the seconds; the
dashed line marks uniform weights.

**Middle**: the cluster of each second. Each lane is one cluster, the largest on top.

**Bottom**: the cosine similarity of each pair of seconds, as the pooling sees them. Bright squares along the diagonal
are scenes.
"""
SHADED = "**Shaded**: the true main scene, the seconds that show the labels. It is known only for demo data."
ROC_AUC = (
    "Area under the ROC curve: the probability that a random second of the main scene has more weight than a random "
    "second outside it. 0.5 is chance, 1 is perfect."
)


def show_true_labels(video: VideoContext) -> None:
    """List the true labels, with a link to the predictions."""
    st.subheader("True labels", anchor=False)
    names = [plain(video.page.run.vocabulary.name(label)) for label in video.true_labels or ()]
    st.markdown("\n".join(f"- {name}" for name in names) or "Unknown.")
    st.page_link("views/predictions/page.py", label="Predictions", icon=":material/label:")


def show_weights(video: VideoContext, weights: Weights, k: int) -> None:
    """Show the weights over time, the clusters of the seconds, and their pairwise similarity."""
    clusters = attention.clusters(video.page, video.video, k)
    on_cluster = metrics.attention_mass(weights, clusters == 0)
    main = None if video.main_scene is None else metrics.mask_from_intervals(video.main_scene, video.T)
    _show_key_figures(weights, on_cluster, None if main is None else metrics.attention_mass(weights, main))
    left, right = st.columns([3, 1], gap="large")
    with left:
        _show_weight_figure(video, weights, clusters)
        table = pd.DataFrame({"second": np.arange(video.T), "weight": weights, "cluster": clusters + 1})
        if main is not None:
            table["main_scene"] = main
        download_csv(table, f"attention-{video.page.run.name}-{video.id}")
    with right:
        show_true_labels(video)
        st.markdown(HOW_TO_READ + ("" if main is None else f"\n\n{SHADED}"))
    st.markdown(
        f"The largest of {pluralize(int(clusters.max()) + 1, 'cluster')} covers {on_cluster.share:.0%} of the time and "
        f"receives **{on_cluster.weight:.0%} of the weight**: {_excess_text(on_cluster.excess)}."
    )
    if main is not None:
        auc = metrics.roc_auc(weights, main)
        st.markdown(
            f"Of that cluster, {main[clusters == 0].mean():.0%} belongs to the true main scene, which covers "
            f"{main.mean():.0%} of the time. ROC AUC of the weight as a detector of the main scene: "
            + ("undefined." if math.isnan(auc) else f"**{auc:.2f}**."),
            help=ROC_AUC,
        )
    st.caption(
        "Attention is not explanation: weights show where the pooling looks, not why a label is predicted. The "
        "occlusion sections below measure the effect of seconds on the prediction."
    )


def _show_weight_figure(video: VideoContext, weights: Weights, clusters: NDArray[np.int64]) -> None:
    def select_second() -> None:
        if points := st.session_state["seconds_chart"]["selection"]["points"]:
            st.session_state["second"] = round(points[0]["x"])

    pooling = video.page.run.experiment.pooling.name
    st.plotly_chart(
        figures.frame_overview(
            weights,
            clusters,
            attention.similarity(video.page, video.video),
            title=video.title(f"Attention of {html.escape(pooling)} on"),
            scale=video.page.scale,
            main_scene=video.main_scene,
        ),
        key="seconds_chart",
        on_select=select_second,
        selection_mode="points",
        alt="Attention weight and cluster of each second of the video, and the similarity of all pairs of seconds",
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
        _show_mass(
            "Weight on largest cluster", on_cluster,
            "Share of the weight on the largest cluster of similar seconds, and the share of the time it covers.",
        )  # fmt: skip
        if on_scene is not None:
            _show_mass(
                "Weight on main scene", on_scene,
                "Share of the weight on the seconds that show the labels, and the share of the time they cover. They "
                "are known only for demo data.",
            )  # fmt: skip


def _show_mass(title: str, mass: metrics.AttentionMass, meaning: str) -> None:
    st.metric(
        title, f"{mass.weight:.0%}", f"{mass.share:.0%} of the time",
        delta_color="off", delta_arrow="off", width="content", help=meaning,
    )  # fmt: skip


def _excess_text(excess: float) -> str:
    """Describe an attention minus time share."""
    if abs(excess) < 0.005:
        return "the same as with uniform weights"
    return f"{abs(excess) * 100:.0f} points {'more' if excess > 0 else 'less'} than with uniform weights"
