"""Figures of the labels: how often each occurs, and which go together (sections 2.4 and 2.5)."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from yt8m_core.errors import UserError
from yt8m_core.figures.style import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    TRANSPARENT,
    VERMILION,
    counted,
    literal,
    literal_in,
    style,
)
from yt8m_core.labels.statistics import HEAD_SHARE, MID_SHARE

BAND_LOOKS = {"head": (BLUE, "circle"), "mid": (ORANGE, "diamond"), "tail": (GREEN, "x")}
"""The color and the symbol of each band. A label's point has ``customdata`` [name, vertical, label, ...]."""

LARGEST_WINDOW = 100
"""Labels a side of ``correlation``: a marker for each cell is what makes it clickable, and browsers bear 10,000."""


def rank_frequency(table: pd.DataFrame, *, scale: str, chosen: int | None = None) -> go.Figure:
    """Videos of each label against its rank, both on log axes, one symbol for each band.

    Args:
        table: As from ``label_statistics.rank_frequency``. Labels without a video have no place on a log axis; the
            subtitle counts them.
        scale: What made the numbers.
        chosen: A label to put a ring around.

    >>> table = pd.DataFrame({"label": [3], "name": ["Car"], "vertical": ["Autos"], "count": [10], "rank": [1],
    ...                       "cumulative_share": [1.0], "band": ["head"]})
    >>> [(trace.name, trace.x.tolist(), trace.y.tolist()) for trace in rank_frequency(table, scale="demo world").data]
    [('head (1 label)', [1], [10])]
    """
    seen = table[table["count"] > 0]
    figure = go.Figure()
    bands(figure, seen, "count", "%{y:,} videos<br>down to here %{customdata[3]:.1%} of all pairs")
    ring(figure, seen, "rank", "count", chosen)
    style(figure, "Label frequency", scale, _hidden(table, seen))
    figure.update_xaxes(type="log", title_text="rank of the label (log scale)")
    figure.update_yaxes(type="log", title_text="videos with the label (log scale)")
    return figure


def cumulative_share(table: pd.DataFrame, *, scale: str, chosen: int | None = None) -> go.Figure:
    """The share of all (video, label) pairs that the labels down to each rank hold, one symbol for each band.

    Args:
        table: As from ``label_statistics.rank_frequency``; labels without a video add nothing and are not drawn.
        scale: What made the numbers.
        chosen: A label to put a ring around.

    >>> table = pd.DataFrame({"label": [3], "name": ["Car"], "vertical": ["Autos"], "count": [10], "rank": [1],
    ...                       "cumulative_share": [1.0], "band": ["head"]})
    >>> cumulative_share(table, scale="demo world").data[0].y.tolist()
    [1.0]
    """
    seen = table[table["count"] > 0]
    figure = go.Figure()
    bands(figure, seen, "cumulative_share", "down to here %{y:.1%} of all pairs")
    ring(figure, seen, "rank", "cumulative_share", chosen)
    for share, text in ((HEAD_SHARE, "head"), (MID_SHARE, "head and mid")):
        figure.add_hline(
            y=share,
            line={"color": GRAY, "dash": "dot"},
            annotation_text=f"{text}: {share:.0%}",
            annotation_position="top left",
        )
    style(figure, "Cumulative share of labels", scale, _hidden(table, seen))
    figure.update_xaxes(type="log", title_text="rank of the label (log scale)")
    figure.update_yaxes(title_text="share of all labels given to videos", tickformat=".0%", range=[0, 1.05])
    return figure


def bands(figure: go.Figure, table: pd.DataFrame, y: str, told: str) -> None:
    """Add the labels of a table as points against their rank, a trace for each band."""
    for band, (color, symbol) in BAND_LOOKS.items():
        rows = literal_in(table[table["band"] == band], "name", "vertical")
        if rows.empty:
            continue
        figure.add_trace(
            go.Scatter(
                x=rows["rank"],
                y=rows[y],
                mode="markers",
                name=f"{band} ({counted(len(rows), 'label')})",
                marker={"color": color, "symbol": symbol, "size": 7},
                customdata=rows[["name", "vertical", "label", "cumulative_share"]],
                hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>label %{customdata[2]}, rank %{x}<br>"
                f"{told}<extra></extra>",
            )
        )


