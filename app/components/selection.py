"""What a person selects in tables and charts.

The browser may send the selection of a table again right after the page has removed it. Streamlit has forgotten that
selection by then and takes it for a new one, which would undo what the person did since. Only a table that the last
complete run has drawn, or this run so far, counts. And the browser may keep the selection of a table that comes back:
a click on the selected cell would then only end its selection. Such a table has another key after each click.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st


@dataclass
class DrawnKeys:
    """Keys of the tables and charts of a session.

    Attributes:
        before: Those that the last complete run of the script has drawn.
        now: Those that this run has drawn so far.
        clicks: Number of selections in tables that have another key after each click.
    """

    before: set[str] = field(default_factory=set)
    now: set[str] = field(default_factory=set)
    clicks: int = 0


def begin_selections() -> None:
    """Begin a run of the script."""
    _drawn().now = set()


def end_selections() -> None:
    """End a complete run of the script."""
    _drawn().before = _drawn().now


def on_selection(
    key: str, kind: Literal["cells", "points", "rows"], act: Callable[[list[Any]], None]
) -> Callable[[], None]:
    """Return a callback of a table or chart that is drawn now.

    Args:
        key: Key of the table or chart.
        kind: What can be selected in it.
        act: Gets what is selected, at least one part.
    """
    _drawn().now.add(key)

    def call() -> None:
        drawn = _drawn()
        if key in drawn.before | drawn.now and (selected := st.session_state[key]["selection"][kind]):
            act(selected)

    return call


def fresh_key(name: str) -> str:
    """Return the key of a table that disappears after a click."""
    return f"{name} {_drawn().clicks}"


def on_fresh_selection(
    name: str, kind: Literal["cells", "points", "rows"], act: Callable[[list[Any]], None]
) -> Callable[[], None]:
    """As ``on_selection``, for a table that has the key ``fresh_key(name)``."""

    def act_once(selected: list[Any]) -> None:
        _drawn().clicks += 1
        act(selected)

    return on_selection(fresh_key(name), kind, act_once)


def _drawn() -> DrawnKeys:
    drawn: DrawnKeys = st.session_state.setdefault("drawn keys", DrawnKeys())
    return drawn
