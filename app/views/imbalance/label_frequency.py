"""Imbalance page: number of videos of each label, bands and Gini coefficient."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components.charts import figure_code, provenance_text
from components.label_tables import show_chart, show_table
from components.link import linked
from context import PageContext
from yt8m_core import figures
from yt8m_core.figures.style import pluralize
from yt8m_core.labels import statistics


def show_label_frequency(page: PageContext, label: int | None, below: DeltaGenerator) -> None:
    """Show label counts as a figure and, in ``below``, as a table."""
    table, vocabulary = page.labels.table, page.labels.vocabulary
    y_axis = linked(
        st.segmented_control, "Y axis", ["count", "cumulative share"], key="draw", default="count", required=True
    )
    if y_axis == "count":
        name, alt = "rank_frequency", "Number of videos against rank of each label, both on log axes"
    else:
        name, alt = "cumulative_share", "Cumulative share of label assignments against label rank"
    left, right = st.columns([5, 3], gap="large")
    with left:
        show_chart(
            getattr(figures, name)(table, scale=page.scale, selected=label),
            vocabulary,
            name="frequency",
            alt=alt,
            provenance=provenance_text(page, with_run=False),
            data=table,
            code=figure_code(page, name, "view.label_counts", selected=label, with_run=False),
        )
    with right:
        _show_summary(statistics.imbalance(table["count"]))
    with below:
        st.subheader("All labels", anchor=False)
        show_table(
            table,
            vocabulary,
            ["rank", "name", "vertical", "count", "cumulative_share", "band", "label"],
            name="labels",
            alt="All labels with rank, topic, number of videos and band",
        )


def _show_summary(summary: dict[str, float]) -> None:
    st.markdown(
        f"The most frequent **5%** of labels account for **{summary['top_5_percent_share']:.0%}** of all "
        f"{summary['pairs']:,.0f} label assignments."
    )
    st.markdown(
        f"- **Head**: {pluralize(int(summary['head_labels']), 'label')}, {summary['head_share']:.0%} of assignments\n"
        f"- **Mid**: {pluralize(int(summary['mid_labels']), 'label')}, {summary['mid_share']:.0%}\n"
        f"- **Tail**: {pluralize(int(summary['tail_labels']), 'label')}, {summary['tail_share']:.0%}\n"
    )
    st.caption(
        "The head is the smallest set of labels with half of all assignments; head and mid together have 90%. The "
        f"tail includes {summary['unseen_labels']:,.0f} of {summary['labels']:,.0f} labels that occur in no video, "
        "which are not plotted."
    )
    st.markdown(
        f"Gini coefficient: **{summary['gini']:.2f}**",
        help="0 if all labels are equally frequent, close to 1 if one label has almost all videos.",
    )
