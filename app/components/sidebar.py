"""The sidebar: selection of a run, and of a data set that fits it."""

import streamlit as st

from cache.runs import Workspace
from components.link import asked_or_selected, linked
from components.text import plain


def select_run_and_data(workspace: Workspace) -> tuple[str | None, str | None]:
    """Select a run and a data set by their keys: empty where there is none to select, None where none is selected."""
    run_key: str | None = ""
    if workspace.runs:
        keys = list(workspace.runs)
        run_key = linked(
            st.selectbox,
            "Run",
            keys,
            None,
            first=keys[0],
            key="run",
            on_change=lambda: _open_own_data(workspace),
            placeholder="Choose a run",
            help="A trained model. It opens its own validation data.",
        )
    return run_key, _select_data(workspace, run_key or "") if workspace.data_sets else ""


def _select_data(workspace: Workspace, run_key: str) -> str | None:
    misfits = {key: workspace.misfit(run_key, key) for key in workspace.data_sets}
    own = workspace.own_data(run_key)
    selected = asked_or_selected("data")
    fitting = [key for key, reason in misfits.items() if key not in own and (not reason or key == selected)]
    options = [*own, *fitting] or list(misfits)
    data_key: str | None = linked(
        st.selectbox,
        "Data set",
        options,
        None,
        first=options[0],
        key="data",
        placeholder="Choose a data set",
        help="The videos to look at. The run's own validation data come first.",
    )
    others = [key for key in misfits if key not in options]
    if others:
        with st.expander("Data sets that do not fit", icon=":material/database_off:"):
            for key in others:
                st.button(plain(key), key=f"open {key}", on_click=_select_misfit, args=(key,), width="stretch")
                st.caption(plain(misfits[key]))
    return data_key


def _select_misfit(data_key: str) -> None:
    st.session_state["data"] = data_key


def open_run(workspace: Workspace, run_key: str) -> None:
    """Select a run, with its own data unless the selected ones fit and belong to no other run; a callback."""
    st.session_state["run"] = run_key
    _open_own_data(workspace)


def _open_own_data(workspace: Workspace) -> None:
    run_key, data_key = st.session_state["run"], st.session_state.get("data")
    own = workspace.own_data(run_key or "")
    if own and data_key not in own and (workspace.is_own_data(data_key) or workspace.misfit(run_key, data_key)):
        st.session_state["data"] = own[0]
