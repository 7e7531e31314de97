"""Of the page of label imbalance: how well a run finds each label, and what a second run gains where."""

import html
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import loaders as state
from cache import scores as answers
from components.label_card import sample_words
from components.label_tables import AP, show_chart, show_table
from components.selectors import chosen_run, other_run, plain, provenance, scale_words, videos_for
from yt8m_core import figures
from yt8m_core.analysis import per_label
from yt8m_core.runs.run import Run

ENOUGH = 5  # scored videos with a label, for its precision to say something


def show_precision(data: state.DataSet, label: int | None, below: DeltaGenerator) -> None:
    """The average precision of each label against how often it occurs."""
    run = _scored_run(data)
    table = answers.measured_labels(run, data)
    shown, minimum = _chosen_labels(table, "Those with fewer are drawn small and faint: chance decides much of it.")
    vocabulary = state.labels(data).vocabulary
    show_chart(
        figures.precision_by_label(
            shown,
            answers.precision_steps(run, data),
            minimum=minimum,
            verticals=_topics(table),
            scale=scale_words(data, state.videos(data)),
            chosen=label,
        ),
        vocabulary,
        name="precision",
        alt="Average precision of each label against how many videos have it, with the median of labels as frequent",
    )
    st.caption(
        f"{AP} The line is the median of the labels about as frequent, of every topic: those in 1 video, in 2 to 3, in "
        "4 to 7, and so on. A label far below it is hard for another reason than being rare. Click a point for its "
        "card, below."
    )
    bands = per_label.precision_by_band(shown[shown["positives"] >= minimum])
    if bands.empty:
        _none_is_enough(minimum)
    else:
        medians = [f"**{band.band}** {band.median:.3f} ({band.labels:,})" for band in bands.itertuples()]
        st.markdown(
            f"Median AP of the labels shown that are in {minimum:,} scored videos or more (how many these are): "
            f"{', '.join(medians)}."
        )
    with below:
        show_table(
            shown,
            vocabulary,
            ["rank", "name", "vertical", "count", "band", "positives", "ap", "label"],
            name="labels-precision",
            alt="The labels shown, with their average precision",
        )


def show_two_runs(data: state.DataSet, label: int | None, below: DeltaGenerator) -> None:
    """What a second run gains or loses on each label and each band."""
    run = _scored_run(data)
    other = other_run("Second run", run)
    if other is None:
        st.info(
            "Choose a second run above, to see which labels it finds better than the first, the one of the sidebar."
            if "run_b" in st.session_state
            else "There is no second run with the same labels yet. Train one, and it is offered here.",
            icon=":material/info:",
        )
        return
    videos_for(other, data)
    table = per_label.with_gain(answers.measured_labels(run, data), answers.label_precision(other, data))
    shown, minimum = _chosen_labels(table, "Those with fewer are left out: chance decides much of their difference.")
    enough = shown[shown["positives"] >= minimum].sort_values("gain", ascending=False)
    bands = per_label.gain_by_band(enough)
    if bands.empty:
        _none_is_enough(minimum)
        return
    scale = scale_words(data, state.videos(data))
    vocabulary = state.labels(data).vocabulary
    names = (html.escape(run.name), html.escape(other.name))
    left, right = st.columns([4, 5], gap="large")
    with left:
        st.plotly_chart(
            figures.gain_by_band(bands, runs=names, scale=scale),
            alt="Mean difference in average precision of the head, mid and tail labels, with intervals",
        )
    with right:
        show_chart(
            figures.gain_by_label(enough, runs=names, scale=scale, chosen=label),
            vocabulary,
            name="gain",
            alt="Difference in average precision of each label against how many videos have it",
        )
    told = {band["band"]: _gain_in_words(band, other) for band in bands.to_dict("records")}
    nothing = f"no label shown here is in {minimum:,} scored videos or more."
    st.markdown("\n".join(f"- **{band}**: {told.get(band, nothing)}" for band in (*per_label.BANDS, per_label.ALL)))
    st.caption(
        "The interval is over labels: it says how far the mean would go if the band were of other labels like these. "
        "It does not hold what other videos, or another training of the same two models, would change: a small "
        "difference may be luck even where its interval leaves out 0. AP: " + AP
    )
    with below:
        show_table(
            enough,
            vocabulary,
            ["name", "vertical", "count", "band", "positives", "ap", "ap_b", "gain", "label"],
            name="labels-two-runs",
            alt="Labels by the difference in average precision, what the second run gains most first",
        )


def _gain_in_words(band: dict[Any, Any], other: Run) -> str:
    interval = f" (95% interval {band['low']:+.4f} to {band['high']:+.4f})" if band["labels"] > 1 else ""
    return (
        f"{plain(other.name)} finds {band['gained']:,} of {band['labels']:,} labels better and {band['lost']:,} worse; "
        f"mean difference in AP {band['gain']:+.4f}{interval}."
    )


def _scored_run(data: state.DataSet) -> Run:
    """The run of the sidebar. Ends the page where there is none, or it does not fit the data."""
    run = chosen_run()
    provenance(run=run)
    videos_for(run, data)
    scored = answers.scored(run, data)
    if scored.sampled:
        st.caption(sample_words(scored))
    return run


def _chosen_labels(table: pd.DataFrame, rest: str) -> tuple[pd.DataFrame, int]:
    """The labels of the chosen topics, and in how many scored videos one must be to count."""
    topics = _topics(table)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        minimum = st.number_input(
            "Labels with at least so many videos",
            1,
            None,
            ENOUGH,
            key="at_least",
            bind="query-params",
            width=280,
            help=f"Videos with the label that the run has scored. {rest}",
        )
        chosen = st.multiselect(
            "Topics",
            topics,
            key="topics",
            bind="query-params",
            placeholder="All",
            width=500,
            help="The labels of these topics alone.",
        )
    return (table[table["vertical"].isin(chosen)] if chosen else table), int(minimum)


def _topics(table: pd.DataFrame) -> list[str]:
    return sorted(set(table["vertical"]))


def _none_is_enough(minimum: int) -> None:
    st.info(
        f"None of these labels is in {minimum:,} scored videos or more. Ask for fewer, or choose other topics.",
        icon=":material/info:",
    )
