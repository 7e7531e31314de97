"""Read untrusted JSON files with a size limit, and write JSON files atomically."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write, check_size

MAX_BYTES = 1 << 22


def read_json(path: Path, *, missing: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.
        missing: Error message if there is no file.

    Raises:
        UserError: There is no file, or it is no JSON object of at most ``MAX_BYTES``.
    """
    try:
        check_size(path, MAX_BYTES)
        values = json.loads(path.read_text())
        json.dumps(values, ensure_ascii=False).encode()  # fails for surrogates, which cannot be displayed or stored
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(missing) from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"invalid JSON ({error})", where=str(path)) from None
    if not isinstance(values, dict):
        raise UserError(type(values).__name__, where=str(path), expected="a JSON object")
    return values


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object."""
    with atomic_write(path) as file:
        file.write_text(json.dumps(values, indent=2) + "\n")
