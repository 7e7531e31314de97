"""Read untrusted JSON files with a size limit, and write JSON files atomically."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.paths import read_file

MAX_BYTES = 1 << 22


def read_json(path: Path, *, missing: str) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.
        missing: Error message if there is no file.

    Raises:
        UserError: There is no file, or it is no JSON object of at most ``MAX_BYTES`` with each entry once.
    """
    try:
        values = json.loads(read_file(path, MAX_BYTES).decode("utf-8-sig"), object_pairs_hook=_unique)
        json.dumps(values, ensure_ascii=False).encode()  # fails for surrogates, which cannot be displayed or stored
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(missing) from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"invalid JSON ({str(error)[:200]})", where=str(path)) from None
    if not isinstance(values, dict):
        raise UserError(type(values).__name__, where=str(path), expected="a JSON object")
    return values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the entries of an object. Raises ValueError for a name that occurs twice: one value would be lost."""
    values = dict(pairs)
    if len(values) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"entry {ascii(twice)[:80]} twice")
    return values


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON object."""
    with atomic_write(path) as file:
        file.write_text(json.dumps(values, indent=2) + "\n")
