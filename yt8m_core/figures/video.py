"""Figures of one video: attention weights (section 2.2.4), similarity of its seconds, and predicted labels."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray

from yt8m_core.errors import UserError
from yt8m_core.explain.attention_metrics import Similarity, attention_mass, effective_frames, mask_from_intervals
from yt8m_core.figures.style import (
    BLUE,
    COLOR_BAR,
    COLOR_BAR_HEIGHT,
    GRAY,
    ORANGE,
    axis_names,
    escape_columns,
    list_rows,
    pluralize,
    shade_main_scene,
    style,
)

TIME_MARGIN = {"l": 70, "r": 10}  # of figures whose time axes are aligned


def attention(
    weights: ArrayLike, *, title: str, scale: str, main_scene: Sequence[tuple[int, int]] | None = None
) -> go.Figure:
    """Plot the attention weights p_t of the frames of one video (eq. 10), one frame per second.

    The subtitle gives the effective number of frames exp(-Σ p log p): T for uniform weights, 1 if one frame has all the
    weight.

    Args:
        weights: Weights of the real frames, without padding [T].
        title: Name of the video and the pooling.
        scale: Scale that produced the numbers.
        main_scene: The true main scene, if known, as intervals (first, one past the last) of frames.

    Raises:
        UserError: Weights that are negative, not finite, or do not sum to 1.

    >>> attention([0.5, 0.5, 0.0, 0.0], title="Attention", scale="demo world").layout.title.subtitle.text
    'demo world · weights sum to 1 · 2.0 effective frames of 4'
    """
    p = np.asarray(weights, np.float64)
    if p.ndim != 1 or len(p) == 0 or not (p >= 0).all() or abs(p.sum() - 1) > 1e-3:
        raise UserError(
            "attention weights that are not a distribution", expected="[T] non-negative numbers that sum to 1"
        )
    seconds = np.arange(len(p))
    figure = go.Figure()
    figure.add_scatter(
        x=seconds,
        y=p,
        mode="lines+markers" if len(p) < 3 else "lines",
        name="attention weight",
        line={"color": BLUE, "width": 2},
        hovertemplate="%{x} s<br>weight %{y:.4f}<extra></extra>",
    )
    figure.add_scatter(
        x=seconds[[0, -1]],
        y=[1 / len(p)] * 2,
        mode="lines",
        name=f"uniform, 1/T = {1 / len(p):.4f}",
        line={"color": GRAY, "dash": "dash"},
        hoverinfo="skip",
    )
    notes = ["weights sum to 1", f"{effective_frames(p):.1f} effective frames of {len(p)}"]
    if main_scene is not None:
        shade_main_scene(figure, main_scene)
        mass = attention_mass(p, mask_from_intervals(main_scene, len(p)))
        notes.append(f"{mass.weight:.0%} of the weight on the main scene ({mass.share:.0%} of the time)")
    style(figure, title, scale, *notes)
    figure.update_xaxes(title_text="Time (s)")
    figure.update_yaxes(title_text="Attention weight p<sub>t</sub>", rangemode="tozero")
    return figure


def frame_similarity(similarity: Similarity, *, title: str, scale: str) -> go.Figure:
    """Plot the cosine similarity of all pairs of frames of a video, with the time axis of ``frame_overview``.

    Args:
        similarity: Result of ``attention_metrics.similarity``.
        title: Name of the video.
        scale: Scale that produced the numbers.

    >>> cosines = Similarity(np.eye(2, dtype=np.float32), np.arange(2.0), 1)
    >>> [trace.name for trace in frame_similarity(cosines, title="a", scale="demo world").data]
    ['cosine similarity']
    """
    figure = go.Figure()
    figure.add_heatmap(
        z=similarity.cosine,
        x=similarity.seconds,
        y=similarity.seconds,
        name="cosine similarity",
        colorscale="Cividis",
        zmin=min(0.0, float(np.quantile(similarity.cosine, 0.01))),
        zmax=_max_off_diagonal(similarity.cosine),
        colorbar={**COLOR_BAR, "title": {"text": "cosine", "side": "top"}, "x": 1, "xanchor": "right", "len": 0.4},
        hovertemplate="%{x} s and %{y} s<br>cosine similarity %{z:.2f}<extra></extra>",
    )
    style(figure, title, scale, "bright squares along the diagonal are scenes")
    margin = TIME_MARGIN | {"t": figure.layout.margin.t + COLOR_BAR_HEIGHT, "b": 70}
    figure.update_layout(height=400 + COLOR_BAR_HEIGHT, margin=margin)
    figure.update_xaxes(title={"text": "Time (s)", "standoff": 50}, automargin=False)
    figure.update_yaxes(title_text="Time (s)", autorange="reversed")
    return figure


def _max_off_diagonal(cosine: NDArray[np.float32]) -> float:
    """Return the largest cosine below 0.999. The 1s of the diagonal and of repeated frames would hide all others."""
    others = cosine[cosine < 0.999]
    return max(float(others.max()) if others.size else 1.0, 1e-3)


def predictions(table: pd.DataFrame, *, title: str, scale: str, threshold: float | None = None) -> go.Figure:
    """Plot the top labels of one video as bars, most probable on top; true labels are marked with a check mark.

    Args:
        table: name, score (probability), true (NA in all rows if unknown); at most 20 rows. An optional column label is
            passed on as the second item of ``customdata`` of a clicked bar.
        title: Name of the video.
        scale: Scale that produced the numbers.
        threshold: Threshold at which to draw a line.

    >>> table = pd.DataFrame({"name": ["Dog", "Car"], "score": [0.2, 0.9], "true": [False, True]})
    >>> [(bar.name, bar.x.tolist(), list(bar.text)) for bar in predictions(table, title="a", scale="demo world").data]
    [('true label', [0.9], ['✓ 0.900']), ('not a true label', [0.2], ['0.200'])]
    """
    ranked = table.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)
    short_names, ranked = axis_names(ranked["name"].tolist()), escape_columns(ranked, "name")
    is_unknown = bool(ranked["true"].isna().any())
    true = ranked["true"].fillna(False).to_numpy(bool)
    kinds = (
        (ranked[true], "true label", BLUE, "", "✓ "),
        (ranked[~true], "not a true label", ORANGE, "/", ""),
    )
    figure = go.Figure()
    for rows, name, color, pattern, sign in ((ranked, "predicted", BLUE, "", ""),) if is_unknown else kinds:
        figure.add_bar(
            x=rows["score"],
            y=rows.index + 1,
            width=0.75,
            orientation="h",
            name=name,
            marker={"color": color, "pattern": {"shape": pattern}},
            text=[f"{sign}{score:.3f}" for score in rows["score"]],
            textposition="outside",
            cliponaxis=False,
            customdata=rows[[column for column in ("name", "label") if column in rows]],
            hovertemplate="%{customdata[0]}: %{x:.4f}<extra>" + name + "</extra>",
        )
    note = f"{pluralize(int(true.sum()), 'true label')} in the top {len(ranked)}"
    style(figure, title, scale, "true labels unknown" if is_unknown else note)
    figure.update_xaxes(title_text="Probability", range=[0, 1.2 * max(0.001, ranked["score"].max())])
    figure.update_layout(margin_r=45)  # for the numbers to the right of the bars, which are as wide on a narrow screen
    if threshold is not None:
        figure.add_vline(threshold, line={"color": GRAY, "dash": "dash"})
    names = [f"{'✓ ' if is_true else ''}{name}" for name, is_true in zip(short_names, true, strict=True)]
    list_rows(figure, "Label, by rank", names, first=1, showgrid=False)
    figure.update_layout(barmode="overlay", height=160 + 26 * len(ranked))
    return figure
