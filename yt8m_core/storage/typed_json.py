"""Parse untrusted JSON into dataclasses, checking each value against its field type."""

import dataclasses
import difflib
import types
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from yt8m_core.errors import UserError, check_choice

MAX_INTEGER = 1 << 53  # integers up to this value are exact in JSON, in an integer column and as a float
MAX_SHOWN = 80  # characters of a value in a message


def read_fields(kind: type[Any], values: Any, where: str) -> Any:
    """Build a dataclass from parsed JSON.

    Args:
        kind: The dataclass.
        values: A mapping from field names to values.
        where: Where the values were found, for error messages.

    Raises:
        UserError: An entry is unknown, missing or of the wrong type.

    >>> from yt8m_core.models.slot import Slot
    >>> read_fields(Slot, {"name": "moe"}, "here")
    Slot(name='moe', options={})
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{type(values).__name__}", where=where, expected="an object with named values")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in values:
        if name not in fields:
            matches = difflib.get_close_matches(name[:MAX_SHOWN], fields, n=1)
            hint = f"Did you mean '{matches[0]}'?" if matches else ""
            raise UserError(f"unknown entry '{name[:MAX_SHOWN]}'", where=where, advice=hint)
    arguments = {}
    for name, spec in fields.items():
        if name in values:
            arguments[name] = _parse_value(spec.type, values[name], f"{where}, {name}")
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise UserError(f"no entry '{name}'", where=where)
    return kind(**arguments)


def check_number(value: float, low: int, high: int = MAX_INTEGER, *, where: str) -> None:
    """Check that a number is within ``low`` to ``high``, both included.

    Raises:
        UserError: The number is out of range, or NaN.

    >>> check_number(0, 1, where="epochs")
    Traceback (most recent call last):
    yt8m_core.errors.UserError: epochs: found 0; expected a number of at least 1.
    """
    if not low <= value <= high:
        only_low = high == MAX_INTEGER and not value > high
        expected = f"a number of at least {low}" if only_low else f"a number from {low} to {high}"
        raise UserError(f"{value}"[:40], where=where, expected=expected)


def _parse_value(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return read_fields(kind, value, where)  # type: ignore[arg-type]
    if isinstance(kind, types.GenericAlias) and kind.__origin__ is list and isinstance(value, list):
        return [_parse_value(kind.__args__[0], entry, f"{where}, {number}") for number, entry in enumerate(value)]
    if get_origin(kind) is Literal:
        check_choice("value", value, get_args(kind), where=where)
        return value
    if kind == tuple[float, ...] and isinstance(value, list):
        return tuple(_parse_value(float, entry, f"{where}, {number}") for number, entry in enumerate(value))
    if isinstance(kind, types.GenericAlias) and kind.__origin__ is tuple:  # feature streams
        if isinstance(value, list | tuple) and all(map(_is_stream, value)):
            return tuple((name, width) for name, width in value)
        raise UserError(_shown(value), where=where, expected="pairs of a name and a width")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        check_number(value, -MAX_INTEGER, where=where)
        value = float(value)
    plain = get_origin(kind) or kind
    if not isinstance(value, plain) or (plain in (int, float) and isinstance(value, bool)):
        raise UserError(_shown(value), where=where, expected=f"a value of type {plain.__name__}")
    return value


def _is_stream(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int)
        and not isinstance(value[1], bool)
    )


def _shown(value: Any) -> str:
    """Return a value as text for a message: the start of a long one."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
