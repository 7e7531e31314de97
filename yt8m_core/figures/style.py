"""Shared figure style: colors, a subtitle that names the scale, and names and counts for axes and texts."""

import html
import re
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

# Hues of the colorblind-safe Okabe-Ito palette, each with a contrast of at least 3:1 on white and on the dark page.
BLUE, ORANGE, GREEN, GRAY = "#3d8fd1", "#c47f00", "#009e73", "#787878"
MAGENTA = "#c2397f"  # the selected item
TRANSPARENT = "rgba(0,0,0,0)"
TEXT = "#262730"
SEPARATOR = " · "  # between the notes of a subtitle
DEFAULT_HEIGHT = 450  # pixels, of plotly and of Streamlit
MAX_PROVENANCE_LENGTH = 58  # characters of a line with provenance, in the wider font of the app
MAX_LINE_LENGTH = 75  # characters of a subtitle line that fit a phone
MAX_TITLE_LENGTH = 36  # characters of a title line that fit a phone, in the wider font of the app
TOOLBAR_HEIGHT = 34  # pixels above the title
# Color bar above the plot. At y = 1, plotly would move the title of the figure up, onto the toolbar.
COLOR_BAR = {"orientation": "h", "thickness": 10, "y": 0.999, "yanchor": "bottom"}
COLOR_BAR_HEIGHT = 50  # pixels, with its title
MAX_NAME_LENGTH = 24  # characters of a name on an axis


def style(figure: go.Figure, title: str, *notes: str) -> None:
    """Set the title, the subtitle made of ``notes`` (scale first), and the common layout."""
    lines = _subtitle_lines(notes)
    title_lines = textwrap.wrap(title, MAX_TITLE_LENGTH, break_long_words=False, break_on_hyphens=False)
    figure.update_layout(
        title={
            "text": "<br>".join(title_lines),
            "subtitle": {"text": "<br>".join(lines)},
            # By default the title moves up and down with the margin, onto the toolbar or the plot.
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": TOOLBAR_HEIGHT + 11 * (len(title_lines) - 1)},  # plotly centers several lines there
        },
        # Set in a template, so that a page with its own theme (Streamlit) can override the colors: no text color is
        # readable on white and on black.
        template=go.layout.Template(
            layout={
                "font": {"color": TEXT},
                "paper_bgcolor": "white",
                "plot_bgcolor": "white",
                "modebar": {"bgcolor": TRANSPARENT, "color": GRAY, "activecolor": BLUE},
            }
        ),
        hovermode="closest",
        margin={"t": TOOLBAR_HEIGHT + 21 + 20 * len(title_lines) + 15 * len(lines)},
        # Below the plot, to leave the full width to the data.
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
    )
    figure.update_xaxes(gridcolor="rgba(128,128,128,0.25)", zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor="rgba(128,128,128,0.25)", zeroline=False, automargin=True)


def _subtitle_lines(notes: Sequence[str], limit: int = MAX_LINE_LENGTH) -> list[str]:
    """Join notes to lines of at most ``limit`` characters, unless a single note is longer."""
    lines = [""]
    for note in filter(None, notes):
        longer = f"{lines[-1]}{SEPARATOR}{note}" if lines[-1] else note
        if len(longer) > limit and lines[-1]:
            lines.append(note)
        else:
            lines[-1] = longer
    return lines


def subtitle_notes(figure: go.Figure) -> list[str]:
    """Return the notes of the subtitle of a figure with a style."""
    return re.split(f"{SEPARATOR}|<br>", figure.layout.title.subtitle.text)


def add_provenance(figure: go.Figure, provenance: str) -> None:
    """Start the subtitle with the provenance of the numbers, and make the figure higher where that needs lines.

    Args:
        figure: Figure with a style. Notes of its subtitle that the provenance repeats, like the scale, are dropped.
        provenance: Notes separated by " · ", such as "run moe · data demo/validation · 800 videos · demo world".

    >>> figure = go.Figure()
    >>> style(figure, "GAP@20", "demo world", "95% CI")
    >>> add_provenance(figure, "run moe · demo world")
    >>> figure.layout.title.subtitle.text
    'run moe · demo world · 95% CI'
    """
    before = figure.layout.title.subtitle.text
    notes = escape_text(provenance).split(SEPARATOR)
    others = [note for note in subtitle_notes(figure) if note not in notes]
    lines = _subtitle_lines([*notes, *others], MAX_PROVENANCE_LENGTH)
    added = 15 * (len(lines) - before.count("<br>") - 1)
    figure.update_layout(
        title={"subtitle": {"text": "<br>".join(lines)}},
        margin={"t": figure.layout.margin.t + added},
        height=(figure.layout.height or DEFAULT_HEIGHT) + added,
    )


