"""The arguments of the commands, from their signatures."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import tyro

from yt8m_core.cli.main import commands


class Argument(NamedTuple):
    """An argument of a command."""

    command: str
    name: str
    kind: Any  # type, without annotations
    flag: str  # such as "--max-frames"; empty for a positional argument
    is_required: bool

    @property
    def may_be_path(self) -> bool:
        """Whether it takes a text that could name a file: Path, str, or several of them."""
        return self.kind is str or any(name in str(self.kind) for name in ("Path", "str'", "str,", "str "))


def arguments() -> Iterator[Argument]:
    """Yield all arguments of all commands; the fields of a dataclass are arguments of their own."""
    for command, function in commands().items():
        yield from _of_function(command, function)


def _of_function(command: str, function: Callable[..., Any]) -> Iterator[Argument]:
    hints = typing.get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        yield from _flatten(command, name, hints[name], parameter.default is inspect.Parameter.empty)


def _flatten(command: str, name: str, kind: Any, is_required: bool) -> Iterator[Argument]:
    plain, notes = (kind.__origin__, kind.__metadata__) if typing.get_origin(kind) is Annotated else (kind, ())
    if dataclasses.is_dataclass(plain) and plain.__name__ != "Slot":
        for field, inner in typing.get_type_hints(plain, include_extras=True).items():
            yield from _flatten(command, field, inner, False)
    else:
        yield Argument(command, name, plain, _flag(name, notes), is_required)


def _flag(name: str, notes: Sequence[Any]) -> str:
    if tyro.conf.Positional in notes:
        return ""
    named = next((note.name for note in notes if getattr(note, "name", None)), name)
    return f"--{named.replace('_', '-')}"
