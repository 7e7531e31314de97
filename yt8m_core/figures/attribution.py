"""Figures of why a label has its score: the seconds, the experts, the other labels, other runs, and the threshold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from yt8m_core.errors import UserError
from yt8m_core.figures.style import BLUE, GRAY, GREEN, ORANGE, counted, literal, literal_in, shade_main_scene, style

SYMBOLS = ("circle", "square", "triangle-up", "cross", "x", "star")
"""Of the runs in ``side_by_side``: so many may be drawn."""
COLORS = (BLUE, ORANGE, GREEN)


def seconds(
    values: ArrayLike, *, title: str, scale: str, main_runs: Sequence[tuple[int, int]] | None = None
) -> go.Figure:
    """How much each second of a video speaks for a label, or against it.

    Args:
        values: [T], as ``Why.seconds``.
        title: Names the label and the video.
        scale: What made the numbers.
        main_runs: The true main scene, where known: its runs of seconds as (first, one past the last).

    >>> [(bar.name, bar.x.tolist()) for bar in seconds([0.5, -0.1, 0.2], title="Car", scale="demo world").data]
    [('speaks for the label', [0, 2]), ('speaks against it', [1])]
    """
    pull = np.asarray(values, np.float64)
    figure = go.Figure()
    kinds = (("speaks for the label", BLUE, "", pull >= 0), ("speaks against it", ORANGE, "/", pull < 0))
    for name, color, pattern, some in kinds:
        figure.add_bar(
            x=np.flatnonzero(some),
            y=pull[some],
            name=name,
            marker={"color": color, "pattern": {"shape": pattern}, "line": {"width": 0}},
            hovertemplate="second %{x}<br>%{y:+.4f}<extra></extra>",
        )
    shade_main_scene(figure, main_runs or (), GREEN)
    style(figure, title, scale, f"strongest at second {int(np.argmax(pull))} of {len(pull)}")
    figure.update_xaxes(title_text="time (s)")
    figure.update_yaxes(title_text="pull on the log-odds", zeroline=True, zerolinecolor=GRAY)
    figure.update_layout(barmode="overlay", bargap=0)
    return figure


def experts(table: pd.DataFrame, *, title: str, scale: str) -> go.Figure:
    """The experts of a label: how much each counts, and how likely it holds the label to be.

    Args:
        table: expert, gate, answer and part, as ``Why.experts``.
        title: Names the label and the video.
        scale: What made the numbers.

    >>> table = pd.DataFrame({"expert": [1, 0], "gate": [0.8, 0.2], "answer": [0.5, 0.0], "part": [0.4, 0.0]})
    >>> experts(table, title="Car", scale="demo world").layout.title.subtitle.text
    'demo world · gate · answer, summed over the experts: 0.400'
    """
    names = [f"expert {number}" if number else "always no" for number in table["expert"]]
    figure = go.Figure()
    kinds = (("gate: how much it counts", "gate", GRAY, "/"), ("answer: how likely it says", "answer", BLUE, ""))
    for name, column, color, pattern in kinds:
        figure.add_bar(
            x=names,
            y=table[column],
            name=name,
            marker={"color": color, "pattern": {"shape": pattern}},
            customdata=table[["part"]],
            hovertemplate="%{x}<br>%{y:.4f}, part of the score %{customdata[0]:.4f}<extra>" + name + "</extra>",
        )
    style(figure, title, scale, f"gate · answer, summed over the experts: {table['part'].sum():.3f}")
    figure.update_xaxes(title_text="expert of this label", type="category")
    figure.update_yaxes(title_text="share of 1", range=[0, 1])
    figure.update_layout(barmode="group")
    return figure


def partners(table: pd.DataFrame, *, title: str, scale: str, unit: str) -> go.Figure:
    """What other labels added to a label's score in label processing (section 2.4), largest on top.

    Args:
        table: name, score, fixed and trained, as ``Why.partners``; 20 rows or fewer.
        title: Names the label and the video.
        scale: What made the numbers.
        unit: What is added to, for example "probability".

    >>> table = pd.DataFrame({"name": ["Car"], "score": [0.9], "fixed": [0.0], "trained": [0.05]})
    >>> [bar.name for bar in partners(table, title="Car", scale="demo world", unit="probability").data]
    ['γ: as trained']
    """
    table = literal_in(table, "name")
    figure = go.Figure()
    for column, name, color, pattern in (
        ("fixed", "β: as counted in the training labels", GRAY, "/"),
        ("trained", "γ: as trained", BLUE, ""),
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
            hovertemplate="%{customdata[0]}, itself at %{customdata[1]:.4f}: %{x:+.5f}<extra>" + name + "</extra>",
        )
    style(figure, title, scale, f"the {counted(len(table), 'label')} that moved it most")
    figure.update_xaxes(title_text=f"added to the {unit}", zeroline=True, zerolinecolor=GRAY)
    figure.update_yaxes(
        title_text="other label",
        tickmode="array",
        tickvals=np.arange(1, len(table) + 1),
        ticktext=list(table["name"]),
        range=[len(table) + 0.5, 0.5],
        showgrid=False,
    )
    figure.update_layout(barmode="relative", height=190 + 26 * len(table), showlegend=True)
    return figure


def side_by_side(table: pd.DataFrame, runs: Sequence[str], *, title: str, scale: str) -> go.Figure:
    """The probabilities that runs give to labels of one video, a symbol each, with their mean.

    Args:
        table: name, mean, and "p " and its name for each run, as ``verdicts.side_by_side``; 40 rows or fewer, the first
            on top.
        runs: Names of the runs, at most six.
        title: Names the video.
        scale: What made the numbers.

    Raises:
        UserError: There are more runs than symbols.

    >>> table = pd.DataFrame({"name": ["Car"], "mean": [0.5], "p a": [0.4], "p b": [0.6]})
    >>> [(dots.name, dots.x.tolist()) for dots in side_by_side(table, ["a", "b"], title="v", scale="demo world").data]
    [('a', [0.4]), ('b', [0.6]), ('mean of all', [0.5])]
    """
    if len(runs) > len(SYMBOLS):
        raise UserError(f"{len(runs)} runs", expected=f"at most {len(SYMBOLS)}", advice="Choose some of them.")
    place = np.arange(1, len(table) + 1)
    table = literal_in(table, "name")
    looks = [
        (f"p {name}", literal(name), COLORS[number % len(COLORS)], f"{symbol}-open", 10)
        for number, (name, symbol) in enumerate(zip(runs, SYMBOLS, strict=False))
    ]
    figure = go.Figure()
    for column, name, color, symbol, size in [*looks, ("mean", "mean of all", GRAY, "diamond", 8)]:
        figure.add_scatter(
            x=table[column],
            y=place,
            mode="markers",
            name=name,
            marker={"color": color, "symbol": symbol, "size": size, "line": {"width": 2}},
            customdata=table[["name"]],
            hovertemplate="%{customdata[0]}: %{x:.4f}<extra>" + name + "</extra>",
        )
    style(figure, title, scale, f"{counted(len(runs), 'run')} and their mean")
    figure.update_xaxes(title_text="probability", rangemode="tozero")
    figure.update_yaxes(
        title_text="label",
        tickmode="array",
        tickvals=place,
        ticktext=list(table["name"]),
        range=[len(table) + 0.5, 0.5],
    )
    # A legend below, however many lines it takes.
    figure.update_layout(height=190 + 20 * len(runs) + 26 * len(table))
    return figure


def threshold_curve(curve: pd.DataFrame, threshold: float, *, title: str, scale: str) -> go.Figure:
    """Precision, recall and F1 at every threshold, and where the threshold stands.

    Args:
        curve: threshold, precision, recall and f1, as ``diagnosis.ThresholdCounts.curve``.
        threshold: The one that is chosen.
        title: Says of which labels.
        scale: What made the numbers.

    >>> curve = pd.DataFrame({"threshold": [0.0, 1.0], "precision": [0.1, 1.0], "recall": [1.0, 0.2], "f1": [0.2, 0.3]})
    >>> threshold_curve(curve, 0.5, title="All labels", scale="demo world").layout.title.subtitle.text
    'demo world · best F1 0.300 at 1.00'
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
            hovertemplate="threshold %{x:.2f}<br>%{y:.4f}<extra>" + name + "</extra>",
        )
    figure.add_vline(threshold, line={"color": GRAY, "width": 2})
    note = ""
    if curve["f1"].notna().any():
        best = curve.iloc[int(np.nanargmax(curve["f1"].to_numpy()))]
        note = f"best F1 {best['f1']:.3f} at {best['threshold']:.2f}"
    style(figure, title, scale, note)
    figure.update_xaxes(title_text="threshold", range=[0, 1])
    figure.update_yaxes(title_text="precision, recall, F1 (share of 1)", range=[0, 1.02])
    figure.update_layout(height=360)
    return figure
