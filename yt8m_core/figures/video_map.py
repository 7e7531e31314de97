"""Maps of videos: a point per video, colored by the outcome of one label or by average precision.

100,000 points take less than 3 MB of JSON: coordinates, positions and colors are arrays of 32-bit numbers, which plotly
writes as base64, and only small maps have ids in their hover texts.
"""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from yt8m_core.figures.style import BLUE, GRAY, GREEN, MAGENTA, escape_text, pluralize, style

MAX_IDS = 20_000  # points of a map with ids

OUTCOME_LOOKS = {
    "": ("neither", GRAY, "circle", 3, 0.35),
    "true positive": ("true positive", BLUE, "square", 6, 0.8),
    "missed": ("missed", MAGENTA, "x", 8, 0.9),
    "false positive": ("false positive", GREEN, "diamond-open", 8, 0.9),
}
"""Name, color, symbol, size and opacity of each outcome of a label, in the order of the legend."""


def video_map_by_outcome(
    table: pd.DataFrame,
    *,
    label: str,
    method: str,
    explained: tuple[float, float] | None,
    sampled_from: int | None = None,
    scale: str,
) -> go.Figure:
    """Plot videos in two dimensions; color and symbol show the outcome of one label.

    The ``customdata`` of a point is the position of its video, so that a selection gives positions.

    Args:
        table: One row per video: video (position), x, y, outcome (a key of ``video_table.LABEL_OUTCOMES``), and,
            optionally, id.
        label: Name of the label.
        method: Method of the projection, "PCA" or "UMAP".
        explained: Share of the variance along each axis, from 0 to 1; None if the axes have no meaning.
        sampled_from: Number of videos of which these are a random sample; None if they are not a sample.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"video": [4, 7], "x": [0.5, 1], "y": [0, 2], "outcome": ["missed", ""]})
    >>> figure = video_map_by_outcome(table, label="Car", method="PCA", explained=(0.5, 0.25), scale="demo world")
    >>> [(trace.name, trace.customdata.tolist()) for trace in figure.data]
    [('neither (1 video)', [7]), ('missed (1 video)', [4])]
    """
    figure = go.Figure()
    counts = table["outcome"].value_counts()
    # The more videos the further back, so that rare outcomes are visible; "neither" is always at the back.
    for outcome in sorted(OUTCOME_LOOKS, key=lambda outcome: (outcome != "", -counts.get(outcome, 0))):
        name, color, symbol, size, opacity = OUTCOME_LOOKS[outcome]
        rows = table[table["outcome"] == outcome]
        if len(rows):
            name = f"{name} ({pluralize(len(rows), 'video')})"
            marker = {"color": color, "symbol": symbol, "size": size, "opacity": opacity}
            rank = list(OUTCOME_LOOKS).index(outcome)
            _add_videos(figure, rows, name, marker, shows_ids=len(table) <= MAX_IDS, legendrank=rank)
    _finish(figure, f"Videos by outcome of {escape_text(label)}", table, method, explained, sampled_from, scale)
    return figure


def video_map_by_precision(
    table: pd.DataFrame,
    *,
    method: str,
    explained: tuple[float, float] | None,
    sampled_from: int | None = None,
    scale: str,
) -> go.Figure:
    """Plot videos in two dimensions; color and size show their average precision, lower is larger.

    More than ``MAX_IDS`` videos have one size.

    The ``customdata`` of a point is the position of its video, so that a selection gives positions.

    Args:
        table: One row per video: video (position), x, y, ap (NaN without true labels), and, optionally, id.
        method: Method of the projection, "PCA" or "UMAP".
        explained: Share of the variance along each axis, from 0 to 1; None if the axes have no meaning.
        sampled_from: Number of videos of which these are a random sample; None if they are not a sample.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"video": [4, 7], "x": [0.5, 1], "y": [0, 2], "ap": [0.25, 1]})
    >>> figure = video_map_by_precision(table, method="PCA", explained=(0.5, 0.25), scale="demo world")
    >>> figure.data[0].marker.color.tolist(), figure.data[0].marker.size.tolist()
    ([1.0, 0.25], [4, 8])
    """
    figure = go.Figure()
    shows_ids = len(table) <= MAX_IDS
    unmeasured = table[table["ap"].isna()]
    measured = table[table["ap"].notna()].sort_values("ap", ascending=False, kind="stable")  # low ones in front
    if len(unmeasured):
        marker = {"color": GRAY, "symbol": "x", "size": 4, "opacity": 0.35}
        _add_videos(figure, unmeasured, "no true labels", marker, shows_ids=shows_ids)
    ap = measured["ap"].to_numpy(np.float32)
    marker = {
        "color": ap,
        "cmin": 0,
        "cmax": 1,
        "colorscale": "Cividis",
        "colorbar": {"title": {"text": "AP"}},
        # One size for many points, which overlap: sizes of their own take a third of the time to draw.
        "size": np.round(9 - 5 * ap).astype(np.uint8) if shows_ids else 4,
        "opacity": 0.8,
    }
    _add_videos(
        figure, measured, "average precision", marker, shows_ids=shows_ids, hover_text="<br>AP %{marker.color:.3f}"
    )
    _finish(figure, "Videos by average precision", table, method, explained, sampled_from, scale)
    return figure


def _add_videos(
    figure: go.Figure,
    rows: pd.DataFrame,
    name: str,
    marker: dict[str, Any],
    *,
    shows_ids: bool,
    hover_text: str = "",
    legendrank: int | None = None,
) -> None:
    """Add a trace of points."""
    has_ids = shows_ids and "id" in rows
    figure.add_trace(
        # WebGL, because SVG takes seconds for 100,000 points.
        go.Scattergl(
            x=rows["x"].to_numpy(np.float32),
            y=rows["y"].to_numpy(np.float32),
            mode="markers",
            name=name,
            legendrank=legendrank,
            marker=marker,
            customdata=rows["video"].to_numpy(np.int32),
            text=[escape_text(video_id) for video_id in rows["id"]] if has_ids else None,
            hovertemplate=("<b>%{text}</b>" if has_ids else "video %{customdata}") + f"{hover_text}<extra></extra>",
        )
    )


def _finish(
    figure: go.Figure,
    title: str,
    table: pd.DataFrame,
    method: str,
    explained: tuple[float, float] | None,
    sampled_from: int | None,
    scale: str,
) -> None:
    """Set the title, the subtitle and the axes."""
    sample = f"random sample of {sampled_from:,} videos" if sampled_from is not None else ""
    note = f"{sum(explained):.1%} of the variance" if explained else "distances between groups have no meaning"
    style(figure, title, scale, f"{method}: {note}", pluralize(len(table), "video"), sample)
    shares = [f" ({share:.1%} of the variance)" for share in explained or ()] or ["", ""]
    figure.update_xaxes(title_text=f"{method} 1{shares[0]}")
    figure.update_yaxes(title_text=f"{method} 2{shares[1]}")
    figure.update_layout(height=620)
