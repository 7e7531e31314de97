"""One pass over the shards → a Parquet table: who is in them, with which labels, and where the features lie.

Every checksum and frame header is verified in that pass, in several processes, so that reading a video afterwards is
nothing but copies from the memory map. The table lives in the workspace, not beside the shards, which are often on a
read-only disk. A shard whose size or time has changed is read again; the others are kept.
"""

import hashlib
import json
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from glob import glob
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from yt8m_core.data.records import payloads
from yt8m_core.data.scan import Schema, Streams, detect, scan
from yt8m_core.errors import UserError
from yt8m_core.files import replacing
from yt8m_core.workspace import workspace

FORMAT = 1
# Below this many bytes a second process costs more than it brings.
PARALLEL_BYTES = 256 << 20

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
class Shard:
    """One file of a data set, as it was when it was read."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Index:
    """The table of a data set: ``COLUMNS``, a row a video, in the order of the shards."""

    schema: Schema
    shards: tuple[Shard, ...]
    table: pa.Table


def find_shards(data: str | Path) -> list[Path]:
    """The shards that DATA names: a file, every ``*.tfrecord`` of a folder, or a glob; sorted by name.

    Raises UserError where there is none.
    """
    named = _expanded(data)
    path = named.absolute()
    with _readable(path):
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


@contextmanager
def _readable(path: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None


def open_index(
    data: str | Path, *, streams: Streams | None = None, processes: int | None = None, progress: Progress | None = None
) -> Index:
    """The index of DATA: read from the workspace where it is still true, made (again) where it is not.

    ``streams`` names the feature streams of one's own data; known data sets are recognised.
    Raises UserError (RecordError) for the first record that cannot be used, and for a video that is there twice; the
    index is written only when the whole pass went well.
    """
    paths = find_shards(data)
    shards = tuple(map(_shard, paths))
    key = f"{_expanded(data).absolute()} {streams}"
    cached = workspace() / "index" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet"
    old = _read(cached)
    if old is not None and old.shards == shards:
        return old

    schema = _schema_of(paths, streams)
    kept: dict[Shard, pa.Table] = {}
    if old is not None and old.schema == schema:
        wanted = set(shards)
        first = np.searchsorted(old.table["shard"].to_numpy(), np.arange(len(old.shards) + 1))
        kept = {s: old.table.slice(first[i], first[i + 1] - first[i]) for i, s in enumerate(old.shards) if s in wanted}
    total, done = sum(s.size for s in shards), sum(s.size for s in kept)
    for shard, table in _index_shards([s for s in shards if s not in kept], schema, processes):
        kept[shard] = table
        done += shard.size
        if progress:
            progress(done, total)
    numbered = [
        kept[s].set_column(1, "shard", pa.repeat(pa.scalar(i, pa.int32()), kept[s].num_rows))
        for i, s in enumerate(shards)
    ]
    index = Index(schema, shards, pa.concat_tables(numbered).combine_chunks())
    _refuse_duplicates(index)
    _write(cached, index)
    return index


def _shard(path: Path) -> Shard:
    with _readable(path):
        stat = path.stat()
    return Shard(str(path), stat.st_size, stat.st_mtime_ns)


def _schema_of(paths: Iterable[Path], streams: Streams | None) -> Schema:
    for path in paths:
        with _mapped(path) as data:
            for start, end in payloads(data, path):
                return detect(data[start:end], path, streams)
    raise UserError("no records", where=", ".join(map(str, paths)), advice="The shards are empty.")


@contextmanager
def _mapped(path: Path | str) -> Iterator[memoryview]:
    """A shard as a view of its bytes; an empty file cannot be mapped and is an empty view."""
    with _readable(path), open(path, "rb") as file:
        empty = not os.fstat(file.fileno()).st_size
        # Not closed but dropped: NumPy views of a scan that raised may still hold it.
        data = memoryview(b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    yield data


def _index_shards(shards: Sequence[Shard], schema: Schema, processes: int | None) -> Iterator[tuple[Shard, pa.Table]]:
    rest = dict.fromkeys(shards)
    processes = min(processes or os.cpu_count() or 1, len(shards))
    if processes > 1 and sum(shard.size for shard in shards) >= PARALLEL_BYTES:
        # spawn, for the app and torch have threads, and a forked child inherits their locks. It runs the main script
        # again, and dies of that where the script lacks `if __name__ == "__main__"`: then the rest is read here.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool, suppress(BrokenProcessPool):
            try:
                waiting = {pool.submit(index_shard, shard.path, schema): shard for shard in shards}
                for future in as_completed(waiting):
                    table, shard = future.result(), waiting[future]
                    del rest[shard]
                    yield shard, table
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    for shard in rest:
        yield shard, index_shard(shard.path, schema)


def index_shard(path: str, schema: Schema) -> pa.Table:
    """The rows of one shard. Raises RecordError for a record that cannot be used."""
    columns: list[list[Any]] = [[] for _ in range(6)]
    with _mapped(path) as data:
        for record, (start, end) in enumerate(payloads(data, path)):
            row = scan(data, start, end, schema, path, record)
            for column, value in zip(
                columns, (start, end, row.id, row.num_frames, row.labels, row.offsets), strict=True
            ):
                column.append(value)
    starts, ends, ids, num_frames, labels, offsets = columns
    shard = [None] * len(ids)  # numbered when the shards of the data set are put together
    values = (ids, shard, list(range(len(ids))), starts, ends, num_frames, labels, offsets)
    return pa.table(dict(zip(COLUMNS.names, values, strict=True)), schema=COLUMNS)


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
        return Index(schema, tuple(Shard(**shard) for shard in stored["shards"]), table.combine_chunks())
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
        return None


def _write(cached: Path, index: Index) -> None:
    stored = {
        "format": FORMAT,
        "level": index.schema.level,
        "streams": index.schema.streams,
        "shards": [asdict(shard) for shard in index.shards],
    }
    table = index.table.replace_schema_metadata({"yt8m": json.dumps(stored)})
    try:
        with replacing(cached) as unfinished:
            pq.write_table(table, unfinished, write_page_checksum=True)
    except OSError as error:
        raise UserError(
            f"the index cannot be written: {error}", advice="Name a folder that has room in YT8M_HOME."
        ) from None
