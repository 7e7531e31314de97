"""The best labels of each validation video that a run keeps, read from a file that anybody may have written."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import check_size

MAX_VIDEOS = 1 << 24  # above the 8.3 million of the largest edition
MAX_BYTES = 1 << 32  # of the file, and of what its columns say that they take in memory
MAX_LABELS = 64  # a video, on average
MAX_ID = 100
LISTS = ("labels", "scores", "true_labels")


def read_predictions(file: Path, videos: int, num_classes: int) -> pd.DataFrame:
    """Each video's best labels: id, labels [20], scores [20], true_labels.

    What the file's own head says of its sizes is looked at before anything is read.

    Raises:
        FileNotFoundError: there is no file.
        UserError: it does not hold so many videos, or labels and scores that cannot be.
    """
    try:
        check_size(file, MAX_BYTES)
        with pq.ParquetFile(file) as opened:
            _check_head(file, opened, videos)
            table = opened.read(["id", *LISTS])
        _check_values(file, table, num_classes)
        found: pd.DataFrame = table.to_pandas()
        return found
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UserError(f"no predictions ({str(error)[:200]})", where=str(file)) from None


def _check_head(file: Path, opened: pq.ParquetFile, videos: int) -> None:
    head, schema = opened.metadata, opened.schema_arrow
    if head.num_rows != videos:
        raise UserError(f"{head.num_rows:,} videos", where=str(file), expected=f"{videos:,}")
    kinds = {name: schema.field(name).type for name in ("id", *LISTS)}
    fits = pa.types.is_string(kinds["id"]) or pa.types.is_large_string(kinds["id"])
    for name, of in zip(LISTS, (pa.types.is_integer, pa.types.is_floating, pa.types.is_integer), strict=True):
        fits = fits and pa.types.is_list(kinds[name]) and of(kinds[name].value_type)
    if not fits:
        found = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        raise UserError(found[:200], where=str(file), expected="text, and lists of labels, scores and labels")
    groups = [head.row_group(number) for number in range(head.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    size, values = (sum(getattr(c, of) for c in columns) for of in ("total_uncompressed_size", "num_values"))
    if size > MAX_BYTES or values > len(kinds) * MAX_LABELS * max(videos, 1):
        raise UserError(f"{values:,} values in {size:,} bytes", where=str(file), expected=f"those of {videos:,} videos")


def _check_values(file: Path, table: pa.Table, num_classes: int) -> None:
    if any(table[name].null_count for name in table.column_names):
        raise UserError(
            "videos without a value", where=str(file), expected="id, labels, scores and true labels of each"
        )
    if len(table) and pc.max(pc.utf8_length(table["id"])).as_py() > MAX_ID:
        raise UserError(f"an id of more than {MAX_ID} characters", where=str(file))
    lengths = [pc.list_value_length(table[name]) for name in ("labels", "scores")]
    if not lengths[0].equals(lengths[1]):
        raise UserError("videos with more labels than scores, or less", where=str(file), expected="a score a label")
    for name, most in (("labels", num_classes - 1), ("scores", 1), ("true_labels", num_classes - 1)):
        flat = pc.list_flatten(table[name])
        fits = pc.and_(pc.greater_equal(flat, 0), pc.less_equal(flat, most))  # a NaN does neither
        if flat.null_count or not pc.all(fits, min_count=0).as_py():
            raise UserError(f"values in column '{name}' that it cannot have", where=str(file), expected=f"0 to {most}")
