"""Label page: the most correlated labels, and those that the run confuses with the label."""

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import label_quality, loaders
from components.page_links import label_option, page_link
from components.selection import fresh_key, on_fresh_selection
from components.text import plain
from context import PageContext
from yt8m_core.analysis import per_label

NEAREST = 8  # labels
MIN_SHARED = 2  # videos that two labels must share to be listed: one alone is chance
CONFUSION_COLUMNS = {
    "name": st.column_config.TextColumn("Label", width=100),
    "videos": st.column_config.NumberColumn("Videos", format="localized", width=55),
    "interval": st.column_config.TextColumn(
        "Share", help="Share of these videos, with its 95% CI (Clopper-Pearson), in percent.", width=95
    ),
}
EXPECTED_WIDTH = 70


def show_correlated(page: PageContext, label: int) -> None:
    """List the most correlated labels; a click on one opens it."""
    vocabulary = page.labels.vocabulary
    table = per_label.most_correlated_labels(
        loaders.cooccurrence(page.data), page.labels.num_videos, label, minimum_support=MIN_SHARED, limit=NEAREST
    )
    st.markdown("**Most correlated labels**")
    if table.empty:
        st.caption("No other label shares two or more videos with it.")
        return
    _show_labels(
        page,
        table,
        table_name=f"nearest {label}",  # another label's table starts without a selection
        columns={
            "name": st.column_config.TextColumn("Label", width=105),
            "share": st.column_config.NumberColumn(
                "Share", help="Share of the label's videos that have this one too.", format="percent", width=55
            ),
            "count": st.column_config.NumberColumn("Videos", help="Videos with both.", format="localized", width=55),
            "phi": st.column_config.NumberColumn(
                "φ",
                help="Correlation of the two labels over all videos: 1 if they always occur together, 0 if they are "
                "independent.",
                format="%.2f",
                width=45,
            ),
        },
        alt=f"The {len(table)} labels most correlated with {vocabulary.name(label)}",
    )
    options = [label_option(other, vocabulary) for other in (label, *table["label"].tolist())]
    page_link(
        "views/correlation/page.py", "Open in Correlation", ":material/grid_on:", label=options[0], labels=options
    )


def show_confusions(
    page: PageContext, label: int, threshold: float, above: DeltaGenerator, mistaken: DeltaGenerator
) -> None:
    """List the labels that rank above the label where it is missed, and those of its false positives."""
    name = page.labels.vocabulary.name(label)
    missed, false = label_quality.confusions(page, label, threshold)
    for place, confusions, title, subject, help_text, expected in (
        (
            above,
            missed,
            "Ranked above where it is missed",
            "videos miss the label",
            "Wrong labels of higher rank, in the videos that have the label with a probability below the threshold.",
            "Share of all videos in which the label is, wrongly, among as many top labels as are above the missed one; "
            "mean over the videos that miss it.",
        ),
        (
            mistaken,
            false,
            "True where it is a false positive",
            "false positives",
            "True labels of the videos that do not have the label, but a probability at or above the threshold.",
            f"Share of all videos without {plain(name)} that have the label.",
        ),
    ):
        with place:
            st.markdown(
                f"**{title}**",
                help=f"{help_text} Only labels in at least {MIN_SHARED} of them, more frequent than expected; most "
                "surprising first.",
            )
            table = confusions.table[confusions.table["videos"] >= MIN_SHARED][:NEAREST]
            st.caption(f"{len(confusions.rows):,} {subject} at threshold {threshold:.3f}.")
            if table.empty:
                st.caption("No label is in two or more of them more often than expected.")
                continue
            interval = [
                f"{share:.0%} [{100 * low:.0f}, {100 * high:.0f}]"
                for share, low, high in zip(table["share"], table["low"], table["high"], strict=True)
            ]
            expected_column = st.column_config.NumberColumn(
                "Expected", help=expected, format="percent", width=EXPECTED_WIDTH
            )
            _show_labels(
                page,
                table.assign(interval=interval),
                table_name=f"{title} {label}",
                columns={**CONFUSION_COLUMNS, "expected": expected_column},
                alt=f"{title}: {len(table)} labels confused with {name}",
            )


def _show_labels(page: PageContext, table: pd.DataFrame, *, table_name: str, columns: dict[str, Any], alt: str) -> None:
    vocabulary = page.labels.vocabulary
    labels = table["label"].tolist()
    # A data set without names has no labels above its largest one, but the run may.
    names = vocabulary if all(label < vocabulary.num_classes for label in labels) else page.run.vocabulary

    def open_label(cells: list[tuple[int, str]]) -> None:
        st.session_state["label"] = label_option(labels[cells[0][0]], names)

    st.dataframe(
        table.assign(name=[names.name(other) for other in labels]),
        hide_index=True,
        column_order=list(columns),
        column_config=columns,
        key=fresh_key(table_name),
        on_select=on_fresh_selection(table_name, "cells", open_label),
        selection_mode="single-cell",
        height="content",
        alt=alt,
    )
