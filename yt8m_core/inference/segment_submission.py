"""Submissions of the 2019 competition: a row per label with its best segments, best first.

``Class,Segments`` and then ``3,<video id>:<start> <video id>:<start> …`` with at most 100,000 segments per label.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.segments import Segments
from yt8m_core.errors import UserError
from yt8m_core.metrics.map_at_k import K, RatedRanking
from yt8m_core.metrics.top_segments import TopSegments
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.csv_file import parse_whole
from yt8m_core.storage.paths import open_file

HEADER = "Class,Segments"
VIDEO = re.compile(r"[^\s,\":]+")
SEGMENT = re.compile(rf"{VIDEO.pattern}:(0|[1-9][0-9]{{0,8}})")
MAX_LINE = 512 * K  # bytes
MAX_BYTES = 1 << 36

Integers = NDArray[np.int64]


class Row(NamedTuple):
    """A row of a submission."""

    number: int  # as in a text editor
    label: int
    segments: list[str]


def check_names(segments: Segments, output: Path) -> None:
    """Raise UserError where the id of a video cannot be written: with a blank, a comma, a colon or a quote."""
    for name in segments.videos.ids:
        if VIDEO.fullmatch(name) is None:
            raise UserError(
                f"the id {name!a}", where=str(output), expected="no blank, comma, colon or quote in an id of a video"
            )


def write_submission(best: TopSegments, segments: Segments, labels: Integers, output: Path) -> None:
    """Write the best segments of each label [L]. Their names are as ``check_names`` wants them."""
    with atomic_write(output) as unfinished, unfinished.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{HEADER}\n")
        for number, label in enumerate(labels.tolist()):
            file.write(f"{label},{' '.join(segments.ids_at(best.best(number).segments))}\n")


def iter_submission(file: Path) -> Iterator[Row]:
    """Yield the rows of a submission.

    Raises UserError for a header or a row that is not one, a label twice, more than 100,000 segments in a row, or a
    segment twice.
    """
    labels: set[int] = set()
    with open_file(file, MAX_BYTES) as opened:
        for number, line in enumerate(iter(lambda: opened.readline(MAX_LINE), b""), 1):
            where = f"{file}, line {number}"
            if len(line) == MAX_LINE:
                raise UserError(f"{MAX_LINE:,} bytes without an end", where=where, expected="a shorter line")
            try:
                text = line.decode().rstrip("\r\n")
            except UnicodeDecodeError:
                raise UserError("bytes that are not UTF-8 text", where=where) from None
            if number == 1:
                if text != HEADER:
                    raise UserError(f"{text[:40]!a}", where=where, expected=f"the header {HEADER}")
                continue
            label, comma, rest = text.partition(",")
            if not comma:
                raise UserError(f"{text[:40]!a}", where=where, expected="a label, a comma, and segments")
            row = Row(number, parse_whole(label, where), rest.split())
            _check_row(row, labels, where)
            labels.add(row.label)
            yield row
    if not labels:
        raise UserError("no labels", where=str(file), expected="a row per label")


def _check_row(row: Row, labels: set[int], where: str) -> None:
    if row.label in labels:
        raise UserError(f"label {row.label} a second time", where=where, expected="one row per label")
    if len(row.segments) > K:
        raise UserError(f"{len(row.segments):,} segments", where=where, expected=f"at most {K:,}")
    for name in row.segments:
        if SEGMENT.fullmatch(name) is None:
            raise UserError(ascii(name[:40]), where=where, expected="a segment, written <video id>:<start second>")
    if len(set(row.segments)) < len(row.segments):
        seen: set[str] = set()
        name = next(name for name in row.segments if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise UserError(f"segment {name} a second time", where=where, expected="each segment once per label")


def check_submission(file: Path, labels: Integers, segments: Segments | None = None) -> int:
    """Check what the competition would reject, and return the number of segments in all rows.

    Args:
        file: the submission.
        labels: [L] the labels that must be there.
        segments: the segments that may be there; None for any.

    Raises UserError for the first fault.
    """
    positions = {} if segments is None else {name: video for video, name in enumerate(segments.videos.ids)}
    missing, count = dict.fromkeys(labels.tolist()), 0
    for row in iter_submission(file):
        where = f"{file}, line {row.number}"
        if row.label not in missing:
            raise UserError(f"label {row.label}", where=where, expected=f"one of the {len(labels):,} labels")
        del missing[row.label]
        if segments is not None:
            parents = [positions.get(name.rpartition(":")[0], -1) for name in row.segments]
            starts = [int(name.rpartition(":")[2]) for name in row.segments]
            unknown = np.flatnonzero(segments.rows(np.array(parents, np.int64), np.array(starts, np.int64)) < 0)
            if len(unknown):
                name = row.segments[int(unknown[0])]
                raise UserError(f"segment {name}", where=where, expected="a segment of the data set")
        count += len(row.segments)
    if missing:
        first = ", ".join(map(str, list(missing)[:3]))
        raise UserError(f"no row of {len(missing):,} labels ({first}, …)", where=str(file), expected="a row per label")
    return count


def submission_rankings(file: Path, segments: Segments) -> list[RatedRanking]:
    """Return the rated segments of each label of a submission that is rated as present, in the order of the file.

    Google's script stops at a label that is present nowhere. Raises UserError for a submission with a fault.
    """
    _, videos = np.unique(segments.parents, return_inverse=True)
    rows = {name: row for row, name in enumerate(segments.ids_at(np.arange(len(segments))))}
    rated, present = (
        _sets(segments.rated.values, segments.rated.offsets),
        _sets(segments.label_values, segments.label_offsets),
    )
    rankings = []
    for row in iter_submission(file):
        if not (positives := present.get(row.label)):
            continue
        found = [rows[name] for name in row.segments if name in rows and rows[name] in rated[row.label]]
        kept = np.array(found, np.int64)
        rankings.append(
            RatedRanking(
                row.label,
                np.arange(len(kept), 0, -1, dtype=np.float32),
                np.array([place in positives for place in found], bool),
                videos[kept],
                videos[np.array(sorted(positives))],
            )
        )
    return rankings


def _sets(values: NDArray[np.int32], offsets: Integers) -> Mapping[int, set[int]]:
    """Return the rows that have each label."""
    sets: dict[int, set[int]] = {}
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    for label, row in zip(values.tolist(), rows.tolist(), strict=True):
        sets.setdefault(label, set()).add(row)
    return sets
