"""CPU time per video from frame-level records to padded uint8 batches with multi-hot labels.

One process, a warm page cache, batches in shard order. Before the measurement, every reader of bytes must return the
same batches as ours. TensorFlow and ``tfrecord`` are optional.
"""

import importlib.util
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from google.protobuf.descriptor_pool import DescriptorPool
from numpy.typing import NDArray

from benchmarks.measure import measure_interleaved, one_torch_thread, row
from yt8m_core.data.dataset import Videos
from yt8m_core.data.index import open_index
from yt8m_core.data.index_store import Index
from yt8m_core.data.loader import Loader, ordered_batches
from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard
from yt8m_core.data.tfrecord.records import parse_example

BATCH, MAX_FRAMES, CLASSES = 128, 300, 4716
# Passes over the records per epoch of a loader, to amortize its buffers: a real epoch has 38,000 batches.
PASSES = 5
STREAMS = (("rgb", 1024), ("audio", 128))
WIDTH = sum(dim for _, dim in STREAMS)

Batches = Iterator[tuple[Any, Any]]  # frames [B, T, D], multi-hot labels [B, C]


@contextmanager
def synthetic_index(count: int, *, shards: int = 8) -> Iterator[Index]:
    """Yield the index of ``count`` random records (120 to 300 frames, mean 210; 3.4 labels) in a temporary folder."""
    random = np.random.default_rng(0)

    def record(number: int) -> bytes:
        T = random.integers(120, MAX_FRAMES, endpoint=True)
        labels = sorted(set(random.integers(0, CLASSES, 1 + random.poisson(2.4)).tolist()))
        frames = {name: random.integers(0, 256, (T, dim), np.uint8) for name, dim in STREAMS}
        return encode_sequence_example({"id": f"{number:04}".encode(), "labels": labels}, frames)

    with TemporaryDirectory(prefix="yt8m-benchmark-") as folder, patch.dict(os.environ, YT8M_HOME=folder):
        for shard in range(shards):
            write_shard(Path(folder, f"train{shard:04}.tfrecord"), map(record, range(shard, count, shards)))
        yield open_index(folder, processes=1)


