"""Figures of average precision by label, gains between two runs, and adaptive noise (section 2.2.5)."""

import pandas as pd
import plotly.graph_objects as go

from yt8m_core.figures.label_counts import BAND_LOOKS, add_ring
from yt8m_core.figures.style import (
    BLUE,
    GRAY,
    ORANGE,
    escape_columns,
    escape_text,
    list_rows,
    pluralize,
    style,
)

FAINT = 0.25  # opacity of labels with few positives, and of those that are not highlighted


def precision_by_label(
    table: pd.DataFrame,
    bins: pd.DataFrame,
    *,
    minimum: int,
    scale: str,
    selected: int | None = None,
    highlight: str | None = None,
) -> go.Figure:
    """Plot the average precision of each label against its number of videos; one color and symbol per band.

    Args:
        table: One row per label: label, name, vertical, count, positives, band, ap. Labels without an ap are not drawn.
        bins: Result of ``per_label.precision_by_frequency``, drawn as a median line and an interquartile band.
        minimum: Labels with fewer positives are small and faint, because their average precision is mostly noise.
        scale: Scale that produced the numbers.
        selected: Label to mark with a ring.
        highlight: Topic or name of the labels to highlight; all others are small and faint.

    >>> table = pd.DataFrame({"label": [3, 4], "name": ["Car", "Cat"], "vertical": ["Autos", "Pets"],
    ...                       "count": [10, 2], "positives": [10, 2], "band": ["head", "tail"], "ap": [0.5, 1.0]})
    >>> bins = pd.DataFrame({"min_count": [8], "max_count": [15], "center": [11], "labels": [1], "low": [0.5],
    ...                      "median": [0.5], "high": [0.5]})
    >>> figure = precision_by_label(table, bins, minimum=5, scale="demo world")
    >>> [(trace.name, trace.y.tolist(), trace.marker.opacity) for trace in figure.data[:2]]
    [('head (1 label)', [0.5], 1), ('tail (1 label)', [1.0], 0.25)]
    """
    measured = table[table["ap"].notna() & (table["count"] > 0)]
    is_strong = measured["positives"] >= minimum
    num_rare = int((~is_strong).sum())
    if highlight is not None:
        is_strong &= (measured["vertical"] == highlight) | (measured["name"] == highlight)
    figure = go.Figure()
    for band, (color, symbol) in BAND_LOOKS.items():
        rows = measured["band"] == band
        _add_band(figure, measured[rows], is_strong[rows], band, {"color": color, "symbol": symbol})
    _add_bins(figure, bins)
    add_ring(figure, measured, "count", "ap", selected)
    style(
        figure,
        "Average precision by label",
        scale,
        pluralize(len(measured), "label"),
        f"small and faint: {num_rare:,} with fewer than {pluralize(minimum, 'video')}" if num_rare else "",
        "" if highlight is None else f"highlighted: {escape_text(highlight)}",
    )
    figure.update_layout(height=620)
    figure.update_xaxes(type="log", title_text="Number of videos with the label (log scale)")
    figure.update_yaxes(title_text="Average precision (AP)", range=[-0.03, 1.05])
    return figure


def _add_band(figure: go.Figure, table: pd.DataFrame, is_strong: pd.Series, band: str, look: dict[str, str]) -> None:
    """Add the labels of one band; those that are not strong are small and faint."""
    name = f"{band} ({pluralize(len(table), 'label')})"
    table = escape_columns(table, "name", "vertical")
    # Two traces, because a legend shows the mean size and opacity of a trace.
    for rows, marker, in_legend in (
        (table[~is_strong], {**look, "size": 5, "opacity": FAINT}, not is_strong.any()),
        (table[is_strong], {**look, "size": 9, "opacity": 1}, True),
    ):
        if rows.empty:
            continue
        figure.add_scatter(
            x=rows["count"],
            y=rows["ap"],
            mode="markers",
            name=name,
            legendgroup=band,
            showlegend=in_legend,
            marker=marker,
            customdata=rows[["name", "vertical", "label", "positives"]],
            hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>AP %{y:.3f}, positives: %{customdata[3]:,}<br>"
            "videos in the data set: %{x:,}<extra></extra>",
        )


def _add_bins(figure: go.Figure, bins: pd.DataFrame) -> None:
    """Add the median and the interquartile band of average precision by frequency."""
    figure.add_scatter(
        x=[*bins["center"], *bins["center"][::-1]],
        y=[*bins["high"], *bins["low"][::-1]],
        mode="lines",
        name="interquartile range at similar frequency",
        line={"color": GRAY, "dash": "dot", "width": 1},
        fill="toself",
        fillcolor="rgba(128,128,128,0.2)",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=bins["center"],
        y=bins["median"],
        mode="lines+markers",
        name="median at similar frequency",
        line={"color": GRAY, "dash": "dash", "width": 3},
        marker={"symbol": "line-ew-open", "size": 12},
        text=[
            f"<b>{pluralize(row['labels'], 'label')} with {_count_range(row['min_count'], row['max_count'])}</b><br>"
            f"median AP {row['median']:.3f}<br>interquartile range {row['low']:.3f} to {row['high']:.3f}"
            for row in bins.to_dict("records")
        ],
        hovertemplate="%{text}<extra></extra>",
    )


def _count_range(low: int, high: int) -> str:
    return pluralize(low, "video") if low == high else f"{low:,} to {high:,} videos"


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
                "%{customdata[4]:.3f} (%{y:+.3g})<br>positives: %{customdata[5]:,}<extra></extra>",
            )
        )
    add_ring(figure, table, "count", "gain", selected)
    figure.add_hline(y=0, line={"color": GRAY, "dash": "dash"})
    first, second = (escape_text(run) for run in runs)
    style(figure, "Difference in AP by label", scale, f"above 0: {second} is better", f"below 0: {first} is better")
    figure.update_xaxes(type="log", title_text="Number of videos with the label (log scale)")
    figure.update_yaxes(title_text="Difference in AP")
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
            hovertemplate="<b>%{customdata[0]}</b>, labels: %{customdata[1]:,}<br>mean difference in AP %{x:+.3g}, "
            "95% CI [%{customdata[4]:+.3g}, %{customdata[5]:+.3g}]<br>better: %{customdata[2]:,}, worse: "
            "%{customdata[3]:,}<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GRAY, "dash": "dash"})
    style(figure, "Difference in AP by band", scale, f"above 0: {escape_text(runs[1])} is better", "95% CI over labels")
    figure.update_xaxes(title_text="Mean difference in AP [95% CI]")
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
