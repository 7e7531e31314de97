"""Segments of the videos of a data set, five frames each, as items of the same contract as videos (2019 edition).

A segment is a view on the frames of its video: nothing is copied. Its labels are those that were rated as present in
it, and ``rated`` has those that were rated at all; every other label is unknown there, neither true nor false.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from yt8m_core.data.dataset import Videos
from yt8m_core.data.label_lists import LabelLists
from yt8m_core.data.schema import SegmentChoice
from yt8m_core.data.tfrecord.ratings import MAX_START, SEGMENT_FRAMES
from yt8m_core.errors import UserError, check_choice

Integers = NDArray[np.int64]


class Segments(Videos):
    """Segments of videos, by position: those of the first video in the order of time, then those of the second.

    Attributes:
        videos: the data set with the videos.
        parents: int64 [N], position of the video of each segment in ``videos``.
        starts: int64 [N], first frame of each segment.
        ratings: all ratings of the videos, also those of segments that are none of these.
    """

    rated: LabelLists

    def __init__(self, videos: Videos, choice: SegmentChoice) -> None:
        if videos.schema.level != "frame":
            raise UserError("video-level features", where=videos.location(0), expected="frames, to cut into segments")
        self.ratings = ratings = Ratings(videos)
        self.videos, self.segments = videos, choice
        self.parents, self.starts = ratings.segments() if choice == "rated" else _windows(videos.num_frames)
        self.schema, self.shards, self.bad_records = videos.schema, videos.shards, videos.bad_records
        self.max_frames = SEGMENT_FRAMES
        self.num_frames = np.minimum(videos.num_frames[self.parents] - self.starts, SEGMENT_FRAMES)
        self.shard_numbers = videos.shard_numbers[self.parents]
        rows = self.rows(ratings.parents, ratings.starts)
        self.rated = LabelLists.group(rows, ratings.labels, len(self))
        present = LabelLists.group(np.where(ratings.is_present, rows, -1), ratings.labels, len(self))
        self.label_values, self.label_offsets = present.values, present.offsets
        self.is_labeled = np.diff(self.rated.offsets) > 0

    def __len__(self) -> int:
        return len(self.parents)

    def id(self, video: int) -> str:
        """Return the id of a segment: that of its video, and its start in seconds."""
        return f"{self.videos.id(int(self.parents[video]))}:{self.starts[video]}"

    def ids_at(self, positions: Integers) -> list[str]:
        """Return the ids of segments."""
        names = self.videos.ids_at(self.parents[positions])
        return [f"{name}:{start}" for name, start in zip(names, self.starts[positions].tolist(), strict=True)]

    def column(self, name: str) -> Any:
        """Return a column of the index for the video of each segment, as an Arrow array."""
        return self.videos.column(name).take(pa.array(self.parents))

    def find(self, video_id: str) -> int | None:
        """Return the position of the segment with an id, or None."""
        name, _, start = video_id.rpartition(":")
        video = self.videos.find(name)
        if video is None or not (start.isascii() and start.isdecimal() and len(start) < 10):
            return None
        found = np.flatnonzero((self.parents == video) & (self.starts == int(start)))
        return int(found[0]) if len(found) else None

    def rows(self, parents: Integers, starts: Integers) -> Integers:
        """Return the position of each segment, given its video and its first frame [n]; -1 where there is none."""
        return _find(self.parents, self.starts, parents, starts)

    def location(self, video: int) -> str:
        """Return the shard and record of a segment, for messages."""
        return f"{self.videos.location(int(self.parents[video]))}, second {self.starts[video]}"

    def copy_batch(self, batch: Integers, out: NDArray[Any]) -> None:
        """Copy the features of segments as ``Videos.copy_batch`` does; those that follow each other in one copy."""
        parents, starts, lengths = self.parents[batch], self.starts[batch], self.num_frames[batch]
        follows = (np.diff(parents) == 0) & (np.diff(starts) == SEGMENT_FRAMES) & (lengths[1:] == SEGMENT_FRAMES)
        # Of shards in the cache, each is read once per batch, so all segments are copied in one call.
        if out.shape[1] != SEGMENT_FRAMES or not follows.any() or self.shards[0].is_remote:
            self.videos.copy_spans(parents, starts, lengths, out)
            return
        borders = [0, *(np.flatnonzero(~follows) + 1).tolist(), len(batch)]
        for first, end in pairwise(borders):
            length = lengths[first:end].sum(keepdims=True)
            joined = out[first:end].reshape(1, -1, out.shape[2])  # [1, n·5, D], a view
            self.videos.copy_spans(parents[first : first + 1], starts[first : first + 1], length, joined)


def select_segments(videos: Videos, choice: SegmentChoice) -> Videos:
    """Return the segments of a data set; the videos themselves for the choice "".

    Raises UserError for video-level features, for data without ratings where rated segments are chosen, and for an
    unknown choice.
    """
    if not choice:
        return videos
    check_choice("segments", choice, ("rated", "all"))
    segments = Segments(videos, choice)
    if not len(segments):
        raise UserError(
            "no rated segments",
            where=videos.location(0),
            expected="records with ratings, as in the validation shards of the 2019 edition",
            advice="To score all segments: --segments all.",
        )
    return segments


class Ratings:
    """All ratings of a data set that lie within the frames of their videos.

    Attributes:
        parents: int64 [R], position of the video.
        starts: int64 [R], first frame of the segment.
        labels: int32 [R].
        is_present: bool [R].
        num_beyond: number of further ratings, of segments that begin after the last frame. They are left out.
        num_cut: number of ratings of segments that the last frame cuts.
        num_between: number of ratings of segments that begin between those of ``Segments`` of all frames.
    """

    def __init__(self, videos: Videos) -> None:
        column = videos.column("ratings")
        counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        values = column.flatten()
        parents = np.repeat(np.arange(len(videos)), counts)
        starts = values.field("start").to_numpy().astype(np.int64)
        is_within = starts < videos.num_frames[parents]
        self.parents, self.starts = parents[is_within], starts[is_within]
        self.labels = values.field("label").to_numpy()[is_within]
        self.is_present = values.field("is_present").to_numpy(zero_copy_only=False)[is_within]
        self.num_beyond = int((~is_within).sum())
        self.num_cut = int((self.starts + SEGMENT_FRAMES > videos.num_frames[self.parents]).sum())
        self.num_between = int((self.starts % SEGMENT_FRAMES > 0).sum())

    def segments(self) -> tuple[Integers, Integers]:
        """Return the videos and the starts of the segments that have ratings, in order."""
        keys = np.unique(_keys(self.parents, self.starts))
        return keys // (MAX_START + 1), keys % (MAX_START + 1)


def _find(own_parents: Integers, own_starts: Integers, parents: Integers, starts: Integers) -> Integers:
    """Return the row of each (parent, start) among those in order; -1 where it is not among them."""
    own, keys = _keys(own_parents, own_starts), _keys(parents, starts)
    rows = np.searchsorted(own, keys)
    return np.where(np.append(own, -1)[rows] == keys, rows, -1)


def _keys(parents: Integers, starts: Integers) -> Integers:
    return parents * (MAX_START + 1) + starts


def _windows(num_frames: Integers) -> tuple[Integers, Integers]:
    """Return the videos and the starts of windows of five frames that do not overlap; the last may be shorter."""
    counts = -(-num_frames // SEGMENT_FRAMES)
    parents = np.repeat(np.arange(len(num_frames)), counts)
    numbers = np.arange(len(parents)) - np.repeat(np.cumsum(counts) - counts, counts)
    return parents, numbers * SEGMENT_FRAMES
