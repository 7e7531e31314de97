"""Figures of labels: frequency, cumulative share, and association heatmap (sections 2.4 and 2.5)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from yt8m_core.errors import UserError
from yt8m_core.figures.style import (
    BLUE,
    GRAY,
    GREEN,
    MAGENTA,
    ORANGE,
    TRANSPARENT,
    axis_names,
    escape_columns,
    escape_text,
    pluralize,
    style,
)
from yt8m_core.labels.statistics import HEAD_SHARE, MID_SHARE

BAND_LOOKS = {"head": (BLUE, "circle"), "mid": (ORANGE, "diamond"), "tail": (GREEN, "x")}
"""Color and symbol of each band. The ``customdata`` of a label's point is [name, vertical, label, ...]."""

LARGEST_WINDOW = 100
"""Maximum number of labels per side of ``correlation``: each cell is a clickable marker, and browsers handle 10,000."""


def rank_frequency(table: pd.DataFrame, *, scale: str, selected: int | None = None) -> go.Figure:
    """Plot the number of videos of each label against its rank on log axes, one symbol per band.

    Args:
        table: Result of ``statistics.rank_frequency``. Labels without a video cannot be drawn on a log axis; the
            subtitle gives their number.
        scale: Scale that produced the numbers.
        selected: Label to mark with a ring.

    >>> table = pd.DataFrame({"label": [3], "name": ["Car"], "vertical": ["Autos"], "count": [10], "rank": [1],
    ...                       "cumulative_share": [1.0], "band": ["head"]})
    >>> [(trace.name, trace.x.tolist(), trace.y.tolist()) for trace in rank_frequency(table, scale="demo world").data]
    [('head (1 label)', [1], [10])]
    """
    seen = table[table["count"] > 0]
    figure = go.Figure()
    _add_labels(figure, seen, "count", "videos: %{y:,}<br>cumulative share %{customdata[3]:.1%}")
    add_ring(figure, seen, "rank", "count", selected)
    style(figure, "Label frequency", scale, _unseen_note(table, seen))
    figure.update_xaxes(type="log", title_text="Label rank (log scale)")
    figure.update_yaxes(type="log", title_text="Number of videos (log scale)")
    return figure


def cumulative_share(table: pd.DataFrame, *, scale: str, selected: int | None = None) -> go.Figure:
    """Plot the cumulative share of all (video, label) pairs against the label rank, one symbol per band.

    Args:
        table: Result of ``statistics.rank_frequency``. Labels without a video are not drawn.
        scale: Scale that produced the numbers.
        selected: Label to mark with a ring.

    >>> table = pd.DataFrame({"label": [3], "name": ["Car"], "vertical": ["Autos"], "count": [10], "rank": [1],
    ...                       "cumulative_share": [1.0], "band": ["head"]})
    >>> cumulative_share(table, scale="demo world").data[0].y.tolist()
    [1.0]
    """
    seen = table[table["count"] > 0]
    figure = go.Figure()
    _add_labels(figure, seen, "cumulative_share", "cumulative share %{y:.1%}")
    add_ring(figure, seen, "rank", "cumulative_share", selected)
    for share, text in ((HEAD_SHARE, "head"), (MID_SHARE, "head and mid")):
        figure.add_hline(
            y=share,
            line={"color": GRAY, "dash": "dot"},
            annotation_text=f"{text}: {share:.0%}",
            annotation_position="top left",
        )
    style(figure, "Cumulative share of labels", scale, _unseen_note(table, seen))
    figure.update_xaxes(type="log", title_text="Label rank (log scale)")
    figure.update_yaxes(title_text="Cumulative share of (video, label) pairs", tickformat=".0%", range=[0, 1.05])
    return figure


def _add_labels(figure: go.Figure, table: pd.DataFrame, y: str, hover_text: str) -> None:
    """Add the labels of a table as points against their rank, one trace per band."""
    for band, (color, symbol) in BAND_LOOKS.items():
        rows = escape_columns(table[table["band"] == band], "name", "vertical")
        if rows.empty:
            continue
        figure.add_trace(
            go.Scatter(
                x=rows["rank"],
                y=rows[y],
                mode="markers",
                name=f"{band} ({pluralize(len(rows), 'label')})",
                marker={"color": color, "symbol": symbol, "size": 7},
                customdata=rows[["name", "vertical", "label", "cumulative_share"]],
                hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>label %{customdata[2]}, rank %{x}<br>"
                f"{hover_text}<extra></extra>",
            )
        )


