"""CPU time per video from video-level records to shuffled batches of vectors with labels.

One process, a warm page cache. Our loader shuffles all videos; tf.data, as in Google's starter reader, reads the shards
in turn and shuffles within a buffer. Before the measurement, both must return the same videos, bit for bit.
"""

import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measure import measure_interleaved, one_torch_thread, row
from benchmarks.reader import BATCH, CLASSES
from yt8m_core.data.dataset import Videos
from yt8m_core.data.index import open_index
from yt8m_core.data.index_store import Index
from yt8m_core.data.loader import Batch, Loader, shuffled_batches
from yt8m_core.data.tfrecord.encode import encode_example, write_shard
from yt8m_core.inference.pooled_videos import PooledVideos

STREAMS = (("mean_rgb", 1024), ("mean_audio", 128))
WIDTH = sum(dim for _, dim in STREAMS)
PASSES = 3


@contextmanager
def synthetic_vectors(count: int, *, shards: int = 16) -> Iterator[Index]:
    """Yield the index of ``count`` random video-level records (3.4 labels) in a temporary folder."""
    random = np.random.default_rng(0)

    def record(number: int) -> bytes:
        labels = sorted(set(random.integers(0, CLASSES, 1 + random.poisson(2.4)).tolist()))
        vectors = {name: random.standard_normal(dim, np.float32) for name, dim in STREAMS}
        return encode_example({"id": f"{number:06}".encode(), "labels": labels, **vectors})

    with TemporaryDirectory(prefix="yt8m-benchmark-") as folder, patch.dict(os.environ, YT8M_HOME=folder):
        for shard in range(shards):
            write_shard(Path(folder, f"train{shard:04}.tfrecord"), map(record, range(shard, count, shards)))
        yield open_index(folder, processes=1)


def tf_data(index: Index, *, dense: bool, parallel: bool, shuffled: bool = True) -> Any:
    """Build Google's video-level reader as a tf.data pipeline that parses whole batches (``parse_example``)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    features = {name: tf.io.FixedLenFeature([dim], tf.float32) for name, dim in STREAMS}
    features |= {"id": tf.io.FixedLenFeature([], tf.string), "labels": tf.io.VarLenFeature(tf.int64)}

    def batch(records: Any) -> tuple[Any, Any]:
        parsed = tf.io.parse_example(records, features)
        vectors = tf.concat([parsed[name] for name, _ in STREAMS], 1)
        labels = parsed["labels"]
        if not dense:
            return vectors, tf.stack([labels.indices[:, 0], labels.values])
        hot = tf.sparse.to_indicator(labels, CLASSES)
        hot.set_shape([None, CLASSES])
        return vectors, hot

    records = tf.data.TFRecordDataset([shard.path for shard in index.shards])
    if shuffled:
        records = records.shuffle(BATCH * 8)
    batches = records.batch(BATCH)
    if parallel:
        return batches.map(batch, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return batches.map(batch).with_options(options)


def ours(source: Iterable[Batch], *, dense: bool) -> Iterator[object]:
    """Yield our batches, with (row, label) pairs or multi-hot labels."""
    for batch in source:
        yield (batch.frames, batch.targets(CLASSES)) if dense else batch


def copy_rows(vectors: NDArray[np.float32], batches: list[NDArray[np.int64]]) -> Iterator[object]:
    """Copy the same rows from one array in memory, without labels (the limit)."""
    out = np.empty((BATCH, WIDTH), np.float32)
    for batch in batches:
        yield np.take(vectors, batch, axis=0, out=out[: len(batch)], mode="clip")


def check_equal(videos: Videos, index: Index) -> None:
    """Check that tf.data returns the same vectors and labels in shard order."""
    for dense in (False, True):
        seen = 0
        for vectors, labels in tf_data(index, dense=dense, parallel=False, shuffled=False):
            (batch,) = Loader(videos, [np.arange(seen, seen + len(vectors))])
            np.testing.assert_array_equal(vectors.numpy().view(np.uint32), batch.frames.numpy().view(np.uint32))
            mine = batch.targets(CLASSES) if dense else batch.labels
            np.testing.assert_array_equal(mine.numpy(), labels.numpy().astype(mine.numpy().dtype))
            seen += len(vectors)
        np.testing.assert_equal(seen, len(videos))


def _consume(batches: Callable[[], Iterable[object]]) -> None:
    for _batch in batches():
        pass


def rows(videos: int = 20_000, repeats: int = 5) -> list[dict[str, Any]]:
    """Return the rows of this benchmark: pairs against pairs, multi-hot against multi-hot."""
    with one_torch_thread(), torch.inference_mode(), synthetic_vectors(videos) as index:
        source = Videos(index)
        batches = [b for e in range(PASSES) for b in shuffled_batches(source.num_frames, BATCH, seed=0, epoch=e)]
        vectors = np.concatenate([source.frames(video) for video in range(videos)])
        kinds = {"pairs": False, "multi-hot": True}
        kept = PooledVideos(source, torch.from_numpy(vectors))  # what a training uses from its second epoch on
        candidates: dict[str, Callable[[], Iterable[object]]] = {}
        for kind, dense in kinds.items():
            candidates[f"video level: Loader, {kind}"] = lambda dense=dense: ours(Loader(source, batches), dense=dense)  # type: ignore[misc]
            candidates[f"video level: pooled once, {kind}"] = lambda dense=dense: ours(kept.load(batches), dense=dense)  # type: ignore[misc]
        candidates["limit"] = partial(copy_rows, vectors, batches)
        peers: dict[str, str] = {}  # name: kind of labels
        if importlib.util.find_spec("tensorflow"):
            check_equal(source, index)
            for kind, dense in kinds.items():
                for parallel, threads in ((False, "1 thread"), (True, "AUTOTUNE")):
                    peers[f"tf.data, {kind}, {threads}"] = kind
                    dataset = tf_data(index, dense=dense, parallel=parallel)
                    candidates[f"tf.data, {kind}, {threads}"] = partial(iter, dataset)
        costs = measure_interleaved(
            {name: partial(_consume, candidate) for name, candidate in candidates.items()}, repeats
        )
    rates = {name: videos / cost.cpu * (1 if name in peers else PASSES) for name, cost in costs.items()}
    unit = "videos/s of CPU"
    if not peers:
        missing = "tf.data: TensorFlow is not installed (pip install tensorflow-cpu)"
        return [row(name, unit, rates[name], missing, None, rates["limit"]) for name in candidates if name != "limit"]
    return [
        row(name, unit, rates[name], peer, rates[peer], rates["limit"])
        for name in candidates
        for peer, kind in peers.items()
        if name.endswith(f", {kind}") and name not in peers
    ]
