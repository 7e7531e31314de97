"""Where a pooling looks (section 2.2.4 of the paper), whether that is the main scene, and whether it matters."""

import contextlib
import html
import math

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from cache import attention
from cache import loaders as state
from components.selectors import (
    choose,
    chosen_data,
    chosen_run,
    download_csv,
    fragment,
    plain,
    provenance,
    video_picker,
    videos_for,
)
from views.attention.dataset_summary import many_videos
from views.attention.occlusion import each_left_out, one_second, without_the_top
from views.attention.video_context import DETECTION, Seen, number
from yt8m_core import figures
from yt8m_core.errors import UserError
from yt8m_core.explain import attention_metrics as measures
from yt8m_core.figures.style import counted

TRAINED = "1"
TIMES = ("0", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", TRAINED, "2", "5", "10", "20", "50", "100")
SHOWN = 10  # labels of a table that compares two predictions
HOW_TO_READ = """
**On top**: the run makes one vector of the whole video, the mean of its seconds, in which a second counts by its
**weight** pₜ. The higher the line, the more that second has to say; the dashed line is a plain mean, where all seconds
count alike.

**In the middle**: the group of alike seconds that each second belongs to, a lane a group, the largest one on top.

**Below**: how alike each two seconds are, as the pooling sees them (cosine: 1 for the same, 0 for nothing in common).
Bright squares along the diagonal are scenes.
"""
SHADED = "Shaded is the **main scene**: the seconds that truly show the labels, known in the demo world alone."


def true_labels(seen: Seen) -> None:
    st.subheader("True labels", anchor=False)
    names = [plain(seen.run.vocabulary.name(label)) for label in seen.true or ()]
    st.markdown("\n".join(f"- {name}" for name in names) or "Not known.")
    st.page_link("views/predictions/page.py", label="What the run predicts", icon=":material/label:")


def go_to_second() -> None:
    """Take over a second that is clicked."""
    points = st.session_state["seconds_chart"]["selection"]["points"]
    if points:
        st.session_state["second"] = round(points[0]["x"])


def overview(seen: Seen, weights: NDArray[np.float32], k: int) -> None:
    """The weights over time, the clusters of the frames, and how alike these are."""
    cluster = attention.clusters(seen.run, seen.data, seen.video, k)
    largest = cluster == 0
    on = measures.attention_mass(weights, largest)
    main = None if seen.scene is None else measures.mask_from_intervals(seen.scene, seen.T)
    key_figures(weights, on, None if main is None else measures.attention_mass(weights, main))
    left, right = st.columns([3, 1], gap="large")
    with left:
        st.plotly_chart(
            figures.frames(
                weights,
                cluster,
                attention.similarity(seen.run, seen.data, seen.video),
                title=f"Where {html.escape(seen.run.experiment.pooling.name)} looks in video {html.escape(seen.id)}",
                scale=seen.scale,
                main_runs=seen.scene,
            ),
            key="seconds_chart",
            on_select=go_to_second,
            selection_mode="points",
            alt="Attention weight of each second of the video, the cluster of each second, and how alike seconds are",
        )
        table = pd.DataFrame({"second": np.arange(seen.T), "weight": weights, "cluster": cluster + 1})
        download_csv(table if main is None else table.assign(main_scene=main), f"attention-{seen.run.name}-{seen.id}")
    with right:
        true_labels(seen)
        st.markdown(HOW_TO_READ + ("" if main is None else f"\n\n{SHADED}"))
    st.markdown(
        f"The largest of {counted(int(cluster.max()) + 1, 'cluster')} takes {on.share:.0%} of the time and gets "
        f"**{on.weight:.0%} of the weight**: " + compared(on.excess)
    )
    if main is not None:
        found = measures.detection(weights, main)
        words = "there is nothing to tell apart" if math.isnan(found) else f"**{found:.2f}**"
        st.markdown(
            f"Of that cluster, {main[largest].mean():.0%} belongs to the true main scene, which takes "
            f"{main.mean():.0%} of the time. The weight as a detector of the main scene: {words}.",
            help=DETECTION,
        )
    st.caption("Weights show where the pooling looks, and not why a label is predicted; the parts below tell more.")


def key_figures(weights: NDArray[np.float32], on: measures.AttentionMass, there: measures.AttentionMass | None) -> None:
    """How the weight is spread, and how much lies on the largest cluster and, where it is known, on the main scene."""
    with st.container(horizontal=True):
        st.metric(
            "Effective seconds", f"{measures.effective_frames(weights):.1f} of {len(weights)}", width="content",
            help="How many seconds take part: all where they count alike, 1 where one second decides alone. It is the "
            "exponential of the entropy.",
        )  # fmt: skip
        st.metric(
            "Entropy", f"{measures.entropy(weights):.2f} of {math.log(len(weights)):.2f}", width="content",
            help="How evenly the weight is spread, −Σ p ln p: 0 where one second has it all, and the logarithm of the "
            "number of seconds where all count alike.",
        )  # fmt: skip
        st.metric(
            "Highest weight", f"{weights.max():.3f} at {int(weights.argmax())} s", width="content",
            help="The second that counts most, and its share of the whole weight.",
        )  # fmt: skip
        st.metric(
            "On the largest cluster", f"{on.weight:.0%} of the weight", f"{on.share:.0%} of the time",
            delta_color="off", delta_arrow="off", width="content",
            help="How much of the weight lies on the largest group of seconds that are alike, and how much of the time "
            "that group takes.",
        )  # fmt: skip
        if there is not None:
            st.metric(
                "On the main scene", f"{there.weight:.0%} of the weight", f"{there.share:.0%} of the time",
                delta_color="off", delta_arrow="off", width="content",
                help="The main scene is the seconds that truly show the labels, known in the demo world alone.",
            )  # fmt: skip


def compared(excess: float) -> str:
    if abs(excess) < 0.005:
        return "as much as if all seconds counted alike."
    return f"{abs(excess) * 100:.0f} points {'more' if excess > 0 else 'less'} than if all seconds counted alike."


@fragment
def other_sharpness(seen: Seen, weights: NDArray[np.float32]) -> None:
    st.subheader("With another sharpness", anchor=False)
    trained = attention.sharpness(seen.run)
    if trained is None:
        st.caption("The sharpness α belongs to indirect clustering; the pooling of this run has none.")
        return
    st.markdown(
        "The pooling multiplies how alike a second is to all others by **α** before it makes weights of that. With 0, "
        "all seconds count alike; the larger α, the fewer seconds decide. The run was trained with "
        f"α = {trained:g}; here you see what it would say with another one, with nothing trained anew."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        times = st.select_slider(
            "Sharpness, in times the trained α", TIMES, TRAINED, key="sharpness", bind="query-params", width=440
        )
        st.button("Reset", key="reset", on_click=choose("sharpness", TRAINED), icon=":material/restart_alt:")
    alpha = trained * float(times)
    other = attention.sharpened(seen.run, seen.data, seen.video, alpha)
    columns = {"trained": seen.prediction.probabilities, "other": other.probabilities}
    best = [np.argsort(-p, kind="stable") for p in columns.values()]
    ranks = [np.argsort(order) + 1 for order in best]
    top = list(dict.fromkeys([*best[0][:SHOWN].tolist(), *best[1][:SHOWN].tolist()]))
    table = seen.table(columns, top)
    table["change"] = table["other"] - table["trained"]
    table.insert(3, "rank", ranks[0][top])
    table.insert(4, "new_rank", ranks[1][top])
    left, right = st.columns(2, gap="large")
    with left:
        st.plotly_chart(
            figures.two_attentions(
                weights, other.weights, title=seen.title("Weights in"), scale=seen.scale, name=f"α = {alpha:g}"
            ),
            key="sharpness_chart",
            alt="Attention weight of each second, as trained and with another sharpness",
        )
    with right:
        kept = len(set(best[0][:SHOWN].tolist()) & set(best[1][:SHOWN].tolist()))
        moved = float(np.abs(table["change"]).max())
        st.markdown(
            f"**{kept} of the {min(SHOWN, len(best[0]))} best labels** stay among the best; no probability in the "
            f"table moves by more than {moved:.3f}."
        )
        st.dataframe(
            table.drop(columns="label"),
            hide_index=True,
            column_config={
                "name": "Label",
                "true": st.column_config.CheckboxColumn("True", width=60),
                "rank": st.column_config.NumberColumn("Rank", width=60, help="Among all labels, as trained"),
                "new_rank": st.column_config.NumberColumn("New rank", width=80, help="With the sharpness chosen here"),
                "trained": number("As trained"),
                "other": number(f"α = {alpha:g}"),
                "change": st.column_config.NumberColumn("Change", format="%+.4f"),
            },
            alt="The best labels as trained and with another sharpness",
        )
        everything = seen.table(columns, range(len(best[0]))).assign(rank=ranks[0], new_rank=ranks[1])
        download_csv(everything, f"sharpness-{seen.id}", "Download all labels as CSV")


run, data = chosen_run(), chosen_data()
videos = videos_for(run, data)
provenance(run=run, data=(data, videos))
if not state.attends(run):
    st.info(
        f"This run pools by {plain(run.experiment.pooling.name)}, which does not weigh the seconds of a video: there "
        "is no attention to show. Choose a run whose pooling attends.",
        icon=":material/info:",
    )
    for key, other in state.find_all_runs()[0].items():
        with contextlib.suppress(UserError):  # a run with a fault of its own is none to choose
            if state.attends(other):
                st.button(f"Use run {plain(key)}", on_click=choose("run", key), icon=":material/model_training:")
if videos.schema.level != "frame":
    st.stop()

seen = Seen(run, data, videos, video_picker(videos))
if seen.T < 2:
    st.info("This video has one second or none: nothing to compare. Choose another.", icon=":material/info:")
    st.stop()
weights = seen.prediction.attention
if weights is None:
    true_labels(seen)
    each_left_out(seen)
    one_second(seen)
else:
    k = st.slider(
        "Clusters", 2, 8, 5, key="k", bind="query-params", width=340,
        help="k-means puts the seconds of the video into so many groups that look and sound alike. The paper takes the "
        "largest group for the main scene.",
    )  # fmt: skip
    overview(seen, weights, k)
    other_sharpness(seen, weights)
    without_the_top(seen)
    each_left_out(seen)
    one_second(seen)
    many_videos(run, data, videos, k)
