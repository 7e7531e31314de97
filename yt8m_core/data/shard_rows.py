"""Index rows of shards, merged into few tables: an Arrow table takes 20 KB, however few rows it has."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from yt8m_core.data.tfrecord.bad_records import BadRecord
from yt8m_core.data.tfrecord.shard import Shard

MERGED_SHARDS = 256


@dataclass(frozen=True)
class ShardRows:
    """Index rows of one shard, with an undefined shard column, and its bad records.

    Attributes:
        table: a table with these rows, and maybe those of other shards.
        first: the first row.
        count: number of rows.
        bad_records: bad records of the shard.
    """

    table: pa.Table
    first: int
    count: int
    bad_records: tuple[BadRecord, ...]


def merge_tables(rows: Iterable[tuple[Shard, ShardRows]]) -> Iterator[tuple[Shard, ShardRows]]:
    """Yield the same rows in the same order, with one table for every ``MERGED_SHARDS`` shards."""
    pending: list[tuple[Shard, ShardRows]] = []
    for entry in rows:
        pending.append(entry)
        if len(pending) == MERGED_SHARDS:
            yield from _merge(pending)
            pending.clear()
    if pending:
        yield from _merge(pending)


def _merge(entries: Sequence[tuple[Shard, ShardRows]]) -> Iterator[tuple[Shard, ShardRows]]:
    table, _ = concatenate([rows for _, rows in entries])
    first = 0
    for shard, rows in entries:
        yield shard, ShardRows(table, first, rows.count, rows.bad_records)
        first += rows.count


def concatenate(shard_rows: Sequence[ShardRows]) -> tuple[pa.Table, tuple[BadRecord, ...]]:
    """Return one table with the rows of shards, numbered in this order, and all bad records."""
    parts: list[tuple[pa.Table, int, int]] = []  # table, first row, row after the last one
    for rows in shard_rows:
        first = rows.first
        if parts and parts[-1][0] is rows.table and parts[-1][2] == first:
            first = parts.pop()[1]
        parts.append((rows.table, first, rows.first + rows.count))
    table = pa.concat_tables([table.slice(first, end - first) for table, first, end in parts])
    numbers = np.repeat(np.arange(len(shard_rows), dtype=np.int32), [rows.count for rows in shard_rows])
    bad = tuple(record for rows in shard_rows for record in rows.bad_records)
    return table.set_column(1, "shard", pa.array(numbers)).combine_chunks(), bad
