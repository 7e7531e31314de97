"""Charts and tables of labels; a click on a point or a row selects its label."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from components import charts
from components.columns import LABEL_COLUMNS
from components.link import linked
from components.selection import on_selection
from components.selectors import download_csv, label_names
from yt8m_core.data.vocabulary import Vocabulary


def select_topics(table: pd.DataFrame, *, width: int, help_text: str) -> list[str]:
    """Select topics of the labels of a table; none of them means all."""
    topics: list[str] = linked(
        st.multiselect,
        "Topics",
        sorted(set(table["vertical"])),
        key="topics",
        placeholder="All",
        width=width,
        help=help_text,
    )
    return topics


def show_table(table: pd.DataFrame, vocabulary: Vocabulary, columns: list[str], *, name: str, alt: str) -> None:
    """Show a table of labels, with the whole of it as a file."""
    labels = table["label"].tolist()
    st.dataframe(
        table,
        hide_index=True,
        column_order=columns,
        column_config=LABEL_COLUMNS,
        key=f"table {name}",
        on_select=on_selection(f"table {name}", "rows", lambda rows: select_label(vocabulary, labels[rows[0]])),
        selection_mode="single-row",
        alt=alt,
    )
    download_csv(table, name)


def show_chart(
    figure: Any,
    vocabulary: Vocabulary,
    *,
    name: str,
    alt: str,
    provenance: str,
    data: pd.DataFrame | None = None,
    code: str = "",
    height: int | None = None,
    selects_many: bool = False,
) -> None:
    """Show a chart of labels; arguments as in ``charts.show_chart``.

    With ``selects_many``, several labels can be selected at once: ``chart_labels`` returns them.
    """
    charts.show_chart(
        figure,
        height=height,
        key=f"chart {name}",
        alt=alt,
        provenance=provenance,
        data=data,
        file_name=name,
        code=code,
        on_select=on_selection(f"chart {name}", "points", lambda points: select_point(vocabulary, points)),
        selection_mode=("points", "box", "lasso") if selects_many else "points",
    )


def chart_labels(name: str) -> list[int]:
    """Return the labels that are selected in a chart."""
    chart = st.session_state.get(f"chart {name}")
    points = chart["selection"]["points"] if chart else []
    return list(dict.fromkeys(int(point["customdata"][2]) for point in points if point.get("customdata") is not None))


def select_point(vocabulary: Vocabulary, points: Sequence[Mapping[str, Any]]) -> None:
    """Select the label of the clicked point.

    Points of labels have ``customdata`` [name, vertical, label, ...]; other points are ignored.
    """
    if len(points) == 1 and points[0].get("customdata") is not None:
        select_label(vocabulary, points[0]["customdata"][2])


def select_label(vocabulary: Vocabulary, label: int) -> None:
    """Select a label on all pages."""
    st.session_state["label"] = list(label_names(vocabulary))[label]
