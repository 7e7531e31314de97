"""Charts: their text colors, the provenance of their numbers, and their export as an image, a table and code."""

import re
from typing import Any

import pandas as pd
import streamlit as st

from components.selectors import download_csv
from context import PageContext
from yt8m_core.data.sources import data_key
from yt8m_core.figures.style import add_provenance, pluralize, set_font, shorten_names
from yt8m_core.runs.run import Run

# Streamlit draws the text of Plotly charts in a gray with a contrast of 3.7:1 on white, which no option changes.
TEXT_STYLE = "<style>.js-plotly-plot .main-svg text { fill: currentColor !important; }</style>"
FOCUS_STYLE = "<style>a:focus-visible { outline: 2px solid currentColor !important; outline-offset: 2px; }</style>"
TEXT_COLORS = {"light": "#141414", "dark": "#edebe8"}  # of saved images, which the style above does not reach
# A saved image has no web fonts; texts measured in another font would be cut off.
IMAGE_FONT = "Arial, Helvetica, sans-serif"
IMAGE_FORMATS = ("PNG", "SVG")
IMAGE_SCALE = 2  # pixels of a PNG per pixel of the page
MAX_KEY_LENGTH = 40  # characters of a run or data set in the subtitle


def style_page() -> None:
    """Draw the text of all charts of the page in the text color of its theme, and a frame around a focused link."""
    st.html(TEXT_STYLE + FOCUS_STYLE)


def provenance_text(page: PageContext, *, with_run: bool = True, second_run: str = "") -> str:
    """Return the run, unless the numbers depend on the data only, and the data set, its size and its scale."""
    run_key = page.run_key if with_run else ""
    return join_provenance(run_key, page.data_key, len(page.videos), page.scale, second_run=second_run)


def join_provenance(run_key: str, data_key: str, num_videos: int, scale: str, *, second_run: str = "") -> str:
    """Join one or two runs, unless their keys are empty, a data set, its size and its scale to a provenance."""
    run, second, data = shorten_names([run_key, second_run, data_key], MAX_KEY_LENGTH)
    runs = f"runs {run} and {second}" if second else f"run {run}" if run else ""
    return " · ".join([*([runs] if runs else []), f"data {data}", pluralize(num_videos, "video"), scale])


def figure_code(
    page: PageContext, figure: str, *arguments: str, setup: str = "", with_run: bool = True, **options: Any
) -> str:
    """Return Python code that draws a figure in a notebook; its last line is the figure.

    Args:
        page: The page, whose run and data set the code opens as ``view``, an ``Inspection``.
        figure: Name of a function of ``yt8m_core.figures``.
        arguments: Its arguments as code, which may use ``view`` and the variables of ``setup``.
        setup: Lines before the call.
        with_run: Whether the numbers depend on the run.
        options: Values of more arguments; None is left out. The scale is added.
    """
    run = page.run if with_run else _data_owner(page)
    run_path = None if run is None else str(run.path.absolute())
    values = [f"{name}={value!r}" for name, value in options.items() if value is not None]
    return "\n".join(
        [
            "from yt8m_core import Inspection, figures",
            f"view = Inspection({run_path!r}, {data_key(page.data.path)!r})",
            *([setup] if setup else []),
            f"figures.{figure}({', '.join([*arguments, *values, 'scale=view.scale'])})",
        ]
    )


def _data_owner(page: PageContext) -> Run | None:
    """Return the run that names the streams or the vocabulary of the data set; None where the data set needs none."""
    if not (page.data.streams or page.data.vocabulary):
        return None
    return page.data.owner or (page.run if page.has_run else None)


def show_chart(
    figure: Any,
    *,
    key: str,
    alt: str,
    provenance: str,
    data: pd.DataFrame | None = None,
    file_name: str = "",
    code: str = "",
    height: int | None = None,
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
        height: Height in pixels without the lines that the provenance adds; that of the figure by default.
        on_select: As in ``st.plotly_chart``.
        selection_mode: As in ``st.plotly_chart``.

    Returns:
        The selected points, if ``on_select`` asks for them.
    """
    if height is not None:
        figure.update_layout(height=height)
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
    st.caption("Save the image with the camera above the chart.")
    # Plotly's camera button has one format at a time.
    st.segmented_control(
        "Image format", IMAGE_FORMATS, default=IMAGE_FORMATS[0], key=_format_key(key), persist_state="session",
        required=True, help="The chart is saved as shown, in the colors of the page.",
    )  # fmt: skip
    if data is not None:
        download_csv(data, f"{file}-figure", "Data as CSV")
    if code:
        st.caption("Copy as Python")
        st.code(code, language="python", wrap_lines=True)


def _format_key(key: str) -> str:
    return f"{key} image format"
