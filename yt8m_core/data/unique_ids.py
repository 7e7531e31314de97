"""Give every record of a data set an id of its own: scores are stored by id."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from yt8m_core.data.tfrecord.bad_records import BadRecord
from yt8m_core.data.tfrecord.shard import Shard
from yt8m_core.errors import UserError


def make_ids_unique(
    table: pa.Table, shards: Sequence[Shard], *, skip_bad: bool
) -> tuple[pa.Table, tuple[BadRecord, ...]]:
    """Return an index table without repeated ids, and the records that were left out.

    Records with the same video id and different start times are segments of one video: each gets the id
    ``<video id>:<start in seconds>``, as in the 2019 edition. Of other records with the same id, ``skip_bad`` keeps the
    first.

    Args:
        table: an index in shard order, whose ids are those of the records.
        shards: the shards of the index.
        skip_bad: keep the first record of an id instead of raising an error.

    Raises:
        UserError: an id occurs more than once (without ``skip_bad``).
    """
    repeated = _repeated(table["id"])
    if not len(repeated):
        return table, ()
    is_segment = pc.and_(pc.is_in(table["id"], value_set=repeated), pc.is_valid(table["start_time"]))
    seconds = [None if start is None else _format_seconds(start) for start in table["start_time"].to_pylist()]
    starts = pa.array(seconds, pa.string())
    segment_ids = pc.binary_join_element_wise(table["id"], starts, ":")
    video_ids = pc.if_else(is_segment, table["id"], pa.scalar(None, pa.string()))
    table = table.set_column(table.schema.get_field_index("video_id"), "video_id", video_ids.combine_chunks())
    table = table.set_column(0, "id", pc.if_else(is_segment, segment_ids, table["id"]).combine_chunks())
    repeated = _repeated(table["id"])
    if not len(repeated):
        return table, ()
    ids = table["id"].to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(pc.is_in(table["id"], value_set=repeated).to_numpy(zero_copy_only=False))
    locations: dict[str, str] = {}
    duplicates, bad = [], []
    for row in rows.tolist():
        record = table["record"][row].as_py()
        path = shards[table["shard"][row].as_py()].name
        location = f"{path}, record {record}"
        if (first := locations.setdefault(ids[row], location)) is location:
            continue
        if not skip_bad:
            raise UserError(
                f"{len(repeated):,} video ids occur more than once: '{ids[row]}' in {first} and {location}",
                advice="Scores are stored by id. Use shards that contain each video once, or --skip-bad, which keeps "
                "the first record of each id.",
            )
        duplicates.append(row)
        message = f"{location}, id: '{ids[row]}' a second time, first in {first}"
        bad.append(BadRecord(path, record, message, 0, is_duplicate=True))
    keep = np.ones(table.num_rows, bool)
    keep[duplicates] = False
    return table.filter(pa.array(keep)).combine_chunks(), tuple(bad)


def _format_seconds(start: float) -> str:
    """Return the shortest decimal of a start time, which most records store as float32.

    >>> _format_seconds(30.0), _format_seconds(float(np.float32(30.1))), _format_seconds(20000001.0)
    ('30', '30.1', '20000001')
    """
    is_single = float(np.float32(start)) == start
    return np.format_float_positional(np.float32(start) if is_single else start, trim="-")


def _repeated(ids: pa.ChunkedArray) -> pa.Array:
    counts = pc.value_counts(ids)
    return counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
