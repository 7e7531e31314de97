"""The app: `streamlit run app/main.py`. Looks into runs, and into what they learn from and say."""

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from cache import loaders as state
from components.selectors import fault, plain
from yt8m_core.demo.runs import is_ready
from yt8m_core.errors import UserError

TOLD = 5  # faults in the sidebar
PAGES: list[dict[str, Any]] = [
    {
        "page": "views/overview/page.py",
        "url_path": "overview",
        "title": "Overview",
        "icon": ":material/home:",
        "help": "Which run and data are open, how good the run is, and what to look at next.",
        "default": True,
    },
    {
        "page": "views/imbalance/page.py",
        "url_path": "imbalance",
        "title": "Imbalance",
        "icon": ":material/bar_chart:",
        "help": "How unequally the labels are spread: rank against count, head and tail, every label.",
    },
    {
        "page": "views/correlation/page.py",
        "url_path": "correlation",
        "title": "Correlation",
        "icon": ":material/grid_on:",
        "help": "Which labels go together: a matrix of chosen labels, and the strongest pairs.",
    },
    {
        "page": "views/attention/page.py",
        "url_path": "attention",
        "title": "Attention",
        "icon": ":material/show_chart:",
        "help": "Which seconds of a video a model looks at.",
    },
    {
        "page": "views/predictions/page.py",
        "url_path": "predictions",
        "title": "Predictions",
        "icon": ":material/label:",
        "help": "What a model says of a video of the data set, or of your own file.",
    },
    {
        "page": "views/experiments/page.py",
        "url_path": "experiments",
        "title": "Experiments",
        "icon": ":material/science:",
        "help": "All runs side by side, beside the paper's rows, and what an average of some comes to.",
    },
]


def tell_faults(faults: dict[str, str]) -> None:
    """What is wrong with the runs that are not shown: of the first few in words, and of many in a table."""
    for key, sentence in [*faults.items()][:TOLD]:
        st.caption(f":material/warning: Run **{plain(key)}** is not shown. {plain(sentence)}")
    if more := [*faults.items()][TOLD:]:
        with st.expander(f"{len(more):,} more are not shown"):
            st.dataframe(
                pd.DataFrame(more, columns=["Run", "What is wrong"]),
                hide_index=True,
                alt="Runs that are not shown, and what is wrong with each",
            )


def main() -> None:
    # An icon of our own: the browser would fetch a Material one from Google's server.
    st.set_page_config(page_title="YouTube-8M inspector", page_icon=Path(__file__).with_name("icon.svg"), layout="wide")
    runs, faults = state.find_all_runs()
    data = state.find_all_data(runs.values())
    welcome = st.Page(
        "views/welcome/page.py",
        title="Welcome",
        url_path="welcome",
        icon=":material/rocket_launch:",
        help="What this app shows, and the demo world to start with.",
        visibility="hidden" if is_ready() else "visible",
    )
    page = st.navigation([*(st.Page(**about) for about in PAGES), welcome])
    if not data and page != welcome:
        st.switch_page(welcome)
    with st.sidebar:
        if runs:
            st.selectbox("Run", list(runs), key="run", bind="query-params", help="A trained model.")
        if data:
            st.selectbox("Data set", list(data), key="data", bind="query-params", help="The videos to look at.")
        tell_faults(faults)
    st.title(page.title, anchor=False)
    page.run()


# A process that reads shards for this one imports this file again, under another name, and must not run it.
if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        fault(error)
