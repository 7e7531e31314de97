"""Controls whose values are part of the address, so that a link opens what its sender saw.

The values of a link are given to the controls of its page; then the address follows the controls. It names the run, the
data set, and whatever differs from a default that is written in the code. The first run or the first video of today may
not be the first one tomorrow, so a control of such options has no default: its first value is selected as if by hand.
A value that is not here is named, never silently replaced, and selected again once it is here.

Streamlit can bind controls to the address itself, but it drops the values of a link to another page that has the same
control.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import parse_qs, quote_plus

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import get_script_run_ctx

from components.control_values import Values, control_values, to_texts
from components.text import plain

EMBEDDING = ("embed", "embed_options")  # parameters of Streamlit, which writes them itself
MAX_LENGTH = 80  # characters of a value that are repeated
LATE = 3.0  # seconds within which the browser may still send the address from before its last change
SHARED = {"run", "data", "video", "label", "run_b", "threshold"}  # keep their values also where a link lacks them
Texts = dict[str, list[str]]


@dataclass
class Missing:
    """A value that a control should have and that is not here."""

    note: str
    texts: list[str]
    instead: Any  # what the control has instead


@dataclass
class Address:
    """The address of a session.

    Attributes:
        page: Path of the page of the last run.
        query: Parameters in the browser.
        replaced: Parameters before their last changes, with the time of each change.
        asked: Parameters of the link that no control has taken yet.
        taken: Keys of the controls that this page has drawn.
        cleared: Keys of the controls that a link has set to their defaults, because it does not name them.
        drawn: Parameters of the controls of this run.
        values: What each control had when it was drawn last.
        missing: Values that are not here, by key.
        notes: Where the page names them.
    """

    page: str | None = None
    query: Texts = field(default_factory=dict)
    replaced: list[tuple[Texts, float]] = field(default_factory=list)
    asked: Texts = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)
    drawn: Texts = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, Missing] = field(default_factory=dict)
    notes: DeltaGenerator | None = None


def read_address(page: str) -> None:
    """Find out whether a run of the script follows a link, before any control is drawn.

    Args:
        page: The path of the page that is open.
    """
    address, context = _address(), get_script_run_ctx()
    is_back = bool(context and context.is_history_navigation)
    query = parse_qs(context.query_string if context else "", keep_blank_values=True)
    query = {key: texts for key, texts in query.items() if key.lower() not in EMBEDDING}
    is_new_page, now = page != address.page, time.monotonic()
    late = [before for before, changed in address.replaced if now - changed < LATE]
    is_link = bool(query) and (is_new_page or query not in (address.query, *late))
    if is_new_page:
        address.missing = {key: missing for key, missing in address.missing.items() if key in SHARED}
        address.asked = {key: texts for key, texts in address.asked.items() if key in SHARED}
        address.taken = set()
    if is_link or is_back or address.page is None:
        address.asked, address.taken = query, set()
        keeps_shared = not is_back and "data" in query  # a link of the app
        for key in address.values.keys() - query.keys() - (SHARED if keeps_shared else set()):
            address.cleared.add(key)
            address.missing.pop(key, None)
            del address.values[key]
            st.session_state.pop(key, None)
    if is_new_page or address.asked is query:
        address.query, address.replaced = dict(query), []
    address.page, address.drawn, address.notes = page, {}, None
    for key, value in address.values.items():
        # Streamlit forgets a value that was set in the last run, if its control is not on the next page.
        st.session_state.setdefault(key, value)


def place_link_notes() -> None:
    """Keep a place for what is not here; controls that are drawn later may find it."""
    _address().notes = st.container()


def write_address() -> None:
    """Make the browser show the address of what was drawn, and name what is not here."""
    address = _address()
    if address.notes is not None:
        with address.notes:
            for key in address.missing.keys() & address.drawn.keys():
                _show(address.missing[key].note)
    wanted = address.drawn | {key: texts for key, texts in address.asked.items() if key not in address.drawn}
    if wanted != address.query or not address.replaced:  # a new page still has the address of the previous one
        address.replaced = [*address.replaced[-9:], (address.query, time.monotonic())]
        address.query = wanted
        st.query_params.from_dict({key: texts if len(texts) > 1 else texts[0] for key, texts in wanted.items()})


def linked(
    control: Callable[..., Any], text: str, *args: Any, key: str, first: str | int | None = None, **options: Any
) -> Any:
    """Draw a control that is part of the address.

    Args:
        control: Draws it, such as ``st.slider``.
        text: Its label.
        args: Other positional arguments, such as its options.
        key: Its key, which is also its name in the address.
        first: The value to select and to write into the address where that names none; for a control without default.
            With ``required=True``, the control also has it in place of an unknown value.
        options: Keyword arguments of the control.
    """
    address, values = _address(), control_values(control, args, options)
    default = values.default if first is None else first
    _set_value(key, text, values, default, default if options.get("required") else values.default)
    value = control(text, *args, key=key, persist_state="session", **options)
    missing = address.missing.get(key)
    if missing is not None and value != missing.instead:
        del address.missing[key]
        missing = None
    if missing is not None:
        address.drawn[key] = missing.texts
    elif first is not None or (value != values.default and not (value is None and values.default in (None, ""))):
        address.drawn[key] = to_texts(value)
    else:
        address.drawn.pop(key, None)
    address.values[key] = value
    if _runs_alone():
        write_address()
    if value is None and first is not None and options.get("required"):
        return first
    return value


def _set_value(key: str, text: str, values: Values, default: Any, instead: Any) -> None:
    """Give a control the value that the link asks for, or that it had before, or its default."""
    address, state = _address(), st.session_state
    is_new = key not in address.taken
    address.taken.add(key)
    texts = address.asked.pop(key, None)
    is_set = key in state and key in address.values and state[key] != address.values[key]  # by a callback
    if texts is not None and not is_set:
        address.missing.pop(key, None)
        note = f"This link names {plain(text.lower())} **{{}}**, which is not here."
    elif key in address.missing:
        missing = address.missing[key]
        texts, note = missing.texts, missing.note
    elif key not in state or (is_new and state[key] is None):
        if default != values.default or key in address.cleared:
            state[key] = default
        return
    elif values.contains(state[key]):
        if is_new:
            state[key] = state[key]  # else Streamlit may give the control of a new page its default
        return
    else:
        texts, note = to_texts(state[key]), f"{plain(text)} **{{}}** is not here."
        if isinstance(values.default, list):
            state[key] = values.nearest(texts)
            return
        if not isinstance(state[key], str):
            state[key] = default
            return
    try:
        state[key] = values.parse(texts)
        address.missing.pop(key, None)
    except ValueError:
        if key not in address.missing:
            found = plain(", ".join(texts)[:MAX_LENGTH])
            rest = values.nearest(texts) if isinstance(values.default, list) else instead
            address.missing[key] = Missing(note.format(found), texts, rest)
            state[key] = rest
            if _runs_alone():
                _show(note.format(found))


def link_values() -> Texts:
    """Return the values of the link that no control has taken yet. Changes to them count for the next controls."""
    return _address().asked


def asked_or_selected(key: str) -> str | None:
    """Return the value that a control will have: that of the link, or the selected one."""
    texts = _address().asked.get(key)
    selected: str | None = st.session_state.get(key)
    return texts[-1] if texts else selected


def _address() -> Address:
    address: Address = st.session_state.setdefault("link", Address())
    return address


def _runs_alone() -> bool:
    """Return whether only a section of the page is rerun."""
    context = get_script_run_ctx()
    return context is not None and bool(context.fragment_ids_this_run)


def _show(note: str) -> None:
    st.warning(note, icon=":material/link_off:")


def mark_in_address(key: str, text: str) -> None:
    """Add to the address what no control of the page holds."""
    _address().drawn[key] = [text]


def switch_page(path: str) -> NoReturn:
    """Open another page, whose controls keep what is selected."""
    st.switch_page(path, query_params={})


def accept_old_values(key: str, renamed: Mapping[str, str]) -> None:
    """Make links of older versions select the renamed options of a control; call it before the control is drawn.

    Args:
        key: Key of a control that is part of the address.
        renamed: New option of each old value, which is written as in an address: spaces are ``+``.
    """
    texts = link_values().get(key, [])
    if len(texts) == 1 and quote_plus(texts[0]) in renamed:
        link_values()[key] = [renamed[quote_plus(texts[0])]]
