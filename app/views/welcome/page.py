"""Nothing to show yet: where the app looked, and a button that builds the demo world."""

import streamlit as st

from cache import loaders as state
from components.selectors import fault, plain
from demo_build import demo_job
from yt8m_core.demo.runs import demo_folder, is_ready
from yt8m_core.errors import UserError

st.markdown(
    "A video carries several labels at once. Some labels are in hundreds of thousands of videos, others in a hundred. "
    "This app shows what a classifier of such videos has to cope with, and what it does: how **unequal** the labels "
    "are, which go **together**, which seconds of a video a model **attends** to, and which labels it **predicts**."
)
folders, data = state.places()
st.markdown(f"Looked for the demo world in {plain(str(demo_folder()))}")
st.markdown("Looked for trained runs in " + ", ".join(plain(str(folder)) for folder in folders))
named = ", ".join(plain(str(path)) for path in data)
st.markdown(f"Data sets: {named}" if data else "No data set is named by YT8M_DATA (or `yt8m app --data`).")

st.subheader("The demo world", anchor=False)
st.markdown(
    "A small made-up YouTube-8M: 120 labels and 3,200 short videos in the real file format, with known causes. "
    "Two models are trained on it. Its numbers say nothing about YouTube-8M, and every page that shows them says "
    "“demo world”. It takes about two minutes and 180 MB."
)
job = demo_job()
if is_ready() and not job.running:
    st.success("The demo world is built.", icon=":material/check:")
    st.page_link("views/overview/page.py", label="See its runs and labels", icon=":material/home:")
    st.stop()
st.button(
    "Build the demo world", type="primary", icon=":material/rocket_launch:", on_click=job.start, disabled=job.running
)


@st.fragment(run_every=0.5)
def watch() -> None:
    if job.error:
        st.rerun()
    if not job.running:
        st.switch_page("views/overview/page.py")
    with st.status("Building the demo world and training its runs", expanded=True):
        st.progress(job.done / job.total, f"{job.step}: {job.done:,} of {job.total:,} {job.note}")


if job.running:
    watch()
elif isinstance(job.error, UserError):
    fault(job.error)
elif job.error:
    raise job.error
