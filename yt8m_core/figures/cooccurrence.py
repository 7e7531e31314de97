"""Figures of label pairs: overview of thousands of labels, observed against expected counts, GAP by β (section 2.4)."""

import base64

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from yt8m_core.figures.png import encode_png
from yt8m_core.figures.style import (
    BLUE,
    COLOR_BAR,
    COLOR_BAR_HEIGHT,
    GRAY,
    GREEN,
    ORANGE,
    TRANSPARENT,
    axis_names,
    escape_columns,
    pluralize,
    style,
)

LEVELS = 127  # shades per sign
MAX_NAMED = 14  # clusters named on the axes
LOGARITHMIC = {"count": np.log10, "lift": np.log2}
FRAMES_PER_AXIS = 150  # a framed cluster spans at least 1/150 of an axis; a smaller frame would hide its cells
MIN_EXPECTED = 0.01  # pairs with a smaller expected count are drawn at this value
MAX_RANDOM_SURPRISE = 3  # standard deviations; common by chance among thousands of pairs


def correlation_overview(
    cells: ArrayLike, measure_name: str, clusters: pd.DataFrame, *, num_labels: int, per_cell: int, scale: str
) -> go.Figure:
    """Draw an association matrix of thousands of labels as one image, with a clickable frame around each cluster.

    Args:
        cells: Result of ``clustering.pool_matrix`` [S, S]; 0 if no label of the row is associated with one of the
            column.
        measure_name: Name of the measure. Counts and lifts use a logarithmic color scale.
        clusters: ``LabelOrder.clusters`` with names: first, size, label, name. Large clusters get a frame; the
            ``customdata`` of a clicked point is (label, name, size).
        num_labels: L, the number of labels on each axis.
        per_cell: Number of labels per cell, in each direction.
        scale: Scale that produced the numbers.

    >>> clusters = pd.DataFrame({"first": [0], "size": [2], "label": [7], "name": ["Car"]})
    >>> figure = correlation_overview([[0, 0.5], [0.5, 0]], "jaccard", clusters, num_labels=2, per_cell=1, scale="demo")
    >>> figure.data[0].source[:22], figure.data[2].customdata.tolist()
    ('data:image/png;base64,', [[7, 'Car', 2]])
    """
    values = np.asarray(cells, np.float64)
    log = LOGARITHMIC.get(measure_name)
    scaled = values if log is None else np.where(values > 0, log(np.where(values > 0, values, 1)), 0)
    top = float(np.abs(scaled).max()) if values.size and np.abs(scaled).max() > 0 else 1.0
    figure = go.Figure(
        go.Image(
            source=_image(values, scaled, top),
            x0=(per_cell - 1) / 2,
            y0=(per_cell - 1) / 2,
            dx=per_cell,
            dy=per_cell,
            hoverinfo="skip",
        )
    )
    _add_cluster_frames(figure, clusters[clusters["size"] >= num_labels / FRAMES_PER_AXIS], num_labels)
    _add_color_bar(figure, measure_name, top, has_negative=bool((scaled < 0).any()))
    style(
        figure,
        f"{measure_name} of all {pluralize(num_labels, 'label')}",
        scale,
        "frames: clusters",
        "" if per_cell == 1 else f"each cell: the strongest value of {per_cell} × {per_cell} labels",
    )
    _add_cluster_ticks(figure, clusters, num_labels)
    margin = {"t": figure.layout.margin.t + COLOR_BAR_HEIGHT}
    figure.update_layout(height=760 + COLOR_BAR_HEIGHT, margin=margin, clickmode="event+select")
    return figure


def _image(values: NDArray[np.float64], scaled: NDArray[np.float64], top: float) -> str:
    """Return the matrix as a PNG data URL; cells with a value of 0 are transparent."""
    level = np.clip(np.ceil(np.abs(scaled) / top * LEVELS), 1, LEVELS).astype(np.uint8)
    index = np.where(values == 0, 0, np.where(scaled < 0, level, LEVELS + level)).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(encode_png(index, _palette())).decode()


