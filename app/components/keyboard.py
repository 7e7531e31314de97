"""Keys of all pages, and a list of them that `?` shows."""

from pathlib import Path

import streamlit as st

KEYS = (
    ("?", "Show these keys"),
    ("1 … 9", "Open the first to the ninth page"),
    ("[   ]", "Previous or next page"),
    ("/", "Search for a label, on pages where one is selected"),
    ("P   N", "Previous or next video or label issue"),
    ("A   X   U   Z", "Accept, reject, unsure, undo (Label issues)"),
)
HTML = """
<button class="open" type="button">Keyboard shortcuts <kbd>?</kbd></button>
<dialog aria-labelledby="keys">
  <h2 id="keys">Keyboard shortcuts</h2>
  <table><tbody></tbody></table>
  <button type="button">Close</button>
</dialog>
"""
CSS = """
button { font: inherit; color: inherit; background: none; border: 1px solid currentColor; border-radius: 0.5rem;
  padding: 0.25rem 0.75rem; cursor: pointer; }
button.open { border-color: transparent; padding: 0.25rem 0; font-size: 0.875rem; }
kbd { font: inherit; border: 1px solid currentColor; border-radius: 0.25rem;
  padding: 0 0.3rem; white-space: pre; }
td { padding: 0.25rem 1rem 0.25rem 0; }
dialog { border: 1px solid var(--st-border-color, gray); border-radius: 0.5rem; padding: 1.25rem;
  color: var(--st-text-color); background: var(--st-background-color); }
h2 { font-size: 1.25rem; margin: 0 0 0.75rem; }
"""
_mount = st.components.v2.component(
    "keyboard", html=HTML, css=CSS, js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
)


def show_keyboard_help() -> None:
    """Handle the keys of all pages, and offer the list of them."""
    _mount(key="keyboard", data={"keys": [list(row) for row in KEYS]})
