"""Real records: all are valid, regular, and read bitwise correctly."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.support.shards import Content, write
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.loader import Loader, shuffled_batches
from yt8m_core.data.tfrecord.records import SequenceExample

pytestmark = pytest.mark.real_data

FOLDERS = {"yt8m-2018-video/train": 15_113, "yt8m-2018-video/validate": 3_541, "audioset": 42_531}


@pytest.fixture(scope="module", params=FOLDERS)
def folder(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def videos(real_data: Path, folder: str) -> Videos:
    """Open the data set; indexing checks every checksum, frame header and float."""
    return open_videos(real_data / folder)


def test_all_real_records_are_valid_and_regular(videos: Videos, folder: str) -> None:
    assert len(videos) == len(set(videos.ids)) == FOLDERS[folder]
    assert videos.reader.is_regular.all()
    assert videos.is_labeled.all()
    if folder == "audioset":
        assert videos.schema.streams == (("audio_embedding", 128),)
        assert videos.num_frames.min() == 1
        assert videos.num_frames.max() == 10
        videos.check_labels(527)
    else:
        assert videos.schema.streams == (("mean_rgb", 1024), ("mean_audio", 128))
        assert set(videos.num_frames) == {1}
        assert {len(video_id) for video_id in videos.ids} == {4}
        videos.check_labels(3_862)
        assert len(videos.label_values) / len(videos) == pytest.approx(3.0, abs=0.05)


def test_sample_is_bitwise_equal_to_the_protobuf_parse(videos: Videos) -> None:
    for video in np.random.default_rng(0).choice(len(videos), 200, replace=False):
        start, end = videos.reader.starts[video], videos.reader.ends[video]
        with open(videos.shards[videos.shard_numbers[video]].path, "rb") as file:
            file.seek(start)
            message = SequenceExample.FromString(file.read(end - start))
        features, lists = message.context.feature, message.feature_lists.feature_list
        streams = []
        for name, dim in videos.schema.streams:
            if videos.schema.level == "frame":
                rows = [row.bytes_list.value[0] for row in lists[name].feature]
                streams.append(np.frombuffer(b"".join(rows), np.uint8).reshape(-1, dim))
            else:
                streams.append(np.array([features[name].float_list.value], np.float32))
        assert videos.frames(video).tobytes() == np.hstack(streams).tobytes()
        assert videos.labels(video).tolist() == sorted(features["labels"].int64_list.value)
        key = "video_id" if "video_id" in features else "id"
        assert [videos.id(video).encode()] == features[key].bytes_list.value


def test_features_are_within_the_bounds_of_the_dequantizer(videos: Videos, folder: str) -> None:
    order = shuffled_batches(videos.num_frames, 256, seed=0, epoch=0)
    bounds = [(b.frames.min().item(), b.frames.max().item()) for b in islice(Loader(videos, order), 20)]
    lowest, highest = min(low for low, _ in bounds), max(high for _, high in bounds)
    if folder == "audioset":
        assert (lowest, highest) == (0, 255)
    else:
        assert -1.9921875 <= lowest < -1.5
        assert 1.5 < highest <= 2.0078125


def test_real_frame_level_video_is_read_back_from_a_shard(real_data: Path, tmp_path: Path) -> None:
    """170 frames of 1,024 and 128 bytes: strides of 1,033 and 137."""
    with np.load(real_data / "frame-level" / "SjJ3.npz") as stored:
        streams = {name: stored[name] for name in ("rgb", "audio")}
        labels = tuple(stored["labels"].tolist())
        write(tmp_path / "a.tfrecord", Content(str(stored["id"]), labels, streams))
    videos = open_videos(tmp_path)
    assert videos.reader.is_regular.all()
    assert videos.num_frames.tolist() == [170]
    assert videos.labels(0).tolist() == sorted(labels)
    assert (videos.frames(0) == np.hstack(list(streams.values()))).all()
