"""Random access to the videos of a data set, through its index: a video is one strided copy a stream."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from yt8m_core.data.index import Index, Progress, open_index
from yt8m_core.data.schema import Schema, Streams
from yt8m_core.data.tfrecord.scan import frame_header, interpret
from yt8m_core.data.tfrecord.shard import OpenShard
from yt8m_core.errors import UserError


def _most_open_shards() -> int:
    """Open at a time: each holds two file descriptors, and a quarter of what a process may have is left to them."""
    try:
        import resource
    except ImportError:  # Windows, which has thousands
        return 1024
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 16 if allowed == resource.RLIM_INFINITY else allowed // 8


OPEN_SHARDS = _most_open_shards()


class Videos:
    """The videos of a data set, by position.

    Attributes:
        schema: the level and feature streams.
        max_frames: how many frames of a video are used at most.
        num_frames: int64 [N], frames that are used: at most ``max_frames`` (section 2.2: the first 300 seconds).
        label_values, label_offsets: the labels of video i are ``label_values[label_offsets[i]:label_offsets[i + 1]]``.
        labeled: bool [N], False for the videos of a test shard, whose labels were never given.
        bad: the records of the shards that are left out.
    """

    def __init__(self, index: Index, *, max_frames: int = 300) -> None:
        table = index.table
        self.schema: Schema = index.schema
        self.shards = index.shards
        self.bad = index.bad
        self.max_frames = max_frames
        self.num_frames: NDArray[np.int64] = np.minimum(table["num_frames"].to_numpy(), max_frames).astype(np.int64)
        labels = _only_chunk(table["labels"])
        self.label_values: NDArray[np.int32] = labels.flatten().to_numpy()
        offsets = labels.offsets.to_numpy().astype(np.int64)
        self.label_offsets: NDArray[np.int64] = offsets - offsets[0]  # a partly kept index is a slice of the old one
        self.labeled: NDArray[np.bool_] = labels.is_valid().to_numpy(zero_copy_only=False)
        self._ids = _only_chunk(table["id"])
        self._shard: NDArray[np.int32] = table["shard"].to_numpy()
        self._record: NDArray[np.int32] = table["record"].to_numpy()
        self._start: NDArray[np.int64] = table["start"].to_numpy()
        self._end: NDArray[np.int64] = table["end"].to_numpy()
        # [N, streams]; a row of an irregular record is null in the index and never looked at
        streams = _only_chunk(table["offsets"])
        self._regular: NDArray[np.bool_] = streams.is_valid().to_numpy(zero_copy_only=False)
        self._offsets = np.zeros((len(self), len(self.schema.streams)), np.int64)
        self._offsets[self._regular] = streams.flatten().to_numpy().reshape(-1, len(self.schema.streams))
        ends = np.cumsum([dim for _, dim in self.schema.streams]).tolist()
        self._columns = [  # of each stream: where it goes in a frame, its width, and how far apart its frames lie
            (slice(end - dim, end), dim, len(frame_header(dim)) + dim)
            for end, (_, dim) in zip(ends, self.schema.streams, strict=True)
        ]
        self._opened = lru_cache(OPEN_SHARDS)(lambda number: OpenShard(self.shards[number]))

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def dtype(self) -> DTypeLike:
        """uint8 at frame level, float32 at video level."""
        return np.uint8 if self.schema.level == "frame" else np.float32

    def id(self, video: int) -> str:
        """The id of a video."""
        return str(self._ids[video].as_py())

    @property
    def ids(self) -> list[str]:
        """All ids, by position."""
        ids: list[str] = self._ids.to_pylist()
        return ids

    def find(self, video_id: str) -> int | None:
        """The position of the video with an id, or None."""
        found: int = pc.index(self._ids, pa.scalar(video_id, self._ids.type)).as_py()
        return found if found >= 0 else None

    def labels(self, video: int) -> NDArray[np.int32]:
        """The labels of a video, ascending."""
        return self.label_values[self.label_offsets[video] : self.label_offsets[video + 1]]

    def place(self, video: int) -> str:
        """Where a video is stored, for messages."""
        return f"{self.shards[self._shard[video]].path}, record {self._record[video]}"

    def frames(self, video: int) -> NDArray[Any]:
        """The features of a video: uint8 [T, D] at frame level, float32 [1, D] at video level."""
        frames = np.empty((self.num_frames[video], self.schema.width), self.dtype)
        self.copy_batch(np.array([video]), frames[None])
        return frames

    def copy_batch(self, batch: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Copy the features of videos into ``out`` [B, T, D], with zeros past the end of each.

        At video level (T = 1) ``out`` must be contiguous.

        Each shard is looked at before it is read: once a video at frame level, once a batch at video level, where a
        look takes as long as a copy. Raises UserError where it is no longer the file that was indexed.
        """
        regular = self._regular[batch]
        rows = np.flatnonzero(regular)
        (self._copy_frames if self.schema.level == "frame" else self._copy_vectors)(batch[rows], rows, out)
        for row in np.flatnonzero(~regular):
            video, length = batch[row], self.num_frames[batch[row]]
            shard, start, end = int(self._shard[video]), self._start[video], self._end[video]
            path, record = self.shards[shard].path, int(self._record[video])
            opened = self._opened(shard)
            opened.check()
            out[row, :length] = interpret(opened.data[start:end], self.schema, path, record).frames[:length]
            out[row, length:] = 0

    # Both make lists of plain ints first: to index the arrays once a video costs more than to copy a video's floats.

    def _copy_frames(self, videos: NDArray[np.int64], rows: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        """A stream of a video is one strided copy, during which NumPy lets the other threads run."""
        places = zip(*(of[videos].tolist() for of in (self._shard, self._offsets, self.num_frames)), strict=True)
        for row, (shard, offsets, length) in zip(rows.tolist(), places, strict=True):
            opened, frames = self._opened(shard), out[row]
            opened.check()
            for (columns, dim, stride), offset in zip(self._columns, offsets, strict=True):
                frames[:length, columns] = np.ndarray((length, dim), np.uint8, opened.data, offset, (stride, 1))
            frames[length:] = 0

    def _copy_vectors(self, videos: NDArray[np.int64], rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        """A stream of a video is one slice of bytes: at this size, an array made for it costs twice the copy.

        The floats of a record are little-endian, as those of every machine that PyTorch runs on.
        """
        target = out.data.cast("B")
        sizes = [4 * dim for _, dim in self.schema.streams]
        starts = (rows * sum(sizes)).tolist()
        streams = list(enumerate(sizes))
        checked: set[int] = set()
        for at, shard, offsets in zip(
            starts, self._shard[videos].tolist(), self._offsets[videos].tolist(), strict=True
        ):
            opened = self._opened(shard)
            if shard not in checked:
                opened.check()
                checked.add(shard)
            data = opened.data
            for stream, size in streams:
                offset = offsets[stream]
                target[at : at + size] = data[offset : offset + size]
                at += size

    def check_labels(self, num_classes: int) -> None:
        """Raise UserError that names the first video with a label outside 0..num_classes-1."""
        wrong = np.flatnonzero(self.label_values >= num_classes)
        if len(wrong):
            video = int(np.searchsorted(self.label_offsets, wrong[0], side="right")) - 1
            raise UserError(
                f"label {self.label_values[wrong[0]]} of video '{self.id(video)}'",
                where=f"{self.place(video)}, context 'labels'",
                expected=f"0 to {num_classes - 1}",
                advice="The vocabulary or the run belongs to another edition of the data set.",
            )


def open_videos(
    data: str | Path,
    *,
    max_frames: int = 300,
    streams: Streams | None = None,
    skip_bad: bool = False,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Videos:
    """Open DATA (a shard, a folder of shards, or a glob), indexing it first where need be.

    Raises UserError as ``open_index`` does.
    """
    index = open_index(data, streams=streams, skip_bad=skip_bad, processes=processes, progress=progress)
    return Videos(index, max_frames=max_frames)


def _only_chunk(column: pa.ChunkedArray) -> Any:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
