"""Charts and tables of labels, whose points and rows make a label the current one."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from components.selectors import download_csv, label_names
from yt8m_core.data.vocabulary import Vocabulary

AP = (
    "Average precision of a label: all videos in one list, by the probability that the run gives them for it. 1 where "
    "the videos that have it all stand first; a run that guesses comes to the share of videos that have it."
)
COLUMNS = {
    "rank": st.column_config.NumberColumn("Rank", help="1 is the most frequent label.", format="localized"),
    "name": st.column_config.TextColumn("Label", width="medium", pinned=True),
    "vertical": st.column_config.TextColumn("Topic", help="The first topic that the vocabulary gives."),
    "count": st.column_config.NumberColumn("Videos", help="Videos with this label.", format="localized"),
    "cumulative_share": st.column_config.ProgressColumn(
        "Share down to here", help="Of all labels given, the share that this label and those above it hold."
    ),
    "band": st.column_config.TextColumn(
        "Band",
        help="Head labels are the fewest that hold half of all labels given, head and mid together the fewest that "
        "hold 90%, tail all others.",
    ),
    "label": st.column_config.NumberColumn("Number", help="What the data files call the label.", format="%d"),
    "positives": st.column_config.NumberColumn(
        "Scored videos", help="Videos with the label that the run has scored; AP is measured on them.", format="%d"
    ),
    "ap": st.column_config.NumberColumn("AP", help=AP, format="%.3f"),
    "ap_b": st.column_config.NumberColumn("AP of the second", help="The same, of the second run.", format="%.3f"),
    "gain": st.column_config.NumberColumn(
        "Difference", help="AP of the second run less that of the first: above 0 the second is better.", format="%+.3f"
    ),
    "alone": st.column_config.NumberColumn(
        "γ alone", help="Strength of the noise for a video that has this label only.", format="%.2g"
    ),
    "together": st.column_config.NumberColumn(
        "γ of its videos", help="Median over the videos here that have it; their other labels count too.", format="%.2g"
    ),
    "alone_length": st.column_config.NumberColumn(
        "Noise alone", help="γ√D: how long the noise is where a frame's length is 1.", format="%.3g"
    ),
    "together_length": st.column_config.NumberColumn(
        "Noise of its videos", help="The same, at the median of its videos.", format="%.3g"
    ),
}


def show_table(table: pd.DataFrame, vocabulary: Vocabulary, columns: list[str], *, name: str, alt: str) -> None:
    """A table of labels, each row a click that makes its label the current one; the whole of it as a file."""
    st.dataframe(
        table,
        hide_index=True,
        column_order=columns,
        column_config=COLUMNS,
        key=f"table {name}",
        on_select=choose_row(f"table {name}", vocabulary, table["label"].tolist()),
        selection_mode="single-row",
        alt=alt,
    )
    download_csv(table, name)


def show_chart(figure: Any, vocabulary: Vocabulary, *, name: str, alt: str) -> None:
    """A chart of labels, each point a click that makes its label the current one."""
    st.plotly_chart(
        figure,
        key=f"chart {name}",
        on_select=choose_clicked(f"chart {name}", vocabulary),
        selection_mode="points",
        alt=alt,
    )


def choose_clicked(key: str, vocabulary: Vocabulary) -> Callable[[], None]:
    """What a click on a label's point in a chart does: it makes the label the current one.

    The chart's points have ``customdata`` [name, vertical, label, ...]; other points are ignored.
    """

    def set_it() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points and points[0].get("customdata") is not None:
            st.session_state["label"] = list(label_names(vocabulary))[points[0]["customdata"][2]]

    return set_it


def choose_row(key: str, vocabulary: Vocabulary, shown: Sequence[int]) -> Callable[[], None]:
    """What a click on a row of a table does, whose rows are these labels."""

    def set_it() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            st.session_state["label"] = list(label_names(vocabulary))[shown[rows[0]]]

    return set_it
