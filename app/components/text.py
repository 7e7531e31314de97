"""Text from data and errors, as Streamlit's Markdown."""

import re
from typing import Any

import streamlit as st

from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import printable_name


def plain(text: str) -> str:
    """Return text in one line, with its Markdown characters escaped."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!$:<>~|&])", r"\\\1", " ".join(printable_name(text).split()))


def signed(value: float, digits: int = 3) -> str:
    """Format a number with its sign, a true minus sign as on the axes of charts.

    >>> signed(-0.25), signed(0.25, 1), signed(-0.0001)
    ('−0.250', '+0.2', '+0.000')
    """
    return f"{value:+z.{digits}f}".replace("-", "−")


def metric_change(value: float, digits: int) -> dict[str, Any]:
    """Return the options of ``st.metric`` for a change. Streamlit takes only a hyphen for the sign of a decrease."""
    text = signed(value, digits)
    return {"delta": text} | ({"delta_color": "red", "delta_arrow": "down"} if text.startswith("−") else {})


def show_error(error: UserError | OSError) -> None:
    """Show what is wrong with the input, or with the machine that the app runs on."""
    message = str(error)
    if isinstance(error, OSError):  # e.g. a full disk or a read-only folder
        message = f"{error.strerror or error}: {error.filename or 'a file'}."
    st.error(plain(message), icon=":material/error:")
