"""Compare page: average precision of each video's ranking by both runs."""

from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache import comparisons
from components.charts import show_chart
from components.page_links import PREDICTIONS, open_page, show_links
from components.selection import on_selection
from components.selectors import download_csv
from components.text import plain
from context import PageContext
from views.compare.pair_export import pair_code, pair_provenance
from yt8m_core import figures
from yt8m_core.analysis.run_differences import split_by_sign
from yt8m_core.figures.style import pluralize

HEIGHT = 500  # pixels
DIFFERENCES = """\
from yt8m_core.analysis.per_label import true_ranks
from yt8m_core.analysis.run_differences import video_differences
ranks, other_ranks = true_ranks(view.scores), true_ranks(other.scores)
table = video_differences(view.scores, other.scores, ranks, other_ranks)
table["id"] = [view.run_videos.id(video) for video in table["video"]]"""
AP_OF_VIDEO = "1 if all true labels of the video rank above all others."
COLUMNS = {
    "id": st.column_config.TextColumn("Video", pinned=True, width=60),
    "labels": st.column_config.NumberColumn("Labels", help="Number of true labels.", format="localized", width=55),
    "ap": st.column_config.NumberColumn("AP", help=AP_OF_VIDEO, format="%.3f", width=50),
    "ap_b": st.column_config.NumberColumn(
        "AP, second", help=f"AP by the second run. {AP_OF_VIDEO}", format="%.3f", width=80
    ),
    "gain": st.column_config.NumberColumn(
        "Difference", help="AP of the second run minus AP of the first.", format="%+.3f", width=75
    ),
    "found_only": st.column_config.NumberColumn(
        "Only first", help="True labels in the top 20 of the first run, but not of the second.", width=68
    ),
    "found_only_b": st.column_config.NumberColumn(
        "Only second", help="True labels in the top 20 of the second run, but not of the first.", width=85
    ),
}


def show_videos(page: PageContext, other: PageContext, labels: pd.DataFrame, place: DeltaGenerator) -> None:
    """Show the videos as a chart in ``place``, and as one table per better run; without ``labels``."""
    table = comparisons.video_differences(page, other)

    def open_point(points: list[dict[str, Any]]) -> None:
        if points[0].get("customdata") is not None:  # id, row of the table, ...
            video = table["id"][int(points[0]["customdata"][1])]
            open_page(PREDICTIONS, {"video": video, "runs": [other.run_key]})

    with place:
        runs = page.run.name, other.run.name
        show_chart(
            figures.video_precision_by_run(table, runs=runs, scale=page.scale),
            height=HEIGHT,
            key="videos of both runs",
            provenance=pair_provenance(page, other),
            data=table,
            code=pair_code(page, other, "video_precision_by_run", "table", setup=DIFFERENCES, runs=runs),
            on_select=on_selection("videos of both runs", "points", open_point),
            selection_mode="points",
            alt="Average precision of each video's ranking by the second run against that by the first",
        )
        st.caption("Click a point or a row to open its video in Predictions, with both runs.")
    for column, side, rows in zip(st.columns(2, gap="medium"), (page, other), split_by_sign(table), strict=True):
        with column:
            st.markdown(
                f"**{plain(side.run.name)}** is better: {pluralize(len(rows), 'video')}, largest difference first"
            )
            show_links(
                rows,
                PREDICTIONS,
                lambda row: {"video": row.id, "runs": [other.run_key]},
                columns=COLUMNS,
                key=f"videos better with {'a' if side is page else 'b'}",
                alt=f"Videos that run {side.run.name} ranks with the higher average precision",
            )
    download_csv(table.drop(columns="row"), "videos-two-runs")
