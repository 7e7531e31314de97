"""Labels of one cell of a label table: a text, a number, or a list of them in one of several notations."""

import ast
import json
import re
from collections.abc import Collection
from typing import Any

import numpy as np

_ITEM = r"""(?:-?\d+\.?\d*|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_NUMPY_LIST = re.compile(rf"\[\s*{_ITEM}(?:\s+{_ITEM})+\s*\]")
_IDS = re.compile(r"\d+([ ,]+\d+)+")
_COMMA = re.compile(r"\s*,\s*")
_NO_LABEL = re.compile(r"|-1(\.0+)?")


def split_cell(value: Any, names: Collection[str] = (), divide_at_commas: bool = True) -> tuple[str, ...]:
    """Return the labels of a cell as texts. Lists are of JSON, Python or NumPy; -1 is no label.

    >>> split_cell('["Rock \\'n\\' Roll", "Pop"]'), split_cell("[1 2 3]"), split_cell("(1, 2)"), split_cell("a; b|c")
    (("Rock 'n' Roll", 'Pop'), ('1', '2', '3'), ('1', '2'), ('a', 'b', 'c'))
    >>> split_cell("a,b"), split_cell("Speech, woman"), split_cell("a,b", names={"a,b"})
    (('a', 'b'), ('Speech, woman',), ('a,b',))

    Args:
        value: the cell.
        names: names of a vocabulary; they are not divided, and lists of them may have a space after the comma.
        divide_at_commas: whether commas without a space divide texts that are no ids.

    Raises:
        ValueError: the cell has anything but texts and numbers, or can be read in two ways.
    """
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        return _split_text(value.strip(), names, divide_at_commas)
    if isinstance(value, list | tuple | set | np.ndarray):
        return tuple(text for text in map(label_text, value) if text)
    if value is None or value != value:
        return ()
    return (text,) if (text := label_text(value)) else ()


def label_text(value: Any) -> str:
    """Return a label as text, empty for -1. Raises ValueError for anything but a text or a number."""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        value = int(value)
    if isinstance(value, bool | np.bool_) or not isinstance(value, str | int | float | np.integer | np.floating):
        raise ValueError(f"the label {str(value)[:80]} of type {type(value).__name__}; expected a text or a number")
    if value != value:
        raise ValueError("a missing value in a list of labels; expected texts or numbers")
    text = str(value).strip()
    text.encode()  # raises a ValueError for half a character, which no file could store
    return "" if _NO_LABEL.fullmatch(text) else text


def _split_text(text: str, names: Collection[str], divide_at_commas: bool) -> tuple[str, ...]:
    if text in names:
        return (text,)
    if text[:1] in ("[", "(", "{") and (values := _parse_list(text)) is not None:
        return split_cell(values)
    parts = [text]
    if _IDS.fullmatch(text):
        parts = re.split("[ ,]+", text)
        is_thousands = not divide_at_commas and re.fullmatch(r"\d{1,3}(,\d{3})+", text)
        if "," in text and (is_thousands or any(len(part) > 1 and part[0] == "0" for part in parts)):
            raise ValueError(f"'{text[:80]}', one number or several; expected ids divided by ; or spaces")
    elif re.search("[;|]", text):
        parts = re.split("[;|]", text)
    elif (divide_at_commas and ", " not in text) or all(part in names for part in _COMMA.split(text)):
        parts = text.split(",")  # but not a name such as "Speech, woman"
    return tuple(label for part in parts if (label := label_text(part)))


def _parse_list(text: str) -> list[Any] | None:
    """Return the values of a list of JSON, Python or NumPy; None for a text that only begins like one."""
    source = text
    if _NUMPY_LIST.fullmatch(text):  # Python would join 'a' 'b' to one text
        source = f"[{', '.join(re.findall(_ITEM, text))}]"
    for parse in (json.loads, ast.literal_eval):
        try:
            values = parse(source)
        except (ValueError, SyntaxError, TypeError, MemoryError):
            continue
        if isinstance(values, dict):
            raise ValueError(f"the object {text[:80]}; expected labels")
        if isinstance(values, set):
            return sorted(values, key=str)
        return list(values) if isinstance(values, list | tuple) else None
    if text[0] + text[-1] in ("[]", "{}") and re.search(r"""[,'"]|\.\.\.""", text):
        raise ValueError(f'\'{text[:80]}\', which is no list; expected JSON such as ["a", "b"]')
    return None
