"""Figures of runs: how one learned, and how several compare."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from yt8m_core.figures.style import BLUE, ORANGE, literal_in, style


def learning_curve(log: pd.DataFrame, *, scale: str) -> go.Figure:
    """Training loss, on a log axis, and validation GAP against the examples seen, one above the other.

    Args:
        log: As ``Run.log``: examples, loss, gap; a row holds one of the two and leaves the other empty.
            A training that goes on has no GAP before the end of its first epoch.
        scale: What made the numbers.

    >>> log = pd.DataFrame({"examples": [128, 256, 256], "loss": [9.0, 7.0, None], "gap": [None, None, 0.5]})
    >>> [(trace.name, trace.x.tolist(), trace.y.tolist()) for trace in learning_curve(log, scale="demo world").data]
    [('training loss', [128, 256], [9.0, 7.0]), ('validation GAP@20', [256], [0.5])]
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for row, column, name, color, dash, symbol in (
        (1, "loss", "training loss", BLUE, "solid", "circle"),
        (2, "gap", "validation GAP@20", ORANGE, "dot", "diamond"),
    ):
        known = log[log[column].notna()]
        figure.add_trace(
            go.Scatter(
                x=known["examples"],
                y=known[column],
                mode="lines+markers",
                name=name,
                line={"color": color, "dash": dash},
                marker={"symbol": symbol, "size": 4 if column == "loss" else 9},
                hovertemplate="%{x:,} examples<br>" + name + " %{y:.4f}<extra></extra>",
            ),
            row=row,
            col=1,
        )
    style(figure, "Training", scale)
    # The first steps lose many times what all later ones do, and would press those flat.
    ticks = _log_ticks(log["loss"])
    figure.update_yaxes(title_text="loss (nats a video)", type="log", tickvals=ticks, row=1, col=1)
    figure.update_yaxes(title_text="GAP@20 (0 to 1)", row=2, col=1)
    if log["gap"].isna().all():  # in the first epoch
        figure.update_yaxes(range=[0, 1], row=2, col=1)
    figure.update_xaxes(title_text="training examples seen", row=2, col=1)
    return figure


def _log_ticks(values: pd.Series) -> list[float]:
    """Round numbers that some values lie between, for a log axis: few, whatever the values span.

    >>> _log_ticks(pd.Series([3.0, 9.0])), _log_ticks(pd.Series([3.0, 2000.0]))
    ([1.0, 2.0, 5.0, 10.0], [1.0, 10.0, 100.0, 1000.0, 10000.0])
    """
    powers = np.log10(values[values > 0])
    if powers.empty:
        return []
    low, high = int(np.floor(powers.min())), int(np.ceil(powers.max()))
    steps = (1, 2, 5) if high - low < 3 else (1,)
    return [step * 10.0**power for power in range(low, high) for step in steps] + [10.0**high]


def intervals(table: pd.DataFrame, *, scale: str) -> go.Figure:
    """GAP of several runs as dots with their 95 % intervals, in the order of the table from the top.

    Args:
        table: run, gap, gap_low, gap_high.
        scale: What made the numbers.

    >>> table = pd.DataFrame({"run": ["moe"], "gap": [0.8], "gap_low": [0.79], "gap_high": [0.82]})
    >>> dot = intervals(table, scale="demo world").data[0]
    >>> dot.x.tolist(), dot.error_x.array.round(3).tolist(), dot.error_x.arrayminus.round(3).tolist()
    ([0.8], [0.02], [0.01])
    """
    table = literal_in(table, "run")
    place = np.arange(len(table))
    figure = go.Figure(
        go.Scatter(
            x=table["gap"],
            y=place,
            mode="markers",
            marker={"color": BLUE, "size": 10},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (table["gap_high"] - table["gap"]).to_numpy(),
                "arrayminus": (table["gap"] - table["gap_low"]).to_numpy(),
                "color": BLUE,
                "thickness": 2,
            },
            customdata=table[["run", "gap_low", "gap_high"]],
            hovertemplate="%{customdata[0]}: %{x:.4f}<br>%{customdata[1]:.4f} to %{customdata[2]:.4f}<extra></extra>",
            showlegend=False,
        )
    )
    style(figure, "GAP@20 by run", scale, "lines are 95 % bootstrap intervals over videos")
    figure.update_xaxes(title_text="GAP@20 (0 to 1)")
    figure.update_yaxes(
        title_text="run",
        tickmode="array",
        tickvals=list(place),
        ticktext=list(table["run"]),
        range=[len(table) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_layout(height=180 + 34 * len(table))
    return figure
