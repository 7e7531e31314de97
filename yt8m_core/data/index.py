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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import islice
from multiprocessing import current_process, get_context
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from yt8m_core.data.index_store import (
    COLUMNS,
    FORMAT,
    Index,
    index_file,
    read_index,
    read_rows,
    write_index,
    write_rows,
)
from yt8m_core.data.schema import Schema, Streams
from yt8m_core.data.shard_cache import open_shard, shard_cache
from yt8m_core.data.shard_rows import ShardRows, concatenate, merge_tables
from yt8m_core.data.shards import readable_shard
from yt8m_core.data.sources import find_sources
from yt8m_core.data.tfrecord.bad_records import BadRecord
from yt8m_core.data.tfrecord.content import Piece, digest_content
from yt8m_core.data.tfrecord.parse import detect_schema
from yt8m_core.data.tfrecord.ratings import Rating
from yt8m_core.data.tfrecord.records import RecordError, iter_records, iter_spans, stored_checksum
from yt8m_core.data.tfrecord.scan import scan_record
from yt8m_core.data.tfrecord.shard import Shard, settled_shards
from yt8m_core.data.unique_ids import make_ids_unique
from yt8m_core.errors import UserError
from yt8m_core.processes.group import ALONE, Group
from yt8m_core.processes.parts import Parts, shared_lock
from yt8m_core.progress import Progress, silent

# Below this many bytes, starting more processes costs more time than it saves.
PARALLEL_BYTES = 256 << 20
# With skip_bad, number of records per shard to try when detecting the schema.
MAX_SCHEMA_TRIES = 100


def open_index(
    data: str | Path,
    *,
    streams: Streams | None = None,
    skip_bad: bool = False,
    processes: int | None = None,
    group: Group = ALONE,
    progress: Progress = silent,
) -> Index:
    """Return the index of DATA from the workspace, or build it if it is missing or out of date.

    The index is stored only after all shards have been indexed.

    Args:
        data: a shard, a folder of shards, or a glob; or the address of one, whose states are listed. Only shards
            that have changed are downloaded.
        streams: feature streams of the data set; those of YouTube-8M and AudioSet are recognized.
        skip_bad: skip bad records and list them in ``Index.bad_records``.
        processes: number of processes that this one starts; None for the number of CPU cores.
        group: the processes that divide the shards; each returns the index.
        progress: called with the number of bytes indexed.

    Raises:
        UserError: a record is bad (RecordError, without ``skip_bad``), all records are bad, or a video id occurs twice.
    """
    sources = find_sources(data)
    file = index_file(data, streams)
    old = read_index(file)
    if group.share(_is_current(old, sources, skip_bad)):
        return old or _missing_index(file)

    if not sources[0].is_remote:  # versions of remote ones have names
        sources = settled_shards([Path(source.path) for source in sources])
    shards = tuple(readable_shard(source, progress) for source in sources)
    schema = _remote_schema(old, shards) or _detect_schema(shards, streams, skip_bad)
    shard_rows = {} if old is None or old.schema != schema else _reusable_rows(old, set(shards), skip_bad)
    total, done = sum(s.size for s in shards), sum(s.size for s in shard_rows)

    def report_each(indexed: Iterator[tuple[Shard, ShardRows]]) -> Iterator[tuple[Shard, ShardRows]]:
        nonlocal done
        for shard, rows in indexed:
            done = min(done + shard.size * group.size, total)  # the other processes are about as fast
            progress(f"indexing {data}", done, total)
            yield shard, rows

    missing = [shard for shard in shards if shard not in shard_rows]
    if group.size == 1 and sum(shard.size for shard in missing) < PARALLEL_BYTES:
        shard_rows |= merge_tables(report_each(_index_shards(missing, schema, skip_bad, processes)))
        index = Index(schema, shards, *_table(shards, shard_rows, skip_bad), sources)
        write_index(file, index)
        return index
    _stop_in_own_worker()
    what = json.dumps([FORMAT, schema.level, schema.streams, schema.has_float_frames, skip_bad])
    parts = Parts(file.with_name(f".{file.stem}.{_digest(what)}.parts"), [_digest(repr(shard)) for shard in missing])
    with shared_lock(file, "indexing of this data set", group, progress):
        made = read_index(file)  # another group may have made it meanwhile
        if group.share(_is_current(made, sources, skip_bad)):
            return made or _missing_index(file)
        own = {missing[number]: number for number in parts.share(group)}
        for shard, rows in report_each(_index_shards(list(own), schema, skip_bad, processes)):
            with parts.write(own[shard]) as unfinished:
                write_rows(unfinished, rows)
            group.check()
        parts.wait(group)
        shard_rows |= merge_tables((shard, read_rows(path)) for shard, path in zip(missing, parts.paths, strict=True))
        index = Index(schema, shards, *_table(shards, shard_rows, skip_bad), sources)
        if group.is_first:
            write_index(file, index)
        parts.remove(group)
    return index


def _stop_in_own_worker() -> None:
    """End a worker process that runs its caller's script again, as it does without ``if __name__ == "__main__"``.

    It would wait for the lock that its caller holds until this worker has ended. Its caller indexes alone then.
    """
    if getattr(current_process(), "_inheriting", False):  # as multiprocessing itself finds out
        raise RuntimeError('the script starts again in each of its processes: it lacks `if __name__ == "__main__":`')


def _table(
    shards: Sequence[Shard], shard_rows: Mapping[Shard, ShardRows], skip_bad: bool
) -> tuple[pa.Table, tuple[BadRecord, ...]]:
    """Return the table of all shards, in which each id occurs once, and the bad records."""
    table, bad = concatenate([shard_rows[shard] for shard in shards])
    if not table.num_rows:
        raise UserError(f"all {len(bad):,} records are bad. The first: {bad[0].message}")
    table, duplicates = make_ids_unique(table, shards, skip_bad=skip_bad)
    return table, (*bad, *duplicates)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_current(index: Index | None, sources: Sequence[Shard], skip_bad: bool) -> bool:
    """Whether a stored index is that of these sources, and may be used."""
    if index is None or index.sources != sources or (index.bad_records and not skip_bad):
        return False
    return _expanded_exist(index)


def _missing_index(file: Path) -> NoReturn:
    raise UserError("no index of the first process", where=str(file), expected="a disk that all machines share")


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
    rows: list[tuple[Any, ...]] = []
    pieces: list[tuple[Piece, ...]] = []
    bad = []
    opened = open_shard(shard)
    data, path = opened.data, shard.name
    for record, span in enumerate(iter_spans(data, path)):
        try:
            if isinstance(span, RecordError):
                raise span
            row = scan_record(data, *span, stored_checksum(data, span[1]), schema, path, record)
        except RecordError as error:
            if not skip_bad:
                raise
            bad.append(BadRecord(path, record, str(error), error.unreadable_bytes))
        else:  # concatenate fills in the shard number
            rows.append((
                row.id, None, record, *span, row.num_frames, row.labels, row.offsets,
                None, row.start_time, _rating_rows(row.ratings), row.findings, row.unread_keys or None,
            ))  # fmt: skip
            pieces.append(row.pieces)
        opened.check()  # before the next record is read
    names = [name for name in COLUMNS.names if name != "content"]
    columns = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    table = pa.table({**columns, "content": digest_content(pieces)}, schema=COLUMNS)
    return ShardRows(table, 0, len(table), tuple(bad))


def _rating_rows(ratings: tuple[Rating, ...] | None) -> list[dict[str, Any]] | None:
    return None if ratings is None else [rating._asdict() for rating in ratings]
