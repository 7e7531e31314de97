"""Parse files with label names: of YouTube-8M (2017, 2018, 2019), of AudioSet, and any table of ids and names.

===========================================  =========================================================================
``vocabulary.csv`` (2018)                    Index, TrainVideoCount, Name, Vertical1, ...; sorted by count, so the row
                                             number is not the label id, and 56 labels have no name
``label_names.csv`` (2017)                   label_id, label_name
segment vocabulary (2019)                    Index, Name, ...; 1,000 of the 3,862 ids of 2018
``class_labels_indices.csv`` (AudioSet)      index, mid, display_name
any other                                    an id and a name, such as id,name
===========================================  =========================================================================

The same id is a different label in the editions of 2017 and 2018.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

from yt8m_core.data.schema import MAX_LABEL
from yt8m_core.errors import UserError
from yt8m_core.storage.csv_file import iter_rows, parse_whole

SEPARATORS = (",", ";", "\t")
# In lower case. The first of them that a file has is used; ``label`` is the id, or the name beside another id.
ID_COLUMNS = ("index", "label_id", "id", "label")
NAME_COLUMNS = ("name", "label_name", "display_name", "label")
_EXPECTED = "a column of ids (Index, label_id, id, label) and one of names (Name, label_name, display_name, label)"


@dataclass(frozen=True, slots=True)
class Entry:
    """A label in a vocabulary file."""

    name: str
    vertical: str  # empty if unknown
    count: int | None  # training videos; None if unknown


@dataclass(frozen=True)
class _Columns:
    """Positions of the columns."""

    label: int
    name: int
    vertical: int | None
    count: int | None


def parse_vocabulary(data: bytes, where: str) -> dict[int, Entry]:
    """Parse a vocabulary file.

    Args:
        data: Content of the file.
        where: The file, for error messages.

    Returns:
        The labels that the file lists, by id; ids may be missing.

    Raises:
        UserError: The file is not a vocabulary. The message names the row, counted as in a spreadsheet (the header is
            row 1).
    """
    text = _decode(data, where)
    header, columns, rows = _open_table(text, where)
    entries: dict[int, Entry] = {}
    for row, fields in rows:
        if len(fields) != len(header):
            raise UserError(f"{len(fields)} fields", where=f"{where}, row {row}", expected=f"{len(header)}")
        label = parse_whole(fields[columns.label].strip(), f"{where}, row {row}, column {header[columns.label]}")
        if label > MAX_LABEL:
            raise UserError(f"label {label}", where=f"{where}, row {row}", expected=f"at most {MAX_LABEL:,}")
        if label in entries:
            raise UserError(f"label {label} a second time", where=f"{where}, row {row}", expected="each id once")
        vertical = "" if columns.vertical is None else fields[columns.vertical]
        count = "" if columns.count is None else fields[columns.count]  # may be empty: unknown
        number = parse_whole(count, f"{where}, row {row}, column TrainVideoCount") if count else None
        entries[label] = Entry(fields[columns.name], vertical, number)
    if not entries:
        raise UserError("a header and no labels", where=where, expected="one row per label")
    unknown = [label for label, entry in entries.items() if entry.count is None]
    if unknown and len(unknown) < len(entries):
        raise UserError(
            f"no TrainVideoCount for label {min(unknown)}", where=where, expected="a count for all labels or for none"
        )
    return entries


def describe_gaps(entries: dict[int, Entry]) -> str:
    """Return a sentence about the ids that a vocabulary lacks; an empty text if it lacks none.

    >>> describe_gaps({0: Entry("Cat", "", None), 2: Entry("Dog", "", None)})
    '1 of the ids 0 to 2 is missing, the first of them 1. Labels without an entry have no name.'
    """
    largest = max(entries)
    if not (count := largest + 1 - len(entries)):
        return ""
    first = next(label for label in range(largest) if label not in entries)
    if (first, count) == (0, 1):
        return (
            f"the ids are 1 to {largest}, so label 0 has no name. If the labels of the data are 0 to {largest - 1}, "
            "subtract 1 from each id."
        )
    verb = "is" if count == 1 else "are"
    return (
        f"{count:,} of the ids 0 to {largest} {verb} missing, the first of them {first}. "
        "Labels without an entry have no name."
    )


def _decode(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            "bytes that are not UTF-8", where=f"{where}, line {line}", expected="UTF-8 text", advice="Save it as UTF-8."
        ) from None


def _open_table(text: str, where: str) -> tuple[list[str], _Columns, Iterator[tuple[int, list[str]]]]:
    """Return the header, the positions of the columns, and the rows, with the separator that gives such columns."""
    errors = []
    for separator in SEPARATORS:
        rows, header = iter_rows(io.StringIO(text, newline=""), where, separator), list[str]()
        try:
            row, header = next(rows, (0, []))
            if not header:
                raise UserError("an empty file", where=where, expected="a header and one row per label")
            return header, _find_columns(header, f"{where}, row {row}"), rows
        except UserError as error:
            errors.append((len(header), error))
    raise max(errors, key=lambda item: item[0])[1]  # of the separator that gives the most columns


def _find_columns(header: list[str], where: str) -> _Columns:
    names = [column.strip().lower().replace(" ", "_") for column in header]
    label = next((names.index(name) for name in ID_COLUMNS if name in names), None)
    name = next((names.index(name) for name in NAME_COLUMNS if name in names and names.index(name) != label), None)
    if label is None or name is None:
        raise UserError(  # without the line: a run in the app may name any file
            f"no column of {'names' if label is not None else 'ids'}",
            where=where,
            expected=f"{_EXPECTED}, separated by commas, semicolons or tabs",
            advice="Name the columns in the first line, for example: id,name.",
        )
    vertical, count = (names.index(name) if name in names else None for name in ("vertical1", "trainvideocount"))
    read = [names[position] for position in (label, name, vertical, count) if position is not None]
    if repeated := next((column for column in read if names.count(column) > 1), ""):
        raise UserError(f"column '{repeated}' twice", where=where, expected="each column once")
    return _Columns(label, name, vertical, count)
