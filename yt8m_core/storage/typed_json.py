"""Dataclasses out of JSON that anybody may have written, each value held against the type of its field."""

import dataclasses
import difflib
import types
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from yt8m_core.errors import UserError, check_choice

MOST = 1 << 53  # whole numbers up to here are the same in JSON, in a column of integers and as a float


def read_fields(kind: type[Any], values: Any, where: str) -> Any:
    """A dataclass from JSON values. Raises UserError that names an unknown, missing or mistyped entry.

    >>> from yt8m_core.models.slot import Slot
    >>> read_fields(Slot, {"name": "moe"}, "here")
    Slot(name='moe', options={})
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{type(values).__name__}", where=where, expected="an object of named values")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            raise UserError(f"unknown entry '{name}'", where=where, advice=f"Did you mean '{near[0]}'?" if near else "")
    found = {}
    for name, spec in fields.items():
        if name in values:
            found[name] = _value(spec.type, values[name], f"{where}, {name}")
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise UserError(f"no entry '{name}'", where=where)
    return kind(**found)


def check_number(value: float, low: int, most: int = MOST, *, where: str) -> None:
    """Refuse a number outside of what it can be. Raises UserError.

    >>> check_number(0, 1, where="epochs")
    Traceback (most recent call last):
    yt8m_core.errors.UserError: epochs: found 0; expected a number from 1 on.
    """
    if not low <= value <= most:
        expected = f"a number from {low} on" if most == MOST and not value > most else f"a number from {low} to {most}"
        raise UserError(f"{value}"[:40], where=where, expected=expected)


def _value(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return read_fields(kind, value, where)  # type: ignore[arg-type]
    if get_origin(kind) is Literal:
        check_choice("value", value, get_args(kind), where=where)
        return value
    if isinstance(kind, types.GenericAlias) and kind.__origin__ is tuple:  # streams
        try:
            return tuple((str(name), int(dim)) for name, dim in value)
        except (TypeError, ValueError, OverflowError):
            raise UserError(repr(value), where=where, expected="pairs of a name and a width") from None
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        check_number(value, -MOST, where=where)
        value = float(value)
    plain = get_origin(kind) or kind
    if not isinstance(value, plain) or (plain in (int, float) and isinstance(value, bool)):
        raise UserError(repr(value), where=where, expected=f"a value of type {plain.__name__}")
    return value
