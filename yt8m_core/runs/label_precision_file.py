"""Read and validate ``label_precision.parquet``, the average precision of each label, from untrusted files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from yt8m_core.errors import UserError
from yt8m_core.labels.statistics import bands
from yt8m_core.runs.predictions_file import MAX_VIDEOS
from yt8m_core.storage.paths import check_file

LABEL_PRECISION = "label_precision.parquet"
MAX_BYTES = 1 << 26  # of the file, and of its columns in memory according to its header
TYPES = {
    "label": pa.types.is_integer,
    "training_videos": pa.types.is_integer,
    "band": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "positives": pa.types.is_integer,
    "ap": pa.types.is_floating,
}


def read_label_precision(file: Path, num_classes: int) -> pd.DataFrame:
    """Read the average precision (AP) of each label.

    The sizes in the file's header are checked before any column is read.

    Args:
        file: the Parquet file.
        num_classes: C, the expected number of labels.

    Returns:
        label, training_videos, band, positives, ap (NaN without positives).

    Raises:
        FileNotFoundError: there is no file.
        UserError: the labels are not 0 to C - 1, or other values are invalid.
    """
    try:
        check_file(file, MAX_BYTES)
        with pq.ParquetFile(file) as opened:
            _check_header(file, opened, num_classes)
            table: pd.DataFrame = opened.read(list(TYPES)).to_pandas(ignore_metadata=True)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UserError(f"cannot read the label precision ({str(error)[:200]})", where=str(file)) from None
    _check_values(file, table)
    return table


def _check_header(file: Path, opened: pq.ParquetFile, num_classes: int) -> None:
    header, schema = opened.metadata, opened.schema_arrow
    if header.num_rows != num_classes:
        raise UserError(f"{header.num_rows:,} labels", where=str(file), expected=f"{num_classes:,}")
    types = {name: schema.field(name).type for name in TYPES}
    if not all(is_type(types[name]) for name, is_type in TYPES.items()):
        columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
        raise UserError(columns[:200], where=str(file), expected="integers, a band as text, and ap as a fraction")
    size = sum(header.row_group(number).total_byte_size for number in range(header.num_row_groups))
    if size > MAX_BYTES:
        raise UserError(f"{size:,} bytes", where=str(file), expected=f"the precision of {num_classes:,} labels")


def _check_values(file: Path, table: pd.DataFrame) -> None:
    for name, is_valid, expected in (
        ("label", table["label"] == np.arange(len(table)), f"0 to {len(table) - 1}, in order"),
        ("training_videos", table["training_videos"].between(0, MAX_VIDEOS), f"0 to {MAX_VIDEOS}"),
        ("positives", table["positives"].between(0, MAX_VIDEOS), f"0 to {MAX_VIDEOS}"),
        ("ap", table["ap"].between(0, 1) | (table["ap"].isna() & (table["positives"] == 0)), "0 to 1"),
    ):
        if not is_valid.all():
            value = table[name][~is_valid].iloc[0]
            raise UserError(f"{name} {str(value)[:40]}", where=str(file), expected=expected)
    try:
        band = bands(table["training_videos"])
    except UserError as error:
        raise UserError(str(error), where=str(file)) from None
    if not (table["band"] == band).all():
        raise UserError("bands that do not follow from training_videos", where=str(file))
