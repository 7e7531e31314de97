"""Read the labels of videos from a CSV, Parquet or JSON file: a row per label, lists, or 0/1 columns."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from yt8m_core.data.schema import MAX_LABEL
from yt8m_core.data.vocabulary import Vocabulary, read_vocabulary
from yt8m_core.errors import UserError, check_choice
from yt8m_core.storage.atomic import check_size

MAX_BYTES = 1 << 31
ID_COLUMNS = ("id", "video_id", "videoid", "video", "ytid", "filename", "file", "path", "name", "key")
LABEL_COLUMNS = ("labels", "label", "classes", "class", "tags", "tag", "category", "categories", "positive_labels")
# What may follow the id of a video in a file name.
_ENDINGS = re.compile(r"\.(mp4|mkv|webm|avi|mov|m4v|wav|mp3|flac|npz|npy|pb|h5|jpg|png)$", re.IGNORECASE)
_SEPARATORS = re.compile(r"[;|]")

LabelTexts = Mapping[str, tuple[str, ...]]  # texts of the labels by video id


@dataclass(frozen=True)
class LabelTable:
    """Labels of videos as a file has them: ids or names, as texts."""

    where: str
    labels: LabelTexts
    kind: str  # how the file was understood, for messages

    def find(self, video_id: str) -> tuple[str, ...] | None:
        """Return the labels of a video by its id, or by its file name without folder and ending; None without any."""
        if (found := self.labels.get(video_id)) is not None:
            return found
        return self.labels.get(plain_id(video_id))


def plain_id(text: str) -> str:
    """Return a file name without its folder and ending.

    >>> plain_id("clips/abc.mp4"), plain_id("abc")
    ('abc', 'abc')
    """
    return _ENDINGS.sub("", PurePosixPath(text.replace("\\", "/")).name)


def read_label_table(path: Path, *, id_column: str = "", label_column: str = "") -> LabelTable:
    """Read the labels of videos.

    Args:
        path: a .csv, .tsv, .parquet or .json file. Tables have a row per (id, label), a row per video with a list, or a
            row per video with a 0/1 column per label; JSON may also be an object of lists by id.
        id_column: column of the ids; default: one of ``ID_COLUMNS``, else the first.
        label_column: column of the labels; default: one of ``LABEL_COLUMNS``, or the only other one.

    Raises:
        UserError: the file cannot be read, or its layout is unclear.
    """
    try:
        check_size(path, MAX_BYTES)
        return _understand(_read_table(path), str(path), id_column, label_column)
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=str(path)) from None


def _understand(table: pd.DataFrame | dict[str, Any], where: str, id_column: str, label_column: str) -> LabelTable:
    """Find out which columns have the ids and the labels."""
    if isinstance(table, dict):
        return LabelTable(where, _normalized((key, _split(value)) for key, value in table.items()), "lists by id")
    if table.empty or len(table.columns) < 2:
        raise UserError(
            f"{len(table):,} rows and the columns {list(table.columns)}",
            where=where,
            expected="a column of ids, and labels",
        )
    for name in (id_column, label_column):
        if name:
            check_choice("column", name, map(str, table.columns), where=where)
    lower = {str(name).lower(): str(name) for name in table.columns}
    ids = id_column or next((lower[name] for name in ID_COLUMNS if name in lower), str(table.columns[0]))
    others = [str(name) for name in table.columns if name != ids]
    label = label_column or next((lower[name] for name in LABEL_COLUMNS if lower.get(name) in others), "")
    if not label and len(others) == 1:
        (label,) = others
    if label:
        rows = ((str(key), _split(value)) for key, value in zip(table[ids], table[label], strict=True))
        return LabelTable(where, _normalized(rows), f"column '{label}' by '{ids}'")
    wide = table[others].map(_truth)
    if wide.isna().to_numpy().any():
        found = next(name for name in others if wide[name].isna().any())
        raise UserError(
            f"the columns {others[:8]}, and in '{found}' {table[found][wide[found].isna()].iloc[0]!r}",
            where=where,
            expected="a column of labels, or a column of 0 and 1 for each label",
            advice="Name the columns: --id-column, --label-column.",
        )
    chosen = wide.to_numpy(bool)
    rows = ((str(key), tuple(np.array(others)[row].tolist())) for key, row in zip(table[ids], chosen, strict=True))
    return LabelTable(where, _normalized(rows), f"{len(others)} columns of 0 and 1 by '{ids}'")


def build_vocabulary(table: LabelTable | None, vocabulary: Path | None) -> tuple[Vocabulary | None, dict[str, int]]:
    """Return the vocabulary of an import, and the label id of each text of the table.

    Without a vocabulary file, texts that are all numbers are ids, and names are numbered by their number of videos.

    Raises:
        UserError: a text is no label of the vocabulary, or an id is too large.
    """
    counts = Counter(text for texts in (table.labels.values() if table else ()) for text in texts)
    where = table.where if table else ""
    if vocabulary is not None:
        read = read_vocabulary(vocabulary)
        names = {name: label for label, name in reversed(list(enumerate(read.names))) if name}
        numbers = {text: _number(text, read.num_classes) for text in counts}
        if unknown := [text for text in counts if text not in names and numbers[text] is None]:
            raise UserError(
                f"{len(unknown):,} labels that are not in {vocabulary}, the first: '{unknown[0][:80]}'", where=where
            )
        return read, {text: names.get(text, numbers[text] or 0) for text in counts}
    numbers = {text: _number(text, MAX_LABEL + 1) for text in counts}
    if None not in numbers.values():
        return None, {text: int(label or 0) for text, label in numbers.items()}
    ordered = sorted(counts, key=lambda text: (-counts[text], text))
    return Vocabulary(tuple(ordered), ("",) * len(ordered)), {text: label for label, text in enumerate(ordered)}


def _read_table(path: Path) -> pd.DataFrame | dict[str, Any]:
    """Return a table with texts, or the lists of an object by key."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        table.validate(full=True)
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        return frame
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix in (".json", ".jsonl"):
        lines = [line for line in text.splitlines() if line.strip()]
        values = [json.loads(line) for line in lines] if path.suffix == ".jsonl" else json.loads(text)
        if isinstance(values, dict):
            return values
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise ValueError("expected an object of lists by id, or a list of objects")
        return pd.DataFrame(values)
    first = text.partition("\n")[0]
    separator = max(",;\t|", key=first.count)
    return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _split(value: Any) -> tuple[str, ...]:
    """Return the labels of a cell: a list, a JSON list, or texts between ; | or , (numbers also between spaces)."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            try:
                return _split(json.loads(text.replace("'", '"')))
            except ValueError:
                pass
        parts: Sequence[Any] = _SEPARATORS.split(text) if _SEPARATORS.search(text) else [text]
        if re.fullmatch(r"\d+([ ,]+\d+)+", text):
            parts = re.split(r"[ ,]+", text)
        elif "," in text and ", " not in text and len(parts) == 1:  # but not in a name such as "Speech, woman"
            parts = text.split(",")
    elif isinstance(value, list | tuple | np.ndarray):
        parts = list(value)
    else:
        parts = [] if value is None or value != value else [value]
    return tuple(text for part in parts if (text := str(part).strip()))


def _normalized(rows: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """Collect the labels of each id, once each, also under the file name without folder and ending."""
    labels: dict[str, dict[str, None]] = {}
    for key, texts in rows:
        labels.setdefault(key.strip(), {}).update(dict.fromkeys(texts))
    collected = {key: tuple(texts) for key, texts in labels.items()}
    plain = Counter(plain_id(key) for key in collected)
    return {plain_id(key): texts for key, texts in collected.items() if plain[plain_id(key)] == 1} | collected


def _truth(value: Any) -> bool | None:
    """Return whether a cell of a 0/1 column is set; None for another value."""
    text = str(value).strip().lower()
    if text in ("1", "1.0", "true", "yes"):
        return True
    return False if text in ("", "0", "0.0", "false", "no", "nan", "none") else None


def _number(text: str, limit: int) -> int | None:
    text = text.removesuffix(".0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < limit else None
