"""Values of controls as texts of an address: one text per value, several for a range or a choice of many."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MAX_NUMBER = (1 << 53) - 1  # a browser has no larger whole numbers


@dataclass(frozen=True)
class Values:
    """The values that a control can have.

    Attributes:
        default: Its value where nothing was selected.
        parse: Returns the value that texts name. Raises ValueError where one of them names none.
        contains: Whether a value is one of the control.
    """

    default: Any
    parse: Callable[[list[str]], Any]
    contains: Callable[[Any], bool]

    def nearest(self, texts: list[str]) -> Any:
        """Return the value that as many of the texts name as do; the default if none does."""
        known = []
        for text in texts:
            try:
                known += self.parse([text])
            except (ValueError, TypeError):  # not a value, or not one of many
                continue
        return known or self.default


def control_values(control: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Values:
    """Return the values of a control of Streamlit, also of a container, with these arguments after its label."""
    kind = control.__name__
    if kind in ("slider", "number_input"):
        return _numbers(*args[:3])
    if kind == "text_input":
        return Values(args[0] if args else "", _only, lambda value: value is None or isinstance(value, str))
    if kind == "multiselect" or options.get("selection_mode") == "multi":
        return _choices(args[0], list((args[1] if len(args) > 1 else options.get("default")) or ()))
    if kind == "selectbox":
        index = args[1] if len(args) > 1 else options.get("index", 0)
        default = None if index is None or not args[0] else args[0][index]
        return _choice(args[0], default, is_optional=default is None)
    return _choice(args[0], options.get("default"), is_optional=not options.get("required"))


def to_texts(value: Any) -> list[str]:
    """Return a value as the texts of an address.

    >>> to_texts(0.9), to_texts((0.0, 0.9)), to_texts(["a", "b"]), to_texts(None), to_texts([])
    (['0.9'], ['0', '0.9'], ['a', 'b'], [''], [''])
    """
    if isinstance(value, (list, tuple)):
        return [text for part in value for text in to_texts(part)] or [""]
    return ["" if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)]


def _only(texts: list[str]) -> str | None:
    return texts[-1] or None


def _choice(options: Sequence[Any], default: Any, *, is_optional: bool) -> Values:
    named = {str(option): option for option in options}

    def parse(texts: list[str]) -> Any:
        if not texts[-1]:
            return None if is_optional else default
        if texts[-1] not in named:
            raise ValueError(texts[-1])
        return named[texts[-1]]

    def contains(value: Any) -> bool:
        return is_optional if value is None else bool(named.get(str(value)) == value)

    return Values(default, parse, contains)


def _choices(options: Sequence[Any], default: list[Any]) -> Values:
    named = {str(option): option for option in options}

    def parse(texts: list[str]) -> list[Any]:
        if unknown := [text for text in texts if text and text not in named]:
            raise ValueError(unknown[0])
        return list(dict.fromkeys(named[text] for text in texts if text))

    def contains(value: Any) -> bool:
        return isinstance(value, list) and all(named.get(str(part)) == part for part in value)

    return Values(default, parse, contains)


def _numbers(low: Any, high: Any, *value: Any) -> Values:
    default = value[0] if value else low
    number = int if isinstance(low, int) else float

    # A comparison, since a whole number of a link may be too large for a float. False for NaN.
    def is_between(value: float) -> bool:
        return bool(low <= value <= (MAX_NUMBER if high is None else high))

    def read(text: str) -> float:
        value = number(text)
        if not is_between(value):
            raise ValueError(text)
        return value

    def parse(texts: list[str]) -> Any:
        if not isinstance(default, tuple):
            return read(texts[-1]) if texts[-1] else default
        first, last = (read(text) for text in texts)
        if first > last:
            raise ValueError(texts)
        return first, last

    def contains(value: Any) -> bool:
        parts = value if isinstance(value, tuple) else (value,)
        return default is None if value is None else all(is_between(part) for part in parts)

    return Values(default, parse, contains)
