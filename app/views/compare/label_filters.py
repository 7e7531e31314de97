"""Compare page: minimum support and topics of the labels."""

import pandas as pd
import streamlit as st

from components.label_tables import select_topics
from components.link import linked

MINIMUM_SUPPORT = 5  # default; the difference on fewer videos is mostly chance


def filter_labels(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Select topics and a minimum support. Returns the labels of the topics, and the minimum support."""
    minimum = linked(
        st.number_input,
        "Minimum support (videos)",
        1,
        None,
        MINIMUM_SUPPORT,
        key="at_least",
        width=180,
        help="Minimum number of scored videos with the label. Labels with fewer are left out: their difference is "
        "mostly chance.",
    )
    topics = select_topics(table, width=180, help_text="Shows only labels of these topics.")
    return (table[table["vertical"].isin(topics)] if topics else table), int(minimum)


def filter_code() -> str:
    """Return Python code that selects the labels of ``filter_labels`` and of the minimum support in ``table``."""
    lines = [f'table = table[table["positives"] >= {int(st.session_state["at_least"])}]']
    if topics := st.session_state["topics"]:
        lines.append(f'table = table[table["vertical"].isin({topics!r})]')
    return "\n".join(lines)


def show_no_labels(minimum: int) -> None:
    """Say that the filters leave no label."""
    st.info(
        f"No selected label has {minimum:,} scored videos or more. Lower the minimum support or choose other topics.",
        icon=":material/info:",
    )
