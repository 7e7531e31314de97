"""Files with the labels of videos, as tables: .csv, .tsv, .parquet, .json and .jsonl."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from yt8m_core.errors import UserError
from yt8m_core.storage.paths import open_file, read_file

MAX_BYTES = 1 << 31
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
NAMED_COLUMNS = (".parquet", ".json", ".jsonl")  # other files may lack the row of column names


def read_table(path: Path) -> pd.DataFrame | dict[str, Any]:
    """Return a table of texts or values, or the lists of a JSON object by key.

    Raises:
        UserError, ValueError, OSError, RecursionError, csv.Error, pyarrow.ArrowException: the file cannot be read.
    """
    if path.suffix == ".parquet":
        with open_file(path, MAX_BYTES) as file:
            table = pq.read_table(file)
        table.validate(full=True)
        # Without integer_object_nulls, a column of ids with a missing one would become floats.
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True, integer_object_nulls=True)
        return frame
    text = _decode(path)
    return _parse_json(text, path.suffix) if path.suffix in NAMED_COLUMNS else _parse_csv(text, str(path))


def _decode(path: Path) -> str:
    try:
        return read_file(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        advice = "Save the file as UTF-8, in a spreadsheet as 'CSV UTF-8'."
        found = f"a byte that is not UTF-8, at position {error.start:,}"
        raise UserError(found, where=str(path), expected="UTF-8", advice=advice) from None


def _parse_json(text: str, suffix: str) -> pd.DataFrame | dict[str, Any]:
    # Not splitlines(): it would also divide a text at U+2028, which JSON allows.
    lines = [line for line in text.split("\n") if line.strip()] if suffix == ".jsonl" else []
    values = [json.loads(line) for line in lines] if lines else json.loads(text)
    if isinstance(values, dict):
        return values
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ValueError("expected an object of lists by id, or a list of objects")
    return pd.DataFrame(values, dtype=object)


def _parse_csv(text: str, where: str) -> pd.DataFrame:
    """Return the rows under the names of the first row; columns without a name get the names that pandas gives them."""
    bare = _QUOTED.sub("", text.partition("\n")[0])
    separator = max(",;\t|", key=bare.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header = next(reader, [])
    if not header:
        raise ValueError("no row of column names")
    rows = []
    for fields in reader:
        while len(fields) > len(header) and not fields[-1]:  # some programs end each row with a separator
            fields.pop()
        if fields and len(fields) != len(header):
            advice = f"Quote texts that contain '{separator}', or divide the labels of a video by ';'."
            found = f"{len(fields)} fields"
            raise UserError(found, where=f"{where}, line {reader.line_num}", expected=f"{len(header)}", advice=advice)
        if fields:
            rows.append(fields)
    names = [name.strip() or f"Unnamed: {column}" for column, name in enumerate(header)]
    return pd.DataFrame(rows, columns=names, dtype=object)
