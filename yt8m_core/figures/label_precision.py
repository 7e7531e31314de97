"""Figures of how well runs find each label, and of the noise that would help the rare ones (section 2.2.5)."""

from itertools import cycle

import pandas as pd
import plotly.graph_objects as go

from yt8m_core.figures.label_counts import BAND_LOOKS, ring
from yt8m_core.figures.style import BLUE, GRAY, GREEN, ORANGE, TRANSPARENT, counted, literal, literal_in, style

COLORS = (BLUE, ORANGE, GREEN, "#cc79a7", "#56b4e9", "#d55e00", "#b8a200", GRAY)
SYMBOLS = (
    "circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star", "pentagon", "hexagram",
    "hourglass", "bowtie", "diamond-tall", "diamond-wide", "star-triangle-up", "star-square", "star-diamond",
    "circle-open", "square-open", "diamond-open", "cross-open", "x-open", "triangle-up-open", "triangle-down-open",
    "star-open", "pentagon-open", "hexagram-open", "hourglass-open", "bowtie-open", "diamond-tall-open",
    "diamond-wide-open",
)  # fmt: skip
"""A topic each, so that a symbol alone tells it; YouTube-8M has 25."""
FAINT = 0.25  # opacity of a label that too few videos measure


def precision_by_label(
    table: pd.DataFrame,
    steps: pd.DataFrame,
    *,
    minimum: int,
    verticals: list[str],
    scale: str,
    chosen: int | None = None,
) -> go.Figure:
    """The average precision of each label against how many videos have it; a color and a symbol for each topic.

    Args:
        table: One row a label: label, name, vertical, count, positives, ap. Those without an ap are not drawn.
        steps: As from ``by_label.by_frequency``: the median line and the band of the middle half.
        minimum: Labels with fewer positives are drawn small and faint: their precision is mostly chance.
        verticals: All topics, those that the table leaves out included, so that each keeps its look.
        scale: What made the numbers.
        chosen: A label to put a ring around.

    >>> table = pd.DataFrame({"label": [3, 4], "name": ["Car", "Cat"], "vertical": ["Autos", "Pets"],
    ...                       "count": [10, 2], "positives": [10, 2], "ap": [0.5, 1.0]})
    >>> steps = pd.DataFrame({"least": [8], "most": [15], "middle": [11], "labels": [1], "low": [0.5],
    ...                       "median": [0.5], "high": [0.5]})
    >>> figure = precision_by_label(table, steps, minimum=5, verticals=["Autos", "Pets"], scale="demo world")
    >>> [(trace.name, trace.y.tolist(), trace.marker.opacity) for trace in figure.data[:2]]
    [('Autos', [0.5], 0.85), ('Pets', [1.0], 0.25)]
    """
    measured = table[table["ap"].notna() & (table["count"] > 0)]
    figure = go.Figure()
    for vertical, color, symbol in zip(verticals, cycle(COLORS), cycle(SYMBOLS), strict=False):
        rows = literal_in(measured[measured["vertical"] == vertical], "name", "vertical")
        enough = rows["positives"] >= minimum
        looks = {"color": color, "symbol": symbol}
        # Two traces, since a legend shows a trace's mean size and opacity.
        for some, look, listed in (
            (rows[~enough], {**looks, "size": 5, "opacity": FAINT}, not enough.any()),
            (rows[enough], {**looks, "size": 9, "opacity": 0.85}, True),
        ):
            if some.empty:
                continue
            figure.add_trace(
                go.Scatter(
                    x=some["count"],
                    y=some["ap"],
                    mode="markers",
                    name=literal(vertical) or "no topic",
                    legendgroup=vertical,
                    showlegend=listed,
                    marker=look,
                    customdata=some[["name", "vertical", "label", "positives"]],
                    hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>AP %{y:.3f} over %{customdata[3]:,} "
                    "scored videos with it<br>%{x:,} videos in the data set<extra></extra>",
                )
            )
    figure.add_scatter(
        x=[*steps["middle"], *steps["middle"][::-1]],
        y=[*steps["high"], *steps["low"][::-1]],
        mode="lines",
        name="middle half of the labels as frequent",
        line={"color": TRANSPARENT, "dash": "dot"},
        fill="toself",
        fillcolor="rgba(128,128,128,0.2)",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=steps["middle"],
        y=steps["median"],
        mode="lines+markers",
        name="their median",
        line={"color": GRAY, "dash": "dash", "width": 3},
        marker={"symbol": "line-ew-open", "size": 12},
        text=[
            f"<b>{counted(step['labels'], 'label')} with {step['least']:,} to {step['most']:,} videos</b><br>"
            f"median AP {step['median']:.3f}<br>half of them from {step['low']:.3f} to {step['high']:.3f}"
            for step in steps.to_dict("records")
        ],
        hovertemplate="%{text}<extra></extra>",
    )
    ring(figure, measured, "count", "ap", chosen)
    few = int((measured["positives"] < minimum).sum())
    style(
        figure,
        "Average precision of each label",
        scale,
        counted(len(measured), "label"),
        f"small and faint: {few:,} with fewer than {counted(minimum, 'video')}" if few else "",
    )
    figure.update_layout(height=620, legend={"maxheight": 0.3})
    figure.update_xaxes(type="log", title_text="videos with the label (log scale)")
    figure.update_yaxes(title_text="average precision (AP)", range=[-0.03, 1.05])
    return figure


