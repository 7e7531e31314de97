"""Attention page: attention on the largest cluster and on the main scene, over the whole data set."""

import math

import pandas as pd
import streamlit as st

from cache import attention
from components.columns import probability_column
from components.link import linked
from components.selectors import download_csv
from context import PageContext
from views.attention.weights import ROC_AUC
from yt8m_core import figures
from yt8m_core.explain.attention_metrics import MeanInterval, mean_interval
from yt8m_core.figures.style import pluralize


def show_dataset_summary(page: PageContext, k: int) -> None:
    """Test on the data set whether attention prefers the largest of k clusters, and the main scene."""
    st.subheader("Data set summary", anchor=False)
    st.markdown(
        "The paper assumes that attention finds the **largest cluster** of similar seconds, and that this is the main "
        f"scene. This section tests both on all videos of the data set, with {k} clusters per video (slider above)."
    )
    if not linked(st.toggle, "Analyze the data set", key="many", help="The first analysis takes a few seconds."):
        return
    table = attention.attention_study(page, k)
    if len(table) < len(page.run_videos):
        st.caption(f"A random sample of {len(table):,} of {len(page.run_videos):,} videos.")
    _show_largest_cluster(table)
    if table["main_excess"].notna().any():
        _show_main_scene(table)
    st.plotly_chart(
        figures.attention_excess(table, scale=page.scale),
        key="many_chart",
        alt="Histogram of the attention minus time share of the largest cluster, over videos",
    )
    _show_video_table(table)
    download_csv(table, f"attention-study-{page.run.name}-{k}")


def _show_largest_cluster(table: pd.DataFrame) -> None:
    excess = mean_interval(table["cluster_excess"])
    st.markdown(
        f"The largest cluster covers {table['cluster_share'].mean():.0%} of the time and receives "
        f"{table['cluster_weight'].mean():.0%} of the weight: {_in_points(excess)}. "
        + preference_verdict(excess, "the largest cluster")
    )


def _show_main_scene(table: pd.DataFrame) -> None:
    excess, auc = (mean_interval(table[column]) for column in ("main_excess", "main_auc"))
    overlap = mean_interval(table["cluster_main"] - table["main_share"])
    st.markdown(
        f"The true main scene covers {table['main_share'].mean():.0%} of the time and receives "
        f"{table['main_weight'].mean():.0%} of the weight: {_in_points(excess)}. "
        + preference_verdict(excess, "the main scene")
    )
    st.markdown(
        f"ROC AUC of the weight as a detector of the main scene: **{auc.mean:.2f}** [{auc.low:.2f}, {auc.high:.2f}] "
        f"(95% CI). The main scene makes up {table['cluster_main'].mean():.0%} of the largest cluster, "
        f"{overlap.mean * 100:+.1f} points [{overlap.low * 100:+.1f}, {overlap.high * 100:+.1f}] relative to chance.",
        help=ROC_AUC,
    )


def preference_verdict(excess: MeanInterval, part: str) -> str:
    """Return whether the interval of the attention minus time share shows a preference for a part of the videos."""
    if math.isnan(excess.low):
        return "One video is not enough for an interval."
    if excess.low > 0:
        return f"The interval is above 0: **attention prefers {part}.**"
    if excess.high < 0:
        return f"The interval is below 0: **attention avoids {part}.**"
    return f"The interval contains 0: **no significant preference for {part}.**"


def _in_points(excess: MeanInterval) -> str:
    """Format a mean attention minus time share, in percentage points, with its interval."""
    return (
        f"mean difference **{excess.mean * 100:+.1f} points** [{excess.low * 100:+.1f}, {excess.high * 100:+.1f}] "
        f"(95% CI, {pluralize(excess.videos, 'video')})"
    )


def _show_video_table(table: pd.DataFrame) -> None:
    st.caption("Select a row to open its video.")
    st.dataframe(
        table.drop(columns="video").dropna(axis=1, how="all"),
        hide_index=True,
        key="many_table",
        on_select=lambda: open_selected_video(table),
        selection_mode="single-row",
        column_config={
            "id": "Video",
            "frames": st.column_config.NumberColumn("Seconds"),
            "effective_frames": st.column_config.NumberColumn("Effective seconds", format="%.1f"),
            "cluster_weight": probability_column("Attention on largest cluster"),
            "cluster_share": probability_column("Time share of largest cluster"),
            "cluster_excess": probability_column("Attention minus time share"),
            "main_weight": probability_column("Attention on main scene"),
            "main_share": probability_column("Time share of main scene"),
            "main_excess": probability_column("Attention minus time share, main scene"),
            "main_auc": probability_column("ROC AUC"),
            "cluster_main": probability_column("Main scene in largest cluster"),
        },
        alt="Attention on the largest cluster and on the main scene of each video",
    )


def open_selected_video(table: pd.DataFrame) -> None:
    """Open the video of the selected row."""
    if rows := st.session_state["many_table"]["selection"]["rows"]:
        st.session_state["video"] = str(table["id"].iloc[rows[0]])
