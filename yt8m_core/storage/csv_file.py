"""Read rows of untrusted CSV files, with the row of each error."""

import csv
from collections.abc import Iterable, Iterator

from yt8m_core.errors import UserError


def iter_rows(lines: Iterable[str], where: str, separator: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield the nonblank rows of a CSV file with their numbers, counted from 1 as in a spreadsheet.

    >>> list(iter_rows(["id,name", "", '7,"Cat, dog"'], "labels.csv"))
    [(1, ['id', 'name']), (3, ['7', 'Cat, dog'])]

    Args:
        lines: The lines of the file, line ends included, from a file opened with ``newline=""``.
        where: The file, for error messages.
        separator: Character between two fields.

    Raises:
        UserError: A row is not valid CSV, or has a field of more than 131,072 characters.
    """
    row = 0
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