def ring(figure: go.Figure, table: pd.DataFrame, x: str, y: str, chosen: int | None) -> None:
    """Put a ring around the chosen label, where the table has it."""
    row = table[table["label"] == chosen]
    if row.empty or row[[x, y]].isna().to_numpy().any():
        return
    figure.add_trace(
        go.Scatter(
            x=row[x],
            y=row[y],
            mode="markers",
            name=f"chosen: {literal(row['name'].iloc[0])}",
            marker={"symbol": "circle-open", "size": 20, "color": VERMILION, "line": {"width": 3}},
            hoverinfo="skip",
        )
    )


def _hidden(table: pd.DataFrame, seen: pd.DataFrame) -> str:
    hidden = len(table) - len(seen)
    return f"{counted(hidden, 'label')} without a video not drawn" if hidden else ""


def correlation(matrix: ArrayLike, names: Sequence[str], measure_name: str, *, scale: str) -> go.Figure:
    """A measure between labels as a heatmap whose cells can be clicked.

    Streamlit reports no click on a heatmap, so a transparent marker lies on each cell: a clicked point's ``y`` is the
    row, its ``x`` the column and its ``point_index`` row * L + column. NaN cells stay empty. The diagonal, often far
    larger than the rest, does not stretch the colors; hovering gives its true value.

    Args:
        matrix: [L, L], L at most 100.
        names: [L].
        measure_name: What is measured, for example a name in ``label_statistics.MEASURES``. "phi", and whatever else
            is below 0 somewhere, gets colors on both sides of 0.
        scale: What made the numbers.

    Raises:
        UserError: More than 100 labels, or shapes that do not fit.

    >>> figure = correlation([[1, 0.2], [0.4, 1]], ["Car", "Vehicle"], "conditional", scale="demo world")
    >>> figure.data[0].z.tolist(), figure.data[1].customdata.tolist()
    ([[1.0, 0.2], [0.4, 1.0]], [[0, 0], [0, 1], [1, 0], [1, 1]])
    """
    values = np.asarray(matrix, np.float64)
    size = len(names)
    if values.shape != (size, size):
        raise UserError(f"a matrix {values.shape} for {counted(size, 'name')}", expected=f"[{size}, {size}]")
    names = [literal(name) for name in names]
    if not 0 < size <= LARGEST_WINDOW:
        raise UserError(f"{size} labels", expected=f"1 to {LARGEST_WINDOW}", advice="Choose some of them.")
    others = values[~np.eye(size, dtype=bool) & np.isfinite(values)]
    top = float(np.abs(others).max()) if others.any() else 1.0
    two_sided = measure_name == "phi" or bool((others < 0).any())
    row, column = (index.ravel() for index in np.indices(values.shape))
    figure = go.Figure(
        go.Heatmap(
            z=values,
            zmin=-top if two_sided else 0,
            zmax=top,
            colorscale="RdBu_r" if two_sided else "Cividis",
            colorbar={"title": {"text": measure_name}},
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        # Not Scattergl: a canvas of its own takes a browser without a graphics card about two to eight times as long.
        go.Scatter(
            x=column,
            y=row,
            mode="markers",
            marker={"symbol": "square", "size": math.ceil(600 / size), "color": TRANSPARENT, "line": {"width": 0}},
            customdata=np.stack([row, column], axis=1),
            text=[
                f"{names[i]} → {names[j]}<br>{measure_name} {value:.4g}"
                for i, line in enumerate(values.tolist())
                for j, value in enumerate(line)
            ],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )
    style(figure, f"Labels together: {measure_name}", scale, "colors end at the largest value off the diagonal")
    ticks = {
        "tickmode": "array",
        "tickvals": list(range(size)),
        "ticktext": list(names),
        "tickfont": {"size": min(12, max(6, 600 // size))},
        "showgrid": False,
    }
    figure.update_xaxes(title_text="column label", range=[-0.5, size - 0.5], **ticks)
    figure.update_yaxes(title_text="row label", range=[size - 0.5, -0.5], **ticks)
    figure.update_layout(height=760, clickmode="event+select")
    return figure
