"""Index: cost per record of building it, and cost of opening the index of the whole data set."""

from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from crc32c import crc32c

from benchmarks.measure import measure_interleaved, row
from benchmarks.reader import STREAMS, map_shards, synthetic_index
from yt8m_core.data import index_store
from yt8m_core.data.dataset import Videos
from yt8m_core.data.index import index_shard
from yt8m_core.data.index_store import COLUMNS, Index
from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.shard import Shard
from yt8m_core.storage.file_state import FileState

VIDEOS, SHARDS, CLASSES = 5_700_000, 3844, 4716
PASSES = 4


def build_rows(index: Index, repeats: int) -> list[dict[str, Any]]:
    """Measure indexing, with every CRC and frame header verified, with one process and with two.

    The limit is crc32c of the same bytes. One and two processes are compared by wall-clock time, without the start of
    the processes, which is negligible for terabytes.
    """

    jobs = [(shard, index.schema) for shard in index.shards] * PASSES  # enough work to share between two

    def ours() -> None:
        for shard, schema in jobs:
            index_shard(shard, schema)

    shards = map_shards(index)
    spans = list(zip(*(index.table[name].to_pylist() for name in ("shard", "start", "end")), strict=True))

    def checksums() -> None:
        for shard, start, end in spans:
            crc32c(shards[shard][start:end])

    with get_context("spawn").Pool(2) as pool:
        both = partial(pool.starmap, index_shard, jobs, 1)
        costs = measure_interleaved({"ours": ours, "two": both, "limit": checksums}, repeats)
    rate, limit = PASSES * len(spans) / costs["ours"].cpu, len(spans) / costs["limit"].cpu
    one, two = (PASSES * len(spans) / costs[name].wall for name in ("ours", "two"))
    return [
        row("index: CRC, headers, labels", "records/s of CPU", rate, "", None, limit),
        row("index: 2 processes", "records/s", two, "1 process", one),
    ]


def full_size_index(videos: int = VIDEOS, shards: int = SHARDS) -> Index:
    """Return an index as large as that of the whole data set, of shards that do not exist."""
    random = np.random.default_rng(0)
    counts = 1 + random.poisson(2.4, videos)
    ends = np.cumsum(counts)
    labels = pa.ListArray.from_arrays(
        pa.array(np.append(0, ends), pa.int32()), pa.array(random.integers(0, CLASSES, ends[-1]), pa.int32())
    )
    shard = np.arange(videos) * shards // videos
    start = random.integers(0, 1 << 28, videos)
    offsets = (start[:, None] + [300, 200_000]).ravel()
    columns = {
        "id": pa.array(np.arange(videos)).cast(pa.string()),
        "shard": pa.array(shard, pa.int32()),
        "record": pa.array(np.arange(videos) - np.searchsorted(shard, shard), pa.int32()),
        "start": pa.array(start),
        "end": pa.array(start + 250_000),
        "num_frames": pa.array(random.integers(120, 300, videos), pa.int32()),
        "labels": labels,
        "offsets": pa.ListArray.from_arrays(pa.array(np.arange(videos + 1) * 2, pa.int32()), pa.array(offsets)),
        "content": pa.array(random.integers(0, 1 << 62, videos)),
        "findings": pa.array(np.zeros(videos, np.int8)),
        **{name: pa.nulls(videos, COLUMNS.field(name).type) for name in ("video_id", "start_time", "unread_keys")},
    }
    files = tuple(Shard(f"/data/train{i:04}.tfrecord", FileState(1 << 28, i, i)) for i in range(shards))
    return Index(Schema("frame", STREAMS), files, pa.table(columns, schema=COLUMNS), sources=files)


def open_row(repeats: int) -> dict[str, Any]:
    """Measure the wall-clock time of opening a stored index of 5.7 million videos.

    The limit is reading the table in the file without verifying it.
    """
    index = full_size_index()
    with TemporaryDirectory(prefix="yt8m-benchmark-") as folder:
        stored = Path(folder, "index.parquet")
        index_store.write_index(stored, index)
        del index

        def ours() -> None:
            index = index_store.read_index(stored)
            if index is None or len(Videos(index)) != VIDEOS:
                raise AssertionError("the index differs after writing and reading")

        def read() -> None:
            with pa.memory_map(str(stored)) as mapped:
                pq.read_table(pa.BufferReader(mapped.read_buffer(mapped.size() - index_store.CHECKSUM_SIZE)))

        costs = measure_interleaved({"ours": ours, "limit": read}, repeats)
    rates = {name: VIDEOS / cost.wall for name, cost in costs.items()}
    return row(f"index: opening {VIDEOS:,} videos", "videos/s", rates["ours"], "", None, rates["limit"])


def rows(videos: int = 1000, repeats: int = 5) -> list[dict[str, Any]]:
    """Return the rows of this benchmark."""
    with synthetic_index(videos) as index:
        measured = build_rows(index, repeats)
    return [*measured, open_row(repeats)]
