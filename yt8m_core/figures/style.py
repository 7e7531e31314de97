"""What all figures share: colors, a subtitle that names the scale, and a look that fits light and dark pages."""

import html
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

# Okabe and Ito's colors, which people with any color vision tell apart, and a gray that reads on black and on white.
BLUE, ORANGE, GREEN, GRAY = "#4f9bd9", "#e69f00", "#009e73", "#787878"
VERMILION = "#d55e00"  # of the one thing that a reader chose
TRANSPARENT = "rgba(0,0,0,0)"
LINE = 75  # characters of a subtitle that a phone shows in one line


def style(figure: go.Figure, title: str, *notes: str) -> None:
    """Set the title, the subtitle out of ``notes`` (the scale first), and the common look."""
    lines = [""]
    for note in filter(None, notes):
        longer = f"{lines[-1]} · {note}" if lines[-1] else note
        if len(longer) > LINE and lines[-1]:
            lines.append(note)
        else:
            lines[-1] = longer
    figure.update_layout(
        title={"text": title, "subtitle": {"text": "<br>".join(lines)}},
        # In a template, so that a page with a theme of its own (Streamlit) may set its own text color.
        template=go.layout.Template(layout={"font": {"color": GRAY}}),
        paper_bgcolor=TRANSPARENT,
        plot_bgcolor=TRANSPARENT,
        hovermode="closest",
        margin={"t": 75 + 15 * len(lines)},
        # Below, where it leaves the width to the data.
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
    )
    figure.update_xaxes(gridcolor="rgba(128,128,128,0.25)", zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor="rgba(128,128,128,0.25)", zeroline=False, automargin=True)


def literal(name: str) -> str:
    """A name as plotly shows it: plotly takes text for HTML, and ``%{`` in what is hovered over for a variable.

    >>> literal("<b>%{x}</b>")
    '&lt;b&gt;%&#123;x}&lt;/b&gt;'
    """
    return html.escape(str(name), quote=False).replace("%{", "%&#123;")


def literal_in(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """A table with the names in some of its columns as plotly shows them."""
    return table.assign(**{column: [literal(name) for name in table[column]] for column in columns})


def shade_main_scene(figure: go.Figure, runs: Sequence[tuple[int, int]], color: str = ORANGE) -> None:
    """Shade the true main scene of a video, its runs of frames as (first, one past the last), over time in seconds."""
    for number, (first, end) in enumerate(runs):
        # A frame stands for the second around its point, hence the halves.
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


def counted(count: int, noun: str) -> str:
    """A count and its noun.

    >>> counted(1, "label"), counted(2000, "label")
    ('1 label', '2,000 labels')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
