"""Links to other pages, which keep the run and the data set of the sidebar."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from components.selection import on_selection
from components.text import plain
from yt8m_core.data.vocabulary import Vocabulary

LABEL_PAGE, PREDICTIONS = "views/label/page.py", "views/predictions/page.py"
Query = dict[str, str | list[str]]


def page_query(**query: str | list[str]) -> Query:
    """Return the query of a link to another page: run and data set of the sidebar, and more."""
    kept = {name: st.session_state[name] for name in ("run", "data") if st.session_state.get(name)}
    return {**kept, **query}


def page_link(page: str, text: str, icon: str, **query: str | list[str]) -> None:
    """Link to another page with run and data set of the sidebar, and values of its controls."""
    st.page_link(page, label=text, icon=icon, query_params=page_query(**query))


def label_option(label: int, vocabulary: Vocabulary) -> str:
    """Return a label as links and ``selectors.label_picker`` name it; its number tells apart labels of one name."""
    return f"{vocabulary.name(label)} · {label}"


def label_link(label: int, vocabulary: Vocabulary, text: str = "") -> None:
    """Link to the page of a label.

    Args:
        label: The label.
        vocabulary: Its vocabulary.
        text: Text of the link; the name of the label if empty.
    """
    text = text or plain(vocabulary.name(label))
    page_link(LABEL_PAGE, text, ":material/sell:", label=label_option(label, vocabulary))


def video_link(video: str, text: str, **query: str | list[str]) -> None:
    """Link to the predictions of a video, by its id."""
    page_link(PREDICTIONS, text, ":material/play_circle:", video=video, **query)


def open_page(page: str, values: Query) -> None:
    """Open another page with values of its controls; a callback.

    ``st.switch_page`` works in no callback.
    """
    st.session_state["page to open"] = page, values


def switch_to_opened_page() -> None:
    """Go to the page that ``open_page`` has asked for, if it has; before anything is drawn."""
    if (opened := st.session_state.pop("page to open", None)) is None:
        return
    page, values = opened
    st.switch_page(page, query_params=page_query(**values))


def show_links(
    table: pd.DataFrame,
    page: str,
    values: Callable[[Any], Query],
    *,
    columns: dict[str, Any],
    key: str,
    alt: str,
    height: int | None = None,
) -> None:
    """Show a table; a click on any cell opens another page.

    Args:
        table: Its rows.
        page: The page to open.
        values: Returns the values of the controls of that page for a row, which it gets as a named tuple.
        columns: Configuration of each shown column, in order.
        key: Key of the table.
        alt: Description of the table.
        height: Height in pixels; by default as for other tables.
    """

    def open_row(cells: list[tuple[int, str]]) -> None:
        open_page(page, values(next(table.iloc[[cells[0][0]]].itertuples(index=False))))

    st.dataframe(
        table,
        hide_index=True,
        column_order=list(columns),
        column_config=columns,
        key=key,
        on_select=on_selection(key, "cells", open_row),
        selection_mode="single-cell",
        height=height or "auto",
        alt=alt,
    )