def _add_cluster_frames(figure: go.Figure, clusters: pd.DataFrame, num_labels: int) -> None:
    """Add a frame around each cluster, and an invisible marker in its center that can be clicked."""
    first, size = clusters["first"].to_numpy(np.float64), clusters["size"].to_numpy(np.float64)
    low, high, gap = first - 0.5, first + size - 0.5, np.full(len(first), np.nan)
    figure.add_scatter(
        x=np.stack([low, high, high, low, low, gap], axis=1).ravel(),
        y=np.stack([low, low, high, high, low, gap], axis=1).ravel(),
        mode="lines",
        line={"color": GRAY, "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_scatter(
        x=first + (size - 1) / 2,
        y=first + (size - 1) / 2,
        mode="markers",
        marker={
            "symbol": "square",
            "color": TRANSPARENT,
            "line": {"width": 0},
            "size": np.maximum(14, size / max(num_labels, 1) * 480),
        },
        customdata=np.array(escape_columns(clusters, "name")[["label", "name", "size"]], object),
        hovertemplate="<b>%{customdata[1]}</b><br>labels: %{customdata[2]}<extra></extra>",
        showlegend=False,
    )


def _add_cluster_ticks(figure: go.Figure, clusters: pd.DataFrame, num_labels: int) -> None:
    """Name the largest clusters on both axes, skipping names that would overlap."""
    named = _spaced_clusters(clusters, num_labels)
    ticks = {
        "tickmode": "array",
        "tickvals": (named["first"] + (named["size"] - 1) / 2).tolist(),
        "ticktext": axis_names(named["name"].tolist()),
        "tickfont": {"size": 10},
        "showgrid": False,
        "constrain": "domain",
    }
    limits = [-0.5, max(num_labels, 1) - 0.5]
    figure.update_xaxes(title_text="Column label, in cluster order", range=limits, tickangle=90, **ticks)
    figure.update_yaxes(title_text="Row label, in cluster order", range=limits[::-1], **ticks)


def _spaced_clusters(clusters: pd.DataFrame, num_labels: int) -> pd.DataFrame:
    """Return the largest clusters whose names do not overlap on an axis."""
    centers: list[float] = []
    rows: list[int] = []
    for row, (first, size) in enumerate(zip(clusters["first"], clusters["size"], strict=True)):
        center = first + (size - 1) / 2
        if len(rows) < MAX_NAMED and all(abs(center - other) >= num_labels / 40 for other in centers):
            centers.append(center)
            rows.append(row)
    return clusters.iloc[rows]


def _add_color_bar(figure: go.Figure, measure_name: str, top: float, *, has_negative: bool) -> None:
    """Add a color bar through an empty trace, because an image trace has no color scale."""
    shades = _palette()[LEVELS + 1 :: 14]
    if has_negative:
        shades = np.concatenate([_palette()[LEVELS:0:-14], shades])
    colors = [f"rgba({r},{g},{b},{a / 255:.2f})" for r, g, b, a in shades.tolist()]
    title = {"count": "log₁₀ of count", "lift": "log₂ of lift"}.get(measure_name, measure_name)
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={
            "color": [0],
            "cmin": -top if has_negative else 0,
            "cmax": top,
            "colorscale": [[number / (len(colors) - 1), color] for number, color in enumerate(colors)],
            "showscale": True,
            "colorbar": {**COLOR_BAR, "title": {"text": title, "side": "top"}, "len": 0.6},
        },
        showlegend=False,
    )


def _palette() -> NDArray[np.uint8]:
    """Return RGBA colors [1 + 2 LEVELS, 4]: transparent, then negative and positive values by increasing magnitude.

    Strong values are opaque and weak ones let the page shine through, so that the image works on white and on black.
    """

    def shades(color: str) -> NDArray[np.uint8]:
        rgb = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
        alpha = np.linspace(140, 255, LEVELS).round().astype(np.uint8)
        return np.column_stack([np.tile(np.array(rgb, np.uint8), (LEVELS, 1)), alpha])

    return np.concatenate([np.zeros((1, 4), np.uint8), shades(ORANGE), shades(BLUE)])


