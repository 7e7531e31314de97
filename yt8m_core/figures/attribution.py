"""Figures that explain a label's score: seconds, experts, other labels, other runs, and the threshold."""

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
    axis_names,
    escape_columns,
    list_rows,
    pluralize,
    shade_main_scene,
    style,
)

SYMBOLS = ("circle", "square", "triangle-up", "cross", "x", "star")
"""Symbols of the runs in ``run_comparison``, which limit the number of runs."""
COLORS = (BLUE, ORANGE, GREEN)


def second_contributions(
    values: ArrayLike, *, title: str, scale: str, main_scene: Sequence[tuple[int, int]] | None = None
) -> go.Figure:
    """Plot the contribution of each second of a video to the log-odds of a label.

    Args:
        values: ``Attribution.second_contributions`` [T].
        title: Name of the label and the video.
        scale: Scale that produced the numbers.
        main_scene: The true main scene, if known, as intervals (first, one past the last) of seconds.

    >>> bars = second_contributions([0.5, -0.1, 0.2], title="Car", scale="demo world").data
    >>> [(bar.name, bar.x.tolist()) for bar in bars]
    [('increases the score', [0, 2]), ('decreases the score', [1])]
    """
    contributions = np.asarray(values, np.float64)
    figure = go.Figure()
    for name, color, pattern, selected in (
        ("increases the score", BLUE, "", contributions >= 0),
        ("decreases the score", ORANGE, "/", contributions < 0),
    ):
        figure.add_bar(
            x=np.flatnonzero(selected),
            y=contributions[selected],
            name=name,
            marker={"color": color, "pattern": {"shape": pattern}, "line": {"width": 0}},
            hovertemplate="%{x} s<br>contribution %{y:+.3g}<extra></extra>",
        )
    shade_main_scene(figure, main_scene or (), GREEN)
    style(figure, title, scale, f"maximum at {int(np.argmax(contributions))} s of {len(contributions)} s")
    figure.update_xaxes(title_text="Time (s)")
    figure.update_yaxes(title_text="Contribution to the log-odds", zeroline=True, zerolinecolor=GRAY)
    figure.update_layout(barmode="overlay", bargap=0)
    return figure


def experts(table: pd.DataFrame, *, title: str, scale: str) -> go.Figure:
    """Plot the gate and the probability of each expert of a label.

    Args:
        table: ``Attribution.experts``: expert, gate, probability, contribution.
        title: Name of the label and the video.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"expert": [1, 0], "gate": [0.8, 0.2], "probability": [0.5, 0.0],
    ...                       "contribution": [0.4, 0.0]})
    >>> experts(table, title="Car", scale="demo world").layout.title.subtitle.text
    'demo world · Σ gate × probability = 0.400'
    """
    names = [f"expert {number}" if number else "dummy expert" for number in table["expert"]]
    figure = go.Figure()
    for name, column, color, pattern in (
        ("gate", "gate", GRAY, "/"),
        ("expert probability", "probability", BLUE, ""),
    ):
        figure.add_bar(
            x=names,
            y=table[column],
            name=name,
            marker={"color": color, "pattern": {"shape": pattern}},
            customdata=table[["contribution"]],
            hovertemplate="%{x}<br>" + name + " %{y:.4f}<br>contribution to the score %{customdata[0]:.4f}"
            "<extra></extra>",
        )
    style(figure, title, scale, f"Σ gate × probability = {table['contribution'].sum():.3f}")
    figure.update_xaxes(title_text="Expert", type="category")
    figure.update_yaxes(title_text="Gate, probability (0 to 1)", range=[0, 1])
    figure.update_layout(barmode="group")
    return figure


def label_contributions(table: pd.DataFrame, *, title: str, scale: str, unit: str) -> go.Figure:
    """Plot the contributions of other labels to a label's score in label processing (section 2.4), largest on top.

    Args:
        table: name, score, fixed, and trained, as in ``Attribution.label_contributions``; at most 20 rows.
        title: Name of the label and the video.
        scale: Scale that produced the numbers.
        unit: Quantity that is added to, for example "probability".

    >>> table = pd.DataFrame({"name": ["Car"], "score": [0.9], "fixed": [0.0], "trained": [0.05]})
    >>> [bar.name for bar in label_contributions(table, title="Car", scale="demo world", unit="probability").data]
    ["γ M'_c (trained)"]
    """
    names, table = axis_names(table["name"].tolist()), escape_columns(table, "name")
    figure = go.Figure()
    for column, name, color, pattern in (
        ("fixed", "β M_c (counted)", GRAY, "/"),
        ("trained", "γ M'_c (trained)", BLUE, ""),
    ):
        if (table[column] == 0).all():
            continue
        figure.add_bar(
            x=table[column],
            y=np.arange(1, len(table) + 1),
            orientation="h",
            name=name,
            marker={"color": color, "pattern": {"shape": pattern}},
            customdata=table[["name", "score"]],
            hovertemplate="%{customdata[0]} (score %{customdata[1]:.4f}): %{x:+.3g}<extra>" + name + "</extra>",
        )
    style(figure, title, scale, f"{pluralize(len(table), 'label')} with the largest contribution")
    figure.update_xaxes(title_text=f"Contribution to the {unit}", zeroline=True, zerolinecolor=GRAY)
    list_rows(figure, "Label", names, first=1, showgrid=False)
    figure.update_layout(barmode="relative", height=190 + 26 * len(table), showlegend=True)
    return figure


