"""Figures of runs: learning curves, update-to-weight ratios, and GAP@20 of several runs."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from yt8m_core.figures.style import BLUE, GRAY, GREEN, ORANGE, axis_names, escape_columns, list_rows, style


def learning_curve(log: pd.DataFrame, *, scale: str) -> go.Figure:
    """Plot training loss (log axis) and validation GAP@20 against the number of training examples.

    Args:
        log: ``Run.log``: examples, loss, gap. Each row has either loss or gap. A running training has no GAP before the
            end of its first epoch.
        scale: Scale that produced the numbers.

    >>> log = pd.DataFrame({"examples": [128, 256, 256], "loss": [9.0, 7.0, None], "gap": [None, None, 0.5]})
    >>> [(trace.name, trace.x.tolist(), trace.y.tolist()) for trace in learning_curve(log, scale="demo world").data]
    [('training loss', [128, 256], [9.0, 7.0]), ('validation GAP@20', [256], [0.5])]
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for row, column, name, color, dash, symbol in (
        (1, "loss", "training loss", BLUE, "solid", "circle"),
        (2, "gap", "validation GAP@20", ORANGE, "dot", "diamond"),
    ):
        values = log[log[column].notna()]
        figure.add_trace(
            go.Scatter(
                x=values["examples"],
                y=values[column],
                mode="lines+markers",
                name=name,
                line={"color": color, "dash": dash},
                marker={"symbol": symbol, "size": 4 if column == "loss" else 9},
                hovertemplate="%{x:,} examples<br>" + name + " %{y:.4f}<extra></extra>",
            ),
            row=row,
            col=1,
        )
    style(figure, "Learning curves", scale)
    # On a linear axis, the large loss of the first steps would flatten the rest of the curve.
    ticks = _log_ticks(log["loss"])
    figure.update_yaxes(title_text="Loss (nats per video)", type="log", tickvals=ticks, row=1, col=1)
    figure.update_yaxes(title_text="GAP@20 (0 to 1)", row=2, col=1)
    if log["gap"].count() < 2:  # plotly would choose a range of 2 around a single point
        figure.update_yaxes(range=[0, 1], row=2, col=1)
    figure.update_xaxes(title_text="Number of training examples", row=2, col=1)
    figure.update_layout(height=500)  # the titles of the two y axes fit
    return figure


def update_ratio(log: pd.DataFrame, *, scale: str) -> go.Figure:
    """Plot the update-to-weight ratio of each slot (log axis) against the number of examples, with a line at 1.

    Args:
        log: ``Run.log``: examples and, for each slot with trainable parameters, update_<slot>: the largest
            RMS(update) / RMS(parameter) of its parameters. Logs of older versions have no such columns.
        scale: Scale that produced the numbers.

    >>> log = pd.DataFrame({"examples": [128, 256, 256], "update_pooling": [0.5, 0.01, None], "gap": [None, None, 0.5]})
    >>> [(trace.name, trace.x.tolist(), trace.y.tolist()) for trace in update_ratio(log, scale="demo world").data]
    [('pooling', [128, 256], [0.5, 0.01])]
    """
    figure = go.Figure()
    for slot, color, dash, symbol in (
        ("pooling", BLUE, "solid", "circle"),
        ("classification", ORANGE, "dot", "diamond"),
        ("label_processing", GREEN, "dash", "square"),
    ):
        name = slot.replace("_", " ")
        values = log.reindex(columns=["examples", f"update_{slot}"])
        values = values[values[f"update_{slot}"] > 0]  # 0 where all parameters of the slot were 0 before the step
        if values.empty:
            continue
        figure.add_scatter(
            x=values["examples"],
            y=values[f"update_{slot}"],
            mode="lines+markers",
            name=name,
            showlegend=True,
            line={"color": color, "dash": dash},
            marker={"symbol": symbol, "size": 5},
            hovertemplate="%{x:,} examples<br>" + name + " %{y:.2g}<extra></extra>",
        )
    figure.add_hline(y=1, line={"color": GRAY, "dash": "dash"})
    style(figure, "Update-to-weight ratio", scale, "largest ratio of each slot")
    figure.update_yaxes(title_text="Ratio", type="log", exponentformat="power")
    figure.update_xaxes(title_text="Number of training examples")
    figure.update_layout(height=320)
    return figure


def _log_ticks(values: pd.Series) -> list[float]:
    """Return a few round ticks for a log axis that cover the range of the values.

    >>> _log_ticks(pd.Series([3.0, 9.0])), _log_ticks(pd.Series([3.0, 2000.0]))
    ([1.0, 2.0, 5.0, 10.0], [1.0, 10.0, 100.0, 1000.0, 10000.0])
    """
    powers = np.log10(values[values > 0])
    if powers.empty:
        return []
    low, high = int(np.floor(powers.min())), int(np.ceil(powers.max()))
    steps = (1, 2, 5) if high - low < 3 else (1,)
    return [step * 10.0**power for power in range(low, high) for step in steps] + [10.0**high]


def gap_intervals(table: pd.DataFrame, *, scale: str) -> go.Figure:
    """Plot GAP@20 of several runs with 95% CIs, in the order of the table, first on top.

    Args:
        table: run, gap, gap_low, gap_high.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"run": ["moe"], "gap": [0.8], "gap_low": [0.79], "gap_high": [0.82]})
    >>> dot = gap_intervals(table, scale="demo world").data[0]
    >>> dot.x.tolist(), dot.error_x.array.round(3).tolist(), dot.error_x.arrayminus.round(3).tolist()
    ([0.8], [0.02], [0.01])
    """
    names, table = axis_names(table["run"].tolist(), limit=40), escape_columns(table, "run")
    figure = go.Figure(
        go.Scatter(
            x=table["gap"],
            y=np.arange(len(table)),
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
            hovertemplate="%{customdata[0]}: %{x:.4f}<br>95% CI [%{customdata[1]:.4f}, %{customdata[2]:.4f}]"
            "<extra></extra>",
            showlegend=False,
        )
    )
    style(figure, "GAP@20 by run", scale, "95% bootstrap CI over videos")
    figure.update_xaxes(title_text="GAP@20 [95% CI]")
    list_rows(figure, "Run", names, showgrid=False)
    figure.update_layout(height=180 + 34 * len(table))
    return figure