def expected_vs_observed(table: pd.DataFrame, *, title: str, scale: str) -> go.Figure:
    """Plot the number of videos that a run expects to have both labels of a pair against the observed number.

    Both axes are logarithmic. Pairs without a video are drawn at 0.5, and expected counts below ``MIN_EXPECTED`` are
    drawn at that value.

    Args:
        table: Result of ``pair_calibration.compare_with_truth`` with names: label_a, label_b, a, b, observed, expected,
            surprise. The ``customdata`` of a clicked point starts with the ids of the two labels.
        title: Name of the run.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"label_a": [1], "label_b": [2], "a": ["Car"], "b": ["Toy"], "observed": [0],
    ...                       "expected": [20.0], "surprise": [-4.5]})
    >>> figure = expected_vs_observed(table, title="Pairs", scale="demo world")
    >>> [(trace.name, trace.x.tolist(), trace.y.tolist()) for trace in figure.data[1:]]
    [('overestimated', [0.5], [20.0])]
    """
    table = escape_columns(table, "a", "b")
    observed = table["observed"].clip(lower=0.5).to_numpy(np.float64)
    expected = table["expected"].clip(lower=MIN_EXPECTED).to_numpy(np.float64)
    figure = go.Figure()
    limits = [0.5, float(max([observed.max(), expected.max()])) * 1.2] if len(table) else [0.5, 1.0]
    figure.add_scatter(
        x=limits,
        y=limits,
        mode="lines",
        name="expected = observed",
        line={"color": GRAY, "dash": "dash"},
        hoverinfo="skip",
    )
    for selected, name, color, symbol in (
        (table["surprise"] > MAX_RANDOM_SURPRISE, "underestimated", BLUE, "triangle-down"),
        (table["surprise"] < -MAX_RANDOM_SURPRISE, "overestimated", ORANGE, "triangle-up"),
        (table["surprise"].abs() <= MAX_RANDOM_SURPRISE, "within 3 standard deviations", GRAY, "circle"),
    ):
        mask = selected.to_numpy(bool)
        if not mask.any():
            continue
        columns = ["label_a", "label_b", "a", "b", "observed", "surprise", "expected"]
        figure.add_scatter(
            x=observed[mask],
            y=expected[mask],
            mode="markers",
            name=name,
            marker={"color": color, "symbol": symbol, "size": 7},
            customdata=np.array(table.loc[mask, columns], object),
            hovertemplate="<b>%{customdata[2]}</b> and <b>%{customdata[3]}</b><br>observed: %{customdata[4]:,}<br>"
            "expected: %{customdata[6]:,.1f}<br>surprise %{customdata[5]:+.2g}<extra></extra>",
        )
    unobserved, rare = int((table["observed"] == 0).sum()), int((table["expected"] < MIN_EXPECTED).sum())
    style(
        figure,
        title,
        scale,
        pluralize(len(table), "pair"),
        f"{pluralize(unobserved, 'pair')} with 0 observed drawn at 0.5" if unobserved else "",
        f"{pluralize(rare, 'pair')} with fewer than {MIN_EXPECTED} expected drawn at {MIN_EXPECTED}" if rare else "",
    )
    figure.update_xaxes(type="log", title_text="Observed number of videos (log scale)")
    figure.update_yaxes(type="log", title_text="Expected number of videos (log scale)")
    figure.update_layout(height=620, clickmode="event+select")
    return figure


def gap_by_weight(curve: pd.DataFrame, *, selected: tuple[float, float], baseline: float, scale: str) -> go.Figure:
    """Plot GAP@20 against β at α = 1 and γ = 0, the selected weights, and a line at the GAP without other labels.

    Args:
        curve: beta, gap; ascending in beta.
        selected: β and GAP of the selected weights, for any α and γ.
        baseline: GAP at (1, 0, 0).
        scale: Scale that produced the numbers.

    >>> curve = pd.DataFrame({"beta": [0.0, 0.1], "gap": [0.8, 0.7]})
    >>> figure = gap_by_weight(curve, selected=(0.1, 0.75), baseline=0.8, scale="demo world")
    >>> [(trace.name, [float(gap) for gap in trace.y]) for trace in figure.data]
    [('α = 1, γ = 0', [0.8, 0.7]), ('selected weights', [0.75])]
    """
    figure = go.Figure()
    figure.add_scatter(
        x=curve["beta"],
        y=curve["gap"],
        mode="lines+markers",
        name="α = 1, γ = 0",
        line={"color": BLUE, "width": 2},
        marker={"size": 7},
        hovertemplate="β %{x}: GAP@20 %{y:.4f}<extra></extra>",
    )
    figure.add_scatter(
        x=[selected[0]],
        y=[selected[1]],
        mode="markers",
        name="selected weights",
        marker={"color": GREEN, "size": 14, "symbol": "diamond"},
        hovertemplate="β %{x}: GAP@20 %{y:.4f}<extra>selected</extra>",
    )
    figure.add_hline(y=baseline, line={"color": GRAY, "dash": "dash"})
    style(figure, "GAP@20 by β", scale, "dashed: without label processing")
    figure.update_xaxes(title_text="β, weight of correlated labels (M<sub>c</sub>)")
    figure.update_yaxes(title_text="GAP@20 (0 to 1)")
    figure.update_layout(height=340)
    return figure
