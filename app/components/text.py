"""Text from data and errors, as Streamlit's Markdown."""

import re

import streamlit as st

from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import printable_name


def plain(text: str) -> str:
    """Return text in one line, with its Markdown characters escaped."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!$:<>~|&])", r"\\\1", " ".join(printable_name(text).split()))


def show_error(error: UserError | OSError) -> None:
    """Show what is wrong with the input, or with the machine that the app runs on."""
    message = str(error)
    if isinstance(error, OSError):  # e.g. a full disk or a read-only folder
        message = f"{error.strerror or error}: {error.filename or 'a file'}."
    st.error(plain(message), icon=":material/error:")
