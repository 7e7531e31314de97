"""Sections of the page of attention: what a run says of a video without some of its seconds, or with few alone."""

import math
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import attention
from components.selectors import download_csv, fragment
from views.attention.video_context import Seen, number
from yt8m_core import figures
from yt8m_core.explain import attention_metrics as measures
from yt8m_core.figures.style import counted

WIDTHS = ("1 s", "2 s", "5 s", "10 s")


@fragment
def without_the_top(seen: Seen) -> None:
    st.subheader("Does it matter where it looks?", anchor=False)
    st.markdown(
        "Take away the seconds of the highest weight, or keep them alone, and let the run predict from what is left. "
        "If attention finds what matters, taking those away hurts more than taking as many random seconds away."
    )
    share = st.slider(
        "Share of the seconds", 2, 90, 20, 2, "%d%%", key="share", bind="query-params", width=340,
        help="How many of the seconds of the video are taken away, or kept alone.",
    )  # fmt: skip
    count = min(max(1, round(share / 100 * seen.T)), seen.T - 1)
    removal = attention.top_removed(seen.run, seen.data, seen.video, count)
    seconds = counted(count, "second")
    columns = {
        "whole": (removal.whole, "the whole video"),
        "without_top": (removal.without_top, f"without its top {seconds}"),
        "top_alone": (removal.top_alone, f"its top {seconds} alone"),
        "without_random": (removal.without_random.mean(axis=0), f"without {count} at random"),
        "random_alone": (removal.random_alone.mean(axis=0), f"{count} at random alone"),
    }
    names = {column: called for column, (_, called) in columns.items()}
    predictions = {column: p for column, (p, _) in columns.items()}
    parts_of_video(seen, predictions, names, "top")
    fall, random = removal.fall(seen.judged), removal.random_falls(seen.judged)
    draws = len(random)
    if fall > random.max():
        verdict = f"More than in any of {draws} random draws: **the seconds that it looks at matter more than others.**"
    elif fall < random.min():
        verdict = f"Less than in any of {draws} random draws: **the seconds that it looks at matter less than others.**"
    else:
        verdict = "Random draws do as much: **here, it makes no sure difference which seconds go.**"
    st.markdown(
        f"Without the {seconds} of the highest weight, the probability of {seen.judged_words} {falls(fall)} on "
        f"average; without {count} random ones, it {falls(float(random.mean()))} (from {-random.max():+.3f} to "
        f"{-random.min():+.3f} in {draws} draws). {verdict}"
    )


def falls(fall: float) -> str:
    return f"falls by {fall:.3f}" if fall >= 0 else f"rises by {-fall:.3f}"


def parts_of_video(seen: Seen, predictions: dict[str, NDArray[Any]], names: dict[str, str], key: str) -> None:
    """The watched labels from the whole video and from parts of it, as a figure and a table."""
    table = seen.table(predictions)
    left, right = st.columns(2, gap="large")
    with left:
        st.plotly_chart(
            figures.parts(table, names, title=seen.title("Parts of"), scale=seen.scale),
            key=f"{key}_chart",
            alt="Probabilities of a few labels from the whole video and from parts of it",
        )
    with right:
        st.dataframe(
            table.drop(columns="label"),
            hide_index=True,
            column_config={
                "name": st.column_config.TextColumn("Label", pinned=True),
                "true": st.column_config.CheckboxColumn("True", width=60),
                **{column: number(called[0].upper() + called[1:]) for column, called in names.items()},
            },
            alt="Probabilities of a few labels from the whole video and from parts of it",
        )
        everything = seen.table(predictions, range(len(seen.prediction.probabilities)))
        download_csv(everything, f"{key}-{seen.run.name}-{seen.id}", "Download all labels as CSV")


def one_second(seen: Seen) -> None:
    st.subheader("One second", anchor=False)
    if st.session_state.get("second", 0) >= seen.T:  # the video before was longer
        st.session_state["second"] = seen.T - 1
    second = st.number_input(
        "Second", 0, seen.T - 1, key="second", bind="query-params", width=160,
        help="Type it, or click a second of the weights above.",
    )  # fmt: skip
    weights = seen.prediction.attention
    if weights is not None:
        place = int((weights > weights[second]).sum()) + 1
        st.markdown(f"Second {second} has the weight {weights[second]:.4f}, place {place} of {seen.T}.")
    without, alone = attention.one_second(seen.run, seen.data, seen.video, int(second))
    predictions = {"whole": seen.prediction.probabilities, "without": without, "alone": alone}
    names = {"whole": "the whole video", "without": f"without second {second}", "alone": f"second {second} alone"}
    parts_of_video(seen, predictions, names, "second")


@fragment
def each_left_out(seen: Seen) -> None:
    st.subheader("How much each second matters", anchor=False)
    st.markdown(
        "Leave out a few seconds at a time, and see how the probability of "
        f"{seen.judged_words} falls without them. Unlike the weights, this works for every pooling and includes what "
        "the rest of the model makes of these seconds."
    )
    chosen = st.segmented_control(
        "Leave out at a time", WIDTHS, default="5 s", key="width", bind="query-params", required=True,
        help="Fewer seconds at a time show more detail, and take longer.",
    )  # fmt: skip
    width = int(chosen.removesuffix(" s"))
    if width >= seen.T:
        st.info("The video is not longer than that: leave out less at a time.", icon=":material/info:")
        return
    left_out = attention.left_out(seen.run, seen.data, seen.video, width)
    lost = left_out.falls(seen.judged)
    table = pd.DataFrame({"start": left_out.starts, "end": np.minimum(left_out.starts + width, seen.T), "fall": lost})
    st.plotly_chart(
        figures.left_out(
            table["start"],
            table["end"],
            table["fall"],
            title=seen.title("Left out of"),
            scale=seen.scale,
            main_runs=seen.scene,
        ),
        key="left_out_chart",
        alt="How much the probability falls without each part of the video",
    )
    weights = seen.prediction.attention
    most = int(lost.argmax())
    st.markdown(
        f"The most is lost without seconds {left_out.starts[most]} to {table['end'].iloc[most] - 1}: without them, the "
        f"probability of {seen.judged_words} {falls(float(lost[most]))} on average."
    )
    if weights is not None:
        table["weight"] = np.add.reduceat(weights, left_out.starts)
        agree = measures.rank_correlation(table["weight"], table["fall"])
        if not math.isnan(agree):
            st.markdown(
                f"Weight and loss go together by **{agree:.2f}** in this video.",
                help="Spearman's rank correlation: 1 where the parts with more weight are those that are missed more, "
                "0 where one says nothing of the other, -1 where they are missed less.",
            )
    download_csv(table, f"left-out-{seen.run.name}-{seen.id}")
