"""Welcome: where the app looks for data, and a button that builds the demo world."""

import time

import streamlit as st

from cache.runs import search_paths
from components.page_end import end_page
from components.text import plain, show_error
from demo_build import demo_build
from yt8m_core.demo.runs import demo_folder, is_ready
from yt8m_core.errors import UserError

st.markdown(
    "This app inspects classifiers of YouTube-8M videos, where each video has several labels: how **imbalanced** and "
    "how **correlated** the labels are, which seconds of a video a model **attends** to, and what it **predicts**."
)
folders, data = search_paths()
st.markdown(f"Demo world: {plain(str(demo_folder()))}")
st.markdown("Trained runs: " + ", ".join(plain(str(folder)) for folder in folders))
paths = ", ".join(plain(str(path)) for path in data)
st.markdown(f"Data sets: {paths}" if data else "Data sets: none. Name them with `yt8m app --data` or YT8M_DATA.")

st.subheader("The demo world", anchor=False)
st.markdown(
    "A small synthetic data set in the format of YouTube-8M: 120 labels and 3,200 short videos with known ground "
    "truth, and two models trained on it. Its numbers say nothing about YouTube-8M, and every page marks them as "
    "“demo world”. Building it takes about two minutes and 180 MB."
)
build = demo_build()
if is_ready() and not build.is_running:
    st.success("The demo world is built.", icon=":material/check:")
    st.page_link("views/overview/page.py", label="Open the overview", icon=":material/home:")
    end_page()
st.button(
    "Build the demo world",
    type="primary",
    icon=":material/rocket_launch:",
    on_click=build.start,
    disabled=build.is_running,
)


def show_progress() -> None:
    """Show the progress until the build ends, then open the overview.

    A fragment with ``run_every`` would not do: a timer that fires during the switch of pages blanks the next page.
    """
    with st.status("Building the demo world and training its runs", expanded=True):
        bar = st.empty()
    while build.is_running:
        bar.progress(build.done / build.total, f"{build.step}: {build.done:,} of {build.total:,} {build.note}")
        time.sleep(0.5)
    if build.error is None:
        st.switch_page("views/overview/page.py")
    st.rerun()


if build.is_running:
    show_progress()
elif isinstance(build.error, UserError):
    show_error(build.error)
elif build.error:
    raise build.error
