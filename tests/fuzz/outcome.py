"""Results of readers that may refuse their input."""

from collections.abc import Callable
from typing import Any

from yt8m_core.errors import UserError


def outcome(read: Callable[[], Any]) -> Any:
    """Return the result of a reader, or its error message."""
    try:
        return read()
    except UserError as error:
        if isinstance(error.__cause__, MemoryError):
            raise error.__cause__ from None
        return str(error)
