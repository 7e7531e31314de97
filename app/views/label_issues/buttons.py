"""Label issues page: buttons and keys that decide about the candidate on screen, take decisions back, and go on."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import streamlit as st

from components.text import show_error
from yt8m_core.analysis.label_decisions import Decision, DecisionChangedError, decide, replace_decision
from yt8m_core.errors import UserError

DECISION_BUTTONS = {  # decision: title, icon, key (Streamlit reserves R), what it means
    "accept": ("Accept", ":material/check:", "A", "The label is missing."),
    "reject": ("Reject", ":material/close:", "X", "The video does not have the label."),
    "unsure": ("Unsure", ":material/help:", "U", "The evidence does not suffice."),
}
MAX_UNDO = 100  # decisions


class Change(NamedTuple):
    """A change of this session, which Undo takes back."""

    file: Path
    stored: Decision
    replaced: Decision | None
    option: str  # the candidate


def show_buttons(
    file: Path, row: pd.Series, shown: Decision | None, options: list[str], previous: str, following: str
) -> None:
    """Show the buttons.

    A press counts only for the candidate that the buttons were drawn for, and one drawing takes one press: a key may be
    pressed while the page still shows the last candidate. keyboard.js sends one press per answer of the page.

    Args:
        file: File of the decisions.
        row: The candidate, with its option.
        shown: Its decision.
        options: Options of all candidates.
        previous: Option of the candidate that Previous opens.
        following: Option of the candidate that Next opens, and each decision.
    """
    option = row["option"]
    keys = {action: f"{action} {option}" for action in (*DECISION_BUTTONS, "undo")}
    keys |= {"previous": "previous candidate", "next": "next candidate"}  # keep the focus from candidate to candidate
    last = next((change for change in reversed(_history()) if change.file == file), None)
    calls, is_done = 0, False

    def press(action: str) -> None:
        nonlocal calls, is_done
        calls += 1
        presses = sum(bool(st.session_state.get(key)) for key in keys.values())
        # Streamlit calls back the latest of several presses first; the first press counts.
        if is_done or calls < presses or st.session_state.get("candidate") != option:
            return
        is_done = True
        if action in DECISION_BUTTONS:
            _store(Change(file, decide(row["id"], int(row["label"]), row["name"], action), shown, option), following)
        elif action != "undo":
            st.session_state["candidate"] = previous if action == "previous" else following
        elif last is not None:
            _undo(last)

    with st.container(horizontal=True):
        for decision, (title, icon, shortcut, meaning) in DECISION_BUTTONS.items():
            st.button(
                title,
                icon=icon,
                help=meaning,
                key=keys[decision],
                on_click=press,
                args=(decision,),
                shortcut=shortcut,
                type="primary" if shown and shown.decision == decision else "secondary",
            )
        st.button(
            "Undo",
            icon=":material/undo:",
            help="Takes back your last decision.",
            key=keys["undo"],
            on_click=press,
            args=("undo",),
            shortcut="Z",
            disabled=last is None or last.option not in options,
        )
        with st.container(horizontal=True, width="content"):  # stay together on a narrow screen
            for action, icon in (("previous", ":material/chevron_left:"), ("next", ":material/chevron_right:")):
                title = action.capitalize()
                st.button(title, icon=icon, key=keys[action], on_click=press, args=(action,), shortcut=title[0])


def _history() -> list[Change]:
    """Return the changes of this session that Undo can take back, the last one at the end."""
    history: list[Change] = st.session_state.setdefault("decision history", [])
    return history


def _store(change: Change, following: str) -> None:
    history = _history()  # not after the decision is stored: Streamlit can end a callback when it reads the session
    try:
        replace_decision(change.file, change.replaced, change.stored)
    except UserError as error:
        show_error(error)
        return
    history.append(change)
    del history[:-MAX_UNDO]
    st.session_state["candidate"] = following


def _undo(change: Change) -> None:
    history = _history()
    try:
        replace_decision(change.file, change.stored, change.replaced)
    except DecisionChangedError as error:  # nothing of this session is left to take back
        show_error(error)
    except UserError as error:
        show_error(error)
        return
    history.remove(change)
    st.session_state["candidate"] = change.option
