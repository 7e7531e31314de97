"""Figure of all ensembles of some models: GAP@20 by the number of members."""

import pandas as pd
import plotly.graph_objects as go

from yt8m_core.figures.style import BLUE, GRAY, ORANGE, escape_text, style


def gap_by_members(ensembles: pd.DataFrame, sizes: pd.DataFrame, *, title: str, scale: str) -> go.Figure:
    """Plot GAP@20 of all ensembles against their number of members, with the best sets and the strongest models.

    Args:
        ensembles: One row per set of models: members, one column per model (1 if it is a member), gap.
        sizes: Result of ``best_by_size``: members, best, strongest, rank, sets.
        title: Origin of the models.
        scale: Scale that produced the numbers.

    >>> ensembles = pd.DataFrame({"members": [1, 1, 2], "a": [1, 0, 1], "b": [0, 1, 1], "gap": [0.7, 0.6, 0.8]})
    >>> sizes = pd.DataFrame({"members": [1, 2], "sets": [2, 1], "best": [0.7, 0.8], "strongest": [0.7, 0.8]})
    >>> figure = gap_by_members(ensembles, sizes.assign(rank=1), title="Two models", scale="demo world")
    >>> [(trace.name, trace.y.tolist()) for trace in figure.data]
    [('all sets', [0.7, 0.6, 0.8]), ('best set', [0.7, 0.8]), ('strongest models', [0.7, 0.8])]
    """
    models = list(ensembles.columns[1:-1])
    members = ensembles[models].to_numpy(bool)
    names = ["<br>".join(escape_text(model) for model, own in zip(models, row, strict=True) if own) for row in members]
    figure = go.Figure()
    figure.add_scatter(
        x=ensembles["members"],
        y=ensembles["gap"],
        mode="markers",
        name="all sets",
        marker={"symbol": "line-ew", "size": 16, "line": {"color": GRAY, "width": 1}},
        customdata=names,
        hovertemplate="GAP@20 %{y:.5f}<br>%{customdata}<extra></extra>",
    )
    for column, name, color, dash, symbol in (
        ("best", "best set", BLUE, "solid", "diamond"),
        ("strongest", "strongest models", ORANGE, "dash", "circle-open"),
    ):
        figure.add_scatter(
            x=sizes["members"],
            y=sizes[column],
            mode="lines+markers",
            name=name,
            line={"color": color, "dash": dash, "width": 2},
            marker={"symbol": symbol, "size": 9},
            customdata=sizes[["rank", "sets"]],
            hovertemplate=f"{name} GAP@20 %{{y:.5f}}<br>strongest models: rank %{{customdata[0]}} of %{{customdata[1]}}"
            "<extra></extra>",
        )
    style(figure, title, scale)
    figure.update_xaxes(title_text="Number of members", dtick=1)
    figure.update_yaxes(title_text="GAP@20")
    return figure
