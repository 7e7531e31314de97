"""Where a pooling looks (section 2.2.4 of the paper): its weight for each second of a video."""

import contextlib
import html

import streamlit as st

import state
from parts import choose, chosen_data, chosen_run, plain, provenance, scale_words, video_picker, videos_for
from yt8m_core import figures
from yt8m_core.errors import UserError

run, data = chosen_run(), chosen_data()
videos = videos_for(run, data)
provenance(run=run, data=(data, videos))
pooling = run.experiment.pooling.name
if not state.attends(run):
    st.info(
        f"This run pools by {plain(pooling)}, which does not weigh the seconds of a video: there is no attention to "
        "show. Choose a run whose pooling attends.",
        icon=":material/info:",
    )
    for key, other in state.find_all_runs()[0].items():
        with contextlib.suppress(UserError):  # a run with a fault of its own is none to choose
            if state.attends(other):
                st.button(f"Use run {key}", on_click=choose("run", key), icon=":material/model_training:")
    st.stop()

video = video_picker(videos)
video_id = videos.id(video)
weights = state.prediction(run, data, video).attention
assert weights is not None  # the run attends
scene = state.main_scene(data, video_id, len(weights))

left, right = st.columns([3, 1], gap="large")
with left:
    st.plotly_chart(
        figures.attention(
            weights,
            title=f"Where {html.escape(pooling)} looks in video {html.escape(video_id)}",
            scale=scale_words(data, videos),
            main_runs=scene,
        ),
        alt="Attention weight of each second of the video",
    )
with right:
    st.subheader("True labels", anchor=False)
    names = [plain(run.vocabulary.name(label)) for label in videos.labels(video).tolist()]
    st.markdown("\n".join(f"- {name}" for name in names) or "Not known.")
    st.page_link("views/predictions.py", label="What the run predicts", icon=":material/label:")

st.markdown(
    "The run makes one vector of the whole video: the mean of its seconds, in which a second counts by its **weight** "
    "pₜ. The higher the line, the more that second has to say; the dashed line is a plain mean, where all "
    "seconds count alike. The **effective frames** are how many seconds take part: all of them where they count alike, "
    "1 where one second decides alone."
)
if scene is not None:
    st.markdown("Shaded is the **main scene**: the seconds that truly show the labels, known in the demo world alone.")
st.caption("Weights show where the pooling looks, and not why a label is predicted.")
