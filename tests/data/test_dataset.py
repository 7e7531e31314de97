"""Videos by position: features and labels do not depend on the encoding, and changed shards are refused."""

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.shards import FRAME_STREAMS, QUIRKS, Content, Encoder, contents, small, vector, write
from yt8m_core.data import shard_cache
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.loader import Loader
from yt8m_core.data.schema import MAX_FEATURE
from yt8m_core.errors import UserError


def opened(data: Path, **options: int) -> Videos:
    return open_videos(data, streams=FRAME_STREAMS, **options)  # type: ignore[arg-type]


def five_shards(folder: Path) -> list[Content]:
    """Write two videos per shard; every third is unlabeled, every fourth irregular."""
    videos = [
        small(f"v{i}", None if i % 3 == 1 else range(i, 3 * i + 1, i + 1), x=1 + i % 4, y=1 + i % 3) for i in range(10)
    ]
    encoder = Encoder(["value before key"])
    for shard in range(5):
        pair = enumerate(videos[2 * shard : 2 * shard + 2], 2 * shard)
        write(folder / f"{shard}.tfrecord", *(encoder.encode(v) if i % 4 == 3 else v.regular() for i, v in pair))
    return videos


def assert_same(videos: Videos, expected: list[Content]) -> None:
    """Compare everything that can be read from the videos."""
    assert len(videos) == len(expected)
    assert videos.ids == [content.id for content in expected]
    assert videos.is_labeled.tolist() == [content.expected_labels is not None for content in expected]
    assert videos.num_frames.tolist() == [len(content.expected_frames) for content in expected]
    assert len(videos.label_values) == videos.label_offsets[-1] - videos.label_offsets[0]
    for position, content in zip(np.arange(len(expected)), expected, strict=True):
        assert videos.id(position) == content.id
        assert videos.find(content.id) == position
        assert videos.labels(position).tolist() == (content.expected_labels or [])
        frames = videos.frames(position)
        assert frames.dtype == videos.dtype == content.expected_frames.dtype
        assert frames.tobytes() == content.expected_frames.tobytes()


def test_videos_equal_what_was_written_when_opened_and_reopened(tmp_path: Path) -> None:
    expected = five_shards(tmp_path)
    assert_same(opened(tmp_path), expected)
    assert_same(opened(tmp_path), expected)
    assert opened(tmp_path).find("v") is None
    assert opened(tmp_path).location(np.int64(5)) == f"{tmp_path}/2.tfrecord, record 1"


@pytest.mark.parametrize("positions", [[], [4], [7, 0, 3, 9, 1], list(range(10))])
def test_subset_equals_the_selected_videos(positions: list[int], tmp_path: Path) -> None:
    expected = five_shards(tmp_path)
    whole = opened(tmp_path)
    subset = whole.subset(np.array(positions, np.int64))
    assert subset.whole is whole
    assert_same(subset, [expected[position] for position in positions])
    assert [subset.location(i) for i in range(len(subset))] == [whole.location(position) for position in positions]
    for position in {*range(10)} - {*positions}:
        assert subset.find(expected[position].id) is None


def test_subset_of_a_subset_is_one_of_the_whole(tmp_path: Path) -> None:
    expected = five_shards(tmp_path)
    whole = opened(tmp_path)
    subset = whole.subset(np.array([8, 6, 4, 2])).subset(np.array([3, 1]))
    assert subset.whole is whole
    assert subset.positions.tolist() == [2, 6]
    assert_same(subset, [expected[2], expected[6]])


def test_batch_of_a_subset_is_read_from_the_whole(tmp_path: Path) -> None:
    five_shards(tmp_path)
    whole = opened(tmp_path)
    subset = whole.subset(np.array([9, 1, 5]))
    (batch,) = Loader(subset, [np.array([2, 0])])
    (same,) = Loader(whole, [np.array([5, 9])])
    assert batch.videos.tolist() == [2, 0]
    for field in ("frames", "num_frames", "labels"):
        assert getattr(batch, field).tolist() == getattr(same, field).tolist()


def test_invalid_label_of_a_subset_is_refused_with_its_location(tmp_path: Path) -> None:
    five_shards(tmp_path)
    with pytest.raises(
        UserError, match=r"label .* of video 'v9'.*4.tfrecord, record 1|4.tfrecord, record 1.*video 'v9'"
    ):
        opened(tmp_path).subset(np.array([0, 9])).check_labels(10)