def map_shards(index: Index) -> list[memoryview]:
    """Map every shard into memory."""
    views = []
    for shard in index.shards:
        with open(shard.path, "rb") as file:
            views.append(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    return views


def multi_hot(videos: Videos, batch: NDArray[np.int64], out: NDArray[np.float32]) -> NDArray[np.float32]:
    """Write the labels of a batch into a reused array."""
    out = out[: len(batch)]
    out[:] = 0
    for number, video in enumerate(batch):
        out[number, videos.labels(video)] = 1
    return out


# ---- ours and the limit


def read_with_loader(videos: Videos, batches: Sequence[NDArray[np.int64]], threads: int) -> Batches:
    """Read through ``Loader``, with the multi-hot labels of ``Batch``."""
    for batch in Loader(videos, batches, threads=threads):
        yield batch.frames.numpy(), batch.targets(CLASSES).numpy()


def read_directly(videos: Videos, frames: NDArray[np.uint8], labels: NDArray[np.float32]) -> Batches:
    """Copy with our reader into one buffer, without threads."""
    for batch in ordered_batches(len(videos), BATCH):
        copied = frames[: len(batch), : videos.num_frames[batch].max()]
        videos.copy_batch(batch, copied)
        yield copied, multi_hot(videos, batch, labels)


def copy_bytes(
    index: Index, shards: list[memoryview], videos: Videos, frames: NDArray[np.uint8], labels: NDArray[np.float32]
) -> Batches:
    """Copy the same number of bytes per record in one memcpy, with the same padding and labels (the limit)."""
    sources = [np.frombuffer(shard, np.uint8) for shard in shards]
    places = list(zip(index.table["shard"].to_pylist(), index.table["start"].to_pylist(), strict=True))
    for batch in ordered_batches(len(videos), BATCH):
        lengths = videos.num_frames[batch].tolist()
        T = max(lengths)
        for number, (video, length) in enumerate(zip(batch.tolist(), lengths, strict=True)):
            shard, start = places[video]
            frames[number, :length].reshape(-1)[:] = sources[shard][start : start + length * WIDTH]
            frames[number, length:T] = 0
        yield frames[: len(batch), :T], multi_hot(videos, batch, labels)


# ---- peers


def tf_data(paths: Sequence[str], *, dequantize: bool, parallel: bool) -> Iterable[tuple[Any, Any]]:
    """Build a tf.data pipeline like Google's starter reader, with float32 features or with bytes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    def video(record: Any) -> tuple[Any, Any]:
        context, lists = tf.io.parse_single_sequence_example(
            record,
            {"id": tf.io.FixedLenFeature([], tf.string), "labels": tf.io.VarLenFeature(tf.int64)},
            {name: tf.io.FixedLenSequenceFeature([], tf.string) for name, _ in STREAMS},
        )
        streams = []
        for name, dim in STREAMS:
            frames = tf.reshape(tf.io.decode_raw(lists[name], tf.uint8), [-1, dim])[:MAX_FRAMES]
            if dequantize:
                frames = tf.cast(frames, tf.float32) * (4 / 255) + (4 / 512 - 2)
            streams.append(tf.pad(frames, [[0, MAX_FRAMES - tf.shape(frames)[0]], [0, 0]]))
        labels = context["labels"].values
        hot = tf.tensor_scatter_nd_update(tf.zeros([CLASSES], tf.bool), labels[:, None], tf.ones_like(labels, tf.bool))
        return tf.concat(streams, 1), hot

    dataset = tf.data.TFRecordDataset(paths)
    if parallel:
        return dataset.map(video, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)
    options = tf.data.Options()
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 1
    options.threading.max_intra_op_parallelism = 1
    return dataset.map(video).batch(BATCH).with_options(options)


Parsed = Iterator[tuple[list[bytes], Sequence[int]]]  # per video: streams, labels


def parse_with_tfrecord(paths: Sequence[str]) -> Parsed:
    """Parse the records with the package ``tfrecord``, which checks no CRC."""
    # With a pool of its own, because its messages have the same names as TensorFlow's.
    with patch("google.protobuf.descriptor_pool.Default", return_value=DescriptorPool()):
        from tfrecord import tfrecord_loader

    lists = {name: "byte" for name, _ in STREAMS}
    for path in paths:
        for context, features in tfrecord_loader(path, None, {"labels": "int"}, sequence_description=lists):
            yield [b"".join(features[name]) for name, _ in STREAMS], context["labels"]


def parse_with_protobuf(index: Index, shards: list[memoryview]) -> Parsed:
    """Parse the records with protobuf (upb), our fallback for irregular records."""
    for shard, start, end in zip(*(index.table[name].to_pylist() for name in ("shard", "start", "end")), strict=True):
        message = parse_example(shards[shard][start:end])
        lists = message.feature_lists.feature_list
        streams = [b"".join([frame.bytes_list.value[0] for frame in lists[name].feature]) for name, _ in STREAMS]
        yield streams, message.context.feature["labels"].int64_list.value


def collect_batches(parsed: Callable[[], Parsed], frames: NDArray[np.uint8], labels: NDArray[np.float32]) -> Batches:
    """Collect parsed videos into padded batches in reused arrays."""
    row = 0
    for streams, video_labels in parsed():
        if row == 0:
            labels[:] = 0
        column = 0
        for stream, (_, dim) in zip(streams, STREAMS, strict=True):
            stored = np.frombuffer(stream, np.uint8).reshape(-1, dim)
            frames[row, : len(stored), column : column + dim] = stored
            column += dim
        frames[row, len(stored) :] = 0
        labels[row, video_labels] = 1
        row = (row + 1) % BATCH
        if row == 0:
            yield frames, labels
    if row:
        yield frames[:row], labels[:row]


# ---- results


def check_equal(ours: Batches, peer: Iterable[tuple[Any, Any]]) -> None:
    """Check that both return the same bytes and labels; the peer may pad more."""
    for (frames, labels), (other_frames, other_labels) in zip(ours, peer, strict=True):
        other_frames = np.asarray(other_frames)
        T = frames.shape[1]
        np.testing.assert_array_equal(frames, other_frames[:, :T])
        np.testing.assert_array_equal(other_frames[:, T:], 0)
        np.testing.assert_array_equal(labels, np.asarray(other_labels, np.float32))


def _consume(batches: Callable[[], Iterable[object]]) -> None:
    for _batch in batches():  # like a training loop, keep a batch until the next one is there
        pass


def reader_rows(index: Index, repeats: int) -> list[dict[str, Any]]:
    """Compare with every installed peer and with the limit, in videos per second of CPU time."""
    videos = Videos(index)
    paths, shards = [shard.path for shard in index.shards], map_shards(index)
    buffers = np.zeros((BATCH, MAX_FRAMES, WIDTH), np.uint8), np.zeros((BATCH, CLASSES), np.float32)
    google = "tf.data, Google's reader (float32)"
    peers: dict[str, Callable[[], Iterable[tuple[Any, Any]]]] = {}
    missing: list[str] = []
    if importlib.util.find_spec("tensorflow"):
        for dequantize, name in ((True, google), (False, "tf.data, uint8 kept")):
            for parallel, threads in ((False, "1 thread"), (True, "AUTOTUNE")):
                # built once: building and tracing are not part of the cost per video
                dataset = tf_data(paths, dequantize=dequantize, parallel=parallel)
                peers[f"{name}, {threads}"] = partial(iter, dataset)
    else:
        missing.append(f"{google}: TensorFlow is not installed (pip install tensorflow-cpu)")
    if importlib.util.find_spec("tfrecord"):
        peers["tfrecord"] = lambda: collect_batches(lambda: parse_with_tfrecord(paths), *buffers)
    else:
        missing.append("tfrecord: not installed (pip install tfrecord)")
    peers["protobuf (upb)"] = lambda: collect_batches(lambda: parse_with_protobuf(index, shards), *buffers)

    batches = ordered_batches(len(videos), BATCH)
    loader, two_threads, direct = "reader: Loader, 1 thread", "reader: Loader, 2 threads", "reader: direct loop"
    ours: dict[str, Callable[[], Batches]] = {
        loader: lambda: read_with_loader(videos, batches * PASSES, 1),
        two_threads: lambda: read_with_loader(videos, batches * PASSES, 2),
        direct: lambda: read_directly(videos, *buffers),
    }
    for name, peer in {direct: ours[direct], **peers}.items():
        if google not in name:
            check_equal(read_with_loader(videos, batches, threads=2), peer())

    limit = "limit"
    candidates = {**ours, limit: lambda: copy_bytes(index, shards, videos, *buffers), **peers}
    costs = measure_interleaved({name: partial(_consume, candidate) for name, candidate in candidates.items()}, repeats)
    counts = dict.fromkeys(candidates, len(videos)) | dict.fromkeys((loader, two_threads), PASSES * len(videos))
    rates = {name: counts[name] / cost.cpu for name, cost in costs.items()}

    unit = "videos/s of CPU"
    rows = [row(loader, unit, rates[loader], name, rates[name], rates[limit]) for name in peers]
    rows += [row(loader, unit, rates[loader], name, None, rates[limit]) for name in missing]
    for name in (two_threads, direct):
        peer = next(iter(peers))
        rows.append(row(name, unit, rates[name], peer, rates[peer], rates[limit]))
    return rows


def rows(videos: int = 2000, repeats: int = 5) -> list[dict[str, Any]]:
    """Return the rows of this benchmark."""
    with one_torch_thread(), torch.inference_mode(), synthetic_index(videos) as index:
        return reader_rows(index, repeats)
