"""CSV file of candidates for missing labels: write it, find stored ones, and read it as an untrusted file."""

import io
import logging
from pathlib import Path
from typing import Any

import pandas as pd

from yt8m_core.analysis.candidate_ranking import COLUMNS, MAX_CANDIDATES
from yt8m_core.data.vocabulary import Vocabulary, default_name
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.csv_file import iter_rows, parse_share, parse_whole, table_text
from yt8m_core.storage.paths import open_file

CANDIDATES = "candidates.csv"  # in the folder with the runs of the folds
MAX_BYTES = 1 << 30
MAX_ID = 100  # characters
ADVICE = "Make it again: yt8m missing-labels."


def write_candidates(candidates: pd.DataFrame, output: Path) -> None:
    """Write the candidates as CSV."""
    with atomic_write(output) as unfinished:
        unfinished.write_bytes(table_text(candidates).encode())


def stored_candidates(folder: Path, data: str) -> Path | None:
    """Return the newest file of candidates of a data set that ``yt8m missing-labels`` has stored, or None.

    Args:
        folder: folder with one folder per search, in the workspace.
        data: the data set, as ``Experiment.data.train`` of the runs of the folds.
    """
    found: list[tuple[float, Path]] = []
    for file in sorted(folder.glob(f"*/{CANDIDATES}")):
        try:
            runs = [Run.open(run) for run in sorted(file.parent.glob("fold-1-of-*"))]
            if any(run.experiment.data.train == data for run in runs):
                found.append((file.stat().st_mtime, file))
        except (UserError, OSError) as error:
            logging.getLogger(__name__).warning("Cannot use %s: %s", file, error)
    return max(found)[1] if found else None


def read_candidates(file: Path, vocabulary: Vocabulary) -> pd.DataFrame:
    """Read and check a file of candidates.

    Args:
        file: the CSV file.
        vocabulary: vocabulary of the data set.

    Returns:
        ``COLUMNS``; evidence_probability is NaN where the file has none.

    Raises:
        UserError: the file cannot be read, has other columns, an invalid value, another name of a label, a pair twice,
            or too many rows. The message names the file and the row.
    """
    rows: list[list[Any]] = []
    pairs: set[tuple[str, int]] = set()
    try:
        with io.TextIOWrapper(open_file(file, MAX_BYTES), "utf-8-sig", newline="") as lines:
            numbered = iter_rows(lines, str(file))
            _, header = next(numbered, (0, []))
            if tuple(header) != COLUMNS:
                raise UserError(f"'{','.join(header)[:80]}'", where=f"{file}, row 1", expected=",".join(COLUMNS))
            for number, fields in numbered:
                where = f"{file}, row {number}"
                row = _parse_row(fields, vocabulary, where)
                pair = row[COLUMNS.index("id")], row[COLUMNS.index("label")]
                if pair in pairs:
                    raise UserError(f"video '{pair[0]}' with label {pair[1]} twice", where=where, advice=ADVICE)
                pairs.add(pair)
                rows.append(row)
                if len(rows) > MAX_CANDIDATES:
                    raise UserError("more rows", where=where, expected=f"at most {MAX_CANDIDATES:,} candidates")
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(file)) from None
    except UnicodeDecodeError:
        raise UserError("bytes that are not UTF-8", where=str(file), expected="UTF-8 text", advice=ADVICE) from None
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _parse_row(fields: list[str], vocabulary: Vocabulary, where: str) -> list[Any]:
    if len(fields) != len(COLUMNS):
        raise UserError(f"{len(fields)} fields", where=where, expected=f"{len(COLUMNS)}", advice=ADVICE)
    values: list[Any] = []
    for column, text in zip(COLUMNS, fields, strict=True):
        at = f"{where}, {column}"
        if column in ("rank", "evidence_videos", "fold"):
            values.append(parse_whole(text, at))
        elif column in ("score", "probability"):
            values.append(parse_share(text, at))
        elif column == "evidence_probability":
            values.append(parse_share(text, at) if text else float("nan"))
        elif column in ("label", "evidence_label"):
            values.append(parse_label(text, vocabulary, at))
        else:
            values.append(text)
    entry = dict(zip(COLUMNS, values, strict=True))
    if not 0 < len(entry["id"]) <= MAX_ID:
        raise UserError(f"'{entry['id'][:40]}'", where=f"{where}, id", expected=f"1 to {MAX_ID} characters")
    for label, name in (("label", "name"), ("evidence_label", "evidence_name")):
        check_name(entry[label], entry[name], vocabulary, f"{where}, {name}")
    return values


def parse_label(text: str, vocabulary: Vocabulary, where: str) -> int:
    """Parse the number of a label. Raises UserError if the vocabulary does not have it."""
    label = parse_whole(text, where)
    if label >= vocabulary.num_classes:
        raise UserError(
            f"label {label}",
            where=where,
            expected=f"0 to {vocabulary.num_classes - 1}",
            advice="The file belongs to another data set.",
        )
    return label


def check_name(label: int, name: str, vocabulary: Vocabulary, where: str) -> None:
    """Raise UserError if a label has another name in the vocabulary; a label without a name fits any."""
    if len({name.strip(), vocabulary.name(label)} - {"", default_name(label)}) > 1:
        raise UserError(
            f"'{name[:80]}' as the name of label {label}",
            where=where,
            expected=f"'{vocabulary.name(label)}'",
            advice="The file belongs to another data set.",
        )
