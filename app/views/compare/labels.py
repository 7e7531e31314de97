"""Compare page: average precision of each label by both runs."""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import comparisons
from components.columns import LABEL_COLUMNS
from components.label_tables import show_chart
from components.link import linked
from components.page_links import LABEL_PAGE, label_link, label_option, show_links
from components.selectors import download_csv, label_picker
from components.text import plain, signed
from context import PageContext
from views.compare.pair_export import label_code, pair_provenance
from yt8m_core import figures
from yt8m_core.analysis.run_differences import MIN_POSITIVES, split_by_sign
from yt8m_core.figures.style import pluralize

BOTH, FREQUENCY = "AP of both runs", "difference by frequency"
HEIGHT = 430  # pixels
WIDTHS = {"name": 125, "positives": 97, "ap": 50, "ap_b": 110, "gain": 75}  # pixels
COLUMNS = {name: {**LABEL_COLUMNS[name], "width": width} for name, width in WIDTHS.items()}


def show_labels(page: PageContext, other: PageContext, table: pd.DataFrame, place: DeltaGenerator) -> None:
    """Show the labels of ``comparisons.label_gains`` as a chart in ``place``, and as one table per better run."""
    if table.empty:
        return
    vocabulary = page.labels.vocabulary
    with place:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            axes = linked(
                st.segmented_control, "Chart", [BOTH, FREQUENCY], key="pair_axes", default=BOTH, required=True
            )
            label = label_picker("Label", vocabulary, width=220)
        names = page.run.name, other.run.name
        if axes == BOTH:
            figure = figures.precision_by_run(table, runs=names, scale=page.scale, selected=label)
            name = "precision_by_run"
            alt = "Average precision of each label by the second run against that by the first"
        else:
            figure = figures.gain_by_label(table, runs=names, scale=page.scale, selected=label)
            name = "gain_by_label"
            alt = "Difference in average precision of each label against its number of videos"
        show_chart(
            figure,
            vocabulary,
            name="gain",
            alt=alt,
            height=HEIGHT,
            provenance=pair_provenance(page, other),
            data=table,
            code=label_code(page, other, name, "table", runs=names, selected=label),
        )
        if label is None:
            st.caption("Click a point to select its label.")
        elif (table["label"] == label).any():
            show_label_difference(page, other, label)
    for column, side, rows in zip(st.columns(2, gap="large"), (page, other), split_by_sign(table), strict=True):
        with column:
            st.markdown(
                f"**{plain(side.run.name)}** is better: {pluralize(len(rows), 'label')}, largest difference first"
            )
            show_links(
                rows,
                LABEL_PAGE,
                lambda row: {"label": label_option(row.label, vocabulary)},
                columns=COLUMNS,
                key=f"labels better with {'a' if side is page else 'b'}",
                alt=f"Labels on which run {side.run.name} has the higher average precision",
            )
    st.caption("Click a row to open the page of its label.")
    download_csv(table.sort_values("gain", ascending=False), "labels-two-runs")


def show_label_difference(page: PageContext, other: PageContext, label: int) -> None:
    """Show the average precision of a label by both runs, with the interval of the difference."""
    vocabulary = page.labels.vocabulary
    first, second, difference = comparisons.label_difference(page, other, label)
    positives = int(page.scores.truth[:, [label]].sum())
    interval = f"[{signed(difference.low)}, {signed(difference.high)}] (95% CI, paired by video)"
    if positives < MIN_POSITIVES:
        interval = f"(no interval below {MIN_POSITIVES} videos)"
    st.markdown(
        f"**{plain(vocabulary.name(label))}**, {pluralize(positives, 'video')}: AP {first.value:.3f} → "
        f"{second.value:.3f}, difference {signed(difference.value)} {interval}."
    )
    label_link(label, vocabulary)