def add_ring(figure: go.Figure, table: pd.DataFrame, x: str, y: str, selected: int | None) -> None:
    """Mark the selected label with a ring, if the table has it."""
    row = table[table["label"] == selected]
    if row.empty or row[[x, y]].isna().to_numpy().any():
        return
    figure.add_trace(
        go.Scatter(
            x=row[x],
            y=row[y],
            mode="markers",
            name=f"selected: {escape_text(row['name'].iloc[0])}",
            marker={"symbol": "circle-open", "size": 20, "color": MAGENTA, "line": {"width": 3}},
            hoverinfo="skip",
        )
    )


def _unseen_note(table: pd.DataFrame, seen: pd.DataFrame) -> str:
    num_unseen = len(table) - len(seen)
    return f"{pluralize(num_unseen, 'label')} without a video not drawn" if num_unseen else ""


def correlation(matrix: ArrayLike, names: Sequence[str], measure_name: str, *, scale: str) -> go.Figure:
    """Draw an association measure between labels as a heatmap with clickable cells.

    Streamlit reports no clicks on a heatmap, so a transparent marker lies on each cell: the ``y`` of a clicked point is
    the row, its ``x`` the column, and its ``point_index`` row * L + column. NaN cells are empty. The color scale
    ignores the diagonal, which is often far larger than the rest; the hover text gives its true value.

    Args:
        matrix: Association matrix [L, L], L at most 100.
        names: Label names [L].
        measure_name: Name of the measure, for example a key of ``cooccurrence.MEASURES``. "phi", and any matrix with
            negative values, gets a diverging color scale.
        scale: Scale that produced the numbers.

    Raises:
        UserError: More than 100 labels, or shapes that do not match.

    >>> figure = correlation([[1, 0.2], [0.4, 1]], ["Car", "Vehicle"], "conditional", scale="demo world")
    >>> figure.data[0].z.tolist(), figure.data[1].customdata.tolist()
    ([[1.0, 0.2], [0.4, 1.0]], [[0, 0], [0, 1], [1, 0], [1, 1]])
    """
    values = np.asarray(matrix, np.float64)
    size = len(names)
    if values.shape != (size, size):
        raise UserError(f"a matrix {values.shape} for {pluralize(size, 'name')}", expected=f"[{size}, {size}]")
    if not 0 < size <= LARGEST_WINDOW:
        raise UserError(f"{size} labels", expected=f"1 to {LARGEST_WINDOW}", advice="Choose some of them.")
    short_names, names = axis_names(names), [escape_text(name) for name in names]
    off_diagonal = values[~np.eye(size, dtype=bool) & np.isfinite(values)]
    top = float(np.abs(off_diagonal).max()) if off_diagonal.any() else 1.0
    diverging = measure_name == "phi" or bool((off_diagonal < 0).any())
    figure = go.Figure(
        go.Heatmap(
            z=values,
            zmin=-top if diverging else 0,
            zmax=top,
            colorscale="RdBu_r" if diverging else "Cividis",
            colorbar={"title": {"text": measure_name}},
            hoverinfo="skip",
        )
    )
    _add_clickable_cells(figure, values, names, measure_name)
    style(figure, f"Label association: {measure_name}", scale, "color scale excludes the diagonal")
    ticks = {
        "tickmode": "array",
        "tickvals": list(range(size)),
        "ticktext": short_names,
        "tickfont": {"size": min(12, max(6, 600 // size))},
        "showgrid": False,
    }
    figure.update_xaxes(title_text="Column label", range=[-0.5, size - 0.5], **ticks)
    figure.update_yaxes(title_text="Row label", range=[size - 0.5, -0.5], **ticks)
    figure.update_layout(height=760, clickmode="event+select")
    return figure


def _add_clickable_cells(
    figure: go.Figure, values: NDArray[np.float64], names: Sequence[str], measure_name: str
) -> None:
    """Add a transparent marker with a hover text on each cell of a heatmap."""
    row, column = (index.ravel() for index in np.indices(values.shape))
    figure.add_trace(
        # Not Scattergl: without a graphics card, its separate canvas makes a browser 2 to 8 times slower.
        go.Scatter(
            x=column,
            y=row,
            mode="markers",
            # Far smaller than a cell: of markers that overlap under the pointer, plotly takes the last one.
            marker={"symbol": "square", "size": 2, "color": TRANSPARENT, "line": {"width": 0}},
            customdata=np.stack([row, column], axis=1),
            text=[
                f"{names[i]} → {names[j]}<br>{measure_name} {value:.4g}"
                for i, cells in enumerate(values.tolist())
                for j, value in enumerate(cells)
            ],
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )
    figure.update_layout(hoverdistance=-1)  # the nearest marker, at any distance, is that of the cell
