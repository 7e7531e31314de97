"""History of the browser: Back opens the previous page, as it was left."""

from pathlib import Path

import streamlit as st

_mount = st.components.v2.component("history", js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8"))


def replace_history() -> None:
    """Let changes of the address replace the entry of the page in the history, instead of adding another."""
    _mount(key="history")
