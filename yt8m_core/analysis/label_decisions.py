"""CSV file of decisions about candidates for missing labels: accept, reject or unsure.

Several sessions may write to it; each change reads the file again under a lock and replaces it as a whole. A session
changes a decision only if the file still has the one that it showed. Rows of videos and labels that a session does not
know are kept. A file that cannot be read is never replaced.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from filelock import FileLock, Timeout

from yt8m_core.errors import UserError, check_choice
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.csv_file import iter_rows, parse_whole, table_text
from yt8m_core.storage.paths import open_file

DECISIONS = ("accept", "reject", "unsure")
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"  # UTC, so that the order of the texts is that of the times
MAX_BYTES = 1 << 26
MAX_ID = 100  # characters
WAIT = 10  # seconds for another session to finish its change


class Decision(NamedTuple):
    """Decision about one pair of a video and a label; the fields are the columns of the file."""

    video: str  # id
    label: int
    name: str  # of the label
    decision: str  # one of ``DECISIONS``
    time: str  # in ``TIME_FORMAT``


class DecisionChangedError(UserError):
    """The file no longer has the decision that the user saw."""


def decide(video: str, label: int, name: str, decision: str) -> Decision:
    """Return a decision made now."""
    return Decision(video, label, name, decision, datetime.now(UTC).strftime(TIME_FORMAT))


def read_decisions(file: Path) -> pd.DataFrame:
    """Return the latest decision about each pair, in the order of the file.

    Returns:
        video, label, name, decision, time; empty if there is no file.

    Raises:
        UserError: the file cannot be read, or is not a file of decisions. The message names the file and the row.
    """
    with _report_errors(file, "read"):
        table = pd.DataFrame(_read(file), columns=list(Decision._fields)).astype({"label": "int64"})
    latest = table.sort_values("time", kind="stable").drop_duplicates(["video", "label"], keep="last")
    return latest.sort_index().reset_index(drop=True)


def replace_decision(file: Path, shown: Decision | None, new: Decision | None) -> None:
    """Change the decision about a pair, if the file still has the one that the user saw.

    Args:
        file: The file.
        shown: The decision that the user saw; None if there was none.
        new: The decision to store in its place; None to remove it. One of the two is given, or both for the same pair.

    Raises:
        DecisionChangedError: Another session has decided about the pair; the file stays as it was.
        UserError: The decision is invalid, or the file cannot be read or written; the file stays as it was.
    """
    pair = next(decision[:2] for decision in (shown, new) if decision is not None)
    where = f"video '{pair[0][:MAX_ID]}', label {pair[1]}"
    if new is not None:
        _check(new, f"the decision about {where}")

    def change(rows: list[Decision]) -> list[Decision]:
        own = [row for row in reversed(rows) if row[:2] == pair]
        stored = max(own, key=lambda row: row.time, default=None)  # the last one of equal times
        if stored != shown:
            other = "removed the decision" if stored is None else f"decided: {stored.decision}, {stored.time}"
            raise DecisionChangedError(f"another session has {other}", where=where, advice="Nothing was stored.")
        return [*(row for row in rows if row[:2] != pair), *([] if new is None else [new])]

    _change(file, change)


def _change(file: Path, change: Callable[[list[Decision]], list[Decision]]) -> None:
    """Replace the rows of the file, while no other session changes it."""
    with _report_errors(file, "written"):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(file.with_name(f".{file.name}.lock"), timeout=WAIT):
                rows = change(_read(file))
                with atomic_write(file) as unfinished:
                    unfinished.write_bytes(table_text(pd.DataFrame(rows, columns=list(Decision._fields))).encode())
        except Timeout:
            raise UserError(
                f"another session has been writing for {WAIT} seconds", where=str(file), advice="Try again."
            ) from None


def _read(file: Path) -> list[Decision]:
    """Return all rows of the file; none if there is no file."""
    rows = []
    try:
        lines = io.TextIOWrapper(open_file(file, MAX_BYTES), "utf-8-sig", newline="")
    except FileNotFoundError:
        return []
    with lines:
        numbered = iter_rows(lines, str(file))
        _, header = next(numbered, (0, []))
        if tuple(header) != Decision._fields:
            raise UserError(
                f"'{','.join(header)[:80]}'",
                where=f"{file}, row 1",
                expected=",".join(Decision._fields),
                advice="Move the file away to start a new one.",
            )
        for number, fields in numbered:
            where = f"{file}, row {number}"
            if len(fields) != len(header):
                raise UserError(f"{len(fields)} fields", where=where, expected=f"{len(header)}")
            video, label, *others = fields
            decision = Decision(video, parse_whole(label, f"{where}, label"), *others)
            _check(decision, where)
            rows.append(decision)
    return rows


def _check(decision: Decision, where: str) -> None:
    if not 0 < len(decision.video) <= MAX_ID:
        raise UserError(f"'{decision.video[:40]}'", where=f"{where}, video", expected=f"1 to {MAX_ID} characters")
    check_choice("decision", decision.decision, DECISIONS, where=where)
    try:
        is_exact = datetime.strptime(decision.time, TIME_FORMAT).strftime(TIME_FORMAT) == decision.time
    except ValueError:
        is_exact = False
    if not is_exact:
        raise UserError(
            f"'{decision.time[:40]}'", where=f"{where}, time", expected="a time such as 2026-01-31T09:00:00Z"
        )


@contextmanager
def _report_errors(file: Path, action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot be {action}: {error.strerror}", where=str(file)) from None
    except UnicodeError:
        raise UserError("bytes that are not UTF-8", where=str(file), expected="UTF-8 text") from None
