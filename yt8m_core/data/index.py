"""One pass over the shards → a Parquet table: who is in them, with which labels, and where the features lie.

Every checksum and frame header is verified in that pass, in several processes, so that reading a video afterwards is
nothing but copies from the memory map. The table lives in the workspace, not beside the shards, which are often on a
read-only disk. A shard whose size or time has changed is read again; the others are kept.

A bad record ends the pass, unless it is asked to leave such records out (``skip_bad``). What was left out stands in the
index, which then serves nobody who did not ask for that: the table is one thing, to accept its gaps another.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict, dataclass
from glob import glob
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from yt8m_core.data.schema import Schema, Streams
from yt8m_core.data.tfrecord.bad_records import BadRecord
from yt8m_core.data.tfrecord.records import RecordError, walk
from yt8m_core.data.tfrecord.scan import detect, scan
from yt8m_core.data.tfrecord.shard import OpenShard, Shard, let_settle, readable
from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.workspace import workspace

FORMAT = 2
# Below this many bytes a second process costs more than it brings.
PARALLEL_BYTES = 256 << 20
# Where bad records are left out, so many of a shard are asked what the data set holds.
TRIED = 100

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
    }
)

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class Index:
    """The table of a data set: ``COLUMNS``, a row a video, in the order of the shards."""

    schema: Schema
    shards: tuple[Shard, ...]
    table: pa.Table
    bad: tuple[BadRecord, ...] = ()  # what was left out


def find_shards(data: str | Path) -> list[Path]:
    """The shards that DATA names: a file, every ``*.tfrecord`` of a folder, or a glob; sorted by name.

    Raises UserError where there is none.
    """
    named = _expanded(data)
    path = named.absolute()
    with readable(path):
        is_file, is_folder = path.is_file(), path.is_dir()
    if is_file:
        return [path]
    if is_folder:
        found = sorted(p for p in path.glob("*.tfrecord") if not p.is_dir())
        inner = sorted({p.parent.name for p in path.glob("*/*.tfrecord")})
        advice = f"It has shards in its folders {', '.join(inner)}: name one of them." if inner else ""
        if not found:
            raise UserError(
                "no *.tfrecord file", where=f"folder {path}", advice=advice or "Name the folder of the shards."
            )
        return found
    found = sorted(Path(name).absolute() for name in glob(str(named)) if not os.path.isdir(name))
    if not found:
        raise UserError(
            f"no file matches {path}", advice="Name a .tfrecord file, a folder of them, or a glob in quotes."
        )
    return found


def _expanded(data: str | Path) -> Path:
    try:
        return Path(data).expanduser()
    except RuntimeError:
        raise UserError(f"nobody has the home folder that '{data}' names") from None


def open_index(
    data: str | Path,
    *,
    streams: Streams | None = None,
    skip_bad: bool = False,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Index:
    """The index of DATA: read from the workspace where it is still true, made (again) where it is not.

    ``streams`` names the feature streams of one's own data; known data sets are recognized. ``skip_bad`` leaves records
    out that cannot be used, which ``Index.bad`` then tells.
    Raises UserError (RecordError) for the first record that cannot be used, or where none can, and for a video that is
    there twice; the index is written only when the whole pass went well.
    """
    shards = tuple(map(Shard.at, find_shards(data)))
    key = f"{_expanded(data).absolute()} {streams}"
    cached = workspace() / "index" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet"
    old = _read(cached)
    if old is not None and old.shards == shards and (skip_bad or not old.bad):
        return old

    let_settle(shards)
    schema = _schema_of(shards, streams, skip_bad)
    kept = {} if old is None or old.schema != schema else _kept(old, set(shards), skip_bad)
    total, done = sum(s.size for s in shards), sum(s.size for s in kept)
    for shard, rows in _index_shards([s for s in shards if s not in kept], schema, skip_bad, processes):
        kept[shard] = rows
        done += shard.size
        if progress:
            progress(done, total)
    numbered = [
        kept[s].table.set_column(1, "shard", pa.repeat(pa.scalar(i, pa.int32()), kept[s].table.num_rows))
        for i, s in enumerate(shards)
    ]
    bad = tuple(one for s in shards for one in kept[s].bad)
    index = Index(schema, shards, pa.concat_tables(numbered).combine_chunks(), bad)
    if not index.table.num_rows:
        raise UserError(f"no record can be used, of {len(bad):,}. The first: {bad[0].said}")
    _refuse_duplicates(index)
    _write(cached, index)
    return index


@dataclass(frozen=True)
class Rows:
    """What one shard adds to an index: its rows, not numbered yet, and the records that were left out."""

    table: pa.Table
    bad: tuple[BadRecord, ...]


def _kept(old: Index, wanted: Collection[Shard], skip_bad: bool) -> dict[Shard, Rows]:
    """What an index knows of shards that have not changed; without those that must be sound and are not."""
    bad: dict[str, list[BadRecord]] = {}
    for one in old.bad:
        bad.setdefault(one.shard, []).append(one)
    first = np.searchsorted(old.table["shard"].to_numpy(), np.arange(len(old.shards) + 1))
    return {
        shard: Rows(old.table.slice(first[i], first[i + 1] - first[i]), tuple(bad.get(shard.path, ())))
        for i, shard in enumerate(old.shards)
        if shard in wanted and (skip_bad or shard.path not in bad)
    }


def _schema_of(shards: Iterable[Shard], streams: Streams | None, skip_bad: bool) -> Schema:
    """What the first record says that the data set holds; the first that says it, where bad records are left out."""
    fault: UserError | None = None
    for shard in shards:
        opened = OpenShard(shard)
        for found in islice(walk(opened.data, shard.path), TRIED if skip_bad else 1):
            try:
                if isinstance(found, RecordError):
                    raise found
                return detect(opened.data[slice(*found)], shard.path, streams)
            except UserError as error:
                if not skip_bad:
                    raise
                fault = fault or error
            opened.check()
    if fault is not None:
        raise fault
    raise UserError("no records", where=", ".join(s.path for s in shards), advice="The shards are empty.")


def _index_shards(
    shards: Sequence[Shard], schema: Schema, skip_bad: bool, processes: int | None
) -> Iterator[tuple[Shard, Rows]]:
    rest = dict.fromkeys(shards)
    processes = min(processes or os.cpu_count() or 1, len(shards))
    if processes > 1 and sum(shard.size for shard in shards) >= PARALLEL_BYTES:
        # spawn, for the app and torch have threads, and a forked child inherits their locks. It runs the main script
        # again, and dies of that where the script lacks `if __name__ == "__main__"`: then the rest is read here.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool, suppress(BrokenProcessPool):
            try:
                waiting = {pool.submit(index_shard, shard, schema, skip_bad): shard for shard in shards}
                for future in as_completed(waiting):
                    rows, shard = future.result(), waiting[future]
                    del rest[shard]
                    yield shard, rows
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    for shard in rest:
        yield shard, index_shard(shard, schema, skip_bad)


def index_shard(shard: Shard, schema: Schema, skip_bad: bool = False) -> Rows:
    """The rows of one shard.

    Raises RecordError for a record that cannot be used, unless ``skip_bad``, and UserError where the shard changes.
    """
    columns: list[list[Any]] = [[] for _ in COLUMNS]
    bad = []
    opened = OpenShard(shard)
    data, path = opened.data, shard.path
    for record, found in enumerate(walk(data, path)):
        try:
            if isinstance(found, RecordError):
                raise found
            row = scan(data, *found, schema, path, record)
        except RecordError as error:
            if not skip_bad:
                raise
            bad.append(BadRecord(path, record, str(error), error.rest))
        else:  # the shard is numbered when all of the data set are put together
            values = (row.id, None, record, *found, row.num_frames, row.labels, row.offsets)
            for column, value in zip(columns, values, strict=True):
                column.append(value)
        opened.check()  # before the next one is touched
    return Rows(pa.table(dict(zip(COLUMNS.names, columns, strict=True)), schema=COLUMNS), tuple(bad))


def _refuse_duplicates(index: Index) -> None:
    counts = pc.value_counts(index.table["id"])
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if not len(twice):
        return
    video = twice[0]["values"].as_py()
    rows = index.table.filter(pc.equal(index.table["id"], video)).slice(0, 2).to_pylist()
    places = " and ".join(f"{index.shards[row['shard']].path}, record {row['record']}" for row in rows)
    raise UserError(
        f"{len(twice)} video ids stand there more than once: '{video}' in {places}",
        advice="Scores are kept by id. Name shards that hold each video once.",
    )


def _read(cached: Path) -> Index | None:
    """The stored index, or None where there is none that this version can read."""
    try:
        table = pq.read_table(cached, memory_map=True, page_checksum_verification=True)
        stored = json.loads(table.schema.metadata[b"yt8m"])
        if stored["format"] != FORMAT or not table.schema.equals(COLUMNS):
            return None
        schema = Schema(stored["level"], tuple((name, dim) for name, dim in stored["streams"]))
        bad = tuple(BadRecord(**one) for one in stored["bad"])
        return Index(schema, tuple(Shard(**shard) for shard in stored["shards"]), table.combine_chunks(), bad)
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


def _write(cached: Path, index: Index) -> None:
    stored = {
        "format": FORMAT,
        "level": index.schema.level,
        "streams": index.schema.streams,
        "shards": [asdict(shard) for shard in index.shards],
        "bad": [asdict(one) for one in index.bad],
    }
    table = index.table.replace_schema_metadata({"yt8m": json.dumps(stored)})
    try:
        with atomic_write(cached) as unfinished:
            pq.write_table(table, unfinished, write_page_checksum=True)
    except OSError as error:
        raise UserError(
            f"the index cannot be written: {error}", advice="Name a folder that has room in YT8M_HOME."
        ) from None
