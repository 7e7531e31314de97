"""Random access to the videos of a data set: one strided copy per video and stream."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from yt8m_core.data.frame_reader import FrameReader, Spans, only_chunk
from yt8m_core.data.index import open_index
from yt8m_core.data.index_store import Index
from yt8m_core.data.label_lists import LabelLists
from yt8m_core.data.schema import Schema, SegmentChoice, Streams
from yt8m_core.data.tfrecord.ratings import LABEL_KEY
from yt8m_core.errors import UserError
from yt8m_core.processes.group import ALONE, Group
from yt8m_core.progress import Progress, silent


class Videos:
    """Videos of a data set, by position.

    Attributes:
        schema: level and feature streams.
        max_frames: maximum number of frames per video.
        num_frames: int64 [N], number of frames used: at most ``max_frames`` (section 2.2: the first 300 seconds).
        shard_numbers: int32 [N], the shard of each video: an index into ``shards``.
        reader: copies the features.
        label_values, label_offsets: the labels of video i are ``label_values[label_offsets[i]:label_offsets[i + 1]]``.
        is_labeled: bool [N], False for videos of test shards, whose labels are not published.
        segments: what the items are: "" for videos, else the choice of segments (``segments.py``).
        rated: the labels that are known of each video, if not all are: the others are neither true nor false.
        bad_records: skipped records.
    """

    segments: SegmentChoice = ""
    rated: LabelLists | None = None

    def __init__(self, index: Index, *, max_frames: int = 300) -> None:
        table = index.table
        self.schema: Schema = index.schema
        self.shards = index.shards
        self.bad_records = index.bad_records
        self.max_frames = max_frames
        self.num_frames: NDArray[np.int64] = np.minimum(table["num_frames"].to_numpy(), max_frames).astype(np.int64)
        labels = only_chunk(table["labels"])
        self.label_values: NDArray[np.int32] = labels.flatten().to_numpy()
        offsets = labels.offsets.to_numpy().astype(np.int64)
        self.label_offsets: NDArray[np.int64] = offsets - offsets[0]  # a reused table may be a slice with an offset
        self.is_labeled: NDArray[np.bool_] = labels.is_valid().to_numpy(zero_copy_only=False)
        self._table = table
        self._ids = only_chunk(table["id"])
        self.reader = FrameReader(index)
        self.shard_numbers = self.reader.shard_numbers

    @property
    def whole(self) -> "Videos":
        """The data set that this is a subset of; itself for a whole data set."""
        return self

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def dtype(self) -> DTypeLike:
        """Type of the features: uint8 for quantized frames, else float32."""
        return self.schema.dtype

    def id(self, video: int) -> str:
        """Return the id of a video."""
        return str(self._ids[video].as_py())

    @property
    def ids(self) -> list[str]:
        """Ids of all videos, by position."""
        return self.ids_at(np.arange(len(self)))

    def ids_at(self, positions: NDArray[np.int64]) -> list[str]:
        """Return the ids of some videos."""
        ids: list[str] = self._ids.take(pa.array(positions)).to_pylist()
        return ids

    def column(self, name: str) -> Any:
        """Return a column of the index (``index.COLUMNS``) as an Arrow array, one value per video."""
        return only_chunk(self._table[name])

    @property
    def video_ids(self) -> Any:
        """Ids of the videos that the records are of, as an Arrow array; segments of one video share it."""
        return pc.coalesce(self.column("video_id"), self.column("id"))

    def subset(self, positions: NDArray[np.int64]) -> "VideoSubset":
        """Return a view of the videos at these positions [n], in this order. No features are copied."""
        return VideoSubset(self, positions)

    def find(self, video_id: str) -> int | None:
        """Return the position of the video with an id, or None."""
        position: int = pc.index(self._ids, pa.scalar(video_id, self._ids.type)).as_py()
        return position if position >= 0 else None

    def labels(self, video: int) -> NDArray[np.int32]:
        """Return the labels of a video, ascending."""
        return self.label_values[self.label_offsets[video] : self.label_offsets[video + 1]]

    def location(self, video: int) -> str:
        """Return the shard and record of a video, for messages."""
        return self.reader.location(video)

    def frames(self, video: int) -> NDArray[Any]:
        """Return the features of a video, of type ``dtype`` [T, D]; T = 1 at video level."""
        frames = np.empty((self.num_frames[video], self.schema.width), self.dtype)
        self.copy_batch(np.array([video]), frames[None])
        return frames

    def copy_batch(self, batch: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Copy the features of videos into ``out`` [B, T, D], padded with zeros.

        At video level (T = 1) ``out`` must be contiguous. Shards are checked for changes before they are read: once
        per video at frame level, and once per batch at video level, where a check takes as long as a copy.

        Raises:
            UserError: a shard has changed since it was indexed; or a remote one cannot be downloaded.
        """
        self.copy_spans(batch, np.zeros(len(batch), np.int64), self.num_frames[batch], out)

    def copy_spans(
        self,
        batch: NDArray[np.int64],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        out: NDArray[Any],
    ) -> None:
        """Copy a span of the frames of each video [B], given its first frame and its length, as ``copy_batch`` does."""
        self.reader.copy(Spans(batch, starts, lengths), out)

    @property
    def known_labels(self) -> LabelLists:
        """The labels that are known of each video: its own; of a segment, all that were rated, also as absent."""
        return self.rated or LabelLists(self.label_values, self.label_offsets)

    def check_labels(self, num_classes: int) -> None:
        """Raise UserError for the first video with a known label outside 0..num_classes-1."""
        known = self.known_labels
        invalid = np.flatnonzero(known.values >= num_classes)
        if len(invalid):
            video = int(np.searchsorted(known.offsets, invalid[0], side="right")) - 1
            kind, key = ("video", "labels") if self.rated is None else ("segment", LABEL_KEY)
            raise UserError(
                f"label {known.values[invalid[0]]} of {kind} '{self.id(video)}'",
                where=f"{self.location(video)}, context '{key}'",
                expected=f"0 to {num_classes - 1}",
                advice="The vocabulary or the run belongs to another edition of the data set.",
            )


