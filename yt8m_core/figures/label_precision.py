"""Figures of average precision by label, gains between two runs, and adaptive noise (section 2.2.5)."""

from itertools import cycle

import pandas as pd
import plotly.graph_objects as go

from yt8m_core.figures.label_counts import BAND_LOOKS, add_ring
from yt8m_core.figures.style import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    escape_columns,
    escape_text,
    list_rows,
    pluralize,
    style,
)

COLORS = (BLUE, ORANGE, GREEN, "#cc79a7", "#56b4e9", "#d55e00", "#b8a200", GRAY)
SYMBOLS = (
    "circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star", "pentagon", "hexagram",
    "hourglass", "bowtie", "diamond-tall", "diamond-wide", "star-triangle-up", "star-square", "star-diamond",
    "circle-open", "square-open", "diamond-open", "cross-open", "x-open", "triangle-up-open", "triangle-down-open",
    "star-open", "pentagon-open", "hexagram-open", "hourglass-open", "bowtie-open", "diamond-tall-open",
    "diamond-wide-open",
)  # fmt: skip
"""One symbol per topic, so that the symbol alone identifies it; YouTube-8M has 25 topics."""
FAINT = 0.25  # opacity of labels with few positives


def precision_by_label(
    table: pd.DataFrame,
    bins: pd.DataFrame,
    *,
    minimum: int,
    verticals: list[str],
    scale: str,
    selected: int | None = None,
) -> go.Figure:
    """Plot the average precision of each label against its number of videos; one color and symbol per topic.

    Args:
        table: One row per label: label, name, vertical, count, positives, ap. Labels without an ap are not drawn.
        bins: Result of ``per_label.precision_by_frequency``, drawn as a median line and an interquartile band.
        minimum: Labels with fewer positives are small and faint, because their average precision is mostly noise.
        verticals: All topics, including those without a row in ``table``, so that each topic keeps its look.
        scale: Scale that produced the numbers.
        selected: Label to mark with a ring.

    >>> table = pd.DataFrame({"label": [3, 4], "name": ["Car", "Cat"], "vertical": ["Autos", "Pets"],
    ...                       "count": [10, 2], "positives": [10, 2], "ap": [0.5, 1.0]})
    >>> bins = pd.DataFrame({"min_count": [8], "max_count": [15], "center": [11], "labels": [1], "low": [0.5],
    ...                      "median": [0.5], "high": [0.5]})
    >>> figure = precision_by_label(table, bins, minimum=5, verticals=["Autos", "Pets"], scale="demo world")
    >>> [(trace.name, trace.y.tolist(), trace.marker.opacity) for trace in figure.data[:2]]
    [('Autos', [0.5], 0.85), ('Pets', [1.0], 0.25)]
    """
    measured = table[table["ap"].notna() & (table["count"] > 0)]
    figure = go.Figure()
    for vertical, color, symbol in zip(verticals, cycle(COLORS), cycle(SYMBOLS), strict=False):
        _add_topic(figure, measured[measured["vertical"] == vertical], vertical, color, symbol, minimum)
    _add_bins(figure, bins)
    add_ring(figure, measured, "count", "ap", selected)
    num_faint = int((measured["positives"] < minimum).sum())
    style(
        figure,
        "Average precision by label",
        scale,
        pluralize(len(measured), "label"),
        f"small and faint: {num_faint:,} with fewer than {pluralize(minimum, 'video')}" if num_faint else "",
    )
    figure.update_layout(height=620, legend={"maxheight": 0.3})
    figure.update_xaxes(type="log", title_text="Number of videos with the label (log scale)")
    figure.update_yaxes(title_text="Average precision (AP)", range=[-0.03, 1.05])
    return figure