def set_font(figure: go.Figure, family: str, color: str | None = None) -> None:
    """Set the font of all text of a figure and, if given, the color of its text, also against the theme of a page."""
    values = {"font.family": family, "title.font.family": family, "font.color": color}
    for name in figure.layout:
        if name[1:5] == "axis":
            values[f"{name}.tickfont.color"] = values[f"{name}.title.font.color"] = color
    figure.plotly_relayout(values)  # faster than update_layout and update_xaxes


def list_rows(figure: go.Figure, title: str, names: Sequence[str], *, first: int = 0, **axis: Any) -> None:
    """Label the y axis with one name per row, first row on top; the first row is at y = ``first``."""
    figure.update_yaxes(
        title_text=title,
        tickmode="array",
        tickvals=list(range(first, first + len(names))),
        ticktext=list(names),
        range=[first + len(names) - 0.5, first - 0.5],
        **axis,
    )


def escape_text(name: str) -> str:
    """Escape a name for plotly, which interprets HTML and, in hover templates, ``%{`` as a variable.

    >>> escape_text("<b>%{x}</b>")
    '&lt;b&gt;%&#123;x}&lt;/b&gt;'
    """
    return html.escape(str(name), quote=False).replace("%{", "%&#123;")


def axis_names(names: Sequence[str], limit: int = MAX_NAME_LENGTH) -> list[str]:
    """Shorten names for an axis (``shorten_names``), and escape them."""
    return [escape_text(name) for name in shorten_names(names, limit)]


def shorten_names(names: Sequence[str], limit: int) -> list[str]:
    """Shorten names to ``limit`` characters, and keep different names different.

    >>> shorten_names(["Car", "Massively multiplayer online game", "Massively multiplayer online RPG"], 24)
    ['Car', 'Massively multiplayer o…', 'Massively multiplayer…2']
    """
    texts = {name: name for name in names if len(name) <= limit}
    for name in names:
        number = 1
        while name not in texts:
            ending = "…" if number == 1 else f"…{number}"
            text = name[: limit - len(ending)].rstrip() + ending
            if text not in texts.values():
                texts[name] = text
            number += 1
    return [texts[name] for name in names]


def escape_columns(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Escape the names in some columns of a table (see ``escape_text``)."""
    return table.assign(**{column: [escape_text(name) for name in table[column]] for column in columns})


def shade_main_scene(figure: go.Figure, intervals: Sequence[tuple[int, int]], color: str = ORANGE) -> None:
    """Shade the true main scene of a video on a time axis in seconds.

    Args:
        figure: Figure with time on the x axis.
        intervals: Frame intervals as (first, one past the last).
        color: Fill color.
    """
    for number, (first, end) in enumerate(intervals):
        # Each frame covers the second around its point, hence the halves.
        figure.add_vrect(
            x0=first - 0.5,
            x1=end - 0.5,
            fillcolor=color,
            opacity=0.25,
            layer="below",
            line_width=0,
            name="true main scene",
            legendgroup="main",
            showlegend=number == 0,
            annotation_text="main",
            annotation_position="top left",
        )
    # Of stacked subplots, each has the rectangles; one has their names.
    shapes = [shape for shape in figure.layout.shapes if shape.name == "true main scene"]
    for shape in shapes[1:]:
        shape.showlegend = False
    figure.layout.annotations = [
        note for note in figure.layout.annotations if note.text != "main" or note.yref in ("y domain", "y")
    ]


def pluralize(count: int, noun: str) -> str:
    """Format a count with its noun.

    >>> pluralize(1, "label"), pluralize(2000, "label")
    ('1 label', '2,000 labels')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
