"""Tests of selections in tables and charts: only what is on the page counts."""

from typing import Any

import pytest

from components.selection import begin_selections, end_selections, fresh_key, on_fresh_selection, on_selection


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The state of a session, with a selected row."""
    state: dict[str, Any] = {"table": {"selection": {"rows": [3], "columns": [], "cells": []}}}
    monkeypatch.setattr("streamlit.session_state", state)
    return state


def test_selected_rows_are_passed_on(state: dict[str, Any]) -> None:
    selected: list[Any] = []
    begin_selections()
    select = on_selection("table", "rows", selected.append)
    select()
    end_selections()
    select()
    state["table"]["selection"]["rows"] = []  # a click on the selected row ends its selection
    select()
    assert selected == [[3], [3]]


@pytest.mark.fault
def test_selection_of_a_table_that_the_page_has_removed_is_ignored(state: dict[str, Any]) -> None:
    selected: list[Any] = []
    begin_selections()
    select = on_selection("table", "rows", selected.append)
    end_selections()
    begin_selections()
    end_selections()
    select()
    assert selected == []


def test_selection_counts_while_a_run_is_not_complete(state: dict[str, Any]) -> None:
    selected: list[Any] = []
    begin_selections()
    select = on_selection("table", "rows", selected.append)
    end_selections()
    begin_selections()  # was interrupted before it came to the table
    select()
    begin_selections()
    select()
    assert selected == [[3], [3]]


def test_table_that_comes_back_starts_without_the_selection_of_before(state: dict[str, Any]) -> None:
    selected: list[Any] = []
    begin_selections()
    key = fresh_key("table")
    state[key] = state["table"]
    on_fresh_selection("table", "rows", selected.append)()
    assert selected == [[3]]
    assert fresh_key("table") != key
