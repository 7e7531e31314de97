"""The card of one label: its frequency, its average precision, and a link to its page.

Without a run, or with one that does not fit the data, the card shows the frequency only.
"""

import pandas as pd
import streamlit as st

from cache import scores
from components.columns import AP_HELP
from components.page_links import label_link
from components.selectors import sample_note
from components.text import plain
from context import PageContext
from yt8m_core.errors import UserError


def label_card(page: PageContext, label: int) -> None:
    """Show the card of a label of the data set, which must have labels."""
    with st.container(border=True, gap="small"):
        show_facts(page, label)
        if page.has_run:
            try:
                _show_precision(page, label)
            except UserError as error:
                st.caption(f"Average precision is not available here. {plain(str(error))}")
        else:
            st.caption("Average precision is shown once there is a trained run.")
        label_link(label, page.labels.vocabulary, "Open the page of this label")


def show_facts(page: PageContext, label: int) -> None:
    """Show how frequent a label is."""
    labels = page.labels
    row = labels.table[labels.table["label"] == label].iloc[0]
    st.markdown(
        f"**{plain(row['name'])}** is in {row['count']:,} of {labels.num_videos:,} labeled videos "
        f"({row['count'] / labels.num_videos:.2%}): rank {row['rank']:,} of {len(labels.table):,}, {row['band']} "
        f"band. Topic {plain(row['vertical'] or 'unknown')}, number {label}. Cumulative share of label "
        f"assignments: {row['cumulative_share']:.0%}."
    )


def _show_precision(page: PageContext, label: int) -> None:
    measured = label_row(page, label)
    if pd.isna(measured["ap"]):
        st.caption("No scored video has this label, so its average precision is undefined.")
        return
    st.markdown(
        f"Average precision of {plain(page.run.name)}: **{measured['ap']:.3f}**, on {measured['positives']:,.0f} "
        f"videos with the label. {compare_with_similar(page, measured)}",
        help=AP_HELP,
    )
    if page.scores.is_sample:
        st.caption(sample_note(page.scores))


def label_row(page: PageContext, label: int) -> pd.Series:
    """Return the row of a label in ``scores.label_table``."""
    table = scores.label_table(page)
    return table[table["label"] == label].iloc[0]


def compare_with_similar(page: PageContext, measured: pd.Series) -> str:
    """Compare the average precision of a label with that of the others in its step of ``precision_by_frequency``."""
    table = scores.label_table(page)
    lowest = 1 << (int(measured["count"]).bit_length() - 1)
    highest = 2 * lowest - 1
    videos = "1 video" if highest == 1 else f"{lowest:,} to {highest:,} videos"
    others = table.loc[table["count"].between(lowest, highest) & (table["label"] != measured["label"]), "ap"].dropna()
    if others.empty:
        return f"No other label lies in {videos}."
    if len(others) == 1:
        return f"That of the only other label in {videos} is {others.iloc[0]:.3f}."
    return f"The median of the {len(others):,} other labels in {videos} is {others.median():.3f}."
