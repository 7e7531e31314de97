"""Figures of thousands of labels at once, of pairs against a model, and of the weights of label processing."""

import base64
import struct
import zlib

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from yt8m_core.figures.style import BLUE, GRAY, GREEN, ORANGE, TRANSPARENT, counted, literal, literal_in, style

LEVELS = 127  # shades of each sign
NAMED = 14  # clusters that are named at the axis
LOGARITHMIC = {"count": np.log10, "lift": np.log2}
FRAMED = 150  # a cluster is framed from so small a part of all labels on: smaller frames would hide what they hold
FEW = 0.01  # expected videos below which a pair is drawn here
CLOSE = 3  # standard deviations that are nothing to speak of among thousands of pairs


def overview(
    cells: ArrayLike, measure_name: str, clusters: pd.DataFrame, *, num_labels: int, per_cell: int, scale: str
) -> go.Figure:
    """A measure between thousands of labels as one image, with a frame around each cluster that can be clicked.

    Args:
        cells: [S, S] as from ``label_clusters.pooled``; 0 where no label of the row goes with one of the column.
        measure_name: What is measured. Counts and lifts are shaded by their logarithm.
        clusters: As ``LabelOrder.clusters``, with the name of each: first, size, label, name. The larger ones get a
            frame; a clicked point's ``customdata`` is (label, name, size).
        num_labels: L, in order on both axes.
        per_cell: Labels that a cell stands for, each way.
        scale: What made the numbers.

    >>> clusters = pd.DataFrame({"first": [0], "size": [2], "label": [7], "name": ["Car"]})
    >>> figure = overview([[0, 0.5], [0.5, 0]], "jaccard", clusters, num_labels=2, per_cell=1, scale="demo world")
    >>> figure.data[0].source[:22], figure.data[2].customdata.tolist()
    ('data:image/png;base64,', [[7, 'Car', 2]])
    """
    values = np.asarray(cells, np.float64)
    log = LOGARITHMIC.get(measure_name)
    shown = values if log is None else np.where(values > 0, log(np.where(values > 0, values, 1)), 0)
    top = float(np.abs(shown).max()) if values.size and np.abs(shown).max() > 0 else 1.0
    level = np.clip(np.ceil(np.abs(shown) / top * LEVELS), 1, LEVELS).astype(np.uint8)
    index = np.where(values == 0, 0, np.where(shown < 0, level, LEVELS + level)).astype(np.uint8)
    figure = go.Figure(
        go.Image(
            source="data:image/png;base64," + base64.b64encode(_png(index, _palette())).decode(),
            x0=(per_cell - 1) / 2,
            y0=(per_cell - 1) / 2,
            dx=per_cell,
            dy=per_cell,
            hoverinfo="skip",
        )
    )
    framed = clusters[clusters["size"] >= num_labels / FRAMED]
    first, size = framed["first"].to_numpy(np.float64), framed["size"].to_numpy(np.float64)
    low, high, gap = first - 0.5, first + size - 0.5, np.full(len(first), np.nan)
    frame = {
        "mode": "lines",
        "line": {"color": GRAY, "width": 1},
        "opacity": 0.7,
        "hoverinfo": "skip",
        "showlegend": False,
    }
    figure.add_scatter(
        x=np.stack([low, high, high, low, low, gap], axis=1).ravel(),
        y=np.stack([low, low, high, high, low, gap], axis=1).ravel(),
        **frame,
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
        customdata=np.array(literal_in(framed, "name")[["label", "name", "size"]], object),
        hovertemplate="<b>%{customdata[1]}</b>: %{customdata[2]} labels<extra></extra>",
        showlegend=False,
    )
    _add_color_bar(figure, measure_name, top, negative=bool((shown < 0).any()))
    style(
        figure,
        f"All {counted(num_labels, 'label')}: {measure_name}",
        scale,
        "frames are clusters",
        "" if per_cell == 1 else f"a dot is {per_cell} × {per_cell} labels and has the strongest of their values",
    )
    named = _apart(clusters, num_labels)
    ticks = {
        "tickmode": "array",
        "tickvals": (named["first"] + (named["size"] - 1) / 2).tolist(),
        "ticktext": [literal(name) for name in named["name"]],
        "tickfont": {"size": 10},
        "showgrid": False,
    }
    edge = [-0.5, max(num_labels, 1) - 0.5]
    figure.update_xaxes(
        title_text="labels in cluster order (column)", range=edge, constrain="domain", tickangle=90, **ticks
    )
    figure.update_yaxes(title_text="the same (row)", range=edge[::-1], constrain="domain", **ticks)
    figure.update_layout(height=760, clickmode="event+select")
    return figure


