"""Label names, verticals and training counts, for the 2017 and the 2018 edition of YouTube-8M.

The csv files of the two editions differ. ``vocabulary.csv`` (2018) is sorted by count, so the row number is not the
label id, and 56 labels have no name. ``label_names.csv`` (2017) has ids and names only. The same id is a different
label in the two editions.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write, check_size

_HEADER_2018 = (
    "Index", "TrainVideoCount", "KnowledgeGraphId", "Name", "WikiUrl",
    "Vertical1", "Vertical2", "Vertical3", "WikiDescription",
)  # fmt: skip
MAX_BYTES = 1 << 24
_REQUIRED_2018 = ("Index", "TrainVideoCount", "Name", "Vertical1")
_REQUIRED_2017 = ("label_id", "label_name")
_FILE_NAMES = ("vocabulary.csv", "label_names.csv")


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Labels of a data set, by label id.

    >>> vocabulary = Vocabulary(("Game", ""), ("Games", "Games"))
    >>> vocabulary.name(0), vocabulary.name(1)
    ('Game', 'label 1 (unnamed)')
    """

    names: tuple[str, ...]
    """Label names, empty if the edition has none; use ``name`` for display."""
    verticals: tuple[str, ...]
    """First topic of each label (``Vertical1``), empty if unknown."""
    counts: NDArray[np.int64] | None = None
    """Number of training videos per label [C], or None if unknown."""

    def __post_init__(self) -> None:
        if len(self.verticals) != len(self.names):
            raise ValueError(f"{len(self.names)} names but {len(self.verticals)} verticals")
        if self.counts is None:
            return
        counts = np.array(self.counts, np.int64)
        if counts.shape != (len(self.names),):
            raise ValueError(f"{len(self.names)} names but counts of shape {counts.shape}")
        counts.flags.writeable = False
        object.__setattr__(self, "counts", counts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        if (self.counts is None) != (other.counts is None):
            return False
        same_counts = self.counts is None or np.array_equal(self.counts, other.counts)  # type: ignore[arg-type]
        return self.names == other.names and self.verticals == other.verticals and same_counts

    def __hash__(self) -> int:
        return hash((self.names, self.verticals))

    @property
    def num_classes(self) -> int:
        """Number of labels C."""
        return len(self.names)

    def name(self, label: int) -> str:
        """Return the display name of a label, never empty. Raises IndexError for an id outside 0..C-1."""
        if not 0 <= label < self.num_classes:
            raise IndexError(f"label {label} is out of range for a vocabulary of {self.num_classes}")
        return self.names[label].strip() or f"label {label} (unnamed)"

    def to_frame(self) -> pd.DataFrame:
        """Return one row per label id: label, name (never empty), vertical, count (missing if unknown)."""
        labels = range(self.num_classes)
        counts = pd.array([pd.NA] * self.num_classes if self.counts is None else self.counts, dtype="Int64")
        return pd.DataFrame(
            {"label": labels, "name": [self.name(i) for i in labels], "vertical": self.verticals, "count": counts}
        )


def unnamed_vocabulary(num_classes: int) -> Vocabulary:
    """Return a vocabulary without names, for data sets without a vocabulary file.

    >>> unnamed_vocabulary(3).name(2)
    'label 2 (unnamed)'
    """
    return Vocabulary(("",) * num_classes, ("",) * num_classes)


def find_vocabulary(data: Path) -> Path | None:
    """Find the vocabulary file of a data set: in its folder, else in the parent folder.

    Args:
        data: a folder of shards, a shard, or a glob.
    """
    folder = data.absolute()
    if not folder.is_dir():
        folder = folder.parent
    # The folders of a glob may have wildcards too: the folder of /data/*/train*.tfrecord is /data.
    while any(wildcard in str(folder) for wildcard in "*?[") and not folder.is_dir():
        folder = folder.parent
    paths = (parent / name for parent in (folder, folder.parent) for name in _FILE_NAMES)
    return next((path for path in paths if path.is_file()), None)


def load_vocabulary(data: str | Path, file: str | Path | None, labels: NDArray[np.int32]) -> Vocabulary:
    """Load the vocabulary of a data set: the given file, else the one beside the data, else one without names.

    Args:
        data: a shard, a folder of shards, or a glob.
        file: a vocabulary file, or None.
        labels: all labels of the data set; they determine the number of classes if there is no file.

    Raises:
        UserError: as ``read_vocabulary`` does.
    """
    path = Path(file) if file else find_vocabulary(Path(data))
    return read_vocabulary(path) if path else unnamed_vocabulary(int(labels.max(initial=0)) + 1)


def read_vocabulary(path: Path) -> Vocabulary:
    """Read ``vocabulary.csv`` (2018) or ``label_names.csv`` (2017).

    Raises:
        UserError: the file is not a vocabulary, or its ids are not 0..C-1, each once. The message names the file and
            the row, counted as in a spreadsheet (the header is row 1).
    """
    rows = _read_rows(path)
    _, header = next(rows, (0, []))
    if not header:
        raise UserError("an empty file", where=str(path), expected="a header and one row per label")
    required = _REQUIRED_2017 if "label_id" in header else _REQUIRED_2018
    if missing := [column for column in required if column not in header]:
        raise UserError(
            f"no column {', '.join(missing)}",
            where=f"{path}, row 1",
            expected=f"{', '.join(_REQUIRED_2018)} (2018) or {', '.join(_REQUIRED_2017)} (2017)",
        )
    if len(set(header)) < len(header):
        raise UserError("duplicate column names", where=f"{path}, row 1", expected="each column once")

    entries: dict[int, tuple[str, str, int | None]] = {}
    for row, fields in rows:
        if len(fields) != len(header):
            raise UserError(f"{len(fields)} fields", where=f"{path}, row {row}", expected=f"{len(header)}")
        entry = dict(zip(header, fields, strict=True))
        label = _parse_int(entry[required[0]], path, row, required[0])
        if label in entries:
            raise UserError(f"label {label} a second time", where=f"{path}, row {row}", expected="each id once")
        if required is _REQUIRED_2017:
            entries[label] = entry["label_name"], "", None
        else:
            # write_vocabulary leaves the count empty if it is unknown.
            count = entry["TrainVideoCount"]
            number = _parse_int(count, path, row, "TrainVideoCount") if count else None
            entries[label] = entry["Name"], entry["Vertical1"], number
    return _from_entries(entries, path)


def _from_entries(entries: dict[int, tuple[str, str, int | None]], path: Path) -> Vocabulary:
    """Build a vocabulary from (name, vertical, count) by label."""
    if not entries:
        raise UserError("a header and no labels", where=str(path), expected="one row per label")
    num_classes = max(entries) + 1
    if len(entries) < num_classes:
        missing = next(label for label in range(num_classes) if label not in entries)
        raise UserError(
            f"no label {missing}, although the largest id is {max(entries)}",
            where=str(path),
            expected="the ids 0..C-1, each once",
        )
    names, verticals, counts = zip(*(entries[label] for label in range(num_classes)), strict=True)
    if all(count is None for count in counts):
        return Vocabulary(names, verticals)
    if None in counts:
        raise UserError(
            f"no TrainVideoCount for label {counts.index(None)}",
            where=str(path),
            expected="a count for all labels or for none",
        )
    return Vocabulary(names, verticals, np.array(counts, np.int64))


def write_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    """Write a vocabulary in the format of the 2018 edition, sorted by count, atomically."""
    order = np.arange(vocabulary.num_classes)
    if vocabulary.counts is not None:
        order = np.argsort(-vocabulary.counts, kind="stable")
    text = io.StringIO(newline="")
    # Quote all text: by default the writer does not quote a name with a carriage return.
    writer = csv.DictWriter(text, _HEADER_2018, restval="", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writeheader()
    for label in order.tolist():
        count = "" if vocabulary.counts is None else int(vocabulary.counts[label])
        name, vertical = vocabulary.names[label], vocabulary.verticals[label]
        writer.writerow({"Index": label, "TrainVideoCount": count, "Name": name, "Vertical1": vertical})
    with atomic_write(path) as unfinished:
        unfinished.write_bytes(text.getvalue().encode())


def _read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the nonblank rows of a csv file with their numbers, counted from 1."""
    try:
        check_size(path, MAX_BYTES)
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            "bytes that are not UTF-8", where=f"{path}, line {line}", expected="UTF-8 text", advice="Save it as UTF-8."
        ) from None
    row = 0
    # strict: otherwise a stray quote would silently start a field that contains the rest of the file.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row, fields in enumerate(reader, start=1):
            if fields:
                yield row, fields
    except csv.Error as error:
        raise UserError(f"{error}", where=f"{path}, row {row + 1}", expected="comma-separated values") from None


def _parse_int(text: str, path: Path, row: int, column: str) -> int:
    # int() also accepts "1_000", "+7" and Arabic digits; 18 digits always fit in an int64.
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UserError(
            f"'{text[:40]}'",
            where=f"{path}, row {row}, column {column}",
            expected="a whole number of at most 18 digits",
        )
    return int(text)
