"""CSV files: write texts so that every reader gets them back, and read rows of untrusted files.

Ids and names are stored unchanged, whatever they contain; a spreadsheet may take a quoted ``=1+1`` for a formula. A
prefix that prevents this (https://owasp.org/www-community/attacks/CSV_Injection) would change ids, and ids of YouTube
begin with ``-`` too.
"""

import csv
from collections.abc import Iterable, Iterator

import pandas as pd

from yt8m_core.errors import UserError

MAX_FIELD = 1 << 25  # characters; the scores of 2^20 labels of a video, with room for the numbers


def table_text(table: pd.DataFrame) -> str:
    """Return a table as CSV: all texts quoted, missing values empty.

    >>> print(table_text(pd.DataFrame({"id": ["-a,b", '"'], "score": [0.5, None]})), end="")
    "id","score"
    "-a,b",0.5
    \"\"\"\",""
    """
    # Quoting only what pandas finds necessary would lose texts with a carriage return.
    text: str = table.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    return text


def quote_text(text: str) -> str:
    """Return a text as a CSV field, quoted only where a reader could take it for something else.

    For formats that other programs split at each comma.

    >>> print(quote_text("abcd"), quote_text("-b_d"), quote_text('a,"b'))
    abcd "-b_d" "a,""b"
    """
    if text.startswith(("=", "+", "-", "@", "\t")) or any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def iter_rows(lines: Iterable[str], where: str, separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield the nonblank rows of a CSV file with their numbers, counted from 1 as in a spreadsheet.

    >>> list(iter_rows(["id,name", "", '7,"Cat, dog"'], "labels.csv"))
    [(1, ['id', 'name']), (3, ['7', 'Cat, dog'])]

    Args:
        lines: The lines of the file, line ends included, from a file opened with ``newline=""``.
        where: The file, for error messages.
        separator: Character between two fields.

    Raises:
        UserError: A row is not valid CSV, or has a field of more than ``MAX_FIELD`` characters.
    """
    row = 0
    csv.field_size_limit(MAX_FIELD)  # of the process
    # strict: otherwise a stray quote would silently start a field that contains the rest of the file.
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        for row, fields in enumerate(reader, start=1):
            if fields:
                yield row, fields
    except csv.Error as error:
        raise UserError(f"{error}", where=f"{where}, row {row + 1}", expected="valid CSV") from None


def parse_whole(text: str, where: str) -> int:
    """Parse a nonnegative whole number. Raises UserError for anything else.

    >>> parse_whole("42", "row 2")
    42
    """
    # int() also accepts "1_000", "+7" and Arabic digits; 18 digits always fit in an int64.
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UserError(f"'{text[:40]}'", where=where, expected="a whole number of at most 18 digits")
    return int(text)


def parse_share(text: str, where: str) -> float:
    """Parse a number from 0 to 1. Raises UserError for anything else.

    >>> parse_share("2.5e-1", "row 2")
    0.25
    """
    try:
        # float() also accepts "0_1" and Arabic digits.
        value = float(text) if text.isascii() and "_" not in text else -1.0
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise UserError(f"'{text[:40]}'", where=where, expected="a number from 0 to 1")
    return value
