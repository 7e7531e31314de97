"""Figures of a video's frames: attention, clusters, and predictions from subsets of the frames."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

from yt8m_core.errors import UserError
from yt8m_core.explain.attention_metrics import MeanInterval, effective_frames, mean_interval
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
    subtitle_notes,
)
from yt8m_core.figures.video import TIME_MARGIN, attention

# Each cluster has its own lane; symbols also distinguish clusters whose lanes are narrow.
SYMBOLS = ("square", "circle", "diamond", "triangle-up", "x", "cross", "star", "pentagon")
COLORS = (BLUE, ORANGE, GREEN, GRAY)


def frame_overview(
    weights: ArrayLike,
    cluster: ArrayLike,
    *,
    title: str,
    scale: str,
    main_scene: Sequence[tuple[int, int]] | None = None,
) -> go.Figure:
    """Plot a video's attention and frame clusters on a common time axis.

    The first plot is ``attention``. The ``customdata`` of its points is the second.

    Args:
        weights: Attention weights [T], as in ``attention``.
        cluster: Result of ``attention_metrics.k_means`` [T]; 0 is the largest cluster.
        title: Name of the video and the pooling.
        scale: Scale that produced the numbers.
        main_scene: The true main scene, if known, as intervals (first, one past the last) of frames.

    Raises:
        UserError: ``attention`` fails, or the numbers of weights and clustered frames differ.

    >>> [trace.name for trace in frame_overview([0.9, 0.1], [0, 0], title="a", scale="demo world").data]
    ['attention weight', 'uniform, 1/T = 0.5000', 'cluster 1, the largest (2 s)']
    """
    top = attention(weights, title=title, scale=scale, main_scene=main_scene)
    members = np.asarray(cluster)
    T = len(top.data[0].x)
    if len(members) != T:
        raise UserError(f"clusters of {pluralize(len(members), 'frame')}", expected=f"{T}, the number of weights")
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.68, 0.32], vertical_spacing=0.05)
    for trace in top.data:
        figure.add_trace(trace, row=1, col=1)
    # A line without markers cannot be clicked. The axis names it.
    figure.data[0].update(mode="lines+markers", marker={"size": 5, "color": BLUE}, showlegend=False)
    figure.data[0].customdata = np.arange(T)
    figure.update_layout(shapes=top.layout.shapes, annotations=top.layout.annotations)
    _add_cluster_lanes(figure, members)
    style(figure, title, *subtitle_notes(top))
    figure.update_layout(height=430, margin=TIME_MARGIN, clickmode="event+select")
    figure.update_xaxes(range=[-0.5, T - 0.5])
    figure.update_xaxes(title_text="Time (s)", row=2)
    figure.update_yaxes(title_text="Weight p<sub>t</sub>", rangemode="tozero", row=1)
    return figure


def _add_cluster_lanes(figure: go.Figure, members: NDArray[np.int64]) -> None:
    """Add the frames of each cluster as points in a lane of the second plot; the largest cluster is on top."""
    num_clusters = int(members.max()) + 1
    for number in range(num_clusters):
        seconds = np.flatnonzero(members == number)
        name = f"cluster {number + 1}{', the largest' if number == 0 else ''} ({len(seconds)} s)"
        figure.add_scatter(
            x=seconds,
            y=np.full(len(seconds), number + 1),
            mode="markers",
            name=name,
            marker={"symbol": SYMBOLS[number % len(SYMBOLS)], "color": COLORS[number % len(COLORS)], "size": 6},
            hovertemplate="%{x} s<extra>" + name + "</extra>",
            showlegend=number == 0,
            row=2,
            col=1,
        )
    ticks = list(range(1, num_clusters + 1))
    figure.update_yaxes(title_text="Cluster", range=[num_clusters + 0.6, 0.4], tickvals=ticks, row=2)


def attention_comparison(weights: ArrayLike, others: ArrayLike, *, title: str, scale: str, name: str) -> go.Figure:
    """Plot the trained attention weights of a video together with other weights.

    Args:
        weights: Attention weights as trained [T].
        others: Other weights [T].
        title: Name of the video.
        scale: Scale that produced the numbers.
        name: Name of the other weights.

    >>> figure = attention_comparison([0.5, 0.5], [0.9, 0.1], title="a", scale="demo world", name="α = 2")
    >>> [(line.name, line.y.tolist()) for line in figure.data]
    [('as trained', [0.5, 0.5]), ('α = 2', [0.9, 0.1])]
    """
    figure = go.Figure()
    lines = ((weights, "as trained", BLUE, "solid"), (others, name, ORANGE, "dash"))
    for values, line_name, color, dash in lines:
        p = np.asarray(values, np.float64)
        figure.add_scatter(
            x=np.arange(len(p)),
            y=p,
            mode="lines",
            name=line_name,
            line={"color": color, "dash": dash, "width": 2},
            hovertemplate="%{x} s<br>weight %{y:.4f}<extra>" + line_name + "</extra>",
        )
    effective = " → ".join(f"{effective_frames(values):.1f}" for values, *_ in lines)
    style(figure, title, scale, f"effective frames {effective}")
    figure.update_xaxes(title_text="Time (s)")
    figure.update_yaxes(title_text="Attention weight p<sub>t</sub>", rangemode="tozero")
    return figure


def partial_predictions(table: pd.DataFrame, columns: dict[str, str], *, title: str, scale: str) -> go.Figure:
    """Plot the probabilities of a few labels from a whole video and from subsets of it, one symbol per subset.

    Args:
        table: name, true (NA if unknown), and one column of probabilities per subset.
        columns: Display names of these columns; at most 6.
        title: Name of the video.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"name": ["Car"], "true": [True], "all": [0.9], "few": [0.4]})
    >>> figure = partial_predictions(table, {"all": "all", "few": "10 s"}, title="a", scale="demo world")
    >>> [(dots.name, dots.x.tolist(), list(dots.y)) for dots in figure.data]
    [('all', [0.9], [0]), ('10 s', [0.4], [0])]
    """
    short_names, table = axis_names(table["name"].tolist()), escape_columns(table, "name")
    figure = go.Figure()
    looks = (
        ("circle", BLUE), ("x", ORANGE), ("diamond", GREEN), ("square-open", ORANGE), ("diamond-open", GREEN),
        ("cross", GRAY),
    )  # fmt: skip
    for (column, name), (symbol, color) in zip(columns.items(), looks, strict=False):
        figure.add_scatter(
            x=table[column],
            y=list(range(len(table))),
            mode="markers",
            name=name,
            marker={"symbol": symbol, "color": color, "size": 11, "line": {"width": 2 if "open" in symbol else 0}},
            customdata=table[["name"]],
            hovertemplate="%{customdata[0]}: %{x:.4f}<extra>" + name + "</extra>",
        )
    style(figure, title, scale, "✓ true label" if table["true"].notna().all() else "true labels unknown")
    figure.update_xaxes(title_text="Probability", range=[-0.02, 1.02])
    true = table["true"].fillna(False).to_numpy(bool)
    names = [f"{'✓ ' if is_true else ''}{name}" for name, is_true in zip(short_names, true, strict=True)]
    list_rows(figure, "Label", names)
    figure.update_layout(height=230 + 34 * len(table))
    return figure


def window_occlusion(
    starts: ArrayLike,
    ends: ArrayLike,
    drops: ArrayLike,
    *,
    title: str,
    scale: str,
    main_scene: Sequence[tuple[int, int]] | None = None,
    random_range: tuple[float, float] | None = None,
) -> go.Figure:
    """Plot the drop in probability without each window of a video as bars; increases are negative and hatched.

    Args:
        starts: First second of each window [W].
        ends: One past the last second of each window [W].
        drops: Drop in the mean probability without each window [W].
        title: Name of the video.
        scale: Scale that produced the numbers.
        main_scene: The true main scene, if known, as intervals (first, one past the last) of frames.
        random_range: Least and largest drop without as many random seconds, drawn as dotted lines.

    >>> bars = window_occlusion([0, 5], [5, 7], [0.1, -0.1], title="a", scale="demo world").data
    >>> [(bar.name, bar.x.tolist()) for bar in bars]
    [('probability drops', [2.0]), ('probability rises', [5.5])]
    """
    first, last, values = np.asarray(starts), np.asarray(ends) - 1, np.asarray(drops, np.float64)
    figure = go.Figure()
    for rows, name, color, pattern in (
        (values >= 0, "probability drops", BLUE, ""),
        (values < 0, "probability rises", ORANGE, "/"),
    ):
        figure.add_bar(
            x=(first + last)[rows] / 2,
            y=values[rows],
            width=(last - first + 1)[rows],
            name=name,
            marker={"color": color, "pattern": {"shape": pattern}, "line": {"width": 0}},
            customdata=np.stack([first, last], axis=1)[rows],
            hovertemplate="without %{customdata[0]} to %{customdata[1]} s<br>drop in probability %{y:.4f}"
            "<extra></extra>",
        )
    shade_main_scene(figure, main_scene or ())
    style(figure, title, scale, "above 0: the labels are less probable without these seconds")
    figure.update_xaxes(title_text="Time (s)")
    figure.update_yaxes(title_text="Drop in mean probability")
    figure.update_layout(barmode="overlay")
    for number, drop in enumerate(random_range or ()):
        line = {"color": GRAY, "width": 1.5, "dash": "dot"}
        legend = {"name": "range of random seconds", "legendgroup": "random", "showlegend": number == 0}
        figure.add_hline(drop, line=line, **legend)
    return figure


def attention_excess(table: pd.DataFrame, *, scale: str) -> go.Figure:
    """Plot histograms over videos of the attention weight minus the time share, of the largest cluster and main scene.

    Args:
        table: Result of ``attention_study.study_attention``: cluster_excess, and main_excess, which is omitted where it
            is NaN.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"cluster_excess": [0.1, 0.2], "main_excess": [np.nan, np.nan]})
    >>> attention_excess(table, scale="demo world").layout.title.subtitle.text
    'demo world · 2 videos · mean of the largest cluster 0.150'
    """
    figure = go.Figure()
    notes = [pluralize(len(table), "video")]
    for column, name, color, pattern, dash in (
        ("cluster_excess", "largest cluster", BLUE, "", "solid"),
        ("main_excess", "true main scene", ORANGE, "/", "dash"),
    ):
        mean: MeanInterval = mean_interval(table[column])
        if not mean.videos:
            continue
        figure.add_histogram(
            x=table[column],
            xbins={"start": -1.025, "end": 1.025, "size": 0.05},
            name=name,
            opacity=0.7,
            marker={"color": color, "pattern": {"shape": pattern}},
            hovertemplate="%{x}<br>videos: %{y}<extra>" + name + "</extra>",
        )
        figure.add_vline(x=mean.mean, line={"color": color, "dash": dash, "width": 2})
        notes.append(f"mean of the {name} {mean.mean:z.3f}")
    figure.add_vline(x=0, line={"color": GRAY, "width": 1})
    style(figure, "Attention minus time share", scale, *notes)
    figure.update_xaxes(title_text="Attention weight minus time share")
    figure.update_yaxes(title_text="Number of videos")
    figure.update_layout(barmode="overlay")
    return figure
