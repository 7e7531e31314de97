"""The labels of the 2019 edition that segments were rated for."""

import io
from functools import cache
from pathlib import Path

from yt8m_core.data.vocabulary import read_entries
from yt8m_core.errors import UserError
from yt8m_core.storage.csv_file import parse_whole
from yt8m_core.storage.paths import open_file

MAX_BYTES = 1 << 24

_FILE = Path(__file__).with_name("segment_labels_2019.csv")


@cache
def segment_labels() -> tuple[int, ...]:
    """Return the 1,000 labels of the 2019 edition, in the order of Google's file; ids among the 3,862 of 2018.

    >>> len(segment_labels()), segment_labels()[:3]
    (1000, (3, 7, 8))
    """
    return tuple(read_segment_labels(_FILE))


def read_segment_labels(file: str | Path) -> list[int]:
    """Return the labels in a file: the ids of a vocabulary, or one column of ids as in Google's segment_label_ids.csv.

    Raises UserError where it cannot be read, or has an id twice.
    """
    try:
        with io.TextIOWrapper(open_file(Path(file), MAX_BYTES), "utf-8-sig") as opened:
            lines = [line.strip() for line in opened if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError):
        lines = []  # the vocabulary's reader names what is wrong
    ids = lines if lines and lines[0].isdecimal() else lines[1:]  # a header may come first
    if not ids or not all(text.isascii() and text.isdecimal() for text in ids):
        return list(read_entries(file))
    labels = [parse_whole(text, f"{file}, label") for text in ids]
    if len(set(labels)) < len(labels):
        raise UserError("a label twice", where=str(file), expected="each label once")
    return labels
