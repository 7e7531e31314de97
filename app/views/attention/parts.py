"""Attention page: predictions from parts of a video, in a figure and a table."""

from typing import Any

import streamlit as st
from numpy.typing import NDArray

from components.charts import provenance_text, show_chart
from components.columns import probability_column, true_column
from components.selectors import download_csv
from views.attention.video_context import VideoContext
from yt8m_core import figures

PARTS_ALT = "Probabilities of a few labels from the whole video and from parts of it"


def show_parts(
    video: VideoContext, parts: dict[str, tuple[NDArray[Any], str]], key: str, *, code: str, wide: bool = False
) -> None:
    """Show the probabilities of the labels of interest.

    Args:
        video: The selected video.
        parts: Prediction [C] and name of the whole video and of each part, by column.
        key: Distinguishes the figures of the page.
        code: Python code of the predictions.
        wide: Show the table beside the figure.
    """
    predictions = {column: p for column, (p, _) in parts.items()}
    names = {column: name for column, (_, name) in parts.items()}
    table = video.label_table(predictions)
    left, right = st.columns(2, gap="large") if wide else (st.container(), st.container())
    with left:
        title = video.title("Predictions from parts of")
        show_chart(
            figures.partial_predictions(table, names, title=title, scale=video.page.scale),
            key=f"{key}_chart",
            provenance=provenance_text(video.page),
            data=table,
            code=video.code("partial_predictions", f"video.part_table({code})", repr(names), title=title),
            alt=PARTS_ALT,
        )
    with right:
        st.dataframe(
            table.drop(columns="label"),
            hide_index=True,
            column_config={
                "name": st.column_config.TextColumn("Label", pinned=True),
                "true": true_column(),
                **{column: probability_column(name[0].upper() + name[1:]) for column, name in names.items()},
            },
            alt=PARTS_ALT,
        )
        all_labels = video.label_table(predictions, range(len(video.prediction.probabilities)))
        download_csv(all_labels, f"{key}-{video.page.run.name}-{video.id}", "Download all labels as CSV")
