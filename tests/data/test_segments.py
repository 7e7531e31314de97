"""Segments of videos: their ratings in the records, and views of five frames on the same bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.shards import FRAME_STREAMS, SMALL, framed, frames
from yt8m_core.data.checks import check_videos
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.loader import Loader
from yt8m_core.data.segments import Ratings, Segments, select_segments
from yt8m_core.data.tfrecord.encode import encode_sequence_example
from yt8m_core.data.tfrecord.parse import parse_record
from yt8m_core.data.tfrecord.ratings import (
    END_KEY,
    LABEL_KEY,
    MAX_RATINGS,
    SCORE_KEY,
    START_KEY,
    Rating,
    rating_features,
)
from yt8m_core.data.tfrecord.records import RecordError, masked_crc32c
from yt8m_core.data.tfrecord.scan import scan_record
from yt8m_core.errors import UserError


def payload(id: str, T: int, ratings: Sequence[Rating] | None, *, labels: Sequence[int] = (), **changes: Any) -> bytes:
    """Encode a video with ratings; ``changes`` replace lists of the context."""
    context: dict[str, Any] = {"id": id.encode(), **({"labels": list(labels)} if labels else {})}
    context |= {} if ratings is None else rating_features(ratings)
    streams = {"x": frames(T, 7, sum(id.encode())), "y": frames(T, 200, sum(id.encode()))}
    return encode_sequence_example({**context, **changes}, streams)


VIDEOS = {
    # Seconds 5 to 9 rated for two labels, 20 to 22 cut by the end, 2 to 6 not on the grid of all segments.
    "a": payload("a", 23, [Rating(5, 3, True), Rating(5, 4, False), Rating(20, 3, False), Rating(2, 7, True)]),
    "b": payload("b", 4, None, labels=[1, 2]),
    "c": payload("c", 10, [Rating(5, 9, True), Rating(10, 9, True)], labels=[9]),  # the second one is beyond the end
    "d": payload("d", 5, [], labels=[1]),
}


@pytest.fixture
def videos(tmp_path: Path) -> Videos:
    (tmp_path / "0.tfrecord").write_bytes(framed(VIDEOS["a"], VIDEOS["b"]))
    (tmp_path / "1.tfrecord").write_bytes(framed(VIDEOS["c"], VIDEOS["d"]))
    return open_videos(tmp_path, streams=FRAME_STREAMS)


def weights(segments: Videos, position: int) -> list[int]:
    (batch,) = Loader(segments, [np.array([position])])
    found = batch.weights(10)
    assert found is not None
    return np.flatnonzero(found[0].numpy()).tolist()


def test_rated_segments_are_views_of_the_frames_with_their_ratings(videos: Videos) -> None:
    segments = select_segments(videos, "rated")
    assert segments.ids == ["a:2", "a:5", "a:20", "c:5"]
    assert segments.num_frames.tolist() == [5, 5, 3, 5]
    assert [segments.labels(i).tolist() for i in range(4)] == [[7], [3], [], [9]]
    assert [weights(segments, i) for i in range(4)] == [[7], [3, 4], [3], [9]]
    for position, (video, start, end) in enumerate([(0, 2, 7), (0, 5, 10), (0, 20, 23), (2, 5, 10)]):
        assert (segments.frames(position) == videos.frames(video)[start:end]).all()
        assert segments.find(segments.id(position)) == position
    assert segments.find("a:0") is segments.find("x:5") is segments.find("a:²") is segments.find("a") is None
    assert segments.is_labeled.all()
    assert Ratings(videos).num_beyond == 1


def test_all_segments_cover_each_video_once(videos: Videos) -> None:
    segments = select_segments(videos, "all")
    assert isinstance(segments, Segments)
    assert segments.ids[:5] == ["a:0", "a:5", "a:10", "a:15", "a:20"]
    for video in range(len(videos)):
        own = np.flatnonzero(segments.parents == video)
        joined = np.concatenate([segments.frames(int(position)) for position in own])
        assert (joined == videos.frames(video)).all()
    # Only the ratings of these segments count: second 2 is not the start of one.
    assert [weights(segments, i) for i in range(5)] == [[], [3, 4], [], [], [3]]
    assert segments.is_labeled.tolist() == [False, True, False, False, True, False, False, True, False]


def test_batch_of_segments_is_padded_and_a_subset_keeps_the_ratings(videos: Videos) -> None:
    segments = select_segments(videos, "rated")
    subset = segments.subset(np.array([3, 2]))
    assert subset.ids == ["c:5", "a:20"]
    (batch,) = Loader(subset, [np.array([1, 0])])
    assert batch.frames.shape == (2, 5, 207)
    assert (batch.frames[0, 3:] == 0).all()
    assert batch.targets(10).argwhere().tolist() == [[1, 9]]
    assert batch.weights(10).argwhere().tolist() == [[0, 3], [1, 9]]  # type: ignore[union-attr]


def test_segments_of_a_subset_are_those_of_its_videos(videos: Videos) -> None:
    segments = select_segments(videos.subset(np.array([2, 0])), "all")
    whole = select_segments(videos, "all")
    assert segments.ids == ["c:0", "c:5", "a:0", "a:5", "a:10", "a:15", "a:20"]
    for position in range(len(segments)):
        same = whole.find(segments.id(position))
        assert same is not None
        assert (segments.frames(position) == whole.frames(same)).all()
        assert weights(segments, position) == weights(whole, same)


def test_whole_videos_have_no_weights(videos: Videos) -> None:
    (batch,) = Loader(videos, [np.array([0, 1])])
    assert batch.weights(10) is None
    assert select_segments(videos, "") is videos


def test_irregular_record_gives_the_same_segments(tmp_path: Path, videos: Videos) -> None:
    # An unknown field at the end, which only protobuf reads.
    (tmp_path / "irregular" / "0.tfrecord").parent.mkdir()
    (tmp_path / "irregular" / "0.tfrecord").write_bytes(framed(VIDEOS["a"] + b"\x50\x01"))
    irregular = select_segments(open_videos(tmp_path / "irregular", streams=FRAME_STREAMS), "rated")
    segments = select_segments(videos, "rated")
    assert irregular.ids == segments.ids[:3]
    for position in range(3):
        assert (irregular.frames(position) == segments.frames(position)).all()
        assert weights(irregular, position) == weights(segments, position)


@pytest.mark.fault
def test_data_without_ratings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0.tfrecord").write_bytes(framed(VIDEOS["b"]))
    videos = open_videos(tmp_path, streams=FRAME_STREAMS)
    with pytest.raises(UserError, match="no rated segments"):
        select_segments(videos, "rated")
    with pytest.raises(UserError, match="rated"):
        select_segments(videos, "first")  # type: ignore[arg-type]


@pytest.mark.fault
def test_irregular_ratings_are_counted(videos: Videos) -> None:
    messages = {check.name: check.message for check in check_videos(videos) if check.name.startswith("ratings")}
    assert messages == {
        "ratings-beyond": "1 of 6 ratings are of a segment after the last frame of its video. They are left out.",
        "ratings-cut": "1 of 6 ratings are of a segment whose five seconds the video does not have. They are of the "
        "frames it has.",
        "ratings-between": "1 of 6 ratings are of a segment that begins at no multiple of five seconds. No submission "
        "has it.",
    }
    assert [check.name for check in check_videos(select_segments(videos, "rated"))] == [
        check.name for check in check_videos(videos)
    ]


@pytest.mark.fault
def test_of_two_ratings_of_a_label_in_a_segment_the_last_one_counts() -> None:
    lists = {START_KEY: [5, 0, 5], END_KEY: [10, 5, 10], LABEL_KEY: [3, 3, 3]}
    for scores, expected in (([1, 0, 0], False), ([0, 0, 1], True)):
        record = parse(payload("a", 10, [], **lists, **{SCORE_KEY: np.array(scores, np.float32)}))
        assert record == (Rating(0, 3, False), Rating(5, 3, expected))


def parse(data: bytes) -> tuple[Rating, ...] | None:
    """Return the ratings of a payload, which scanning and parsing must agree on."""
    parsed = parse_record(memoryview(data), SMALL, "a.tfrecord", 5).ratings
    scanned = scan_record(memoryview(data), 0, len(data), masked_crc32c(data), SMALL, "a.tfrecord", 5).ratings
    assert parsed == scanned
    return parsed


ONE = {START_KEY: [5], END_KEY: [10], LABEL_KEY: [3], SCORE_KEY: np.ones(1, np.float32)}


@pytest.mark.fault
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {LABEL_KEY: [3, 4]},
            r"context 'segment_…': found 1 segment_start_times, .* 2 segment_labels.* as many of each",
        ),
        ({START_KEY: []}, "0 segment_start_times"),
        ({START_KEY: [-5], END_KEY: [0]}, r"segment_start_times', rating 0: found -5"),
        ({START_KEY: [1 << 40], END_KEY: [(1 << 40) + 5]}, "segment_start_times', rating 0"),
        ({END_KEY: [11]}, r"segment_end_times', rating 0: found 11; expected its start 5 plus 5"),
        ({LABEL_KEY: [-1]}, r"segment_labels', rating 0: found -1"),
        ({LABEL_KEY: [1 << 30]}, "segment_labels', rating 0"),
        ({SCORE_KEY: np.array([np.nan], np.float32)}, r"segment_scores', rating 0: found nan; expected 1 for present"),
        ({SCORE_KEY: np.array([0.5], np.float32)}, "segment_scores', rating 0: found 0.5"),
        ({SCORE_KEY: [1]}, "segment_scores': found a int64_list"),
        ({LABEL_KEY: b"abc"}, "segment_labels': found a bytes_list"),
        (
            {key: [0] * (MAX_RATINGS + 1) for key in (START_KEY, LABEL_KEY)}
            | {END_KEY: [5] * (MAX_RATINGS + 1), SCORE_KEY: np.zeros(MAX_RATINGS + 1, np.float32)},
            "65,537 ratings; expected at most 65,536",
        ),
    ],
)
def test_hostile_ratings_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    data = payload("a", 12, None, **ONE | changes)
    with pytest.raises(RecordError, match=f"a.tfrecord, record 5, context.*{message.removeprefix('context ')}"):
        parse(data)
    with pytest.raises(RecordError, match=message.removeprefix("context ")):
        scan_record(memoryview(data), 0, len(data), masked_crc32c(data), SMALL, "a.tfrecord", 5)