def _add_topic(figure: go.Figure, table: pd.DataFrame, vertical: str, color: str, symbol: str, minimum: int) -> None:
    """Add the labels of one topic; those with fewer positives than ``minimum`` are small and faint."""
    table = escape_columns(table, "name", "vertical")
    is_supported = table["positives"] >= minimum
    look = {"color": color, "symbol": symbol}
    # Two traces, because a legend shows the mean size and opacity of a trace.
    for rows, marker, in_legend in (
        (table[~is_supported], {**look, "size": 5, "opacity": FAINT}, not is_supported.any()),
        (table[is_supported], {**look, "size": 9, "opacity": 0.85}, True),
    ):
        if rows.empty:
            continue
        figure.add_trace(
            go.Scatter(
                x=rows["count"],
                y=rows["ap"],
                mode="markers",
                name=escape_text(vertical) or "no topic",
                legendgroup=vertical,
                showlegend=in_legend,
                marker=marker,
                customdata=rows[["name", "vertical", "label", "positives"]],
                hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>AP %{y:.3f} on %{customdata[3]:,} "
                "positives<br>%{x:,} videos in the data set<extra></extra>",
            )
        )


def _add_bins(figure: go.Figure, bins: pd.DataFrame) -> None:
    """Add the median and the interquartile band of average precision by frequency."""
    figure.add_scatter(
        x=[*bins["center"], *bins["center"][::-1]],
        y=[*bins["high"], *bins["low"][::-1]],
        mode="lines",
        name="interquartile range of labels with similar frequency",
        line={"color": GRAY, "dash": "dot", "width": 1},
        fill="toself",
        fillcolor="rgba(128,128,128,0.2)",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=bins["center"],
        y=bins["median"],
        mode="lines+markers",
        name="median of labels with similar frequency",
        line={"color": GRAY, "dash": "dash", "width": 3},
        marker={"symbol": "line-ew-open", "size": 12},
        text=[
            f"<b>{pluralize(row['labels'], 'label')} with {row['min_count']:,} to {row['max_count']:,} videos</b><br>"
            f"median AP {row['median']:.3f}<br>interquartile range {row['low']:.3f} to {row['high']:.3f}"
            for row in bins.to_dict("records")
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def gain_by_label(table: pd.DataFrame, *, runs: tuple[str, str], scale: str, selected: int | None = None) -> go.Figure:
    """Plot the difference in AP between two runs for each label against its number of videos; one symbol per band.

    Args:
        table: One row per label: label, name, vertical, count, positives, band, ap, ap_b, gain. Labels without a gain
            are not drawn.
        runs: Names of the first and the second run. The gain is the AP of the second minus the AP of the first.
        scale: Scale that produced the numbers.
        selected: Label to mark with a ring.

    >>> table = pd.DataFrame({"label": [3], "name": ["Car"], "vertical": ["Autos"], "count": [10], "positives": [10],
    ...                       "band": ["head"], "ap": [0.25], "ap_b": [0.5], "gain": [0.25]})
    >>> gain_by_label(table, runs=("a", "b"), scale="demo world").data[0].y.tolist()
    [0.25]
    """
    measured = escape_columns(table[table["gain"].notna()], "name", "vertical")
    figure = go.Figure()
    for band, (color, symbol) in BAND_LOOKS.items():
        rows = measured[measured["band"] == band]
        if rows.empty:
            continue
        figure.add_trace(
            go.Scatter(
                x=rows["count"],
                y=rows["gain"],
                mode="markers",
                name=f"{band} ({pluralize(len(rows), 'label')})",
                marker={"color": color, "symbol": symbol, "size": 8},
                customdata=rows[["name", "vertical", "label", "ap", "ap_b", "positives"]],
                hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>AP %{customdata[3]:.3f} → "
                "%{customdata[4]:.3f} (%{y:+.3f})<br>%{customdata[5]:,} positives<extra></extra>",
            )
        )
    add_ring(figure, measured, "count", "gain", selected)
    figure.add_hline(y=0, line={"color": GRAY, "dash": "dash"})
    style(figure, "Difference in AP by label", scale, f"above 0: {runs[1]} is better", f"below 0: {runs[0]} is better")
    figure.update_xaxes(type="log", title_text="Number of videos with the label (log scale)")
    figure.update_yaxes(title_text="Difference in AP", tickformat="+.2f")
    return figure


def gain_by_band(table: pd.DataFrame, *, runs: tuple[str, str], scale: str) -> go.Figure:
    """Plot the mean difference in AP between two runs by band, with its 95% CI over labels; filled if significant.

    Args:
        table: Result of ``per_label.gain_by_band``.
        runs: Names of the first and the second run.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"band": ["head"], "labels": [9], "gained": [5], "lost": [4], "gain": [0.25],
    ...                       "low": [0.125], "high": [0.375]})
    >>> figure = gain_by_band(table, runs=("a", "b"), scale="demo world")
    >>> figure.data[0].name, figure.data[0].x.tolist(), figure.layout.yaxis.ticktext
    ('significant difference', [0.25], ('head<br>(9 labels)',))
    """
    is_significant = (table["low"] > 0) | (table["high"] < 0)
    figure = go.Figure()
    for rows, name, symbol, color in (
        (table[is_significant], "significant difference", "circle", BLUE),
        (table[~is_significant], "no significant difference", "circle-open", GRAY),
    ):
        if rows.empty:
            continue
        figure.add_scatter(
            x=rows["gain"],
            y=rows.index,
            mode="markers",
            name=name,
            marker={"symbol": symbol, "color": color, "size": 11},
            error_x={
                "array": (rows["high"] - rows["gain"]).fillna(0),
                "arrayminus": (rows["gain"] - rows["low"]).fillna(0),
                "color": color,
            },
            customdata=rows[["band", "labels", "gained", "lost", "low", "high"]],
            hovertemplate="<b>%{customdata[0]}</b>, %{customdata[1]:,} labels<br>mean difference in AP %{x:+.4f}, "
            "95% CI [%{customdata[4]:+.4f}, %{customdata[5]:+.4f}]<br>%{customdata[2]:,} better, %{customdata[3]:,} "
            "worse<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GRAY, "dash": "dash"})
    style(figure, "Difference in AP by band", scale, f"above 0: {runs[1]} is better", "95% CI over labels")
    figure.update_xaxes(title_text="Mean difference in AP [95% CI]", tickformat="+.3f")
    names = [
        f"{band}<br>({pluralize(labels, 'label')})"
        for band, labels in zip(table["band"], table["labels"].tolist(), strict=True)
    ]
    list_rows(figure, "Band", names)
    return figure


def noise_strength(table: pd.DataFrame, *, scale: str, selected: int | None = None) -> go.Figure:
    """Plot the norm γ√D of adaptive noise for each label against its rank; a frame has norm 1.

    Args:
        table: One row per label: name, vertical, rank, and the columns of ``NoiseStrength.table``: label, alone,
            together, alone_length, together_length.
        scale: Scale that produced the numbers.
        selected: Label to mark with a ring.

    >>> table = pd.DataFrame({"label": [3], "name": ["Car"], "vertical": ["Autos"], "rank": [1], "alone": [0.5],
    ...                       "together": [0.25], "alone_length": [1.0], "together_length": [0.5]})
    >>> [trace.y.tolist() for trace in noise_strength(table, scale="demo world").data]
    [[1.0], [0.5]]
    """
    figure = go.Figure()
    for column, name, color, symbol, size in (
        ("alone", "a video with only this label", BLUE, "line-ew-open", 9),
        ("together", "median of all videos with this label", ORANGE, "circle", 5),
    ):
        rows = escape_columns(table[table[column] > 0], "name", "vertical")
        figure.add_trace(
            go.Scatter(
                x=rows["rank"],
                y=rows[f"{column}_length"],
                mode="markers",
                name=name,
                marker={"color": color, "symbol": symbol, "size": size},
                customdata=rows[["name", "vertical", "label", column]],
                hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>rank %{x}<br>γ %{customdata[3]:.2g}<br>"
                "noise norm %{y:.3g}<extra></extra>",
            )
        )
    add_ring(figure, table[table["alone"] > 0], "rank", "alone_length", selected)
    figure.add_hline(
        y=1,
        line={"color": GRAY, "dash": "dash"},
        annotation_text="norm of a frame",
        annotation_position="top left",
        annotation_y=0,  # annotations on a log axis are placed by log10
    )
    style(figure, "Adaptive noise by label", scale)
    figure.update_xaxes(type="log", title_text="Label rank (log scale)")
    figure.update_yaxes(type="log", title_text="Noise norm γ√D (log scale)", exponentformat="power", dtick=1)
    return figure
