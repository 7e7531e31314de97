"""Figures of ablations: differences from the baseline, and the gain of a component by setting."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from yt8m_core.figures.style import BLUE, GRAY, ORANGE, list_rows, style


def differences(table: pd.DataFrame, *, title: str, scale: str) -> go.Figure:
    """Plot the difference in GAP@20 of each row from its baseline, with its 95% CI and a line at 0.

    Args:
        table: Result of ``compare_rows``: row, reference, difference, difference_low, difference_high, seeds.
            Rows without a difference and baselines are omitted.
        title: Name of the table.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"row": ["a", "b"], "reference": "a", "difference": [0.0, 0.2], "seeds": 3})
    >>> table["difference_low"], table["difference_high"] = table["difference"] - 0.1, table["difference"] + 0.1
    >>> [(trace.name, trace.x.tolist()) for trace in differences(table, title="Pooling", scale="demo world").data]
    [('better', [0.2])]
    """
    shown = table[(table["row"] != table["reference"]) & table["difference"].notna()].reset_index(drop=True)
    better, worse = shown["difference_low"] > 0, shown["difference_high"] < 0
    figure = go.Figure()
    for selected, name, color, symbol in (
        (better, "better", BLUE, "triangle-right"),
        (worse, "worse", ORANGE, "triangle-left"),
        (~better & ~worse, "no significant difference", GRAY, "circle"),
    ):
        rows = shown[selected]
        if rows.empty:
            continue
        figure.add_scatter(
            x=rows["difference"],
            y=rows.index,
            mode="markers",
            name=name,
            marker={"color": color, "size": 11, "symbol": symbol},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (rows["difference_high"] - rows["difference"]).to_numpy(),
                "arrayminus": (rows["difference"] - rows["difference_low"]).to_numpy(),
                "color": color,
                "thickness": 2,
            },
            customdata=rows[["row", "reference", "difference_low", "difference_high"]],
            hovertemplate="%{customdata[0]} − %{customdata[1]}: %{x:+.3g}<br>"
            "95% CI [%{customdata[2]:+.3g}, %{customdata[3]:+.3g}]<extra>" + name + "</extra>",
        )
    figure.add_vline(x=0, line={"color": GRAY, "dash": "dash"})
    baselines = shown["reference"].unique()
    baseline = f"'{baselines[0]}'" if len(baselines) == 1 else "the row after the minus sign"
    style(figure, title, scale, f"difference from {baseline}", f"paired 95% CI {_sampled_over(table)}")
    figure.update_xaxes(title_text="Difference in GAP@20 [95% CI]")
    names = shown["row"] if len(baselines) == 1 else shown["row"] + "<br>− " + shown["reference"]
    list_rows(figure, "Row", list(names), showgrid=False)
    figure.update_layout(height=220 + 40 * len(shown))
    return figure


def gain_by_setting(table: pd.DataFrame, *, scale: str) -> go.Figure:
    """Plot the gain in GAP@20 of a component at each value of a demo parameter, with a band of 95% CIs.

    Args:
        table: Result of ``run_sweep``: parameter, value, row, reference, gain, gain_low, gain_high, seeds; at least one
            row.
        scale: Scale that produced the numbers.

    >>> table = pd.DataFrame({"parameter": "noise", "value": [0.0, 0.5], "row": "Huber", "reference": "CE", "seeds": 3})
    >>> table["gain"], table["gain_low"], table["gain_high"] = [0.0, 0.1], [-0.1, 0.05], [0.1, 0.15]
    >>> band, line = gain_by_setting(table, scale="demo world").data
    >>> band.x.tolist(), band.y.tolist(), line.y.tolist()
    ([0.0, 0.5, 0.5, 0.0], [0.1, 0.15, 0.05, -0.1], [0.0, 0.1])
    """
    ordered = table.sort_values("value")
    parameter, row, reference = ordered[["parameter", "row", "reference"]].iloc[0]
    value = ordered["value"].to_numpy()
    figure = go.Figure()
    figure.add_scatter(
        x=np.concatenate([value, value[::-1]]),
        y=np.concatenate([ordered["gain_high"], ordered["gain_low"][::-1]]),
        mode="lines",
        fill="toself",
        name="95% CI",
        line={"width": 0, "color": BLUE},
        opacity=0.3,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=value,
        y=ordered["gain"],
        mode="lines+markers",
        name="gain",
        line={"color": BLUE, "width": 2, "dash": "dot"},
        marker={"size": 9, "symbol": "diamond"},
        customdata=ordered[["gain_low", "gain_high"]],
        hovertemplate="%{x}: %{y:+.3g}<br>95% CI [%{customdata[0]:+.3g}, %{customdata[1]:+.3g}]<extra></extra>",
    )
    figure.add_hline(y=0, line={"color": GRAY, "dash": "dash"})
    style(figure, f"{row} − {reference}", scale, f"pointwise 95% CI {_sampled_over(table)}")
    figure.update_xaxes(title_text=parameter)
    figure.update_yaxes(title_text="Gain in GAP@20 [95% CI]")
    return figure


def _sampled_over(table: pd.DataFrame) -> str:
    return "over videos and seeds" if table["seeds"].min() > 1 else "over videos only, one seed"
