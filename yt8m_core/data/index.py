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
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from glob import glob
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from yt8m_core.data.records import payloads
from yt8m_core.data.scan import Schema, Streams, detect, scan
from yt8m_core.errors import UserError
from yt8m_core.workspace import workspace

FORMAT = 1
# Below this many bytes a second process costs more than it brings.
PARALLEL_BYTES = 256 << 20

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class Shard:
    """One file of a data set, as it was when it was read."""

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Index:
    """The table of a data set; ``table`` columns: id, shard, record, start, end, num_frames, labels, offsets."""

    schema: Schema
    shards: tuple[Shard, ...]
    table: pa.Table


def find_shards(data: str | Path) -> list[Path]:
    """The shards that DATA names: a file, every ``*.tfrecord`` of a folder, or a glob; sorted by name.

    Raises UserError where there is none.
    """
    path = Path(data).expanduser().absolute()
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(path.glob("*.tfrecord"))
        inner = sorted({p.parent.name for p in path.glob("*/*.tfrecord")})
        advice = f"It has shards in its folders {', '.join(inner)}: name one of them." if inner else ""
        if not found:
            raise UserError(
                "no *.tfrecord file", where=f"folder {path}", advice=advice or "Name the folder of the shards."
            )
        return found
    found = sorted(Path(name) for name in glob(str(path)) if os.path.isfile(name))
    if not found:
        raise UserError(
            f"no file matches {path}", advice="Name a .tfrecord file, a folder of them, or a glob in quotes."
        )
    return found


def open_index(
    data: str | Path, *, streams: Streams | None = None, processes: int | None = None, progress: Progress | None = None
) -> Index:
    """The index of DATA: read from the workspace where it is still true, made (again) where it is not.

    ``streams`` names the feature streams of one's own data; known data sets are recognised.
    Raises UserError (RecordError) for the first record that cannot be used, and for a video that is there twice; the
    index is written only when the whole pass went well.
    """
    paths = find_shards(data)
    stats = [path.stat() for path in paths]
    shards = tuple(Shard(str(p), s.st_size, s.st_mtime_ns) for p, s in zip(paths, stats, strict=True))
    key = f"{Path(data).expanduser().absolute()} {streams}"
    cached = workspace() / "index" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet"
    old = _read(cached)
    if old is not None and old.shards == shards:
        return old

    schema = _schema_of(paths, streams)
    kept: dict[Shard, pa.Table] = {}
    if old is not None and old.schema == schema:
        of_shard = old.table["shard"]
        kept = {s: old.table.filter(pc.equal(of_shard, i)) for i, s in enumerate(old.shards) if s in shards}
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
    if not index.table.num_rows:
        raise UserError("no records", where=str(data), advice="The shards are empty.")
    _refuse_duplicates(index)
    _write(cached, index)
    return index


def _schema_of(paths: Iterable[Path], streams: Streams | None) -> Schema:
    for path in paths:
        with _mapped(path) as data:
            for start, end in payloads(data, path):
                return detect(data[start:end], path, streams)
    raise UserError("no records", where=", ".join(map(str, paths)), advice="The shards are empty.")


@contextmanager
def _mapped(path: Path | str) -> Iterator[memoryview]:
    """A shard as a view of its bytes; an empty file cannot be mapped and is an empty view."""
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            yield memoryview(b"")
            return
        # Not closed but dropped: NumPy views of a scan that raised may still hold it.
        yield memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _index_shards(shards: Sequence[Shard], schema: Schema, processes: int | None) -> Iterator[tuple[Shard, pa.Table]]:
    processes = min(processes or os.cpu_count() or 1, len(shards))
    if processes <= 1 or sum(shard.size for shard in shards) < PARALLEL_BYTES:
        for shard in shards:
            yield shard, index_shard(shard.path, schema)
        return
    # spawn, for the app and torch have threads, and a forked child inherits their locks.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(index_shard, shard.path, schema): shard for shard in shards}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


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
    return pa.table(
        [
            pa.array(ids, pa.string()),
            pa.nulls(len(ids), pa.int32()),  # numbered when the shards of the data set are put together
            pa.array(range(len(ids)), pa.int32()),
            pa.array(starts, pa.int64()),
            pa.array(ends, pa.int64()),
            pa.array(num_frames, pa.int32()),
            pa.array(labels, pa.list_(pa.int32())),
            pa.array(offsets, pa.list_(pa.int64())),
        ],
        names=["id", "shard", "record", "start", "end", "num_frames", "labels", "offsets"],
    )


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
        table = pq.read_table(cached, memory_map=True)
        stored = json.loads(table.schema.metadata[b"yt8m"])
        if stored["format"] != FORMAT:
            return None
        schema = Schema(stored["level"], tuple((name, dim) for name, dim in stored["streams"]))
        return Index(schema, tuple(Shard(**shard) for shard in stored["shards"]), table.combine_chunks())
    except (OSError, pa.ArrowInvalid, KeyError, ValueError, TypeError):
        return None


def _write(cached: Path, index: Index) -> None:
    stored = {
        "format": FORMAT,
        "level": index.schema.level,
        "streams": index.schema.streams,
        "shards": [asdict(shard) for shard in index.shards],
    }
    cached.parent.mkdir(parents=True, exist_ok=True)
    unfinished = cached.with_suffix(f".{os.getpid()}.tmp")
    try:
        pq.write_table(index.table.replace_schema_metadata({"yt8m": json.dumps(stored)}), unfinished)
        os.replace(unfinished, cached)
    finally:
        unfinished.unlink(missing_ok=True)
