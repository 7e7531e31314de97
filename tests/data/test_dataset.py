"""Videos by position: the same features and labels however they are stored, and a refusal when a shard has changed."""

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
from yt8m_core.data import dataset
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.errors import UserError


def opened(data: Path, **options: int) -> Videos:
    return open_videos(data, streams=FRAME_STREAMS, **options)  # type: ignore[arg-type]


def five_shards(folder: Path) -> list[Content]:
    """Two videos a shard; every third without labels, every fourth of another shape."""
    videos = [
        small(f"v{i}", None if i % 3 == 1 else range(i, 3 * i + 1, i + 1), x=1 + i % 4, y=1 + i % 3) for i in range(10)
    ]
    encoder = Encoder(["value before key"])
    for shard in range(5):
        pair = enumerate(videos[2 * shard : 2 * shard + 2], 2 * shard)
        write(folder / f"{shard}.tfrecord", *(encoder.encode(v) if i % 4 == 3 else v.regular() for i, v in pair))
    return videos


def assert_same(videos: Videos, expected: list[Content]) -> None:
    """All that can be read of the videos."""
    assert len(videos) == len(expected)
    assert videos.ids == [content.id for content in expected]
    assert videos.labeled.tolist() == [content.expected_labels is not None for content in expected]
    assert videos.num_frames.tolist() == [len(content.expected_frames) for content in expected]
    assert len(videos.label_values) == videos.label_offsets[-1] - videos.label_offsets[0]
    for position, content in zip(np.arange(len(expected)), expected, strict=True):
        assert videos.id(position) == content.id
        assert videos.find(content.id) == position
        assert videos.labels(position).tolist() == (content.expected_labels or [])
        frames = videos.frames(position)
        assert frames.dtype == videos.dtype == content.expected_frames.dtype
        assert frames.tobytes() == content.expected_frames.tobytes()


def test_videos_hold_what_was_written_when_opened_and_reopened(tmp_path: Path) -> None:
    expected = five_shards(tmp_path)
    assert_same(opened(tmp_path), expected)
    assert_same(opened(tmp_path), expected)
    assert opened(tmp_path).find("v") is None
    assert opened(tmp_path).place(np.int64(5)) == f"{tmp_path}/2.tfrecord, record 1"


@pytest.mark.parametrize("gone", [[0], [4], [0, 1, 2, 3], [0, 1, 3, 4], [1, 3]])
def test_videos_are_right_when_a_part_of_the_index_is_kept(tmp_path: Path, gone: list[int]) -> None:
    """The kept rows are a slice of a table: their labels begin somewhere inside its values."""
    expected = five_shards(tmp_path)
    opened(tmp_path)
    for shard in gone:
        (tmp_path / f"{shard}.tfrecord").unlink()
    left = [content for i, content in enumerate(expected) if i // 2 not in gone]
    first = opened(tmp_path)
    for videos in (first, opened(tmp_path)):
        assert_same(videos, left)
        highest = max(max(content.labels or [0]) for content in left)
        videos.check_labels(highest + 1)
        with pytest.raises(UserError, match=f"label {highest} of video"):
            videos.check_labels(highest)
    os.utime(tmp_path / f"{min(set(range(5)) - set(gone))}.tfrecord")
    assert_same(opened(tmp_path), left)


@pytest.mark.parametrize("encode", [Content.regular, Encoder(["floats one by one"]).encode], ids=["regular", "other"])
def test_video_level_floats_are_the_same_bits_when_read(tmp_path: Path, encode: Callable[[Content], bytes]) -> None:
    videos = [vector(f"v{'x' * i}") for i in range(8)]  # ids of each length: floats at every alignment
    for content in videos:
        content.streams["mean_rgb"][:4] = [-0.0, np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max, 0.1]
    write(tmp_path / "a.tfrecord", *map(encode, videos))
    found = open_videos(tmp_path)
    assert found._regular.all() == (encode is Content.regular)
    assert_same(found, videos)


@pytest.mark.parametrize("labels", [None, (), (1, 2)])
@pytest.mark.parametrize("quirks", [[], ["unknown fields"]])
def test_videos_are_right_when_all_are_of_one_kind(tmp_path: Path, labels: object, quirks: list[str]) -> None:
    videos = [replace(small(f"v{i}"), labels=labels) for i in range(3)]
    write(tmp_path / "a.tfrecord", *map(Encoder(quirks).encode, videos))
    assert_same(opened(tmp_path), videos)


@settings(deadline=None, max_examples=60)
@given(content=contents(), quirks=st.sets(st.sampled_from(QUIRKS)), order=st.integers(0, 99))
def test_video_of_any_valid_shape_gives_what_the_regular_one_gives(
    content: Content, quirks: set[str], order: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = replace(content, id=content.id + "2")
    path = tmp_path_factory.mktemp("data") / "a.tfrecord"
    write(path, content, Encoder(quirks).encode(other, order))
    assert_same(opened(path), [content, other])


@pytest.mark.parametrize("quirks", [[], ["value before key"]])
def test_first_frames_are_used_when_a_video_is_longer(tmp_path: Path, quirks: list[str]) -> None:
    long, short = small("long", x=305, y=310), small("short", x=299)
    write(tmp_path / "a.tfrecord", *map(Encoder(quirks).encode, (long, short)))
    videos = opened(tmp_path)
    assert videos.num_frames.tolist() == [300, 299]
    assert (videos.frames(0) == long.expected_frames[:300]).all()
    assert (videos.frames(1) == short.expected_frames).all()
    assert (opened(tmp_path, max_frames=2).frames(1) == short.expected_frames[:2]).all()


def test_few_shards_are_open_when_there_are_more_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = five_shards(tmp_path)
    monkeypatch.setattr(dataset, "OPEN_SHARDS", 2)
    videos = opened(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        assert_same(videos, expected)
    assert videos._opened.cache_info().currsize == 2
    assert len(os.listdir("/proc/self/fd")) <= before + 4


def test_videos_are_right_when_threads_read_them_and_one_shard_may_be_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = five_shards(tmp_path)
    monkeypatch.setattr(dataset, "OPEN_SHARDS", 1)
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
    """Its time, as on a file system that does not keep it well, is the same."""
    time = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes() * 2)
    os.utime(path, ns=(time, time))


def into_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def into_nothing(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rewrite, "the shard has changed since the data were opened. Open them anew."),
        (touch, "the shard has changed since the data were opened. Open them anew."),
        (grow, "the shard has changed since the data were opened. Open them anew."),
        (into_nothing, "the shard has changed since the data were opened. Open them anew."),
        (Path.unlink, "the shard is gone. Put it back, or open the data anew."),
        (into_a_folder, "the shard has changed since the data were opened. Open them anew."),
    ],
)
def test_shard_is_refused_when_it_was_changed_after_opening(
    tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    expected = five_shards(tmp_path)
    videos = opened(tmp_path)
    change(tmp_path / "1.tfrecord")
    for _ in range(2):
        with pytest.raises(UserError) as error:
            videos.frames(2)
        assert str(error.value) == f"{tmp_path}/1.tfrecord: {said}"
    assert (videos.frames(4) == expected[4].expected_frames).all()


@pytest.mark.fault
def test_label_is_refused_with_its_place_when_beyond_the_classes(tmp_path: Path) -> None:
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
