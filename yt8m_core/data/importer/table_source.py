"""Parquet and Arrow files, and data sets that Hugging Face's `datasets` saved on disk: a row per video."""

import json
from collections.abc import Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from yt8m_core.data.features.contents import VideoContents, from_arrays
from yt8m_core.data.importer.arrays import ID_NAMES, LABEL_NAMES, parse_labels
from yt8m_core.data.importer.reading import Reading, read_video
from yt8m_core.errors import UserError

BATCH_ROWS = 64


def count_parquet_rows(path: Path) -> int:
    """Return the number of rows of a Parquet file."""
    with _open_parquet(path) as file:
        return int(file.metadata.num_rows)


def count_arrow_rows(path: Path) -> int:
    """Return the number of rows of an Arrow file."""
    return sum(batch.num_rows for batch in _arrow_batches(path))


def read_parquet(path: Path, name: str, start: int, stop: int | None) -> Iterator[Reading]:
    """Yield the videos of the rows from ``start`` to before ``stop``. Raises UserError where the file is damaged."""
    with _open_parquet(path) as file:
        ends = np.cumsum([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)])
        first = int(np.searchsorted(ends, start, side="right"))
        last = len(ends) if stop is None else int(np.searchsorted(ends, stop)) + 1
        groups = list(range(len(ends)))[first:last]
        skipped = int(ends[first - 1]) if first else 0
        try:
            yield from _read_batches(path, name, start, stop, skipped, file.iter_batches(BATCH_ROWS, row_groups=groups))
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"cannot be read ({str(error)[:200]})", where=str(path), advice="Save it again.") from error


def read_arrow(path: Path, name: str, start: int, stop: int | None) -> Iterator[Reading]:
    """Yield the videos of the rows from ``start`` to before ``stop``. Raises UserError where the file is damaged."""
    yield from _read_batches(path, name, start, stop, 0, _arrow_batches(path))


def _read_batches(
    path: Path, name: str, start: int, stop: int | None, skipped: int, batches: Iterable[pa.RecordBatch]
) -> Iterator[Reading]:
    """Yield the videos from ``start`` to before ``stop`` of batches that begin after ``skipped`` rows."""
    first = skipped
    for batch in batches:
        end = batch.num_rows if stop is None else min(batch.num_rows, stop - first)
        for row in range(max(0, start - first), end):
            where = f"{path}, row {first + row}"
            yield read_video(where, partial(_read_row, where, batch, row, f"{name}-{first + row}"))
        first += batch.num_rows
        if stop is not None and first >= stop:
            return


def _open_parquet(path: Path) -> pq.ParquetFile:
    # Mapped: otherwise Arrow keeps row groups that it has read, or allocates what a damaged page claims to have.
    try:
        return pq.ParquetFile(path, memory_map=True, pre_buffer=False)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=str(path), expected="a Parquet file") from error


def _arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the batches of an Arrow file or stream; `datasets` writes streams."""
    try:
        with pa.memory_map(str(path)) as file:
            if file.read(6) == b"ARROW1":
                reader = pa.ipc.open_file(file)
                yield from (_checked(reader.get_batch(number)) for number in range(reader.num_record_batches))
            else:
                file.seek(0)
                yield from map(_checked, pa.ipc.open_stream(file))
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=str(path), expected="an Arrow file") from error


def _checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch whose offsets are within its values: Arrow reads them without a check."""
    batch.validate(full=True)
    return batch


def _read_row(where: str, batch: pa.RecordBatch, row: int, default_id: str) -> VideoContents:
    arrays: dict[str, NDArray[Any]] = {}
    fields: dict[str, Any] = {"id": default_id}
    for name in batch.schema.names:
        value = batch.column(name)[row]
        if not value.is_valid:
            continue
        if name in ID_NAMES:
            fields["id"] = str(value.as_py())
        elif name in LABEL_NAMES:
            fields |= _read_labels(where, value.as_py(), _class_names(batch.schema, name))
        elif (array := _read_array(f"{where}, column '{name}'", value)) is not None:
            arrays[name] = array
    return from_arrays(where, arrays, **fields)


def _read_array(where: str, value: Any) -> NDArray[Any] | None:
    """Return a list of numbers [dim] or of such lists [T, dim]; None for anything else."""
    value = getattr(value, "value", value) if isinstance(value, pa.ExtensionScalar) else value
    if not _is_list(value.type):
        return None
    values = value.values
    if _is_list(values.type):
        inner = values.flatten()
        if not _is_feature(inner.type) or not len(values):
            return None
        if inner.null_count or len(inner) % len(values) or len({len(frame) for frame in values}) > 1:
            raise UserError("frames of unequal width", where=where, expected="the same number of values in each frame")
        return np.asarray(inner.to_numpy(zero_copy_only=False)).reshape(len(values), -1)
    if not _is_feature(values.type) or values.null_count:
        return None
    return np.asarray(values.to_numpy(zero_copy_only=False))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_feature(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_uint8(kind))


def _read_labels(where: str, value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the labels of a row: ids, names, or ids of `datasets` with the names of their classes."""
    values = value if isinstance(value, list) else [value]
    if names and all(isinstance(entry, int) and -1 <= entry < len(names) for entry in values):
        return {"label_names": tuple(names[entry] for entry in values if entry != -1)}
    return parse_labels(where, values)


@cache
def _class_names(schema: pa.Schema, column: str) -> tuple[str, ...]:
    """Return the names of a ClassLabel column of `datasets`."""
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]
        feature = feature.get("feature", feature) if isinstance(feature, dict) else feature[0]
        return tuple(map(str, feature["names"]))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return ()
