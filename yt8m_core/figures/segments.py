"""Figure of the scores of a label in the segments of a video (2019 edition)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from yt8m_core.explain.segment_table import attention_agreement
from yt8m_core.figures.style import BLUE, GRAY, GREEN, ORANGE, shade_main_scene, style
from yt8m_core.figures.video import TIME_MARGIN

RATINGS = (("rated present", True, "triangle-up", GREEN), ("rated absent", False, "x", ORANGE))


def segment_scores(
    table: pd.DataFrame,
    *,
    title: str,
    scale: str,
    whole: float | None = None,
    ratings: Sequence[tuple[int, bool]] = (),
    main_scene: Sequence[tuple[int, int]] | None = None,
) -> go.Figure:
    """Plot the probability of a label in each segment of a video and, below it, the attention of the segment.

    Args:
        table: result of ``segment_table.segment_table``.
        title: name of the label and the video.
        scale: scale that produced the numbers.
        whole: probability of the label in the whole video, for a line.
        ratings: ratings of the label, each as (start of the segment, whether it is present).
        main_scene: the true main scene, if known, as intervals (first, one past the last) of frames.

    >>> table = pd.DataFrame({"start": [0, 5], "end": [5, 8], "probability": [0.2, 0.7]})
    >>> figure = segment_scores(table, title="Car", scale="demo world", whole=0.5, ratings=[(5, True)])
    >>> [trace.name for trace in figure.data]
    ['probability in the segment', 'in the whole video, 0.500', 'rated present']
    """
    has_attention = "attention" in table
    figure = make_subplots(
        rows=1 + has_attention,
        cols=1,
        shared_xaxes=True,
        row_heights=[0.6, 0.4] if has_attention else None,
        vertical_spacing=0.12,
    )
    T = int(table["end"].iloc[-1])
    top = max(1e-3, float(table["probability"].max()), whole or 0)
    figure.add_bar(
        **_bars(table, "probability"), name="probability in the segment",
        marker={"color": BLUE, "line": {"width": 1, "color": "white"}}, row=1, col=1,
    )  # fmt: skip
    if whole is not None:
        figure.add_scatter(
            x=[-0.5, T - 0.5], y=[whole] * 2, mode="lines", name=f"in the whole video, {whole:.3f}",
            line={"color": GRAY, "dash": "dash"}, hoverinfo="skip", row=1, col=1,
        )  # fmt: skip
    _add_ratings(figure, ratings, 1.08 * top)
    notes = ["each segment of 5 s is scored as a video"]
    if has_attention:
        figure.add_bar(
            **_bars(table, "attention"), name="attention of the segment",
            marker={"color": GRAY, "pattern": {"shape": "/"}, "line": {"width": 0}}, row=2, col=1,
        )  # fmt: skip
        figure.update_yaxes(title_text="Attention", rangemode="tozero", row=2)
        agreement = attention_agreement(table)
        if agreement is not None:
            notes.append(f"rank correlation with attention {agreement:.2f}".replace("-", "−"))
    shade_main_scene(figure, main_scene or ())
    style(figure, title, scale, *notes)
    figure.update_layout(height=350 + 190 * has_attention, margin=TIME_MARGIN, clickmode="event+select", bargap=0)
    figure.update_xaxes(range=[-0.5, T - 0.5])
    figure.update_xaxes(title_text="Time (s)", row=1 + has_attention)
    figure.update_yaxes(title_text="Probability", range=[0, 1.2 * top], row=1)
    return figure


def _bars(table: pd.DataFrame, column: str) -> dict[str, Any]:
    """Return a bar for each segment, as wide as its frames."""
    spans = [f"{start} to {end - 1} s" for start, end in zip(table["start"], table["end"], strict=True)]
    return {
        "x": (table["start"] + table["end"] - 1) / 2,
        "y": table[column],
        "width": table["end"] - table["start"],
        "customdata": np.column_stack([table["start"], spans]),
        "hovertemplate": f"%{{customdata[1]}}<br>{column} %{{y:.4f}}<extra></extra>",
    }


def _add_ratings(figure: go.Figure, ratings: Sequence[tuple[int, bool]], height: float) -> None:
    """Add a marker above each rated segment."""
    for name, value, symbol, color in RATINGS:
        starts = [start for start, is_present in ratings if is_present == value]
        if starts:
            figure.add_scatter(
                x=[start + 2 for start in starts], y=[height] * len(starts), mode="markers", name=name,
                marker={"symbol": symbol, "size": 12, "color": color},
                hovertemplate="%{x} s<extra>" + name + "</extra>", row=1, col=1,
            )  # fmt: skip
