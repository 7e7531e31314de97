"""Labels of videos from a table: a row per label, lists, or 0/1 columns; and the videos that its ids name."""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from yt8m_core.data.features.contents import MAX_LABELS
from yt8m_core.data.importer.label_file import NAMED_COLUMNS, read_table
from yt8m_core.data.importer.label_values import split_cell
from yt8m_core.errors import UserError, check_choice

ID_COLUMNS = ("id", "video_id", "videoid", "video", "ytid", "filename", "file", "path", "name", "key")
LABEL_COLUMNS = ("labels", "label", "classes", "class", "tags", "tag", "category", "categories", "positive_labels")
# A cell of such a column is one label, even with a comma.
_SINGULAR = ("label", "class", "tag", "category", "label_name", "class_name")
# What may follow the id of a video in a file name.
_ENDINGS = re.compile(r"\.(mp4|mkv|webm|avi|mov|m4v|wav|mp3|flac|npz|npy|pb|h5|jpg|png)$", re.IGNORECASE)
_UNNAMED = re.compile(r"Unnamed: \d+|__index_level_\d+__")  # row numbers or names that pandas has saved

LabelTexts = Mapping[str, tuple[str, ...]]  # texts of the labels by video id


@dataclass(frozen=True)
class LabelTable:
    """Labels of videos as a file has them: ids or names, as texts."""

    where: str
    labels: LabelTexts
    kind: str  # how the file was understood, for messages
    notes: tuple[str, ...] = ()
    _named: dict[str, str] = field(default_factory=dict, repr=False, compare=False)  # videos by an id without a folder

    def find(self, video_id: str) -> tuple[str, ...] | None:
        """Return the labels of a video, or None if the table does not name it. See ``match``.

        Raises:
            UserError: an id without a folder names videos of several folders, as far as this process has seen them, or
                the video has too many labels.
        """
        key = self.match(video_id)
        if key is None:
            return None
        if "/" not in _path(key) and "/" in _path(video_id):
            other = self._named.setdefault(key, video_id)
            if other != video_id:
                found = f"the id '{key[:100]}', which names both '{other[:100]}' and '{video_id[:100]}'"
                raise UserError(found, where=self.where, expected="ids with the folder of the video")
        texts = self.labels[key]
        if len(texts) > MAX_LABELS:
            found = f"{len(texts):,} labels of '{key[:100]}'"
            raise UserError(found, where=self.where, expected=f"at most {MAX_LABELS:,} for a video")
        return texts

    def match(self, video_id: str) -> str | None:
        """Return the id in the table that names a video.

        It is the same id, else the same folder and name without the ending of a file. A name alone is enough if one of
        the two has no folder and the name occurs once in the table.
        """
        if video_id in self.labels:
            return video_id
        path = _path(video_id)
        if (key := self._by_path.get(path)) is not None:
            return key
        key = self._by_name.get(path.rpartition("/")[2])
        return key if key is not None and not ("/" in path and "/" in _path(key)) else None

    def without_shared_names(self, video_ids: Iterable[str]) -> "LabelTable":
        """Return a table in which an id without a folder labels none of several videos of this name, and says so.

        Args:
            video_ids: ids that are known before the videos are read, such as the names of their files.
        """
        by_key: defaultdict[str, set[str]] = defaultdict(set)
        for video_id in video_ids:
            if (key := self.match(video_id)) is not None:
                by_key[key].add(video_id)
        shared = {
            key: sorted(video_id for video_id in found if "/" in _path(video_id))
            for key, found in by_key.items()
            if len(found) > 1 and "/" not in _path(key)
        }
        if not shared:
            return self
        key, first = next((key, ", ".join(map(repr, found[:3]))) for key, found in shared.items())
        note = (
            f"{len(shared):,} ids of the table have no folder but name several videos, which get no labels. The first: "
            f"'{key[:100]}', for {first[:300]}. Add the folders to the ids."
        )
        unlabeled: dict[str, tuple[str, ...]] = {video_id: () for found in shared.values() for video_id in found}
        return replace(self, labels={**self.labels, **unlabeled}, notes=(*self.notes, note))

    @cached_property
    def _by_path(self) -> dict[str, str]:
        return _unique((_path(key), key) for key in self.labels)

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return _unique((_path(key).rpartition("/")[2], key) for key in self.labels)