@pytest.mark.parametrize("removed", [[0], [4], [0, 1, 2, 3], [0, 1, 3, 4], [1, 3]])
def test_videos_are_correct_when_part_of_the_index_is_reused(tmp_path: Path, removed: list[int]) -> None:
    """The reused rows are a slice of a table: their labels start at an offset of its values."""
    expected = five_shards(tmp_path)
    opened(tmp_path)
    for shard in removed:
        (tmp_path / f"{shard}.tfrecord").unlink()
    remaining = [content for i, content in enumerate(expected) if i // 2 not in removed]
    first = opened(tmp_path)
    for videos in (first, opened(tmp_path)):
        assert_same(videos, remaining)
        highest = max(max(content.labels or [0]) for content in remaining)
        videos.check_labels(highest + 1)
        with pytest.raises(UserError, match=f"label {highest} of video"):
            videos.check_labels(highest)
    os.utime(tmp_path / f"{min(set(range(5)) - set(removed))}.tfrecord")
    assert_same(opened(tmp_path), remaining)


@pytest.mark.parametrize(
    "encode", [Content.regular, Encoder(["floats one by one"]).encode], ids=["regular", "irregular"]
)
def test_video_level_floats_are_the_same_bits_when_read(tmp_path: Path, encode: Callable[[Content], bytes]) -> None:
    videos = [vector(f"v{'x' * i}") for i in range(8)]  # ids of each length, so that floats have every alignment
    for content in videos:
        content.streams["mean_rgb"][:4] = [-0.0, np.finfo(np.float32).smallest_subnormal, MAX_FEATURE, 0.1]
    write(tmp_path / "a.tfrecord", *map(encode, videos))
    read = open_videos(tmp_path)
    assert read.reader.is_regular.all() == (encode is Content.regular)
    assert_same(read, videos)


@pytest.mark.parametrize("labels", [None, (), (1, 2)])
@pytest.mark.parametrize("quirks", [[], ["unknown fields"]])
def test_videos_are_correct_when_all_have_the_same_form(tmp_path: Path, labels: object, quirks: list[str]) -> None:
    videos = [replace(small(f"v{i}"), labels=labels) for i in range(3)]
    write(tmp_path / "a.tfrecord", *map(Encoder(quirks).encode, videos))
    assert_same(opened(tmp_path), videos)


@settings(deadline=None, max_examples=60)
@given(content=contents(), quirks=st.sets(st.sampled_from(QUIRKS)), order=st.integers(0, 99))
def test_any_valid_encoding_of_a_video_gives_the_same_result(
    content: Content, quirks: set[str], order: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    irregular = replace(content, id=content.id + "2")
    path = tmp_path_factory.mktemp("data") / "a.tfrecord"
    write(path, content, Encoder(quirks).encode(irregular, order))
    assert_same(open_videos(path, streams=content.schema.streams), [content, irregular])


@pytest.mark.parametrize("quirks", [[], ["value before key"]])
def test_first_frames_are_used_when_a_video_is_longer(tmp_path: Path, quirks: list[str]) -> None:
    long, short = small("long", x=305, y=310), small("short", x=299)
    write(tmp_path / "a.tfrecord", *map(Encoder(quirks).encode, (long, short)))
    videos = opened(tmp_path)
    assert videos.num_frames.tolist() == [300, 299]
    assert (videos.frames(0) == long.expected_frames[:300]).all()
    assert (videos.frames(1) == short.expected_frames).all()
    assert (opened(tmp_path, max_frames=2).frames(1) == short.expected_frames[:2]).all()


def test_number_of_open_shards_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = five_shards(tmp_path)
    monkeypatch.setattr(shard_cache, "MAX_OPEN_SHARDS", 2)
    videos = opened(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        assert_same(videos, expected)
    assert videos.reader.open_shard.cache_info().currsize == 2
    assert len(os.listdir("/proc/self/fd")) <= before + 4


def test_videos_are_correct_when_threads_share_one_open_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = five_shards(tmp_path)
    monkeypatch.setattr(shard_cache, "MAX_OPEN_SHARDS", 1)
    videos = opened(tmp_path)
    order = np.random.default_rng(0).integers(0, 10, 400)
    with ThreadPoolExecutor(4) as pool:
        for position, frames in zip(order, pool.map(videos.frames, order), strict=True):
            assert (frames == expected[position].expected_frames).all()


def rewrite(path: Path) -> None:
    write(path, small("other", x=9))


def touch(path: Path) -> None:
    os.utime(path, ns=(0, 1))


def grow(path: Path) -> None:
    """Grow but keep the modification time, as on a file system with unreliable times."""
    time = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes() * 2)
    os.utime(path, ns=(time, time))


def replace_with_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (rewrite, "the shard has changed since the data set was opened. Open the data set again."),
        (touch, "the shard has changed since the data set was opened. Open the data set again."),
        (grow, "the shard has changed since the data set was opened. Open the data set again."),
        (empty, "the shard has changed since the data set was opened. Open the data set again."),
        (Path.unlink, "the shard no longer exists. Restore it, or open the data set again."),
        (replace_with_folder, "the shard has changed since the data set was opened. Open the data set again."),
    ],
)
def test_shard_is_refused_when_it_was_changed_after_opening(
    tmp_path: Path, change: Callable[[Path], object], problem: str
) -> None:
    expected = five_shards(tmp_path)
    videos = opened(tmp_path)
    change(tmp_path / "1.tfrecord")
    for _ in range(2):
        with pytest.raises(UserError) as error:
            videos.frames(2)
        assert str(error.value) == f"{tmp_path}/1.tfrecord: {problem}"
    assert (videos.frames(4) == expected[4].expected_frames).all()


@pytest.mark.fault
def test_label_outside_the_classes_is_refused_with_its_location(tmp_path: Path) -> None:
    write(tmp_path / "a.tfrecord", small("a", (0, 4)), small("b", None), small("c", (2, 7)), small("d", (9,)))
    videos = opened(tmp_path)
    videos.check_labels(10)
    for num_classes, label, video, record in ((9, 9, "d", 3), (5, 7, "c", 2), (4, 4, "a", 0), (0, 0, "a", 0)):
        expected = (
            f"{tmp_path}/a.tfrecord, record {record}, context 'labels': found label {label} of video '{video}'; "
            f"expected 0 to {num_classes - 1}."
        )
        with pytest.raises(UserError, match=re.escape(expected)):
            videos.check_labels(num_classes)
