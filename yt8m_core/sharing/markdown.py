"""Markdown from untrusted text: a name can neither start markup nor end the line that it is in."""

import re
from collections.abc import Iterable, Sequence

MAX_LENGTH = 120  # characters of a name

_SAFE_IN_CODE = re.compile(r"[\w.,:;=()\[\]{}+*/@%'\"~^→-]+(?: [\w.,:;=()\[\]{}+*/@%'\"~^→-]+)*")
_MARKUP = re.compile(r"([`*_{}\[\]<>#+.!|~&@:/$^=\"?])")


def one_line(text: str) -> str:
    """Return a text without control, format and line break characters, shortened to ``MAX_LENGTH``.

    >>> one_line("a\\nb\\u202ec")
    'a b c'
    """
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 1] + "…"


def escape(text: str) -> str:
    """Return Markdown that shows a text as it is, on one line, in a cell or after other text.

    >>> escape("<b>*Game*</b>")
    '\\\\<b\\\\>\\\\*Game\\\\*\\\\<\\\\/b\\\\>'
    """
    # A backslash becomes an entity: the Hub reads two of them and a parenthesis as the start of a formula.
    return "&#92;".join(_MARKUP.sub(r"\\\1", part) for part in one_line(text).split("\\")) or "–"


def code(text: str) -> str:
    """Return a text as inline code, or escaped if it has characters that end inline code, a cell, or a comment.

    >>> code("moe(experts=4)"), code("a`b")
    ('`moe(experts=4)`', 'a\\\\`b')
    """
    line = one_line(text)
    return f"`{line}`" if _SAFE_IN_CODE.fullmatch(line) else escape(line)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. The cells are Markdown.

    >>> print(table(["a", "b"], [["1", "2"]]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    lines = [header, *rows]
    text = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([text[0], f"|{'---|' * len(header)}", *text[1:]])
