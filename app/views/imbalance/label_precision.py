"""Imbalance page: average precision of each label of a run, by frequency band."""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import scores
from components.charts import figure_code, provenance_text
from components.columns import AP_HELP
from components.label_tables import chart_labels, select_topics, show_chart, show_table
from components.link import link_values, linked
from components.selection import fresh_key, on_fresh_selection
from components.selectors import require_scores
from components.video_selection import offer_label_videos
from context import PageContext
from yt8m_core import figures
from yt8m_core.analysis import per_label
from yt8m_core.figures.style import pluralize
from yt8m_core.labels.statistics import BANDS

MOSTLY = 0.9


def show_label_precision(page: PageContext, label: int | None, below: DeltaGenerator) -> None:
    """Show the average precision of each label against its frequency, and what of it can be measured in each band."""
    require_scores(page)
    table = scores.label_table(page)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        band = linked(
            st.segmented_control, "Band", [per_label.ALL, *BANDS], key="band", default=per_label.ALL, required=True
        )
        minimum = select_support("Labels with fewer are left out. Most rare labels have fewer than ten.")
        topics = select_topics(
            table, width=400, help_text="Lists only labels of these topics; the chart highlights a single one."
        )
    in_band = table[(table["band"] == band) | (band == per_label.ALL)]
    supported = in_band[in_band["positives"] >= minimum]
    listed = supported[supported["vertical"].isin(topics)] if topics else supported
    drawn = listed if len(topics) > 1 else supported
    highlight = topics[0] if len(topics) == 1 else None
    left, right = st.columns([3, 2], gap="medium")
    if listed.empty:
        left.info(f"No {band} label has {minimum:,} scored videos or more.", icon=":material/info:")
    with left:
        show_chart(
            figures.precision_by_label(
                drawn,
                scores.precision_by_frequency(page),
                minimum=per_label.FEW_POSITIVES,
                scale=page.scale,
                selected=label,
                highlight=highlight,
            ),
            page.labels.vocabulary,
            name="precision",
            alt="Average precision of each label against its number of videos, with the median by frequency",
            provenance=provenance_text(page),
            data=drawn,
            code=figure_code(
                page,
                "precision_by_label",
                "table",
                "view.precision_by_frequency",
                setup=_filter_code(band, minimum, topics),
                minimum=per_label.FEW_POSITIVES,
                selected=label,
                highlight=highlight,
            ),
            selects_many=True,
        )
        offer_label_videos(page, chart_labels("precision"), require_all=False)
    with right:
        _show_bands(page, table, band)
    with below:
        st.subheader(f"Labels of the {band} band" if band in BANDS else "All labels", anchor=False)
        support = pluralize(minimum, "scored video")
        st.caption(f"{pluralize(len(listed), 'label')} with at least {support}, lowest average precision first.")
        show_table(
            listed.sort_values(["ap", "count"], ascending=[True, False]),
            page.labels.vocabulary,
            ["name", "ap", "positives", "count", "band", "vertical", "rank", "label"],
            name="labels-precision",
            alt="Selected labels with their average precision, the lowest first",
        )


def _filter_code(band: str, minimum: int, topics: list[str]) -> str:
    """Return Python code that selects the labels of the chart."""
    lines = ["table = view.label_table", f'table = table[table["positives"] >= {minimum}]']
    if band != per_label.ALL:
        lines.append(f'table = table[table["band"] == {band!r}]')
    if len(topics) > 1:
        lines.append(f'table = table[table["vertical"].isin({topics!r})]')
    return "\n".join(lines)


def _show_bands(page: PageContext, table: pd.DataFrame, selected: str) -> None:
    """Summarize each band; a click selects it."""
    bands = per_label.summarize_bands(table, len(page.scores.videos))

    table_name = f"bands {selected}"  # of its own: a table that is drawn again may lose the first click

    def select_band(cells: list[tuple[int, str]]) -> None:
        st.session_state["band"] = str(bands["band"].iloc[cells[0][0]])

    st.markdown("**Frequency bands**", help="The head holds 50% of all label assignments; head and mid hold 90%.")
    st.dataframe(
        bands.assign(
            share=bands["share"] * 100,
            note=["mostly chance" if rare > MOSTLY else "" for rare in bands["rare"]],
        ),
        hide_index=True,
        column_order=["band", "labels", "share", "measured", "median", "note"],
        column_config={
            "band": st.column_config.TextColumn("Band", width=46),
            "labels": st.column_config.NumberColumn("Labels", format="localized", width=50),
            "share": st.column_config.NumberColumn(
                "Share", help="Share of all label assignments.", format="%.0f%%", width=46
            ),
            "measured": st.column_config.NumberColumn(
                "Measured",
                help="Labels with at least one scored video; the average precision of the others is undefined.",
                format="localized",
                width=66,
            ),
            "median": st.column_config.NumberColumn("Median AP", help=AP_HELP, format="%.3f", width=70),
            "note": st.column_config.TextColumn(
                "Note",
                help=f"Mostly chance: over {MOSTLY:.0%} of the measured labels have fewer than "
                f"{per_label.FEW_POSITIVES} scored videos.",
                width=97,
            ),
        },
        key=fresh_key(table_name),
        on_select=on_fresh_selection(table_name, "cells", select_band),
        selection_mode="single-cell",
        height="content",
        alt="Head, mid and tail: number of labels, and their median average precision",
    )
    rows = bands.set_index("band")
    if "tail" in rows.index and rows.loc["tail", "measured"]:
        tail = rows.loc["tail"]
        st.caption(
            f"Click a band to see its labels. A random order of the videos has a median AP of {tail['chance']:.3f} on "
            f"the tail's {tail['measured']:,.0f} measured labels."
        )
    st.caption(
        "The line of the chart is the median AP of labels of similar frequency (1 video, 2 to 3, 4 to 7, and so on). A "
        f"label far below it is hard for a reason other than its frequency. Labels with fewer than "
        f"{per_label.FEW_POSITIVES} scored videos are small and faint: their AP is mostly chance."
    )


def select_support(note: str) -> int:
    """Select the minimum number of scored videos of a label."""
    # The name in links of older versions.
    if old := link_values().pop("at_least", None):
        link_values().setdefault("positives", [str(max(1, int(old[-1])))] if old[-1].isdecimal() else ["1"])
    return int(
        linked(
            st.number_input,
            "Minimum support (videos)",
            1,
            None,
            1,
            key="positives",
            width=200,
            help=f"Minimum number of scored videos with the label. {note}",
        )
    )
