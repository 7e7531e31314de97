"""Charts: their text colors, the provenance of their numbers, and their export as an image, a table and code."""

import re
from typing import Any

import pandas as pd
import streamlit as st

from components.selectors import download_csv
from context import PageContext
from yt8m_core.figures.style import add_provenance, axis_names, pluralize, set_font

# Streamlit draws the text of Plotly charts in a gray with a contrast of 3.7:1 on white, which no option changes.
TEXT_STYLE = "<style>.js-plotly-plot .main-svg text { fill: currentColor !important; }</style>"
TEXT_COLORS = {"light": "#141414", "dark": "#edebe8"}  # of saved images, which the style above does not reach
# A saved image has no web fonts; texts measured in another font would be cut off.
IMAGE_FONT = "Arial, Helvetica, sans-serif"
IMAGE_FORMATS = ("PNG", "SVG")
IMAGE_SCALE = 2  # pixels of a PNG per pixel of the page
MAX_KEY_LENGTH = 40  # characters of a run or data set in the subtitle


def style_chart_text() -> None:
    """Draw the text of all charts of the page in the text color of its theme."""
    st.html(TEXT_STYLE)


def provenance_text(page: PageContext, *, with_run: bool = True) -> str:
    """Return the run, unless the numbers depend on the data only, and the data set, its size and its scale."""
    run, data = axis_names([page.run_key, page.data_key], MAX_KEY_LENGTH)
    return " · ".join(
        [*([f"run {run}"] if with_run else []), f"data {data}", pluralize(len(page.videos), "video"), page.scale]
    )


def show_chart(
    figure: Any,
    *,
    key: str,
    alt: str,
    provenance: str,
    data: pd.DataFrame | None = None,
    file_name: str = "",
    code: str = "",
    on_select: Any = "ignore",
    selection_mode: Any = "points",
) -> Any:
    """Show a chart that names its provenance and, below it, a menu to export it. Changes the figure.

    Args:
        figure: A figure of ``yt8m_core.figures``.
        key: Key of the chart in the session state.
        alt: Description of the chart for screen readers.
        provenance: Run, data set, number of videos and scale, such as ``provenance_text``; part of a saved image.
        data: The numbers of the chart, to save as CSV.
        file_name: Name of saved files, without its ending; the key by default.
        code: Python code that draws the chart, to copy.
        on_select: As in ``st.plotly_chart``.
        selection_mode: As in ``st.plotly_chart``.

    Returns:
        The selected points, if ``on_select`` asks for them.
    """
    add_provenance(figure, provenance)
    set_font(figure, IMAGE_FONT, TEXT_COLORS.get(st.context.theme.type or ""))
    file = re.sub(r"[^\w-]+", "_", file_name or key)
    image_format = st.session_state.get(_format_key(key)) or IMAGE_FORMATS[0]
    event = st.plotly_chart(
        figure,
        key=key,
        on_select=on_select,
        selection_mode=selection_mode,
        config={
            "toImageButtonOptions": {"format": image_format.lower(), "filename": file, "scale": IMAGE_SCALE},
        },
        alt=alt,
    )
    menu = st.popover("Export", icon=":material/download:", type="tertiary", key=f"{key} export", on_change="rerun")
    if menu.open:  # a closed menu costs nothing
        with menu:
            _show_export(key, file, data, code)
    return event


def _show_export(key: str, file: str, data: pd.DataFrame | None, code: str) -> None:
    """Show the content of the export menu."""
    # Plotly's camera button has one format at a time.
    st.segmented_control(
        "Image format", IMAGE_FORMATS, default=IMAGE_FORMATS[0], key=_format_key(key), persist_state="session",
        required=True, help="The camera button above the chart saves the chart as shown, in the colors of the page.",
    )  # fmt: skip
    if data is not None:
        download_csv(data, f"{file}-figure", "Data as CSV")
    if code:
        st.caption("Copy as Python")
        st.code(code, language="python")


def _format_key(key: str) -> str:
    return f"{key} image format"
