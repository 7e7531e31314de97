"""Figure of the readings of equation 20: differences in GAP beside those of the paper's Table 3."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from yt8m_core.figures.style import BLUE, GRAY, MAGENTA, list_rows, pluralize, style

SPACES = {"prob": "scores", "average": "averaged scores", "logit": "logits"}
COLUMNS = 3  # panels side by side


def correlation_readings(table: pd.DataFrame, *, scale: str) -> go.Figure:
    """Plot the difference of each row of Table 3 from its baseline in each reading, one panel per row.

    Args:
        table: Result of ``sweep_readings``.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"matrix_norm": "joint", "space": ["prob", "logit"], "relative_step": 0.3, "beta": 0.1})
    >>> table = table.assign(gamma=0.0, paper_difference=-0.011, difference=[-0.001, 0.002], videos=3, data="records")
    >>> table["difference_low"], table["difference_high"] = table["difference"] - 0.01, table["difference"] + 0.01
    >>> figure = correlation_readings(table, scale="demo world")
    >>> figure.layout.annotations[0].text, [trace.x.tolist() for trace in figure.data]
    ('β = 0.1, γ = 0', [[-0.001, 0.002], [-0.011, -0.011]])
    """
    names = list(dict.fromkeys(_names(table)))
    panels = list(table.groupby(["beta", "gamma"], sort=False))
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    titles = [f"β = {beta:g}, γ = {gamma:g}" for (beta, gamma), _ in panels]
    figure = make_subplots(
        rows, columns, shared_yaxes=True, subplot_titles=titles, horizontal_spacing=0.03, vertical_spacing=0.12
    )
    for number, (_, panel) in enumerate(panels):
        place = {"row": number // columns + 1, "col": number % columns + 1}
        for trace in _traces(panel, [names.index(name) for name in _names(panel)]):
            figure.add_trace(trace.update(showlegend=number == 0), **place)
        figure.add_vline(x=0, line={"color": GRAY, "dash": "dot", "width": 1}, **place)
        figure.add_vline(x=panel["paper_difference"].iloc[0], line={"color": MAGENTA, "dash": "dash"}, **place)
    sample = f"{table['data'].iloc[0]}, {pluralize(table['videos'].iloc[0], 'video')}, one seed"
    style(
        figure,
        "Readings of equation 20",
        scale,
        sample,
        "paired 95% CI over videos",
        "reading: normalization, space, step of M'",
    )
    list_rows(figure, "", names)
    figure.update_yaxes(title_text="Reading", col=1)
    figure.update_xaxes(title_text="Difference in GAP@20", row=rows)
    # Room for the titles of the panels below the subtitle, and for the legend below the axis title.
    margin = {"t": figure.layout.margin.t + 45, "b": 100}
    figure.update_layout(height=230 + rows * (60 + 22 * len(names)), margin=margin)
    return figure


def _traces(panel: pd.DataFrame, places: list[int]) -> tuple[go.Scatter, go.Scatter]:
    """Return the measured differences and the paper's, both with the reading at its place on the y axis."""
    low, high = panel["difference_low"], panel["difference_high"]
    measured = go.Scatter(
        x=panel["difference"],
        y=places,
        mode="markers",
        name="here [95% CI]",
        legendgroup="here",
        marker={"color": BLUE, "size": 8},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (high - panel["difference"]).to_numpy(),
            "arrayminus": (panel["difference"] - low).to_numpy(),
            "color": BLUE,
        },
        customdata=panel[["difference_low", "difference_high"]],
        hovertemplate="%{x:+.3g} [%{customdata[0]:+.3g}, %{customdata[1]:+.3g}]<extra>here</extra>",
    )
    paper = go.Scatter(
        x=panel["paper_difference"],
        y=places,
        mode="markers",
        name="paper",
        legendgroup="paper",
        marker={"color": MAGENTA, "size": 7, "symbol": "diamond-open"},
        hovertemplate="%{x:+.3g}<extra>paper</extra>",
    )
    return measured, paper


def _names(table: pd.DataFrame) -> list[str]:
    columns = (table[column] for column in ("matrix_norm", "space", "relative_step"))
    return [f"{norm} · {SPACES[space]} · {step:g}" for norm, space, step in zip(*columns, strict=True)]
