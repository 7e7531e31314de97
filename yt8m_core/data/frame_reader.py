"""Features of the records of a data set, copied from its shards: one strided copy per video and stream."""

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from yt8m_core.data.index_store import Index
from yt8m_core.data.read_ahead import reading_order
from yt8m_core.data.shard_cache import shard_opener
from yt8m_core.data.tfrecord.parse import parse_record
from yt8m_core.data.tfrecord.scan import MISSING, frame_layout


class Spans(NamedTuple):
    """Spans of frames of videos."""

    videos: NDArray[np.int64]  # [B] positions
    starts: NDArray[np.int64]  # [B] first frame
    lengths: NDArray[np.int64]  # [B] number of frames


class FrameReader:
    """Copies features from shards, which are mapped into memory.

    Attributes:
        schema: level and feature streams.
        shards: all shards; ``shard_numbers``: int32 [N], the shard of each video.
        records: int32 [N], number of the record in its shard; ``starts``, ``ends``: int64 [N], its bytes there.
        is_regular: bool [N], whether the features lie as in the records of YouTube-8M. The others are parsed.
        open_shard: opens a shard by its number.
    """

    def __init__(self, index: Index) -> None:
        table = index.table
        self.schema, self.shards = index.schema, index.shards
        self.shard_numbers: NDArray[np.int32] = table["shard"].to_numpy()
        self.records: NDArray[np.int32] = table["record"].to_numpy()
        self.starts: NDArray[np.int64] = table["start"].to_numpy()
        self.ends: NDArray[np.int64] = table["end"].to_numpy()
        # [N, streams]; null in the index for irregular records, which do not use it
        streams = only_chunk(table["offsets"])
        self.is_regular: NDArray[np.bool_] = streams.is_valid().to_numpy(zero_copy_only=False)
        self._offsets = np.zeros((len(table), len(self.schema.streams)), np.int64)
        self._offsets[self.is_regular] = streams.flatten().to_numpy().reshape(-1, len(self.schema.streams))
        ends = np.cumsum([dim for _, dim in self.schema.streams]).tolist()
        self._columns = [  # per stream: its columns of a frame, width, and stride between frames in the shard
            (slice(end - dim, end), dim, frame_layout(dim, self.schema.has_float_frames)[1])
            for end, (_, dim) in zip(ends, self.schema.streams, strict=True)
        ]
        self.open_shard = shard_opener(self.shards)

    def location(self, video: int) -> str:
        """Return the shard and record of a video, for messages."""
        return f"{self.shards[self.shard_numbers[video]].name}, record {self.records[video]}"

    def copy(self, spans: Spans, out: NDArray[Any]) -> None:
        """Copy spans of frames into ``out`` [B, T, D], padded with zeros, in the order in which shards are at hand.

        At video level (T = 1) ``out`` must be contiguous. Shards are checked for changes before they are read: once
        per video at frame level, and once per batch at video level, where a check takes as long as a copy.

        Raises:
            UserError: a shard has changed since it was indexed; or a remote one cannot be downloaded.
        """
        for rows in reading_order(self.shards, self.shard_numbers[spans.videos]):
            self._copy_rows(spans, rows, out)

    def _copy_rows(self, spans: Spans, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
        is_regular = self.is_regular[spans.videos[rows]]
        regular = rows[is_regular]
        if self.schema.level == "frame":
            self._copy_frames(spans, regular, out)
        else:
            self._copy_vectors(spans.videos[regular], regular, out)
        for row in rows[~is_regular].tolist():
            video, first, length = (int(values[row]) for values in spans)
            shard, start, end = int(self.shard_numbers[video]), self.starts[video], self.ends[video]
            path, record = self.shards[shard].name, int(self.records[video])
            opened = self.open_shard(shard)
            opened.check()
            frames = parse_record(opened.data[start:end], self.schema, path, record).frames
            out[row, :length] = frames[first : first + length]
            out[row, length:] = 0

    # Both methods convert to lists of ints first: indexing the arrays per video costs more than copying its floats.

    def _copy_frames(self, spans: Spans, rows: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Copy each stream of a video with one strided copy, during which NumPy releases the GIL."""
        videos, firsts, lengths = (values[rows] for values in spans)
        columns_by_video = (self.shard_numbers[videos], self._offsets[videos], firsts, lengths)
        dtype, itemsize = self.schema.dtype, self.schema.dtype.itemsize
        for row, shard, offsets, first, length in zip(
            rows.tolist(), *(column.tolist() for column in columns_by_video), strict=True
        ):
            opened, frames = self.open_shard(shard), out[row]
            opened.check()
            for (columns, dim, stride), offset in zip(self._columns, offsets, strict=True):
                if offset == MISSING:
                    frames[:length, columns] = self.schema.fill
                    continue
                stored = np.ndarray((length, dim), dtype, opened.data, offset + first * stride, (stride, itemsize))
                frames[:length, columns] = stored
            frames[length:] = 0

    def _copy_vectors(self, videos: NDArray[np.int64], rows: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        """Copy each stream of a video as one slice of bytes: at this size, creating an array costs twice the copy.

        Floats in records are little-endian, as on every machine that PyTorch supports.
        """
        target = out.data.cast("B")
        sizes = [4 * dim for _, dim in self.schema.streams]
        starts = (rows * sum(sizes)).tolist()
        streams = list(enumerate(sizes))
        checked: set[int] = set()
        for at, shard, offsets in zip(
            starts, self.shard_numbers[videos].tolist(), self._offsets[videos].tolist(), strict=True
        ):
            opened = self.open_shard(shard)
            if shard not in checked:
                opened.check()
                checked.add(shard)
            data = opened.data
            for stream, size in streams:
                offset = offsets[stream]
                if offset == MISSING:
                    target[at : at + size] = self.schema.fill.tobytes() * (size // 4)
                else:
                    target[at : at + size] = data[offset : offset + size]
                at += size


def only_chunk(column: pa.ChunkedArray) -> Any:
    """Return a column as one array."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