def run_comparison(table: pd.DataFrame, runs: Sequence[str], *, title: str, scale: str) -> go.Figure:
    """Plot the probabilities of several runs for labels of one video, with their mean.

    Args:
        table: Result of ``outcomes.compare_runs``: name, mean, and "p <name>" for each run; at most 40 rows. The first
            row is on top.
        runs: Names of the runs, at most 6.
        title: Name of the video.
        scale: Scale that produced the numbers.

    Raises:
        UserError: More runs than symbols.

    >>> table = pd.DataFrame({"name": ["Car"], "mean": [0.5], "p a": [0.4], "p b": [0.6]})
    >>> [(dots.name, dots.x.tolist()) for dots in run_comparison(table, ["a", "b"], title="v", scale="demo world").data]
    [('a', [0.4]), ('b', [0.6]), ('mean', [0.5])]
    """
    if len(runs) > len(SYMBOLS):
        raise UserError(f"{len(runs)} runs", expected=f"at most {len(SYMBOLS)}", advice="Choose some of them.")
    names, table = axis_names(table["name"].tolist()), escape_columns(table, "name")
    traces = [
        (f"p {run}", name, COLORS[number % len(COLORS)], f"{symbol}-open", 10)
        for number, (run, name, symbol) in enumerate(zip(runs, axis_names(runs), SYMBOLS, strict=False))
    ]
    figure = go.Figure()
    for column, name, color, symbol, size in [*traces, ("mean", "mean", GRAY, "diamond", 8)]:
        figure.add_scatter(
            x=table[column],
            y=np.arange(1, len(table) + 1),
            mode="markers",
            name=name,
            marker={"color": color, "symbol": symbol, "size": size, "line": {"width": 2}},
            customdata=table[["name"]],
            hovertemplate="%{customdata[0]}: %{x:.4f}<extra>" + name + "</extra>",
        )
    style(figure, title, scale, f"{pluralize(len(runs), 'run')} and their mean")
    figure.update_xaxes(title_text="Probability", rangemode="tozero")
    list_rows(figure, "Label", names, first=1)
    # Leaves room for a legend with one line per run.
    figure.update_layout(height=190 + 20 * len(runs) + 26 * len(table))
    return figure


def threshold_curve(curve: pd.DataFrame, threshold: float, *, title: str, scale: str) -> go.Figure:
    """Plot precision, recall, and F1 against the threshold, with a line at the selected threshold.

    Args:
        curve: Result of ``ThresholdCounts.curve``: threshold, precision, recall, f1.
        threshold: Selected threshold.
        title: Name of the labels.
        scale: Scale that produced the numbers.

    >>> curve = pd.DataFrame({"threshold": [0.0, 1.0], "precision": [0.1, 1.0], "recall": [1.0, 0.2], "f1": [0.2, 0.3]})
    >>> threshold_curve(curve, 0.5, title="All labels", scale="demo world").layout.title.subtitle.text
    'demo world · on all scored videos: best F1 0.300 at threshold 1.00'
    """
    figure = go.Figure()
    for column, name, color, dash in (
        ("precision", "precision", BLUE, "solid"),
        ("recall", "recall", ORANGE, "dash"),
        ("f1", "F1", GREEN, "dot"),
    ):
        figure.add_scatter(
            x=curve["threshold"],
            y=curve[column],
            mode="lines",
            name=name,
            line={"color": color, "dash": dash, "width": 2},
            hovertemplate="threshold %{x:.2f}<br>" + name + " %{y:.4f}<extra></extra>",
        )
    figure.add_vline(threshold, line={"color": GRAY, "width": 2})
    note = ""
    if curve["f1"].notna().any():
        best = curve.iloc[int(np.nanargmax(curve["f1"].to_numpy()))]
        note = f"on all scored videos: best F1 {best['f1']:.3f} at threshold {best['threshold']:.2f}"
    style(figure, title, scale, note)
    figure.update_xaxes(title_text="Threshold", range=[0, 1])
    figure.update_yaxes(title_text="Precision, recall, F1", range=[0, 1.02])
    figure.update_layout(height=360)
    return figure
