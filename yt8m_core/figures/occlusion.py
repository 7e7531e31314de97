"""Figures of a video's frames: what attention lies on, and what the model says without some of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from yt8m_core.errors import UserError
from yt8m_core.explain.attention_metrics import Mean, Similarity, effective_frames, mean_interval
from yt8m_core.figures.style import BLUE, GRAY, GREEN, ORANGE, counted, literal_in, shade_main_scene, style
from yt8m_core.figures.video import attention

# The lane of a cluster tells it from others; so do the symbols, where lanes are thin.
SYMBOLS = ("square", "circle", "diamond", "triangle-up", "x", "cross", "star", "pentagon")
COLORS = (BLUE, ORANGE, GREEN, GRAY)


def frames(
    weights: ArrayLike,
    cluster: ArrayLike,
    likeness: Similarity,
    *,
    title: str,
    scale: str,
    main_runs: Sequence[tuple[int, int]] | None = None,
) -> go.Figure:
    """Three views of a video on one time axis: its attention, the clusters of its frames, how alike its frames are.

    The first is ``attention``. The points of its weights carry their second as customdata.

    Args:
        weights: [T], as ``attention`` takes them.
        cluster: [T], 0 the largest, as from ``attention_measures.k_means``.
        likeness: As from ``attention_measures.similarity``.
        title: Names the video and the pooling.
        scale: What made the numbers.
        main_runs: The true main scene, where known.

    Raises:
        UserError: As ``attention`` does, or as many clusters' frames as there are not weights.

    >>> alike = Similarity(np.eye(2, dtype=np.float32), np.arange(2.0), 1)
    >>> [trace.name for trace in frames([0.9, 0.1], [0, 0], alike, title="a", scale="demo world").data]
    ['weight of a frame', 'all alike, 1/T = 0.5000', 'cluster 1, the largest (2 s)', 'cosine']
    """
    top = attention(weights, title=title, scale=scale, main_runs=main_runs)
    members = np.asarray(cluster)
    T = len(top.data[0].x)
    if len(members) != T:
        raise UserError(f"clusters of {counted(len(members), 'frame')}", expected=f"{T}, as many as there are weights")
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, row_heights=[0.3, 0.14, 0.56], vertical_spacing=0.035)
    for trace in top.data:
        figure.add_trace(trace, row=1, col=1)
    # A line without markers cannot be clicked.
    figure.data[0].update(mode="lines+markers", marker={"size": 5, "color": BLUE}, customdata=np.arange(T))
    figure.update_layout(shapes=top.layout.shapes, annotations=top.layout.annotations)
    lanes = int(members.max()) + 1
    for number in range(lanes):
        seconds = np.flatnonzero(members == number)
        name = f"cluster {number + 1}{', the largest' if number == 0 else ''} ({len(seconds)} s)"
        marker = {"symbol": SYMBOLS[number % len(SYMBOLS)], "color": COLORS[number % len(COLORS)], "size": 6}
        figure.add_scatter(
            x=seconds,
            y=np.full(len(seconds), number + 1),
            mode="markers",
            name=name,
            marker=marker,
            hovertemplate="second %{x}<extra>" + name + "</extra>",
            showlegend=number == 0,
            row=2,
            col=1,
        )
    figure.add_heatmap(
        z=likeness.cosine,
        x=likeness.seconds,
        y=likeness.seconds,
        name="cosine",
        colorscale="Cividis",
        zmin=min(0.0, float(np.quantile(likeness.cosine, 0.01))),
        zmax=_largest_of_others(likeness.cosine),
        colorbar={"title": {"text": "cosine"}, "len": 0.5, "y": 0, "yanchor": "bottom", "thickness": 12},
        hovertemplate="seconds %{x} and %{y}<br>cosine %{z:.2f}<extra></extra>",
        row=3,
        col=1,
    )
    style(figure, title, top.layout.title.subtitle.text.replace("<br>", " · "))
    figure.layout.title.subtitle.text = top.layout.title.subtitle.text
    figure.update_layout(height=900, margin={"t": top.layout.margin.t}, clickmode="event+select")
    figure.update_xaxes(range=[-0.5, T - 0.5])
    figure.update_xaxes(title_text="time (s)", row=3)
    figure.update_yaxes(title_text="weight p<sub>t</sub>", rangemode="tozero", row=1)
    figure.update_yaxes(title_text="cluster", range=[lanes + 0.6, 0.4], tickvals=list(range(1, lanes + 1)), row=2)
    figure.update_yaxes(title_text="time (s)", autorange="reversed", row=3)
    return figure


def _largest_of_others(cosine: np.ndarray) -> float:
    """The largest cosine off the diagonal, whose 1s would pale all others; repeated frames count as the diagonal."""
    others = cosine[cosine < 0.999]
    return max(float(others.max()) if others.size else 1.0, 1e-3)


def two_attentions(weights: ArrayLike, others: ArrayLike, *, title: str, scale: str, name: str) -> go.Figure:
    """The trained weights of a video's frames and other ones, on one time axis.

    Args:
        weights: [T], as trained.
        others: [T].
        title: Names the video.
        scale: What made the numbers.
        name: What the other weights are.

    >>> figure = two_attentions([0.5, 0.5], [0.9, 0.1], title="a", scale="demo world", name="α = 2")
    >>> [(line.name, line.y.tolist()) for line in figure.data]
    [('as trained', [0.5, 0.5]), ('α = 2', [0.9, 0.1])]
    """
    figure = go.Figure()
    both = ((weights, "as trained", BLUE, "solid"), (others, name, ORANGE, "dash"))
    for values, called, color, dash in both:
        p = np.asarray(values, np.float64)
        figure.add_scatter(
            x=np.arange(len(p)),
            y=p,
            mode="lines",
            name=called,
            line={"color": color, "dash": dash, "width": 2},
            hovertemplate="second %{x}<br>weight %{y:.4f}<extra>" + called + "</extra>",
        )
    effective = " → ".join(f"{effective_frames(values):.1f}" for values, *_ in both)
    style(figure, title, scale, f"effective frames {effective}")
    figure.update_xaxes(title_text="time (s)")
    figure.update_yaxes(title_text="attention weight p<sub>t</sub> (share of 1)", rangemode="tozero")
    return figure


def parts(table: pd.DataFrame, columns: dict[str, str], *, title: str, scale: str) -> go.Figure:
    """The probabilities of a few labels from a whole video and from parts of it, one symbol a part.

    Args:
        table: name, true (NA where not known), and a column of probabilities for each part.
        columns: What each of these columns is called; six at most.
        title: Names the video.
        scale: What made the numbers.

    >>> table = pd.DataFrame({"name": ["Car"], "true": [True], "all": [0.9], "few": [0.4]})
    >>> figure = parts(table, {"all": "all seconds", "few": "10 seconds"}, title="a", scale="demo world")
    >>> [(dots.name, dots.x.tolist(), list(dots.y)) for dots in figure.data]
    [('all seconds', [0.9], [0]), ('10 seconds', [0.4], [0])]
    """
    table = literal_in(table, "name")
    figure = go.Figure()
    looks = (
        ("circle", BLUE), ("x", ORANGE), ("diamond", GREEN), ("square-open", ORANGE), ("diamond-open", GREEN),
        ("cross", GRAY),
    )  # fmt: skip
    for (column, called), (symbol, color) in zip(columns.items(), looks, strict=False):
        figure.add_scatter(
            x=table[column],
            y=list(range(len(table))),
            mode="markers",
            name=called,
            marker={"symbol": symbol, "color": color, "size": 11, "line": {"width": 2 if "open" in symbol else 0}},
            customdata=table[["name"]],
            hovertemplate="%{customdata[0]}: %{x:.4f}<extra>" + called + "</extra>",
        )
    style(figure, title, scale, "✓ true label" if table["true"].notna().all() else "true labels not known")
    figure.update_xaxes(title_text="probability", range=[-0.02, 1.02])
    true = table["true"].fillna(False).to_numpy(bool)
    figure.update_yaxes(
        title_text="label",
        tickvals=list(range(len(table))),
        ticktext=[f"{'✓ ' if hit else ''}{name}" for name, hit in zip(table["name"], true, strict=True)],
        range=[len(table) - 0.5, -0.5],
    )
    figure.update_layout(height=230 + 34 * len(table))
    return figure


def left_out(
    starts: ArrayLike,
    ends: ArrayLike,
    falls: ArrayLike,
    *,
    title: str,
    scale: str,
    main_runs: Sequence[tuple[int, int]] | None = None,
) -> go.Figure:
    """How much the probability falls without each window of a video, as bars; rises go down and are hatched.

    Args:
        starts: [W], the first second of each window.
        ends: [W], one past the last second of each.
        falls: [W].
        title: Names the video.
        scale: What made the numbers.
        main_runs: The true main scene, where known.

    >>> [(b.name, b.x.tolist()) for b in left_out([0, 5], [5, 7], [0.1, -0.1], title="a", scale="demo world").data]
    [('speaks for the labels', [2.0]), ('speaks against them', [5.5])]
    """
    first, last, values = np.asarray(starts), np.asarray(ends) - 1, np.asarray(falls, np.float64)
    figure = go.Figure()
    for rows, name, color, pattern in (
        (values >= 0, "speaks for the labels", BLUE, ""),
        (values < 0, "speaks against them", ORANGE, "/"),
    ):
        figure.add_bar(
            x=(first + last)[rows] / 2,
            y=values[rows],
            width=(last - first + 1)[rows],
            name=name,
            marker={"color": color, "pattern": {"shape": pattern}, "line": {"width": 0}},
            customdata=np.stack([first, last], axis=1)[rows],
            hovertemplate="without seconds %{customdata[0]} to %{customdata[1]}<br>fall %{y:.4f}<extra></extra>",
        )
    shade_main_scene(figure, main_runs or ())
    style(figure, title, scale, "above 0: without these seconds, the labels get less probable")
    figure.update_xaxes(title_text="time (s)")
    figure.update_yaxes(title_text="fall of the mean probability")
    figure.update_layout(barmode="overlay")
    return figure


def excess(table: pd.DataFrame, *, scale: str) -> go.Figure:
    """Over the videos of a data set, how much more weight lies on a part of each than its share of the time.

    Args:
        table: As from ``attention_study.study``: cluster_excess, and main_excess, which is not drawn where it is NaN.
        scale: What made the numbers.

    >>> table = pd.DataFrame({"cluster_excess": [0.1, 0.2], "main_excess": [np.nan, np.nan]})
    >>> excess(table, scale="demo world").layout.title.subtitle.text
    'demo world · 2 videos · mean on the largest cluster 0.150'
    """
    figure = go.Figure()
    notes = [counted(len(table), "video")]
    kinds = (
        ("cluster_excess", "the largest cluster", BLUE, "", "solid"),
        ("main_excess", "the true main scene", ORANGE, "/", "dash"),
    )
    for column, name, color, pattern, dash in kinds:
        mean: Mean = mean_interval(table[column])
        if not mean.videos:
            continue
        figure.add_histogram(
            x=table[column],
            xbins={"start": -1.025, "end": 1.025, "size": 0.05},
            name=name,
            opacity=0.7,
            marker={"color": color, "pattern": {"shape": pattern}},
            hovertemplate="%{x}: %{y} videos<extra>" + name + "</extra>",
        )
        figure.add_vline(x=mean.mean, line={"color": color, "dash": dash, "width": 2})
        notes.append(f"mean on {name} {mean.mean:.3f}")
    figure.add_vline(x=0, line={"color": GRAY, "width": 1})
    style(figure, "Weight beyond the share of the time", scale, *notes)
    figure.update_xaxes(title_text="weight on it, less its share of the time")
    figure.update_yaxes(title_text="videos")
    figure.update_layout(barmode="overlay")
    return figure
