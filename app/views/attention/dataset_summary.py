"""Attention page, view "All videos": attention on the largest cluster and on the main scene of each video."""

import math

import pandas as pd
import streamlit as st

from cache import attention
from components.charts import figure_code, provenance_text, show_chart
from components.columns import probability_column
from components.selection import on_selection
from components.selectors import download_csv
from components.text import signed
from context import PageContext
from views.attention.view_names import VIEW_KEY, WHERE
from views.attention.weights import ROC_AUC
from yt8m_core import figures
from yt8m_core.explain.attention_metrics import MeanInterval, mean_interval
from yt8m_core.figures.style import pluralize


def show_dataset_summary(page: PageContext, k: int) -> None:
    """Test on the data set whether attention prefers the largest of k clusters, and the main scene."""
    table = _study(page, k)
    _show_largest_cluster(table)
    if table["main_excess"].notna().any():
        _show_main_scene(table)
    total = len(page.run_videos)
    sample = (
        f"All {total:,} videos" if len(table) == total else f"A random sample of {len(table):,} of {total:,} videos"
    )
    st.caption(
        f"{sample}, {k} clusters per video; brackets are 95% CIs of means over videos. The paper assumes that "
        "attention finds the largest cluster of similar seconds, and that this is the main scene."
    )
    show_chart(
        figures.attention_excess(table, scale=page.scale),
        key="many_chart",
        height=400,
        provenance=provenance_text(page),
        data=table,
        code=figure_code(page, "attention_excess", f"view.attention_study({k})"),
        alt="Histogram of the attention minus time share of the largest cluster, over videos",
    )
    _show_video_table(table)
    download_csv(table, f"attention-study-{page.run.name}-{k}")


def _study(page: PageContext, k: int) -> pd.DataFrame:
    """Return the study, and show the progress of a first one."""
    bar = st.empty()

    def show_progress(task: str, done: int, total: int, note: str = "") -> None:
        bar.progress(done / total, f"Clustering the seconds of each video: {done:,} of {total:,} videos")

    table = attention.attention_study(page, k, show_progress)
    bar.empty()
    return table


def _show_largest_cluster(table: pd.DataFrame) -> None:
    excess = mean_interval(table["cluster_excess"])
    st.markdown(
        f"{preference_verdict(excess, 'the largest cluster')} It covers {table['cluster_share'].mean():.0%} of the "
        f"time and receives {table['cluster_weight'].mean():.0%} of the weight: {_in_points(excess)}."
    )


def _show_main_scene(table: pd.DataFrame) -> None:
    excess, auc = (mean_interval(table[column]) for column in ("main_excess", "main_auc"))
    overlap = mean_interval(table["cluster_main"] - table["main_share"])
    st.markdown(
        f"{preference_verdict(excess, 'the main scene')} It covers {table['main_share'].mean():.0%} of the time and "
        f"receives {table['main_weight'].mean():.0%} of the weight: {_in_points(excess)}. ROC AUC of the weight as a "
        f"detector of the main scene: **{auc.mean:.2f}** [{auc.low:.2f}, {auc.high:.2f}]. The main scene makes up "
        f"{table['cluster_main'].mean():.0%} of the largest cluster, {signed(overlap.mean * 100, 1)} points "
        f"[{signed(overlap.low * 100, 1)}, {signed(overlap.high * 100, 1)}] relative to chance.",
        help=ROC_AUC,
    )


def preference_verdict(excess: MeanInterval, part: str) -> str:
    """Return whether the interval of the attention minus time share shows a preference for a part of the videos."""
    if math.isnan(excess.low):
        return f"**Preference for {part} unknown**: one video is not enough for an interval."
    if excess.low > 0:
        return f"**Attention prefers {part}**."
    if excess.high < 0:
        return f"**Attention avoids {part}**."
    return f"**No significant preference for {part}**."


def _in_points(excess: MeanInterval) -> str:
    """Format a mean attention minus time share, in percentage points, with its interval."""
    return (
        f"mean difference **{signed(excess.mean * 100, 1)} points** "
        f"[{signed(excess.low * 100, 1)}, {signed(excess.high * 100, 1)}] "
        f"(95% CI, {pluralize(excess.videos, 'video')})"
    )


def _show_video_table(table: pd.DataFrame) -> None:
    st.caption("Select a row to open its video.")
    st.dataframe(
        table.drop(columns="video").dropna(axis=1, how="all"),
        hide_index=True,
        key="many_table",
        on_select=on_selection("many_table", "rows", lambda rows: open_video(str(table["id"].iloc[rows[0]]))),
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


def open_video(video: str) -> None:
    """Show where a video has its attention."""
    st.session_state["video"] = video
    st.session_state[VIEW_KEY] = WHERE
