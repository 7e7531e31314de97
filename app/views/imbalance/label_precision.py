"""Imbalance page: average precision of each label."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import scores
from components.columns import AP_HELP
from components.label_tables import filter_labels, list_topics, show_chart, show_no_labels, show_table
from components.selectors import require_run, require_run_videos, sample_note, show_provenance
from context import PageContext
from yt8m_core import figures
from yt8m_core.analysis import per_label


def show_label_precision(page: PageContext, label: int | None, below: DeltaGenerator) -> None:
    """Show the average precision of each label against its frequency."""
    _require_scores(page)
    table = scores.label_table(page)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        filtered, minimum = filter_labels(
            table, "Labels with fewer are drawn small and faint: their AP is mostly chance."
        )
    vocabulary = page.labels.vocabulary
    show_chart(
        figures.precision_by_label(
            filtered,
            scores.precision_by_frequency(page),
            minimum=minimum,
            verticals=list_topics(table),
            scale=page.scale,
            selected=label,
        ),
        vocabulary,
        name="precision",
        alt="Average precision of each label against its number of videos, with the median by frequency",
    )
    st.caption(
        "The line is the median AP of labels of similar frequency (1 video, 2 to 3, 4 to 7, and so on), over all "
        "topics. A label far below it is hard for a reason other than its frequency.",
        help=AP_HELP,
    )
    bands = per_label.precision_by_band(filtered[filtered["positives"] >= minimum])
    if bands.empty:
        show_no_labels(minimum)
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


def _require_scores(page: PageContext) -> None:
    """Show the run and whether its scores are a sample. Ends the page without a run, or if it does not fit the data."""
    show_provenance(page, run=require_run(page))
    require_run_videos(page)
    if page.scores.is_sample:
        st.caption(sample_note(page.scores))
