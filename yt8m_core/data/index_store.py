"""The stored index of a data set: an Arrow table in a Parquet file of the workspace, with a checksum at its end."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from crc32c import crc32c

from yt8m_core.data.schema import Schema, Streams
from yt8m_core.data.shard_rows import ShardRows
from yt8m_core.data.sources import data_key
from yt8m_core.data.tfrecord.bad_records import BadRecord
from yt8m_core.data.tfrecord.shard import Shard
from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.file_state import FileState
from yt8m_core.storage.remote import RemoteState
from yt8m_core.workspace import workspace

FORMAT = 5
CHECKSUM_SIZE = 4  # bytes at the end of the file: CRC32C of all others, little-endian
_BAD = b"yt8m_bad_records"  # in the metadata of the rows of a shard

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
        "ratings": pa.list_(pa.struct({"start": pa.int32(), "label": pa.int32(), "is_present": pa.bool_()})),
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


def index_file(data: str | Path, streams: Streams | None = None) -> Path:
    """Return the file that stores the index of DATA."""
    key = f"{data_key(data)} {streams}"
    return workspace() / "index" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet"


def read_index(file: Path) -> Index | None:
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


def write_index(file: Path, index: Index) -> None:
    """Store an index. Raises UserError where the file cannot be written."""
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


def write_rows(file: Path, rows: ShardRows) -> None:
    """Write the rows of a shard, a part of an unfinished index."""
    bad = json.dumps([asdict(record) for record in rows.bad_records])
    pq.write_table(rows.table.slice(rows.first, rows.count).replace_schema_metadata({_BAD: bad}), file)


def read_rows(file: Path) -> ShardRows:
    """Read the rows of a shard that ``write_rows`` wrote. Raises UserError where they are damaged."""
    try:
        table = pq.read_table(file)
        bad = tuple(BadRecord(**record) for record in json.loads(table.schema.metadata[_BAD]))
        if not table.schema.equals(COLUMNS):
            raise ValueError("other columns")
    except (OSError, pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"a damaged part of an index ({error})"[:300], where=str(file), advice="Delete its folder."
        ) from None
    table = pa.Table.from_arrays(table.columns, schema=COLUMNS)  # without the metadata of the file
    return ShardRows(table.combine_chunks(), 0, len(table), bad)
