"""Reliability diagram: how often labels are true, against the probability that a run gives them."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from yt8m_core.figures.label_counts import BAND_LOOKS
from yt8m_core.figures.style import BLUE, GRAY, MAGENTA, escape_text, pluralize, style

LOOKS = {**BAND_LOOKS, "all": (MAGENTA, "square")}
LABEL_LOOK = (BLUE, "star")
STAGES = {"before": ("-open", "dot"), "after": ("", "solid")}
"""Suffix of the symbol, and dash of the line, before and after temperature scaling."""


def reliability_diagram(table: pd.DataFrame, *, scale: str) -> go.Figure:
    """Plot the share of true pairs in each bin against their mean probability, with 95% CIs, on log axes.

    Points on the dashed diagonal are calibrated, those below it too confident. There is one line per stage and band.

    Args:
        table: Bins of one output: stage ("before" or "after" temperature scaling), band (or the name of one label),
            pairs, confidence, frequency, low, high, as ``Calibration.table("bins")``. Without a stage, only the bands
            are named. Bins without a true pair cannot be drawn on a log axis. ``customdata`` ends with the row of a
            clicked bin.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"stage": ["after"], "band": ["head"], "pairs": [9], "confidence": [0.25],
    ...                       "frequency": [0.5], "low": [0.125], "high": [0.75]})
    >>> figure = reliability_diagram(table, scale="demo world")
    >>> [(trace.name, trace.x.tolist(), trace.y.tolist()) for trace in figure.data[:1]]
    [('head, after', [0.25], [0.5])]
    """
    has_stages = "stage" in table
    table = table.reset_index(drop=True) if has_stages else table.reset_index(drop=True).assign(stage="after")
    drawn = table[(table["frequency"] > 0) & (table["confidence"] > 0)]
    lowest = float(min(drawn["confidence"].min(), drawn["frequency"].min())) if len(drawn) else 0.1
    floor = 10.0 ** np.floor(np.log10(lowest))
    looks = LOOKS | {name: LABEL_LOOK for name in table["band"].unique() if name not in LOOKS}
    figure = go.Figure()
    for stage, (suffix, dash) in STAGES.items():
        for band, (color, symbol) in looks.items():
            rows = drawn[(drawn["stage"] == stage) & (drawn["band"] == band)].sort_values("confidence")
            if rows.empty:
                continue
            name = f"{escape_text(band)}, {stage}" if has_stages else escape_text(band)
            figure.add_scatter(
                x=rows["confidence"],
                y=rows["frequency"],
                mode="lines+markers",
                name=name,
                line={"color": color, "dash": dash},
                marker={"symbol": symbol + suffix, "size": 9},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "array": (rows["high"] - rows["frequency"]).to_numpy(),
                    "arrayminus": (rows["frequency"] - rows["low"].clip(lower=floor)).to_numpy(),
                    "color": color,
                },
                # As objects: of a numeric table, a click would report no list.
                customdata=rows[["pairs", "low", "high"]].assign(row=rows.index).astype(object),
                hovertemplate=f"<b>{name}</b><br>pairs: %{{customdata[0]:,}}<br>"
                "mean probability %{x:.3g}<br>true %{y:.3g}, 95% CI [%{customdata[1]:.3g}, %{customdata[2]:.3g}]"
                "<extra></extra>",
            )
    figure.add_scatter(
        x=[floor, 1],
        y=[floor, 1],
        mode="lines",
        name="calibrated",
        line={"color": GRAY, "dash": "dash"},
        hoverinfo="skip",
    )
    missing = len(table) - len(drawn)
    note = f"{pluralize(missing, 'bin')} without a true pair not drawn" if missing else ""
    style(figure, "Reliability", scale, "95% bootstrap CI over videos", note)
    axis = {"type": "log", "range": [float(np.log10(floor)), 0], "exponentformat": "power", "dtick": 1}
    figure.update_xaxes(title_text="Mean probability of the bin (log scale)", **axis)
    figure.update_yaxes(title_text="Share of true pairs (log scale)", **axis)
    figure.update_layout(height=560)
    return figure
