"""Imbalance page: average precision of each label, for one run and for two."""

import html
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import scores
from components.columns import AP_HELP
from components.label_card import sample_note
from components.label_tables import chart_labels, show_chart, show_table
from components.link import linked
from components.selectors import require_run, require_run_videos, second_run_picker, show_provenance
from components.text import plain
from components.video_selection import offer_label_videos
from context import PageContext
from yt8m_core import figures
from yt8m_core.analysis import per_label
from yt8m_core.labels.statistics import BANDS

MINIMUM_SUPPORT = 5  # default; average precision on fewer videos is mostly chance


def show_label_precision(page: PageContext, label: int | None, below: DeltaGenerator) -> None:
    """Show the average precision of each label against its frequency."""
    _require_scores(page)
    table = scores.label_table(page)
    filtered, minimum = _filter_labels(table, "Labels with fewer are drawn small and faint: their AP is mostly chance.")
    vocabulary = page.labels.vocabulary
    show_chart(
        figures.precision_by_label(
            filtered,
            scores.precision_by_frequency(page),
            minimum=minimum,
            verticals=_topics(table),
            scale=page.scale,
            selected=label,
        ),
        vocabulary,
        name="precision",
        alt="Average precision of each label against its number of videos, with the median by frequency",
        selects_many=True,
    )
    _offer_videos(page, "precision")
    st.caption(
        "The line is the median AP of labels of similar frequency (1 video, 2 to 3, 4 to 7, and so on), over all "
        "topics. A label far below it is hard for a reason other than its frequency.",
        help=AP_HELP,
    )
    bands = per_label.precision_by_band(filtered[filtered["positives"] >= minimum])
    if bands.empty:
        _show_no_labels(minimum)
    else:
        medians = [f"**{band.band}** {band.median:.3f} ({band.labels:,})" for band in bands.itertuples()]
        st.markdown(
            f"Median AP of the labels with at least {minimum:,} scored videos (number of labels): {', '.join(medians)}."
        )
    with below:
        show_table(
            filtered,
            vocabulary,
            ["rank", "name", "vertical", "count", "band", "positives", "ap", "label"],
            name="labels-precision",
            alt="Selected labels with their average precision",
        )


def _offer_videos(page: PageContext, chart: str) -> None:
    """Offer the videos of the labels that are selected in a chart."""
    offer_label_videos(page, chart_labels(chart), require_all=False)


def show_run_comparison(page: PageContext, label: int | None, below: DeltaGenerator) -> None:
    """Show the difference in average precision between two runs, by label and by band."""
    _require_scores(page)
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


def _require_scores(page: PageContext) -> None:
    """Show the run and whether its scores are a sample. Ends the page without a run, or if it does not fit the data."""
    show_provenance(page, run=require_run(page))
    require_run_videos(page)
    if page.scores.is_sample:
        st.caption(sample_note(page.scores))


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
