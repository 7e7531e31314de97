"""Entry point of the app: page setup, navigation and sidebar. Run with `yt8m app` or `streamlit run app/main.py`."""

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from cache.runs import find_workspace, is_demo_ready
from components.charts import style_chart_text
from components.selectors import plain, show_error
from context import PageContext
from yt8m_core.errors import UserError

MAX_ERRORS = 5  # listed in the sidebar; the rest go to a table
PAGES: list[dict[str, Any]] = [
    {
        "page": "views/overview/page.py",
        "url_path": "overview",
        "title": "Overview",
        "icon": ":material/home:",
        "help": "The open run and data, the run's metrics, and what to look at next.",
        "default": True,
    },
    {
        "page": "views/imbalance/page.py",
        "url_path": "imbalance",
        "title": "Imbalance",
        "icon": ":material/bar_chart:",
        "help": "Label frequencies: head and tail, and average precision per label.",
    },
    {
        "page": "views/correlation/page.py",
        "url_path": "correlation",
        "title": "Correlation",
        "icon": ":material/grid_on:",
        "help": "Label correlation: matrix, strongest pairs, and label processing.",
    },
    {
        "page": "views/attention/page.py",
        "url_path": "attention",
        "title": "Attention",
        "icon": ":material/show_chart:",
        "help": "Attention weights over the seconds of a video.",
    },
    {
        "page": "views/predictions/page.py",
        "url_path": "predictions",
        "title": "Predictions",
        "icon": ":material/label:",
        "help": "Predicted labels of a video of the data set or of your own file.",
    },
    {
        "page": "views/experiments/page.py",
        "url_path": "experiments",
        "title": "Experiments",
        "icon": ":material/science:",
        "help": "Comparison of all runs with each other and the paper, and ensembles.",
    },
]


def show_run_errors(errors: dict[str, str]) -> None:
    """Show why runs are not listed: the first few as captions, the rest in a table."""
    items = list(errors.items())
    for key, message in items[:MAX_ERRORS]:
        st.caption(f":material/warning: Run **{plain(key)}** is not shown. {plain(message)}")
    if rest := items[MAX_ERRORS:]:
        with st.expander(f"{len(rest):,} more are not shown"):
            st.dataframe(
                pd.DataFrame(rest, columns=["Run", "Error"]),
                hide_index=True,
                alt="Runs that are not shown, with the error of each",
            )


def main() -> None:
    """Set up the page, list the workspace, and run the selected page."""
    # A local icon: the browser would fetch a Material icon from Google's server.
    st.set_page_config(page_title="YouTube-8M inspector", page_icon=Path(__file__).with_name("icon.svg"), layout="wide")
    workspace = find_workspace()
    welcome = st.Page(
        "views/welcome/page.py",
        title="Welcome",
        url_path="welcome",
        icon=":material/rocket_launch:",
        help="What this app shows, and the demo world to start with.",
        visibility="hidden" if is_demo_ready() else "visible",
    )
    page = st.navigation([*(st.Page(**options) for options in PAGES), welcome])
    if not workspace.data_sets and page != welcome:
        st.switch_page(welcome)
    run_key, data_key = "", ""
    with st.sidebar:
        if workspace.runs:
            run_key = st.selectbox("Run", list(workspace.runs), key="run", bind="query-params", help="A trained model.")
        if workspace.data_sets:
            data_key = st.selectbox(
                "Data set", list(workspace.data_sets), key="data", bind="query-params", help="The videos to look at."
            )
        show_run_errors(workspace.errors)
    st.session_state["page"] = PageContext(workspace, run_key, data_key)
    style_chart_text()
    st.title(page.title, anchor=False)
    page.run()


# A process that reads shards for this one imports this file again, under another name, and must not run it.
if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        show_error(error)
