"""Figures of ablations: how far each row is from the one it is compared with, and when a component helps."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from yt8m_core.figures.style import BLUE, GRAY, ORANGE, style

# A sign for each reading of an interval, which a reader without colors tells apart.
_BETTER, _WORSE, _OPEN = ("better", BLUE, "triangle-right"), ("worse", ORANGE, "triangle-left"), ("", GRAY, "circle")


def differences(table: pd.DataFrame, *, title: str, scale: str) -> go.Figure:
    """The difference of each row to the one that it is compared with, with its 95 % interval, and a line at 0.

    Args:
        table: as ``compare_rows``: row, reference, difference, difference_low, difference_high, seeds; rows without a
            difference, and those compared with themselves, are left out.
        title: Names the table.
        scale: What made the numbers.

    >>> table = pd.DataFrame({"row": ["a", "b"], "reference": "a", "difference": [0.0, 0.2], "seeds": 3})
    >>> table["difference_low"], table["difference_high"] = table["difference"] - 0.1, table["difference"] + 0.1
    >>> [(trace.name, trace.x.tolist()) for trace in differences(table, title="Pooling", scale="demo world").data]
    [('better', [0.2])]
    """
    shown = table[(table["row"] != table["reference"]) & table["difference"].notna()].reset_index(drop=True)
    better, worse = shown["difference_low"] > 0, shown["difference_high"] < 0
    figure = go.Figure()
    for chosen, (name, color, symbol) in ((better, _BETTER), (worse, _WORSE), (~better & ~worse, _OPEN)):
        rows = shown[chosen]
        if rows.empty:
            continue
        name = name or "no significant difference"
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
            hovertemplate="%{customdata[0]} − %{customdata[1]}: %{x:+.4f}<br>"
            "%{customdata[2]:+.4f} to %{customdata[3]:+.4f}<extra>" + name + "</extra>",
        )
    figure.add_vline(x=0, line={"color": GRAY, "dash": "dash"})
    others = shown["reference"].unique()
    to = f"to '{others[0]}'" if len(others) == 1 else "to the row named behind it"
    style(figure, title, scale, f"difference {to}", f"95 % intervals over {_over(table)}, paired")
    figure.update_xaxes(title_text="difference of GAP@20")
    names = shown["row"] if len(others) == 1 else shown["row"] + "<br>− " + shown["reference"]
    figure.update_yaxes(
        title_text="row",
        tickmode="array",
        tickvals=list(shown.index),
        ticktext=list(names),
        range=[len(shown) - 0.5, -0.5],
        showgrid=False,
    )
    figure.update_layout(height=220 + 40 * len(shown))
    return figure


def gain(table: pd.DataFrame, *, scale: str) -> go.Figure:
    """What a component gains at each setting of a dial, in a band of its 95 % intervals, and a line at 0.

    Args:
        table: as ``run_sweep``: parameter, value, row, reference, gain, gain_low, gain_high, seeds; at least one row.
        scale: What made the numbers.

    >>> table = pd.DataFrame({"parameter": "noise", "value": [0.0, 0.5], "row": "Huber", "reference": "CE", "seeds": 3})
    >>> table["gain"], table["gain_low"], table["gain_high"] = [0.0, 0.1], [-0.1, 0.05], [0.1, 0.15]
    >>> band, line = gain(table, scale="demo world").data
    >>> band.x.tolist(), band.y.tolist(), line.y.tolist()
    ([0.0, 0.5, 0.5, 0.0], [0.1, 0.15, 0.05, -0.1], [0.0, 0.1])
    """
    ordered = table.sort_values("value")
    dial, row, against = ordered[["parameter", "row", "reference"]].iloc[0]
    setting = ordered["value"].to_numpy()
    figure = go.Figure()
    figure.add_scatter(
        x=np.concatenate([setting, setting[::-1]]),
        y=np.concatenate([ordered["gain_high"], ordered["gain_low"][::-1]]),
        mode="lines",
        fill="toself",
        name="95 % interval",
        line={"width": 0, "color": BLUE},
        opacity=0.3,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=setting,
        y=ordered["gain"],
        mode="lines+markers",
        name="gain",
        line={"color": BLUE, "width": 2, "dash": "dot"},
        marker={"size": 9, "symbol": "diamond"},
        customdata=ordered[["gain_low", "gain_high"]],
        hovertemplate="%{x}: %{y:+.4f}<br>%{customdata[0]:+.4f} to %{customdata[1]:+.4f}<extra></extra>",
    )
    figure.add_hline(y=0, line={"color": GRAY, "dash": "dash"})
    style(figure, f"{row} − {against}", scale, f"95 % intervals over {_over(table)} at each setting by itself")
    figure.update_xaxes(title_text=dial)
    figure.update_yaxes(title_text="gain of GAP@20")
    return figure


def _over(table: pd.DataFrame) -> str:
    return "videos and seeds" if table["seeds"].min() > 1 else "videos alone, of one seed"
