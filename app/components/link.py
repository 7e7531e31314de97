"""Controls whose values are part of the address, so that a link opens what its sender saw.

Streamlit leaves a value that equals the default of its control out of the address. A default that is written in the
code never changes, but the first run or the first video of today may not be the first one tomorrow. A control of such
options has no default: its first value is selected as if by hand, and so stands in the address. A value of a link that
is not here is named, never silently replaced.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import quote_plus

import streamlit as st
from streamlit.errors import StreamlitAPIException

from components.text import plain

MAX_LENGTH = 80  # characters of a value that are repeated
NOTES = "values of the link"  # what a link names and is not here: control → (named value, value of the control)


def linked(
    control: Callable[..., Any], text: str, *args: Any, key: str, first: str | int | None = None, **options: Any
) -> Any:
    """Draw a control that is bound to the address.

    Args:
        control: Draws it, such as ``st.slider``.
        text: Its label.
        args: Other positional arguments, such as its options.
        key: Its key, which is also its name in the address.
        first: The value to select and to write into the address where that names none; for a control without default.
            With ``required=True``, the control also returns it in place of an unknown value.
        options: Keyword arguments of the control.
    """
    before = st.session_state.get(key)
    named = [] if key in st.session_state else st.query_params.get_all(key)
    wanted: Any = first if before is None else before
    is_unknown = key in st.session_state.get(NOTES, {})
    if first is not None and not named and not is_unknown and key not in st.query_params:
        st.session_state[key] = wanted  # again on another page, which Streamlit gives a control of its own
        # Streamlit itself writes the value of a control that it has bound before.
        with contextlib.suppress(StreamlitAPIException):
            st.query_params[key] = wanted
    value = control(text, *args, key=key, bind="query-params", persist_state="session", **options)
    if any(named) and not _shows(value, named):
        found = plain(", ".join(named)[:MAX_LENGTH])
        _add_note(key, f"This link names {plain(text.lower())} **{found}**, which is not here.", value)
    elif isinstance(before, str) and value is None:
        _add_note(key, f"{plain(text)} **{plain(before)}** is not here.", value)
    if value is None and first is not None and options.get("required"):
        return first
    return value


def _shows(value: object, named: list[str]) -> bool:
    """Return whether the value of a control is the one that an address names."""
    if isinstance(value, bool):
        return named[-1].lower() == str(value).lower()
    if isinstance(value, (int, float)):
        with contextlib.suppress(ValueError):
            return float(named[-1]) == float(value)
        return False
    if isinstance(value, (list, tuple)):
        return {str(part) for part in value} == set(named) - {""}
    return (value or "") == named[-1]


def _add_note(key: str, note: str, value: object) -> None:
    st.session_state.setdefault(NOTES, {})[key] = note, value
    _show(note)


def _show(note: str) -> None:
    st.warning(note, icon=":material/link_off:")


def show_link_notes() -> None:
    """Repeat what the link of this session names and is not here, until the control in question is moved."""
    notes: dict[str, tuple[str, object]] = st.session_state.get(NOTES, {})
    for key, (note, value) in list(notes.items()):
        if st.session_state.get(key, value) == value:
            _show(note)
        else:
            del notes[key]


def switch_page(path: str) -> NoReturn:
    """Open another page; its controls then write what is selected into the address.

    ``st.switch_page`` alone refuses to leave a page whose controls are bound to the address.
    """
    st.switch_page(path, query_params={})


def accept_old_values(key: str, renamed: Mapping[str, str]) -> None:
    """Make links of older versions select the renamed options of a control; call it before the control is drawn.

    Args:
        key: Key of a control that is bound to the address.
        renamed: New option of each old value, which is written as in an address: spaces are ``+``.
    """
    values = st.query_params.get_all(key)
    if key not in st.session_state and len(values) == 1 and quote_plus(values[0]) in renamed:
        st.session_state[key] = renamed[quote_plus(values[0])]