def _path(text: str) -> str:
    """Return an id or a file name as a path with slashes, without the ending.

    >>> _path("./clips/abc.mp4"), _path("abc")
    ('clips/abc', 'abc')
    """
    return _ENDINGS.sub("", PurePosixPath(text.replace("\\", "/")).as_posix())


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the pairs whose first text occurs once."""
    pairs = list(pairs)
    counts = Counter(text for text, _ in pairs)
    return {text: key for text, key in pairs if counts[text] == 1}


def read_label_table(
    path: Path, *, id_column: str = "", label_column: str = "", names: Collection[str] = ()
) -> LabelTable:
    """Read the labels of videos.

    Args:
        path: a .csv, .tsv, .parquet, .json or .jsonl file. Tables have a row per (id, label), a row per video with a
            list, or a row per video with a 0/1 column per label; JSON may also be an object of lists by id.
        id_column: column of the ids; default: one of ``ID_COLUMNS``, else the first.
        label_column: column of the labels; default: one of ``LABEL_COLUMNS``, or the only other one.
        names: names of the labels, if they are known; texts that are a name are not divided.

    Raises:
        UserError: the file cannot be read, or its layout is unclear.
    """
    try:
        table, where = read_table(path), str(path)
        if isinstance(table, dict):
            rows = ((key, split_cell(value, names, divide_at_commas=False)) for key, value in table.items())
            return LabelTable(where, _collect(rows), "lists by id")
        if path.suffix not in NAMED_COLUMNS and not (id_column or label_column):
            _check_header(table, where)
        return _understand(table, where, id_column, label_column, names)
    except RecursionError:
        raise UserError("lists in lists, nested too deeply", where=str(path), expected="lists of labels") from None
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=str(path)) from None


def _check_header(table: pd.DataFrame, where: str) -> None:
    """Raise UserError where the first row may be a video: as a header, it would lose its labels."""
    columns = [str(name) for name in table.columns]
    if any(name.lower() in (*ID_COLUMNS, *LABEL_COLUMNS) for name in columns):
        return
    if len(columns) == 2 or all(_truth(name) is not None for name in columns[1:]):
        raise UserError(
            f"the first row {columns[:8]}",
            where=where,
            expected="the names of the columns, such as id,label",
            advice="Add them. If the row has the names, name the columns: --id-column, --label-column.",
        )


def _understand(
    table: pd.DataFrame, where: str, id_column: str, label_column: str, names: Collection[str]
) -> LabelTable:
    """Find out which columns have the ids and the labels."""
    columns = [str(name) for name in table.columns]
    if table.empty or len(columns) < 2 or len(set(columns)) < len(columns):
        expected = "a column of ids, and labels, each with a name of its own"
        raise UserError(f"{len(table):,} rows and the columns {columns[:8]}", where=where, expected=expected)
    for name in (id_column, label_column):
        if name:
            check_choice("column", name, columns, where=where)
    ids = id_column or _find_ids(table, columns, label_column)
    others = [name for name in columns if name != ids and (name == label_column or not _UNNAMED.fullmatch(name))]
    lower = {name.lower(): name for name in others}
    label = label_column or next((lower[name] for name in LABEL_COLUMNS if name in lower), "")
    notes = _check_binary(table, where, label, others) if label else ()
    if not label and len(others) == 1:
        (label,) = others
    if not label:
        texts = _read_wide(table, others, where)
        return LabelTable(
            where, _collect(zip(table[ids], texts, strict=True)), f"{len(others)} columns of 0 and 1 by '{ids}'"
        )
    divide = label.lower() not in _SINGULAR
    rows = ((key, split_cell(value, names, divide)) for key, value in zip(table[ids], table[label], strict=True))
    return LabelTable(where, _collect(rows), f"column '{label}' by '{ids}'", notes)


def _find_ids(table: pd.DataFrame, columns: list[str], label_column: str) -> str:
    """Return the column of the ids: a known name, else names of rows that pandas saved, else the first column."""
    lower = {name.lower(): name for name in columns}
    if known := next((lower[name] for name in ID_COLUMNS if name in lower), ""):
        return known
    for name in filter(_UNNAMED.fullmatch, columns):
        texts = [str(value) for value in table[name]]
        if all(texts != [str(row + start) for row in range(len(texts))] for start in (0, 1)):
            return name
    possible = [name for name in columns if not _UNNAMED.fullmatch(name) and name != label_column]
    return next((name for name in possible if name.lower() not in LABEL_COLUMNS), columns[0])


def _check_binary(table: pd.DataFrame, where: str, label: str, others: list[str]) -> tuple[str, ...]:
    """Return a warning where the column of the labels is one of several 0/1 columns; UserError if it has another name.

    Only its name, such as "label", then says that 0 and 1 are two labels.
    """
    columns = [label, *(name for name in others if name != label)]
    is_binary = [(values := _truths(table[name])) is not None and bool(values.any()) for name in columns[:100]]
    beside = [name for name, found in zip(columns[1:], is_binary[1:], strict=False) if found]
    if not (is_binary[0] and beside):
        return ()
    found = f"0 and 1 in the columns {[label, *beside[:8]]}"
    if label.lower() in LABEL_COLUMNS:
        return (f"{found}: '{label}' is taken as label ids.",)
    advice = "If each column is a label, leave out --label-column and remove the columns that are not labels."
    raise UserError(found, where=where, expected=f"labels in '{label}'", advice=advice)


def _read_wide(table: pd.DataFrame, names: list[str], where: str) -> list[tuple[str, ...]]:
    """Return the labels of each row of a table with a 0/1 column per label."""
    texts: list[list[str]] = [[] for _ in range(len(table))]
    for name in names:
        values = _truths(table[name])
        if values is None:
            found = next(value for value in table[name] if _truth(value) is None)
            raise UserError(
                f"the columns {names[:8]}, and in '{name}' '{str(found)[:80]}'",
                where=where,
                expected="a column of labels, or a column of 0 and 1 for each label",
                advice=f"Name the column of the labels: --label-column. Or remove '{name}', if the others are 0 and 1.",
            )
        for row in np.flatnonzero(values):
            texts[row].append(name)
    return [tuple(labels) for labels in texts]


def _truths(column: "pd.Series[Any]") -> NDArray[np.bool_] | None:
    """Return which cells of a 0/1 column are set; None for a column with another value."""
    try:
        truths = {value: _truth(value) for value in set(column)}
    except TypeError:  # lists
        return None
    return None if None in truths.values() else np.array([truths[value] for value in column], bool)


def _truth(value: Any) -> bool | None:
    text = str(value).strip().lower()
    if text in ("1", "1.0", "true", "yes"):
        return True
    return False if text in ("", "0", "0.0", "false", "no", "nan", "none") else None


def _collect(rows: Iterable[tuple[Any, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """Collect the labels of each id, once each. Raises ValueError for labels without an id."""
    labels: dict[str, dict[str, None]] = {}
    for value, texts in rows:
        key = _id_text(value)
        if not key and texts:
            raise ValueError(f"the labels {str(list(texts))[:80]} without an id")
        if key:
            labels.setdefault(key, {}).update(dict.fromkeys(texts))
    return {key: tuple(texts) for key, texts in labels.items()}


def _id_text(value: Any) -> str:
    """Return an id as text, empty for a missing one."""
    if value is None or value != value:
        return ""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()
