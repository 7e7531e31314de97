"""Figures of two runs on the same videos: average precision (AP) of one against the other, by label and by video.

The differences by band and frequency are in ``label_precision.gain_by_band`` and ``gain_by_label``.
"""

import pandas as pd
import plotly.graph_objects as go

from yt8m_core.figures.label_counts import BAND_LOOKS, add_ring
from yt8m_core.figures.style import BLUE, GRAY, ORANGE, axis_names, escape_columns, escape_text, pluralize, style

SIDES = {1: ("circle", BLUE), -1: ("diamond", ORANGE), 0: ("x", GRAY)}
"""Symbol and color of the videos on which the second run is better, the first one, and none."""


def precision_by_run(
    table: pd.DataFrame, *, runs: tuple[str, str], scale: str, selected: int | None = None
) -> go.Figure:
    """Plot the AP of each label by the second run against that by the first; one symbol per band.

    Args:
        table: Result of ``per_label.add_gain``: label, name, vertical, positives, band, ap, ap_b, gain. Labels without
            a gain are not drawn.
        runs: Names of the first and the second run.
        scale: Scale that produced the numbers.
        selected: Label to mark with a ring.

    >>> table = pd.DataFrame({"label": [3], "name": ["Car"], "vertical": ["Autos"], "positives": [10],
    ...                       "band": ["head"], "ap": [0.25], "ap_b": [0.5], "gain": [0.25]})
    >>> point = precision_by_run(table, runs=("a", "b"), scale="demo world").data[1]
    >>> point.x.tolist(), point.y.tolist()
    ([0.25], [0.5])
    """
    measured = escape_columns(table[table["gain"].notna()], "name", "vertical")
    figure = go.Figure()
    _add_diagonal(figure)
    for band, (color, symbol) in BAND_LOOKS.items():
        rows = measured[measured["band"] == band]
        if rows.empty:
            continue
        figure.add_trace(
            go.Scattergl(
                x=rows["ap"],
                y=rows["ap_b"],
                mode="markers",
                name=f"{band} ({pluralize(len(rows), 'label')})",
                marker={"color": color, "symbol": symbol, "size": 8, "opacity": 0.7},
                customdata=rows[["name", "vertical", "label", "positives", "gain"]],
                hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>AP %{x:.3f} → %{y:.3f} "
                "(%{customdata[4]:+.3g})<br>positives: %{customdata[3]:,}<extra></extra>",
            )
        )
    add_ring(figure, table, "ap", "ap_b", selected)  # escapes the name itself
    _finish(figure, "AP of each label by two runs", measured["gain"], runs, scale)
    return figure


def video_precision_by_run(table: pd.DataFrame, *, runs: tuple[str, str], scale: str) -> go.Figure:
    """Plot the AP of each video's ranking by the second run against that by the first.

    Args:
        table: Result of ``run_differences.video_differences``, and id (of the video). Videos without a gain are not
            drawn.
        runs: Names of the first and the second run.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"row": [7], "id": ["abcd"], "labels": [2], "ap": [0.25], "ap_b": [0.5], "gain": [0.25],
    ...                       "found_only": [0], "found_only_b": [1]})
    >>> point = video_precision_by_run(table, runs=("a", "b"), scale="demo world").data[1]
    >>> point.name, point.x.tolist(), point.customdata.tolist()
    ('b better (1 video)', [0.25], [['abcd', 7, 2, 0, 1, 0.25]])
    """
    measured = escape_columns(table[table["gain"].notna()], "id")
    sign = (measured["gain"] > 0).astype(int) - (measured["gain"] < 0).astype(int)
    names = {1: f"{escape_text(runs[1])} better", -1: f"{escape_text(runs[0])} better", 0: "equal"}
    figure = go.Figure()
    _add_diagonal(figure)
    for side, (symbol, color) in SIDES.items():
        rows = measured[sign == side]
        if rows.empty:
            continue
        figure.add_trace(
            go.Scattergl(
                x=rows["ap"],
                y=rows["ap_b"],
                mode="markers",
                name=f"{names[side]} ({pluralize(len(rows), 'video')})",
                marker={"color": color, "symbol": symbol, "size": 6, "opacity": 0.5},
                customdata=rows[["id", "row", "labels", "found_only", "found_only_b", "gain"]],
                hovertemplate="<b>%{customdata[0]}</b>, true labels: %{customdata[2]:,}<br>AP %{x:.3f} → %{y:.3f} "
                "(%{customdata[5]:+.3g})<br>true labels in the top 20 of one run only: %{customdata[3]:,} and "
                "%{customdata[4]:,}<extra></extra>",
            )
        )
    _finish(figure, "AP of each video by two runs", measured["gain"], runs, scale)
    return figure


def _add_diagonal(figure: go.Figure) -> None:
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="equal AP", line={"color": GRAY, "dash": "dash"}, hoverinfo="skip"
    )


def _finish(figure: go.Figure, title: str, gain: pd.Series, runs: tuple[str, str], scale: str) -> None:
    """Set titles and axes; the subtitle has the number of points on each side of the diagonal."""
    first, second = (escape_text(run) for run in runs)
    above, below = int((gain > 0).sum()), int((gain < 0).sum())
    style(figure, title, scale, f"above the diagonal, {second} better: {above:,}", f"below, {first} better: {below:,}")
    first, second = axis_names(runs)
    figure.update_xaxes(title_text=f"AP of {first}", range=[-0.03, 1.03])
    figure.update_yaxes(title_text=f"AP of {second}", range=[-0.03, 1.03])
    figure.update_layout(height=560)
