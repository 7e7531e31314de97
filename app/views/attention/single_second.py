"""Attention page, view "One second": the prediction without one second, and from it alone."""

import streamlit as st

from cache import attention
from components.link import linked
from components.selectors import fragment
from components.text import signed
from components.youtube_link import youtube_link
from views.attention.parts import show_parts
from views.attention.video_context import VideoContext, show_labels, show_weight_of_second


@fragment
def show_single_second(video: VideoContext) -> None:
    """Show the weight of one second, and the predictions without it and from it alone."""
    second = _select_second(video)
    without, alone = attention.second_occlusion(video.page, video.video, second)
    whole = video.prediction.probabilities
    before, after, only = (float(p[video.target_labels].mean()) for p in (whole, without, alone))
    change = after - before
    lead = "" if round(change, 3) else f"**Second {second} does not matter**: "
    st.markdown(
        f"{lead}Mean probability of {video.target_name}: {before:.3f} from the whole video; **{after:.3f}** without "
        f"second {second} ({signed(change)}); **{only:.3f}** from second {second} only ({signed(only - before)})."
    )
    show_weight_of_second(video, second)
    youtube_link(video.page, video.id, second)
    show_parts(
        video,
        {
            "whole": (whole, "whole video"),
            "without": (without, f"without second {second}"),
            "alone": (alone, f"second {second} only"),
        },
        "second",
        code=f"video.second_parts({second})",
        wide=True,
    )
    show_labels(video)


def _select_second(video: VideoContext) -> int:
    """Select a second; at first the one of highest weight."""
    if (st.session_state.get("second") or 0) >= video.T:  # the previous video was longer
        st.session_state["second"] = video.T - 1
    weights = video.prediction.attention
    first = 0 if weights is None else int(weights.argmax())
    second: int | None = linked(
        st.number_input,
        "Second",
        0,
        video.T - 1,
        None,
        first=first,
        key="second",
        width=160,
        help="Enter a second, or click one in the chart of “Where”.",
    )
    return first if second is None else second
