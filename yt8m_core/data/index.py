"""Index shards into a Parquet table: ids, labels and feature offsets of all videos.

Indexing verifies every checksum and frame header, in several processes, so that a video can later be read by copying
from the memory map. The table is stored in the workspace, because shards are often on a read-only disk. Only shards
with another state (``FileState``) are indexed again.

A bad record is an error, unless ``skip_bad`` is set. The index lists skipped records; an index with skipped records
is used only by callers that also set ``skip_bad``.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from crc32c import crc32c

from yt8m_core.data.schema import Schema, Streams
from yt8m_core.data.shard_cache import open_shard, shard_cache
from yt8m_core.data.shard_rows import ShardRows, concatenate, merge_tables
from yt8m_core.data.shards import readable_shard
from yt8m_core.data.sources import data_key, find_sources
from yt8m_core.data.tfrecord.bad_records import BadRecord
from yt8m_core.data.tfrecord.parse import detect_schema
from yt8m_core.data.tfrecord.records import RecordError, iter_records
from yt8m_core.data.tfrecord.scan import scan_record
from yt8m_core.data.tfrecord.shard import Shard, settled_shards
from yt8m_core.data.unique_ids import make_ids_unique
from yt8m_core.errors import UserError
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.file_state import FileState
from yt8m_core.storage.remote import RemoteState
from yt8m_core.workspace import workspace

FORMAT = 4
CHECKSUM_SIZE = 4  # bytes at the end of the file: CRC32C of all others, little-endian
# Below this many bytes, starting more processes costs more time than it saves.
PARALLEL_BYTES = 256 << 20
# With skip_bad, number of records per shard to try when detecting the schema.
MAX_SCHEMA_TRIES = 100

COLUMNS = pa.schema(
    {
        "id": pa.string(),
        "shard": pa.int32(),
        "record": pa.int32(),
        "start": pa.int64(),
        "end": pa.int64(),
        "num_frames": pa.int32(),
        "labels": pa.list_(pa.int32()),
        "offsets": pa.list_(pa.int64()),
        "video_id": pa.string(),  # of the record, where the id is that of a segment; else null
        "start_time": pa.float64(),  # of a segment, in seconds; null if unknown
        "content": pa.int64(),  # digest of the features
        "findings": pa.int8(),  # bits of ``scan.py``
        "unread_keys": pa.list_(pa.string()),  # null if there are none
    }
)


@dataclass(frozen=True)
class Index:
    """Index of a data set: a table with ``COLUMNS`` and one row per video, in shard order."""

    schema: Schema
    shards: tuple[Shard, ...]
    table: pa.Table
    bad_records: tuple[BadRecord, ...] = ()  # skipped
    sources: tuple[Shard, ...] = ()  # files that the shards were expanded from; for other shards the shards themselves


def open_index(
    data: str | Path,
    *,
    streams: Streams | None = None,
    skip_bad: bool = False,
    processes: int | None = None,
    progress: Progress = silent,
) -> Index:
    """Return the index of DATA from the workspace, or build it if it is missing or out of date.

    The index is stored only after all shards have been indexed.

    Args:
        data: a shard, a folder of shards, or a glob; or the address of one, whose states are listed. Only shards
            that have changed are downloaded.
        streams: feature streams of the data set; those of YouTube-8M and AudioSet are recognized.
        skip_bad: skip bad records and list them in ``Index.bad_records``.
        processes: number of processes; None for the number of CPU cores.
        progress: called with the number of bytes indexed.

    Raises:
        UserError: a record is bad (RecordError, without ``skip_bad``), all records are bad, or a video id occurs twice.
    """
    sources = find_sources(data)
    file = index_file(data, streams)
    old = _read_index(file)
    if old is not None and old.sources == sources and (skip_bad or not old.bad_records) and _expanded_exist(old):
        return old

    if not sources[0].is_remote:  # versions of remote ones have names
        sources = settled_shards([Path(source.path) for source in sources])
    shards = tuple(readable_shard(source, progress) for source in sources)
    schema = _remote_schema(old, shards) or _detect_schema(shards, streams, skip_bad)
    shard_rows = {} if old is None or old.schema != schema else _reusable_rows(old, set(shards), skip_bad)
    total, done = sum(s.size for s in shards), sum(s.size for s in shard_rows)

    def report_each(indexed: Iterator[tuple[Shard, ShardRows]]) -> Iterator[tuple[Shard, ShardRows]]:
        nonlocal done
        for shard, rows in indexed:
            done += shard.size
            progress(f"indexing {data}", done, total)
            yield shard, rows

    missing = [shard for shard in shards if shard not in shard_rows]
    shard_rows |= merge_tables(report_each(_index_shards(missing, schema, skip_bad, processes)))
    table, bad = concatenate([shard_rows[shard] for shard in shards])
    if not table.num_rows:
        raise UserError(f"all {len(bad):,} records are bad. The first: {bad[0].message}")
    table, duplicates = make_ids_unique(table, shards, skip_bad=skip_bad)
    index = Index(schema, shards, table, (*bad, *duplicates), sources)
    _write_index(file, index)
    return index


def index_file(data: str | Path, streams: Streams | None = None) -> Path:
    """Return the file that stores the index of DATA."""
    key = f"{data_key(data)} {streams}"
    return workspace() / "index" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet"


def _expanded_exist(index: Index) -> bool:
    """Whether the expanded copies of compressed shards are still as they were indexed."""
    with suppress(UserError):
        return all(not shard.source or shard == Shard.at(Path(shard.path), shard.source) for shard in index.shards)
    return False


def _reusable_rows(old: Index, current: Collection[Shard], skip_bad: bool) -> dict[Shard, ShardRows]:
    """Return the rows of unchanged shards, without ``skip_bad`` only of those that have no bad records.

    Of the shards with duplicates, some rows were left out because of other shards.
    """
    bad: dict[str, list[BadRecord]] = {}
    for record in old.bad_records:
        bad.setdefault(record.shard, []).append(record)
    incomplete = {record.shard for record in old.bad_records if record.is_duplicate}
    table = old.table.set_column(0, "id", pc.coalesce(old.table["video_id"], old.table["id"]))
    first = np.searchsorted(old.table["shard"].to_numpy(), np.arange(len(old.shards) + 1))
    return {
        shard: ShardRows(table, int(first[i]), int(first[i + 1] - first[i]), tuple(bad.get(shard.name, ())))
        for i, shard in enumerate(old.shards)
        if shard in current and shard.name not in incomplete and (skip_bad or shard.name not in bad)
    }


def _remote_schema(old: Index | None, shards: Sequence[Shard]) -> Schema | None:
    """Return the schema that was detected in the first shard before, if it is remote, to spare its download."""
    is_same = old is not None and shards[0].is_remote and shards[0] == old.shards[0]
    return old.schema if old is not None and is_same and old.table["shard"][0].as_py() == 0 else None


def _detect_schema(shards: Iterable[Shard], streams: Streams | None, skip_bad: bool) -> Schema:
    """Detect the schema from the first record, with ``skip_bad`` from the first record that has a known one."""
    first_error: UserError | None = None
    for shard in shards:
        opened = open_shard(shard)
        for span in islice(iter_records(opened.data, shard.name), MAX_SCHEMA_TRIES if skip_bad else 1):
            try:
                if isinstance(span, RecordError):
                    raise span
                return detect_schema(opened.data[slice(*span)], shard.name, streams)
            except UserError as error:
                if not skip_bad:
                    raise
                first_error = first_error or error
            opened.check()
    if first_error is not None:
        raise first_error
    raise UserError("no records", where=", ".join(shard.name for shard in shards), advice="The shards are empty.")


def _index_shards(
    shards: Sequence[Shard], schema: Schema, skip_bad: bool, processes: int | None
) -> Iterator[tuple[Shard, ShardRows]]:
    remaining = dict.fromkeys(shards)
    processes = min(processes or os.cpu_count() or 1, len(shards))
    if remote := [shard.size for shard in shards if shard.is_remote]:  # each process reads a shard of the cache
        processes = max(1, min(processes, shard_cache().budget // max(max(remote), 1)))
    if processes > 1 and sum(shard.size for shard in shards) >= PARALLEL_BYTES:
        # spawn: a forked child would inherit the locks of the app's and torch's threads. A spawned child imports the
        # main script and dies if that lacks `if __name__ == "__main__"`; then this process indexes the rest.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool, suppress(BrokenProcessPool):
            try:
                futures = {pool.submit(index_shard, shard, schema, skip_bad): shard for shard in shards}
                for future in as_completed(futures):
                    rows, shard = future.result(), futures[future]
                    del remaining[shard]
                    yield shard, rows
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    for shard in remaining:
        yield shard, index_shard(shard, schema, skip_bad)


def index_shard(shard: Shard, schema: Schema, skip_bad: bool = False) -> ShardRows:
    """Index one shard.

    Raises:
        RecordError: a record is bad (without ``skip_bad``).
        UserError: the shard changes meanwhile.
    """
    columns: list[list[Any]] = [[] for _ in COLUMNS]
    bad = []
    opened = open_shard(shard)
    data, path = opened.data, shard.name
    for record, span in enumerate(iter_records(data, path)):
        try:
            if isinstance(span, RecordError):
                raise span
            row = scan_record(data, *span, schema, path, record)
        except RecordError as error:
            if not skip_bad:
                raise
            bad.append(BadRecord(path, record, str(error), error.unreadable_bytes))
        else:  # concatenate fills in the shard number
            values = (
                row.id, None, record, *span, row.num_frames, row.labels, row.offsets,
                None, row.start_time, row.content, row.findings, row.unread_keys or None,
            )  # fmt: skip
            for column, value in zip(columns, values, strict=True):
                column.append(value)
        opened.check()  # before the next record is read
    table = pa.table(dict(zip(COLUMNS.names, columns, strict=True)), schema=COLUMNS)
    return ShardRows(table, 0, len(table), tuple(bad))


def _read_index(file: Path) -> Index | None:
    """Read a stored index; None if it is missing, damaged or of another version."""
    try:
        with pa.memory_map(str(file)) as mapped:
            content = mapped.read_buffer()
        end = max(content.size - CHECKSUM_SIZE, 0)
        if content[end:].to_pybytes() != _checksum(content[:end]):
            return None
        table = pq.read_table(pa.BufferReader(content[:end]))
        stored = json.loads(table.schema.metadata[b"yt8m"])
        if stored["format"] != FORMAT or not table.schema.equals(COLUMNS):
            return None
        streams = tuple((name, dim) for name, dim in stored["streams"])
        schema = Schema(stored["level"], streams, stored["has_float_frames"])
        bad = tuple(BadRecord(**record) for record in stored["bad"])
        shards, sources = (tuple(_parse_shard(**shard) for shard in stored[key]) for key in ("shards", "sources"))
        return Index(schema, shards, table.combine_chunks(), bad, sources)
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


def _parse_shard(path: str, state: dict[str, Any], source: str) -> Shard:
    return Shard(path, RemoteState(**state) if "version" in state else FileState(**state), source)


def _checksum(content: pa.Buffer) -> bytes:
    """Return the checksum of the content of an index, footer included: a wrong offset would read other features."""
    return crc32c(memoryview(content)).to_bytes(CHECKSUM_SIZE, "little")


def _write_index(file: Path, index: Index) -> None:
    stored = {
        "format": FORMAT,
        "level": index.schema.level,
        "streams": index.schema.streams,
        "has_float_frames": index.schema.has_float_frames,
        "shards": [asdict(shard) for shard in index.shards],
        "sources": [asdict(shard) for shard in index.sources],
        "bad": [asdict(record) for record in index.bad_records],
    }
    table = index.table.replace_schema_metadata({"yt8m": json.dumps(stored)})
    try:
        with atomic_write(file) as unfinished:
            pq.write_table(table, unfinished)
            with pa.memory_map(str(unfinished)) as mapped:
                checksum = _checksum(mapped.read_buffer())
            with unfinished.open("ab") as opened:
                opened.write(checksum)
    except OSError as error:
        raise UserError(
            f"the index cannot be written: {error}",
            advice="Set YT8M_HOME to a folder with free space that you may write to.",
        ) from None
