"""Attention page: predictions from parts of a video (occlusion)."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import attention
from components.columns import probability_column, true_column
from components.link import linked
from components.selectors import download_csv, fragment
from views.attention.video_context import VideoContext
from yt8m_core import figures
from yt8m_core.explain import attention_metrics as metrics
from yt8m_core.figures.style import pluralize

if TYPE_CHECKING:
    from yt8m_core.explain.occlusion import TopFrameRemoval, WindowOcclusion

WIDTHS = ("1 s", "2 s", "5 s", "10 s")
PARTS_ALT = "Probabilities of a few labels from the whole video and from parts of it"


@fragment
def show_random_comparison(video: VideoContext) -> None:
    """Compare the removal of the seconds of highest weight with the removal of random seconds."""
    st.subheader("Occlusion: do the attended seconds matter?", anchor=False)
    st.markdown(
        "Remove the seconds of highest weight, or keep only these, and predict from the rest. If attention finds the "
        "relevant seconds, removing them lowers the prediction more than removing as many random ones."
    )
    share = linked(
        st.slider,
        "Share of seconds",
        2,
        90,
        20,
        2,
        "%d%%",
        key="share",
        width=340,
        help="Share of the video's seconds that is removed, or kept alone.",
    )
    count = min(max(1, round(share / 100 * video.T)), video.T - 1)
    removal = attention.top_removal(video.page, video.video, count)
    seconds = pluralize(count, "second")
    _show_parts(
        video,
        {
            "whole": (removal.whole, "whole video"),
            "without_top": (removal.without_top, f"without top {seconds}"),
            "top_alone": (removal.top_alone, f"top {seconds} only"),
            "without_random": (removal.without_random.mean(axis=0), f"without {count} random"),
            "random_alone": (removal.random_alone.mean(axis=0), f"{count} random only"),
        },
        "top",
    )
    st.markdown(_removal_text(video, removal, seconds))


def _removal_text(video: VideoContext, removal: "TopFrameRemoval", seconds: str) -> str:
    """Compare the drop without the top seconds with the drops of the random draws."""
    drop, random_drops = removal.drop(video.target_labels), removal.random_drops(video.target_labels)
    draws = len(random_drops)
    if drop > random_drops.max():
        verdict = f"More than in all {draws} random draws: **the attended seconds matter more than others.**"
    elif drop < random_drops.min():
        verdict = f"Less than in all {draws} random draws: **the attended seconds matter less than others.**"
    else:
        verdict = "Within the range of the random draws: **no significant difference.**"
    return (
        f"Without the {seconds} of highest weight, the mean probability of {video.target_name} {_drop_text(drop)}; "
        f"without as many random ones, it {_drop_text(float(random_drops.mean()))} (range of {draws} draws: "
        f"{-random_drops.max():+.3f} to {-random_drops.min():+.3f}). {verdict}"
    )


def _drop_text(drop: float) -> str:
    return f"falls by {drop:.3f}" if drop >= 0 else f"rises by {-drop:.3f}"


def _show_parts(video: VideoContext, parts: dict[str, tuple[NDArray[Any], str]], key: str) -> None:
    """Show the probabilities of the labels of interest.

    Args:
        video: The selected video.
        parts: Prediction [C] and name of the whole video and of each part, by column.
        key: Distinguishes the figures of the page.
    """
    predictions = {column: p for column, (p, _) in parts.items()}
    names = {column: name for column, (_, name) in parts.items()}
    table = video.label_table(predictions)
    left, right = st.columns(2, gap="large")
    with left:
        st.plotly_chart(
            figures.partial_predictions(
                table, names, title=video.title("Predictions from parts of"), scale=video.page.scale
            ),
            key=f"{key}_chart",
            alt=PARTS_ALT,
        )
    with right:
        st.dataframe(
            table.drop(columns="label"),
            hide_index=True,
            column_config={
                "name": st.column_config.TextColumn("Label", pinned=True),
                "true": true_column(),
                **{column: probability_column(name[0].upper() + name[1:]) for column, name in names.items()},
            },
            alt=PARTS_ALT,
        )
        all_labels = video.label_table(predictions, range(len(video.prediction.probabilities)))
        download_csv(all_labels, f"{key}-{video.page.run.name}-{video.id}", "Download all labels as CSV")


def show_single_second(video: VideoContext) -> None:
    """Show the weight of one second, and the predictions without it and from it alone."""
    st.subheader("Single second", anchor=False)
    if st.session_state.get("second", 0) >= video.T:  # the previous video was longer
        st.session_state["second"] = video.T - 1
    second = linked(
        st.number_input,
        "Second",
        0,
        video.T - 1,
        key="second",
        width=160,
        help="Enter a second, or click one in the weight plot above.",
    )
    weights = video.prediction.attention
    if weights is not None:
        rank = int((weights > weights[second]).sum()) + 1
        st.markdown(f"Weight of second {second}: {weights[second]:.4f}, rank {rank} of {video.T}.")
    without, alone = attention.second_occlusion(video.page, video.video, int(second))
    _show_parts(
        video,
        {
            "whole": (video.prediction.probabilities, "whole video"),
            "without": (without, f"without second {second}"),
            "alone": (alone, f"second {second} only"),
        },
        "second",
    )


@fragment
def show_window_occlusion(video: VideoContext) -> None:
    """Show the drop in probability without each window of the video."""
    st.subheader("Occlusion over time", anchor=False)
    st.markdown(
        "Remove one window of seconds at a time and measure the drop in the mean probability of "
        f"{video.target_name}. Unlike attention weights, this works for every pooling and covers the whole model."
    )
    option = linked(
        st.segmented_control,
        "Window",
        WIDTHS,
        default="5 s",
        key="width",
        required=True,
        help="Shorter windows show more detail and take longer.",
    )
    width = int(option.removesuffix(" s"))
    if width >= video.T:
        st.info("The video is not longer than the window. Choose a shorter window.", icon=":material/info:")
        return
    occlusion = attention.window_occlusion(video.page, video.video, width)
    table = _drop_table(video, occlusion)
    st.plotly_chart(
        figures.window_occlusion(
            table["start"],
            table["end"],
            table["drop"],
            title=video.title("Drop per window of"),
            scale=video.page.scale,
            main_scene=video.main_scene,
        ),
        key="left_out_chart",
        alt="Drop in probability without each window of the video",
    )
    largest = table.iloc[int(table["drop"].argmax())]
    st.markdown(
        f"Largest drop: without seconds {largest['start']:.0f} to {largest['end'] - 1:.0f}, the mean probability of "
        f"{video.target_name} {_drop_text(largest['drop'])}."
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
