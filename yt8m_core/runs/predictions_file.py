"""Read and validate ``predictions.parquet``, the top labels of a run's validation videos, from untrusted files."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from yt8m_core.errors import UserError
from yt8m_core.storage.parquet_footer import column_sizes
from yt8m_core.storage.paths import check_file

MAX_VIDEOS = 1 << 24  # above the 8.3 million of the largest edition
MAX_BYTES = 1 << 32  # of the file, and of its columns in memory according to its header
MAX_LABELS = 64  # mean per video
MAX_ID_LENGTH = 100
LISTS = ("labels", "scores", "true_labels")


def read_predictions(file: Path, videos: int, num_classes: int) -> pd.DataFrame:
    """Read the top labels of each video.

    The sizes in the file's header are checked before any column is read.

    Args:
        file: the Parquet file.
        videos: expected number of videos.
        num_classes: C.

    Returns:
        id, labels [20], scores [20], true_labels.

    Raises:
        FileNotFoundError: there is no file.
        UserError: the number of videos differs, or labels or scores are invalid.
    """
    try:
        check_file(file, MAX_BYTES)
        with pq.ParquetFile(file) as opened:
            _check_header(file, opened, videos)
            table = opened.read(["id", *LISTS])
        _check_values(file, table, num_classes)
        predictions: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        return predictions
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UserError(f"cannot read the predictions ({str(error)[:200]})", where=str(file)) from None


def _check_header(file: Path, opened: pq.ParquetFile, videos: int) -> None:
    header, schema = opened.metadata, opened.schema_arrow
    if header.num_rows != videos:
        raise UserError(f"{header.num_rows:,} videos", where=str(file), expected=f"{videos:,}")
    types = {name: schema.field(name).type for name in ("id", *LISTS)}
    is_valid = pa.types.is_string(types["id"]) or pa.types.is_large_string(types["id"])
    for name, is_type in zip(LISTS, (pa.types.is_integer, pa.types.is_floating, pa.types.is_integer), strict=True):
        is_valid = is_valid and pa.types.is_list(types[name]) and is_type(types[name].value_type)
    if not is_valid:
        columns_found = ", ".join(f"{name} {kind}" for name, kind in types.items())
        raise UserError(
            columns_found[:200], where=str(file), expected="a string id, and lists of labels, scores and true labels"
        )
    columns = column_sizes(file)
    size, values = sum(column.num_bytes for column in columns), sum(column.num_values for column in columns)
    if size > MAX_BYTES or values > len(types) * MAX_LABELS * max(videos, 1):
        raise UserError(
            f"{values:,} values in {size:,} bytes", where=str(file), expected=f"the predictions of {videos:,} videos"
        )


def _check_values(file: Path, table: pa.Table, num_classes: int) -> None:
    if any(table[name].null_count for name in table.column_names):
        raise UserError("missing values", where=str(file), expected="id, labels, scores and true labels of each video")
    if len(table) and pc.max(pc.utf8_length(table["id"])).as_py() > MAX_ID_LENGTH:
        raise UserError(f"an id of more than {MAX_ID_LENGTH} characters", where=str(file))
    lengths = [pc.list_value_length(table[name]) for name in ("labels", "scores")]
    if not lengths[0].equals(lengths[1]):
        raise UserError("different numbers of labels and scores", where=str(file), expected="one score per label")
    for name, limit in (("labels", num_classes - 1), ("scores", 1), ("true_labels", num_classes - 1)):
        flat = pc.list_flatten(table[name])
        is_valid = pc.and_(pc.greater_equal(flat, 0), pc.less_equal(flat, limit))  # False for NaN
        if flat.null_count or not pc.all(is_valid, min_count=0).as_py():
            raise UserError(f"values outside the range of '{name}'", where=str(file), expected=f"0 to {limit}")
