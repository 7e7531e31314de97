"""The arguments of the commands, from their signatures."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from yt8m_core.cli.main import commands


def arguments() -> Iterator[tuple[str, str, Any]]:
    """Yield command, argument and type of each argument; those of a dataclass are arguments of their own."""
    for command, function in commands().items():
        for name, kind in _types(function).items():
            yield from ((command, argument, plain) for argument, plain in _flatten(name, kind))


def _types(function: Callable[..., Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(function, include_extras=True)
    return {name: hints[name] for name in inspect.signature(function).parameters}


def _flatten(name: str, kind: Any) -> Iterator[tuple[str, Any]]:
    plain = typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind
    if dataclasses.is_dataclass(plain) and plain.__name__ != "Slot":
        for field, inner in typing.get_type_hints(plain, include_extras=True).items():
            yield from _flatten(field, inner)
    else:
        yield name, plain


def may_be_path(kind: Any) -> bool:
    """Whether an argument of a type takes a text that could name a file: Path, str, or several of them."""
    return any(name in str(kind) for name in ("Path", "str'", "str,", "str ")) or kind is str