def gain_by_label(table: pd.DataFrame, *, runs: tuple[str, str], scale: str, chosen: int | None = None) -> go.Figure:
    """What a second run gains or loses on each label, against how many videos have it; a symbol for each band.

    Args:
        table: One row a label: label, name, vertical, count, positives, band, ap, ap_b, gain. Those
            without a gain are not drawn.
        runs: The names of the first and the second run; the gain is the second's AP less the first's.
        scale: What made the numbers.
        chosen: A label to put a ring around.

    >>> table = pd.DataFrame({"label": [3], "name": ["Car"], "vertical": ["Autos"], "count": [10], "positives": [10],
    ...                       "band": ["head"], "ap": [0.25], "ap_b": [0.5], "gain": [0.25]})
    >>> gain_by_label(table, runs=("a", "b"), scale="demo world").data[0].y.tolist()
    [0.25]
    """
    measured = literal_in(table[table["gain"].notna()], "name", "vertical")
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
                name=f"{band} ({counted(len(rows), 'label')})",
                marker={"color": color, "symbol": symbol, "size": 8, "opacity": 0.8},
                customdata=rows[["name", "vertical", "label", "ap", "ap_b", "positives"]],
                hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>AP %{customdata[3]:.3f} → "
                "%{customdata[4]:.3f} (%{y:+.3f})<br>%{customdata[5]:,} scored videos with it<extra></extra>",
            )
        )
    ring(figure, measured, "count", "gain", chosen)
    figure.add_hline(y=0, line={"color": GRAY, "dash": "dash"})
    style(figure, "Gain of each label", scale, f"above 0 {runs[1]} is better, below {runs[0]}")
    figure.update_xaxes(type="log", title_text="videos with the label (log scale)")
    figure.update_yaxes(title_text="difference in AP", tickformat="+.2f")
    return figure


def gain_by_band(table: pd.DataFrame, *, runs: tuple[str, str], scale: str) -> go.Figure:
    """The mean gain of a second run on each band, with its 95 % interval over labels; full where it leaves out 0.

    Args:
        table: As from ``by_label.gain_by_band``.
        runs: The names of the first and the second run.
        scale: What made the numbers.

    >>> table = pd.DataFrame({"band": ["head"], "labels": [9], "gained": [5], "lost": [4], "gain": [0.25],
    ...                       "low": [0.125], "high": [0.375]})
    >>> figure = gain_by_band(table, runs=("a", "b"), scale="demo world")
    >>> figure.data[0].name, figure.data[0].x.tolist(), figure.layout.yaxis.ticktext
    ('differs from 0', [0.25], ('head<br>(9 labels)',))
    """
    sure = (table["low"] > 0) | (table["high"] < 0)
    figure = go.Figure()
    for rows, name, symbol, color in (
        (table[sure], "differs from 0", "circle", BLUE),
        (table[~sure], "no difference that these labels can tell", "circle-open", GRAY),
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
            hovertemplate="<b>%{customdata[0]}</b>, %{customdata[1]:,} labels<br>mean gain %{x:+.4f} "
            "(%{customdata[4]:+.4f} to %{customdata[5]:+.4f})<br>%{customdata[2]:,} gained, %{customdata[3]:,} lost"
            "<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GRAY, "dash": "dash"})
    style(figure, "Gain of each band", scale, f"right of 0 {runs[1]} is better", "bars: 95 % interval over labels")
    figure.update_xaxes(title_text="mean difference in AP", tickformat="+.3f")
    figure.update_yaxes(
        title_text="band of labels",
        tickmode="array",
        tickvals=table.index.tolist(),
        ticktext=[
            f"{band}<br>({counted(labels, 'label')})"
            for band, labels in zip(table["band"], table["labels"].tolist(), strict=True)
        ],
        range=[len(table) - 0.5, -0.5],
    )
    return figure


def noise_strength(table: pd.DataFrame, *, scale: str, chosen: int | None = None) -> go.Figure:
    """How long adaptive noise is beside a frame, whose length is 1: γ√D for each label, against its rank.

    Args:
        table: One row a label: name, vertical, rank, and label, alone, together, alone_length, together_length as from
            ``noise_strength``.
        scale: What made the numbers.
        chosen: A label to put a ring around.

    >>> table = pd.DataFrame({"label": [3], "name": ["Car"], "vertical": ["Autos"], "rank": [1], "alone": [0.5],
    ...                       "together": [0.25], "alone_length": [1.0], "together_length": [0.5]})
    >>> [trace.y.tolist() for trace in noise_strength(table, scale="demo world").data]
    [[1.0], [0.5]]
    """
    figure = go.Figure()
    for column, name, color, symbol, size in (
        ("alone", "a video with this label only", BLUE, "line-ew-open", 9),
        ("together", "median of the videos with it, whose other labels count too", ORANGE, "circle", 5),
    ):
        rows = literal_in(table[table[column] > 0], "name", "vertical")
        figure.add_trace(
            go.Scatter(
                x=rows["rank"],
                y=rows[f"{column}_length"],
                mode="markers",
                name=name,
                marker={"color": color, "symbol": symbol, "size": size, "opacity": 0.8},
                customdata=rows[["name", "vertical", "label", column]],
                hovertemplate="<b>%{customdata[0]}</b> (%{customdata[1]})<br>rank %{x}<br>γ %{customdata[3]:.2g}<br>"
                "noise %{y:.3g} times as long as the frame<extra></extra>",
            )
        )
    ring(figure, table[table["alone"] > 0], "rank", "alone_length", chosen)
    figure.add_hline(
        y=1,
        line={"color": GRAY, "dash": "dash"},
        annotation_text="as long as the frame",
        annotation_position="top left",
    )
    style(figure, "Adaptive noise beside a frame", scale)
    figure.update_xaxes(type="log", title_text="rank of the label (log scale)")
    figure.update_yaxes(type="log", title_text="length of the noise, γ√D (log scale)", exponentformat="power", dtick=1)
    return figure