class VideoSubset(Videos):
    """Some videos of a data set, by their position in the subset. Features are read by the whole data set.

    Attributes:
        positions: int64 [n], positions of the videos in ``whole``.
    """

    def __init__(self, videos: Videos, positions: NDArray[np.int64]) -> None:
        self._whole = videos.whole
        self.positions: NDArray[np.int64] = positions
        if isinstance(videos, VideoSubset):
            self.positions = videos.positions[positions]
        self.schema, self.shards, self.bad_records = videos.schema, videos.shards, videos.bad_records
        self.max_frames = videos.max_frames
        self.num_frames = videos.num_frames[positions]
        self.shard_numbers = videos.shard_numbers[positions]
        self.is_labeled = videos.is_labeled[positions]
        self.segments = videos.segments
        self.rated = videos.rated and videos.rated.take(positions)
        labels = LabelLists(videos.label_values, videos.label_offsets).take(positions)
        self.label_values, self.label_offsets = labels.values, labels.offsets

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def whole(self) -> Videos:
        """The data set that this is a subset of."""
        return self._whole

    def id(self, video: int) -> str:
        """Return the id of a video."""
        return self.whole.id(int(self.positions[video]))

    def ids_at(self, positions: NDArray[np.int64]) -> list[str]:
        """Return the ids of some videos."""
        return self.whole.ids_at(self.positions[positions])

    def column(self, name: str) -> Any:
        """Return a column of the index (``index.COLUMNS``) as an Arrow array, one value per video."""
        return self.whole.column(name).take(pa.array(self.positions))

    def find(self, video_id: str) -> int | None:
        """Return the position of the video with an id, or None."""
        found = np.flatnonzero(self.positions == self.whole.find(video_id))
        return int(found[0]) if len(found) else None

    def location(self, video: int) -> str:
        """Return the shard and record of a video, for messages."""
        return self.whole.location(int(self.positions[video]))

    def copy_batch(self, batch: NDArray[np.int64], out: NDArray[Any]) -> None:
        """Copy the features of videos as ``Videos.copy_batch`` does."""
        self.whole.copy_batch(self.positions[batch], out)

    def copy_spans(
        self,
        batch: NDArray[np.int64],
        starts: NDArray[np.int64],
        lengths: NDArray[np.int64],
        out: NDArray[Any],
    ) -> None:
        """Copy spans of frames as ``Videos.copy_spans`` does."""
        self.whole.copy_spans(self.positions[batch], starts, lengths, out)


def open_videos(
    data: str | Path,
    *,
    max_frames: int = 300,
    streams: Streams | None = None,
    skip_bad: bool = False,
    processes: int | None = None,
    group: Group = ALONE,
    progress: Progress = silent,
) -> Videos:
    """Open a data set, indexing it first if needed.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from yt8m_core import open_videos
    >>> from yt8m_core.demo.world import build, smoke
    >>> folder = Path(tempfile.mkdtemp())
    >>> build(folder / "data", smoke())
    >>> videos = open_videos(folder / "data" / "train")
    >>> len(videos), videos.frames(0).shape == (videos.num_frames[0], 1152)
    (64, True)

    Args:
        data: a shard, a folder of shards, or a glob; or the address of one, such as s3://bucket/train.
        max_frames: maximum number of frames per video.
        streams: feature streams of the data set; those of YouTube-8M and AudioSet are recognized.
        skip_bad: skip bad records and list them in ``Videos.bad_records``.
        processes: number of processes that this one starts for indexing; None for the number of CPU cores.
        group: the processes that divide the indexing.
        progress: called with the number of bytes indexed.

    Raises:
        UserError: as ``open_index`` does.
    """
    index = open_index(data, streams=streams, skip_bad=skip_bad, processes=processes, group=group, progress=progress)
    return Videos(index, max_frames=max_frames)
