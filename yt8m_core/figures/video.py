"""Figures of one video: where a pooling looks (section 2.2.4), and what the model says."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import ArrayLike

from yt8m_core.errors import UserError
from yt8m_core.explain.attention_metrics import attention_mass, effective_frames, mask_from_intervals
from yt8m_core.figures.style import BLUE, GRAY, ORANGE, counted, literal_in, shade_main_scene, style


def attention(
    weights: ArrayLike, *, title: str, scale: str, main_runs: Sequence[tuple[int, int]] | None = None
) -> go.Figure:
    """The weights p_t that a pooling gives to the frames of one video (eq. 10), one frame a second.

    The subtitle states that they sum to 1 and the effective number of frames exp(-Σ p log p): T where all frames count
    alike, 1 where one frame counts alone.

    Args:
        weights: [T], of the real frames only.
        title: Names the video and the pooling.
        scale: What made the numbers.
        main_runs: The true main scene, where known: its runs of frames as (first, one past the last).

    Raises:
        UserError: Weights that are negative, not numbers, or do not sum to 1.

    >>> attention([0.5, 0.5, 0.0, 0.0], title="Attention", scale="demo world").layout.title.subtitle.text
    'demo world · weights sum to 1 · 2.0 effective frames of 4'
    """
    p = np.asarray(weights, np.float64)
    if p.ndim != 1 or len(p) == 0 or not (p >= 0).all() or abs(p.sum() - 1) > 1e-3:
        raise UserError("attention weights that are no distribution", expected="[T] numbers from 0 up that sum to 1")
    seconds = np.arange(len(p))
    figure = go.Figure()
    figure.add_scatter(
        x=seconds,
        y=p,
        mode="lines+markers" if len(p) < 3 else "lines",
        name="weight of a frame",
        line={"color": BLUE, "width": 2},
        hovertemplate="second %{x}<br>weight %{y:.4f}<extra></extra>",
    )
    figure.add_scatter(
        x=seconds[[0, -1]],
        y=[1 / len(p)] * 2,
        mode="lines",
        name=f"all alike, 1/T = {1 / len(p):.4f}",
        line={"color": GRAY, "dash": "dash"},
        hoverinfo="skip",
    )
    notes = ["weights sum to 1", f"{effective_frames(p):.1f} effective frames of {len(p)}"]
    if main_runs is not None:
        shade_main_scene(figure, main_runs)
        on = attention_mass(p, mask_from_intervals(main_runs, len(p)))
        notes.append(f"{on.weight:.0%} of the weight on the main scene ({on.share:.0%} of the time)")
    style(figure, title, scale, *notes)
    figure.update_xaxes(title_text="time (s)")
    figure.update_yaxes(title_text="attention weight p<sub>t</sub> (share of 1)", rangemode="tozero")
    return figure


def predictions(table: pd.DataFrame, *, title: str, scale: str, threshold: float | None = None) -> go.Figure:
    """The best labels of one video as bars, best on top; true labels carry a tick and another color and pattern.

    Args:
        table: name, score (probability), true (whether the ground truth has it; NA throughout where it is not known),
            20 rows or fewer; label, where a clicked bar is to give it as the second of its ``customdata``.
        title: Names the video.
        scale: What made the numbers.
        threshold: where to draw a line, if anywhere.

    >>> table = pd.DataFrame({"name": ["Dog", "Car"], "score": [0.2, 0.9], "true": [False, True]})
    >>> [(bar.name, bar.x.tolist(), list(bar.text)) for bar in predictions(table, title="a", scale="demo world").data]
    [('true label', [0.9], ['✓ 0.900']), ('not in the ground truth', [0.2], ['0.200'])]
    """
    ranked = literal_in(table, "name").sort_values("score", ascending=False, kind="stable").reset_index(drop=True)
    unknown = bool(ranked["true"].isna().any())
    true = ranked["true"].fillna(False).to_numpy(bool)
    kinds = (
        (ranked[true], "true label", BLUE, "", "✓ "),
        (ranked[~true], "not in the ground truth", ORANGE, "/", ""),
    )
    figure = go.Figure()
    for rows, name, color, pattern, sign in ((ranked, "predicted", BLUE, "", ""),) if unknown else kinds:
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
    found = f"{counted(int(true.sum()), 'true label')} among the best {len(ranked)}"
    style(figure, title, scale, "true labels not known" if unknown else found)
    # Room for the numbers behind the bars, on a narrow screen as well.
    figure.update_xaxes(title_text="score (probability)", range=[0, 1.35 * max(0.001, ranked["score"].max())])
    if threshold is not None:
        figure.add_vline(threshold, line={"color": GRAY, "dash": "dash"})
    figure.update_yaxes(
        title_text="label, by rank",
        tickmode="array",
        tickvals=list(ranked.index + 1),
        ticktext=[f"{'✓ ' if hit else ''}{name}" for name, hit in zip(ranked["name"], true, strict=True)],
        range=[len(ranked) + 0.5, 0.5],
        showgrid=False,
    )
    figure.update_layout(barmode="overlay", height=160 + 26 * len(ranked))
    return figure