def _apart(clusters: pd.DataFrame, num_labels: int) -> pd.DataFrame:
    """The largest clusters whose names do not overlap at an axis."""
    middles: list[float] = []
    kept: list[int] = []
    for number, (first, size) in enumerate(zip(clusters["first"], clusters["size"], strict=True)):
        middle = first + (size - 1) / 2
        if len(kept) < NAMED and all(abs(middle - other) >= num_labels / 40 for other in middles):
            middles.append(middle)
            kept.append(number)
    return clusters.iloc[kept]


def _add_color_bar(figure: go.Figure, measure_name: str, top: float, *, negative: bool) -> None:
    """The colors of the image beside it; a trace of its own has none, since an image has no scale."""
    shades = _palette()[LEVELS + 1 :: 14]
    colors = [f"rgba({r},{g},{b},{a / 255:.2f})" for r, g, b, a in shades.tolist()]
    if negative:
        below = _palette()[LEVELS:0:-14]
        colors = [f"rgba({r},{g},{b},{a / 255:.2f})" for r, g, b, a in below.tolist()] + colors
    base = {"count": "log₁₀ of count", "lift": "log₂ of lift"}.get(measure_name, measure_name)
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={
            "color": [0],
            "cmin": -top if negative else 0,
            "cmax": top,
            "colorscale": [[at / (len(colors) - 1), color] for at, color in enumerate(colors)],
            "showscale": True,
            "colorbar": {
                "title": {"text": base, "side": "top"},
                "orientation": "h",
                "thickness": 10,
                "len": 0.6,
                "y": 1,
                "yanchor": "bottom",
            },
        },
        showlegend=False,
    )


def _palette() -> NDArray[np.uint8]:
    """Colors [1 + 2 LEVELS, 4]: nothing, below 0 from near to far, above 0 likewise.

    Far from 0 is opaque and near to it lets the page through, so that it reads on white and on black alike.
    """

    def shades(color: str) -> NDArray[np.uint8]:
        rgb = [int(color[at : at + 2], 16) for at in (1, 3, 5)]
        alpha = np.linspace(140, 255, LEVELS).round().astype(np.uint8)
        return np.column_stack([np.tile(np.array(rgb, np.uint8), (LEVELS, 1)), alpha])

    return np.concatenate([np.zeros((1, 4), np.uint8), shades(ORANGE), shades(BLUE)])


def _png(index: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """An image [H, W] of colors out of a palette [256 or fewer, 4] as a PNG file.

    https://www.w3.org/TR/png-3/
    """

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = index.shape
    lines = np.hstack([np.zeros((height, 1), np.uint8), index]).tobytes()  # each line without a filter
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", palette[:, :3].tobytes()),
            chunk(b"tRNS", palette[:, 3].tobytes()),
            chunk(b"IDAT", zlib.compress(lines, 6)),
            chunk(b"IEND", b""),
        ]
    )


