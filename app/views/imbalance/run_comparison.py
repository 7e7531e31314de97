"""Imbalance page: difference in average precision between two runs, by label and by band."""

import html
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import scores
from components.columns import AP_HELP
from components.label_tables import show_chart, show_table
from components.link import linked
from components.selectors import require_run_videos, require_scores, second_run_picker
from components.text import plain
from context import PageContext
from yt8m_core import figures
from yt8m_core.analysis import per_label
from yt8m_core.labels.statistics import BANDS

MINIMUM_SUPPORT = 5  # default; average precision on fewer videos is mostly chance


def show_run_comparison(page: PageContext, label: int | None, below: DeltaGenerator) -> None:
    """Show the difference in average precision between two runs, by label and by band."""
    require_scores(page)
    other = second_run_picker(page, "Second run")
    if other is None:
        st.info(
            "Choose a second run above. The first run is the one in the sidebar."
            if "run_b" in st.session_state
            else "There is no second run with the same labels. Train one to compare.",
            icon=":material/info:",
        )
        return
    require_run_videos(other)
    table = per_label.add_gain(scores.label_table(page), scores.label_precision(other))
    filtered, minimum = _filter_labels(table, "Labels with fewer are left out: their difference is mostly chance.")
    supported = filtered[filtered["positives"] >= minimum].sort_values("gain", ascending=False)
    bands = per_label.gain_by_band(supported)
    if bands.empty:
        _show_no_labels(minimum)
        return
    names = (html.escape(page.run.name), html.escape(other.run.name))
    left, right = st.columns([4, 5], gap="large")
    with left:
        st.plotly_chart(
            figures.gain_by_band(bands, runs=names, scale=page.scale),
            alt="Mean difference in average precision of the head, mid and tail labels, with 95% CI",
        )
    with right:
        show_chart(
            figures.gain_by_label(supported, runs=names, scale=page.scale, selected=label),
            page.labels.vocabulary,
            name="gain",
            alt="Difference in average precision of each label against its number of videos",
        )
    _show_band_gains(bands, other.run.name, minimum)
    with below:
        show_table(
            supported,
            page.labels.vocabulary,
            ["name", "vertical", "count", "band", "positives", "ap", "ap_b", "gain", "label"],
            name="labels-two-runs",
            alt="Labels by difference in average precision, the largest gains of the second run first",
        )


def _show_band_gains(bands: pd.DataFrame, other: str, minimum: int) -> None:
    """List the gains of the other run by band."""
    gains = {band["band"]: _gain_text(band, other) for band in bands.to_dict("records")}
    empty = f"no selected label has {minimum:,} scored videos or more."
    st.markdown("\n".join(f"- **{band}**: {gains.get(band, empty)}" for band in (*BANDS, per_label.ALL)))
    st.caption(
        "The 95% CI covers the variation between labels of a band, not between videos or training runs. A small "
        "difference may be chance even if its interval excludes 0.",
        help=AP_HELP,
    )


def _gain_text(band: dict[Any, Any], other: str) -> str:
    interval = f" [{band['low']:+.4f}, {band['high']:+.4f}] (95% CI)" if band["labels"] > 1 else ""
    return (
        f"{plain(other)} is better on {band['gained']:,} of {band['labels']:,} labels and worse on {band['lost']:,}; "
        f"mean difference in AP {band['gain']:+.4f}{interval}."
    )


def _filter_labels(table: pd.DataFrame, note: str) -> tuple[pd.DataFrame, int]:
    """Select topics and a minimum support. Returns the labels of the topics, and the minimum support."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        minimum = linked(
            st.number_input,
            "Minimum support (videos)",
            1,
            None,
            MINIMUM_SUPPORT,
            key="at_least",
            width=240,
            help=f"Minimum number of scored videos with the label. {note}",
        )
        topics = linked(
            st.multiselect,
            "Topics",
            _topics(table),
            key="topics",
            placeholder="All",
            width=500,
            help="Shows only labels of these topics.",
        )
    return (table[table["vertical"].isin(topics)] if topics else table), int(minimum)


def _topics(table: pd.DataFrame) -> list[str]:
    return sorted(set(table["vertical"]))


def _show_no_labels(minimum: int) -> None:
    st.info(
        f"No selected label has {minimum:,} scored videos or more. Lower the minimum support or choose other topics.",
        icon=":material/info:",
    )
