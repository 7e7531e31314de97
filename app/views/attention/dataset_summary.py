"""A section of the page of attention: whether it lies on the largest cluster, and on the main scene, of many videos."""

import math

import pandas as pd
import streamlit as st

from cache import attention
from cache import loaders as state
from components.selectors import download_csv, scale_words
from views.attention.video_context import DETECTION, number
from yt8m_core import figures
from yt8m_core.data.dataset import Videos
from yt8m_core.explain import attention_metrics as measures
from yt8m_core.figures.style import counted
from yt8m_core.runs.run import Run


def verdict(mean: measures.Mean, what: str) -> str:
    """What an interval says of the hypothesis that the weight prefers something."""
    if math.isnan(mean.low):
        return "One video tells nothing of others."
    if mean.low > 0:
        return f"The whole interval is above 0: over these videos, **attention does prefer {what}.**"
    if mean.high < 0:
        return f"The whole interval is below 0: over these videos, **attention avoids {what}.**"
    return f"The interval has 0 in it: these videos **do not tell whether attention prefers {what}.**"


def many_videos(run: Run, data: state.DataSet, videos: Videos, k: int) -> None:
    st.subheader("On many videos", anchor=False)
    st.markdown(
        "The paper's idea is that the seconds that are like most others are the **largest cluster**, and that this is "
        "the main scene. One video proves nothing; here it is tested on the videos of the data set, each cut into "
        f"{k} clusters (the slider on top)."
    )
    if not st.toggle(
        "Test it on many videos", key="many", bind="query-params", help="Takes some seconds the first time."
    ):
        return
    table = attention.attention_study(run, data, k)
    if len(table) < len(videos):
        st.caption(f"A random sample of {len(table):,} of {len(videos):,} videos.")
    known = table["main_excess"].notna().any()
    cluster = measures.mean_interval(table["cluster_excess"])
    st.markdown(
        f"The largest cluster takes {table['cluster_share'].mean():.0%} of the time and gets "
        f"{table['cluster_weight'].mean():.0%} of the weight: {interval(cluster)}. "
        + verdict(cluster, "the largest cluster")
    )
    if known:
        main, found = (measures.mean_interval(table[column]) for column in ("main_excess", "main_auc"))
        inside = measures.mean_interval(table["cluster_main"] - table["main_share"])
        st.markdown(
            f"The true main scene takes {table['main_share'].mean():.0%} of the time and gets "
            f"{table['main_weight'].mean():.0%} of the weight: {interval(main)}. " + verdict(main, "the main scene")
        )
        st.markdown(
            f"As a detector of the main scene, the weight comes to **{found.mean:.2f}** ({found.low:.2f} to "
            f"{found.high:.2f}), where 0.5 is chance. Of the largest cluster, {table['cluster_main'].mean():.0%} is "
            f"main scene, {inside.mean * 100:+.1f} points beyond chance ({inside.low * 100:+.1f} to "
            f"{inside.high * 100:+.1f}).",
            help=DETECTION,
        )
    st.plotly_chart(
        figures.excess(table, scale=scale_words(data, videos)),
        key="many_chart",
        alt="How much more weight than time lies on the largest cluster of each video",
    )
    st.caption("Choose a row to look at its video.")
    st.dataframe(
        table.drop(columns="video").dropna(axis=1, how="all"),
        hide_index=True,
        key="many_table",
        on_select=lambda: go_to_video(table),
        selection_mode="single-row",
        column_config={
            "id": "Video",
            "frames": st.column_config.NumberColumn("Seconds"),
            "effective_frames": st.column_config.NumberColumn("Effective seconds", format="%.1f"),
            "cluster_weight": number("Weight on the largest cluster"),
            "cluster_share": number("Its share of the time"),
            "cluster_excess": number("Weight less share"),
            "main_weight": number("Weight on the main scene"),
            "main_share": number("Its share of the time, main scene"),
            "main_excess": number("Weight less share, main scene"),
            "main_auc": number("Area under the ROC curve"),
            "cluster_main": number("Main scene in the cluster"),
        },
        alt="What the attention lies on in each video",
    )
    download_csv(table, f"attention-study-{run.name}-{k}")


def interval(mean: measures.Mean) -> str:
    """A mean in points."""
    return (
        f"on average **{mean.mean * 100:+.1f} points** beyond its share (95% interval {mean.low * 100:+.1f} to "
        f"{mean.high * 100:+.1f}, {counted(mean.videos, 'video')})"
    )


def go_to_video(table: pd.DataFrame) -> None:
    rows = st.session_state["many_table"]["selection"]["rows"]
    if rows:
        st.session_state["video"] = str(table["id"].iloc[rows[0]])
