"""Attention page, view "Does it matter": predictions without parts of a video (occlusion)."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import attention
from components.charts import provenance_text, show_chart
from components.link import linked
from components.selectors import download_csv, fragment
from components.text import signed
from views.attention.parts import show_parts
from views.attention.video_context import VideoContext, show_labels
from yt8m_core import figures
from yt8m_core.explain import attention_metrics as metrics
from yt8m_core.figures.style import pluralize

if TYPE_CHECKING:
    from yt8m_core.explain.occlusion import WindowOcclusion

WIDTHS = ("1 s", "2 s", "5 s", "10 s")
DEFAULT_SHARE = 20  # percent


def show_effect(video: VideoContext) -> None:
    """Show how much each second matters and, with attention, whether the seconds of highest weight matter more."""
    if video.prediction.attention is None:
        show_window_occlusion(video)
    else:
        left, right = st.columns(2, gap="large")
        with left:
            show_window_occlusion(video)
        with right:
            show_random_comparison(video)
    show_labels(video)


@fragment
def show_window_occlusion(video: VideoContext) -> None:
    """Show the drop in probability without each window of the video."""
    st.markdown(
        "#### How much each second matters",
        help="One window of seconds at a time is removed. Unlike attention weights, the drop in probability works for "
        "every pooling and covers the whole model.",
    )
    verdict = st.container()
    option = linked(
        st.segmented_control,
        "Window",
        WIDTHS,
        key="width",
        first="5 s",
        required=True,
        help="Shorter windows show more detail and take longer.",
    )
    width = int(option.removesuffix(" s"))
    if width >= video.T:
        st.info("The video is not longer than the window. Choose a shorter window.", icon=":material/info:")
        return
    occlusion = attention.window_occlusion(video.page, video.video, width)
    table = _drop_table(video, occlusion)
    random_drops = occlusion.random_drops(video.target_labels)
    verdict.markdown(window_verdict(table, random_drops, width, video.target_name))
    title, random_range = video.title("Drop per window of"), (float(random_drops.min()), float(random_drops.max()))
    show_chart(
        figures.window_occlusion(
            table["start"],
            table["end"],
            table["drop"],
            title=title,
            scale=video.page.scale,
            main_scene=video.main_scene,
            random_range=random_range,
        ),
        key="left_out_chart",
        height=340,
        provenance=provenance_text(video.page),
        data=table,
        code=video.code(
            "window_occlusion",
            *(f"video.window_drops({width})[{column!r}]" for column in ("start", "end", "drop")),
            "main_scene=video.main_scene",
            title=title,
            random_range=random_range,
        ),
        alt="Drop in probability without each window of the video",
    )
    if "weight" in table:
        correlation = metrics.rank_correlation(table["weight"], table["drop"])
        if not math.isnan(correlation):
            st.markdown(
                f"Rank correlation of attention weight and drop: **{correlation:.2f}**.",
                help="Spearman's rank correlation over the windows: 1 if windows with more weight cause larger drops, "
                "0 if the two are unrelated, −1 if they cause smaller drops.",
            )
    download_csv(table, f"occlusion-{video.page.run.name}-{video.id}")


def _drop_table(video: VideoContext, occlusion: "WindowOcclusion") -> pd.DataFrame:
    """Return start, end (exclusive), drop and, with attention, weight of each window."""
    table = pd.DataFrame(
        {
            "start": occlusion.starts,
            "end": np.minimum(occlusion.starts + occlusion.width, video.T),
            "drop": occlusion.drops(video.target_labels),
        }
    )
    weights = video.prediction.attention
    return table if weights is None else table.assign(weight=np.add.reduceat(weights, occlusion.starts))


def window_verdict(table: pd.DataFrame, random_drops: NDArray[np.float64], width: int, target: str) -> str:
    """Say which windows matter: those without which the probability changes more than without random seconds.

    Args:
        table: start, end (exclusive) and drop of each window.
        random_drops: Drop without ``width`` random seconds, per draw.
        width: Seconds of a window.
        target: Names the labels whose mean probability drops.
    """
    top, bottom = (table.iloc[int(position)] for position in (table["drop"].argmax(), table["drop"].argmin()))
    lowers, raises = round(top["drop"], 3) > 0, round(bottom["drop"], 3) < 0
    if not lowers and not raises:
        return (
            f"**No second matters**: without any window of {width} s, the mean probability of {target} changes by less "
            "than 0.001."
        )
    lowers, raises = lowers and top["drop"] > random_drops.max(), raises and bottom["drop"] < random_drops.min()
    if lowers and raises:
        verdict = f"**{_seconds(top)} matter most; {_seconds(bottom).lower()} count against {target}.**"
    elif lowers:
        verdict = f"**{_seconds(top)} matter most.**"
    elif raises:
        verdict = f"**{_seconds(bottom)} count against {target}; no others matter more than random ones.**"
    else:
        verdict = "**No second matters more than random ones.**"
    return (
        f"{verdict} Change in the mean probability of {target}: {signed(-top['drop'])} without "
        f"{_seconds(top).lower()}; {signed(-bottom['drop'])} without {_seconds(bottom).lower()}; "
        f"{_range_text(random_drops)} without {pluralize(width, 'random second')} ({len(random_drops)} draws)."
    )


def _seconds(window: pd.Series) -> str:
    first, last = int(window["start"]), int(window["end"]) - 1
    return f"Seconds {first} to {last}" if last > first else f"Second {first}"


def _range_text(random_drops: NDArray[np.float64]) -> str:
    """Describe the change in probability over the random draws."""
    return f"{signed(-random_drops.max())} to {signed(-random_drops.min())}"


@fragment
def show_random_comparison(video: VideoContext) -> None:
    """Compare the removal of the seconds of highest weight with the removal of random seconds."""
    st.markdown(
        "#### Top seconds and random ones",
        help="The seconds of highest weight are removed, or kept alone. If attention finds the relevant seconds, "
        "removing them lowers the prediction more than removing as many random ones.",
    )
    verdict = st.container()
    share: int | None = linked(
        st.number_input,
        "Share of seconds (%)",
        2,
        90,
        None,
        first=DEFAULT_SHARE,
        key="share",
        width=160,
        help="Share of the video's seconds that is removed, or kept alone.",
    )
    share = DEFAULT_SHARE if share is None else share
    count = min(max(1, round(share / 100 * video.T)), video.T - 1)
    removal = attention.top_removal(video.page, video.video, count)
    drop, random_drops = removal.drop(video.target_labels), removal.random_drops(video.target_labels)
    verdict.markdown(removal_verdict(drop, random_drops, count, video.target_name))
    seconds = pluralize(count, "second")
    parts: dict[str, tuple[NDArray[Any], str]] = {
        "whole": (removal.whole, "whole video"),
        "without_top": (removal.without_top, f"without top {seconds}"),
        "top_alone": (removal.top_alone, f"top {seconds} only"),
        "without_random": (removal.without_random.mean(axis=0), f"without {count} random"),
        "random_alone": (removal.random_alone.mean(axis=0), f"{count} random only"),
    }
    show_parts(video, parts, "top", code=f"video.top_parts({count})")


def removal_verdict(drop: float, random_drops: NDArray[np.float64], count: int, target: str) -> str:
    """Compare the drop without the seconds of highest weight with the drops without as many random ones.

    Args:
        drop: Drop without the seconds of highest weight.
        random_drops: Drop without as many random seconds, per draw.
        count: Number of seconds.
        target: Names the labels whose mean probability drops.
    """
    seconds = pluralize(count, "second")
    if not round(max(abs(drop), *np.abs(random_drops)), 3):
        return (
            f"**No second matters**: without the {seconds} of highest weight, or as many random ones, the mean "
            f"probability of {target} changes by less than 0.001."
        )
    if drop > random_drops.max():
        verdict = "**The attended seconds matter more than random ones.**"
    elif drop >= random_drops.min():
        verdict = "**No significant difference from random seconds.**"
    elif round(drop, 3) < 0:
        verdict = f"**The attended seconds count against {target}, more than random ones.**"
    else:
        verdict = "**The attended seconds matter less than random ones.**"
    return (
        f"{verdict} Change in the mean probability of {target}: {signed(-drop)} without the {seconds} of highest "
        f"weight; {signed(-float(random_drops.mean()))} on average without {count} random ones (range of "
        f"{len(random_drops)} draws: {_range_text(random_drops)})."
    )