def against_truth(table: pd.DataFrame, *, title: str, scale: str) -> go.Figure:
    """In how many videos pairs of labels are, against how many the run expects, both on log axes.

    Args:
        table: As ``label_pairs.against_truth``, with the names: a, b, observed, expected, surprise. Pairs that no video
            has stand at one half, where a log axis has a place for them, and those hardly expected at ``FEW``. A
            clicked point's ``customdata`` begins with the two labels' ids.
        title: Names the run.
        scale: What made the numbers.

    >>> table = pd.DataFrame({"label_a": [1], "label_b": [2], "a": ["Car"], "b": ["Toy"], "observed": [0],
    ...                       "expected": [20.0], "surprise": [-4.5]})
    >>> figure = against_truth(table, title="Pairs", scale="demo world")
    >>> [(trace.name, trace.x.tolist(), trace.y.tolist()) for trace in figure.data[1:]]
    [('more expected than there are', [0.5], [20.0])]
    """
    table = literal_in(table, "a", "b")
    kinds = (
        (table["surprise"] > CLOSE, "fewer expected than there are", BLUE, "triangle-down"),
        (table["surprise"] < -CLOSE, "more expected than there are", ORANGE, "triangle-up"),
        (table["surprise"].abs() <= CLOSE, "as chance would have it", GRAY, "circle"),
    )
    observed = table["observed"].clip(lower=0.5).to_numpy(np.float64)
    expected = table["expected"].clip(lower=FEW).to_numpy(np.float64)
    figure = go.Figure()
    ends = [0.5, float(max([observed.max(), expected.max()])) * 1.2] if len(table) else [0.5, 1.0]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", name="equal", line={"color": GRAY, "dash": "dash"}, hoverinfo="skip"
    )
    for chosen, name, color, symbol in kinds:
        mine = chosen.to_numpy(bool)
        if not mine.any():
            continue
        rows = table[mine]
        figure.add_scatter(
            x=observed[mine],
            y=expected[mine],
            mode="markers",
            name=name,
            marker={"color": color, "symbol": symbol, "size": 7, "opacity": 0.7},
            customdata=np.array(rows[["label_a", "label_b", "a", "b", "observed", "surprise", "expected"]], object),
            hovertemplate="<b>%{customdata[2]}</b> and <b>%{customdata[3]}</b><br>%{customdata[4]:,} videos, "
            "%{customdata[6]:,.1f} expected<br>surprise %{customdata[5]:+.1f}<extra></extra>",
        )
    none, few = int((table["observed"] == 0).sum()), int((table["expected"] < FEW).sum())
    style(
        figure,
        title,
        scale,
        counted(len(table), "pair"),
        f"{counted(none, 'pair')} that no video has drawn at ½" if none else "",
        f"{few:,} of which fewer than {FEW} videos are expected, drawn there" if few else "",
    )
    figure.update_xaxes(type="log", title_text="videos with both labels (log scale)")
    figure.update_yaxes(type="log", title_text="videos that the run expects (log scale)")
    figure.update_layout(height=620, clickmode="event+select")
    return figure


def gap_by_weight(curve: pd.DataFrame, *, here: tuple[float, float], base: float, scale: str) -> go.Figure:
    """GAP@20 against β with α 1 and γ 0, the chosen weights, and a line at the GAP without any other label.

    Args:
        curve: beta, gap, rising in beta.
        here: β and the GAP of what is chosen, wherever its α and γ put it.
        base: GAP at (1, 0, 0).
        scale: What made the numbers.

    >>> curve = pd.DataFrame({"beta": [0.0, 0.1], "gap": [0.8, 0.7]})
    >>> figure = gap_by_weight(curve, here=(0.1, 0.75), base=0.8, scale="demo world")
    >>> [(trace.name, [float(gap) for gap in trace.y]) for trace in figure.data]
    [('α 1, γ 0', [0.8, 0.7]), ('chosen weights', [0.75])]
    """
    figure = go.Figure()
    figure.add_scatter(
        x=curve["beta"],
        y=curve["gap"],
        mode="lines+markers",
        name="α 1, γ 0",
        line={"color": BLUE, "width": 2},
        marker={"size": 7},
        hovertemplate="β %{x}: %{y:.4f}<extra></extra>",
    )
    figure.add_scatter(
        x=[here[0]],
        y=[here[1]],
        mode="markers",
        name="chosen weights",
        marker={"color": GREEN, "size": 14, "symbol": "diamond"},
        hovertemplate="β %{x}: %{y:.4f}<extra>chosen</extra>",
    )
    figure.add_hline(y=base, line={"color": GRAY, "dash": "dash"})
    style(figure, "GAP@20 by β", scale, "dashed: the scores as they are")
    figure.update_xaxes(title_text="β, weight of the labels that go with each (M<sub>c</sub>)")
    figure.update_yaxes(title_text="GAP@20 (0 to 1)")
    figure.update_layout(height=340)
    return figure
