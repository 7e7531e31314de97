"""The script of a session: page setup, navigation, sidebar, and the selected page."""

from pathlib import Path

import pandas as pd
import streamlit as st

from cache.runs import find_workspace, is_demo_ready
from components.charts import style_page
from components.history import replace_history
from components.keyboard import show_keyboard_help
from components.link import place_link_notes, read_address, write_address
from components.page_end import PageEnd
from components.page_links import switch_to_opened_page
from components.selection import begin_selections, end_selections
from components.sidebar import select_run_and_data
from components.text import plain, show_error
from context import PageContext
from navigation import PAGES
from yt8m_core.errors import UserError

MAX_ERRORS = 5  # listed in the sidebar; the rest go to a table


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
    # The default page has the address "/"; links to its name open it as well.
    named = {**PAGES[0], "url_path": "overview", "default": False, "visibility": "hidden"}
    page = st.navigation([*(st.Page(**options) for options in PAGES), welcome, st.Page(**named)], expanded=True)
    read_address(page.url_path)
    switch_to_opened_page()
    if not workspace.data_sets and page != welcome:
        st.switch_page(welcome)
    with st.sidebar:
        run_key, data_key = select_run_and_data(workspace)
        show_run_errors(workspace.errors)
        show_keyboard_help()
        replace_history()
    style_page()
    st.title(page.title, anchor=False)
    place_link_notes()
    if run_key is None or data_key is None:
        st.info("Choose a run and a data set in the sidebar.", icon=":material/info:")
        return
    st.session_state["page"] = PageContext(workspace, run_key, data_key)
    page.run()


def run() -> None:
    """Run the script of a session."""
    begin_selections()
    try:
        main()
    except (UserError, OSError) as error:
        show_error(error)
    except PageEnd:
        pass
    write_address()
    end_selections()
