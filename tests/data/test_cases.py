"""The files of real users in tests/cases: each is read as meant, or gets a sentence that says what to do next."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.support.command import yt8m
from yt8m_core.data.checks import _warn_once, warn_videos
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.features import read_upload
from yt8m_core.data.schema import Schema, Streams
from yt8m_core.data.vocabulary import read_vocabulary
from yt8m_core.errors import UserError

pytestmark = pytest.mark.fault

CASES = ROOT / "tests" / "cases"
OWN: Streams = (("rgb", 16), ("audio", 8))
YT8M = Schema("frame", (("rgb", 1024), ("audio", 128)))
VIDEO = Schema("video", (("mean_rgb", 1024), ("mean_audio", 128)))
AUDIOSET = Schema("frame", (("audio_embedding", 128),))
TRAINING = ("--streams", "rgb:16", "audio:8", "--pooling", "mean", "--classification", "logistic", "--epochs", "1",
            "--batch-size", "8", "--learning-rate", "0.05")  # fmt: skip


@pytest.mark.parametrize(
    ("file", "options", "ids", "said"),
    [
        ("gz-shard/train0000.tfrecord.gz", {}, 3, ""),
        ("gz-shard/gzip-inside.tfrecord", {}, 3, ""),
        ("duplicate-ids/t.tfrecord", {"skip_bad": True}, 2, ""),
        ("duplicate-ids/three-segments-of-one-video.tfrecord", {}, 3, ""),
        ("missing-audio/one-without-audio.tfrecord", {}, 3, "1 of 3 videos have no audio"),
        ("missing-audio/one-with-empty-audio.tfrecord", {}, 3, "1 of 3 videos have no audio"),
        ("missing-audio/rgb-only.tfrecord", {}, 4, "4 of 4 videos have no audio"),
        ("segments-2019/with-video-labels.tfrecord", {}, 4, "12 of 12 ratings are of a segment after the last frame"),
        ("segments-2019/segment-labels-only.tfrecord", {}, 4, "12 of 12 ratings are of a segment after the last frame"),
        ("app-own-streams/own-rgb16-audio8.tfrecord", {"streams": OWN}, 5, ""),
        ("multihot-labels/train", {"streams": OWN}, 40, "40 of 40 videos have a label more than once"),
    ],
)
def test_shards_are_read_and_what_is_odd_is_said(
    file: str, options: dict[str, object], ids: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    videos = open_videos(CASES / file, **options)  # type: ignore[arg-type]
    assert len(set(videos.ids)) == len(videos) == ids
    caplog.clear()
    _warn_once.cache_clear()
    warn_videos(videos)
    assert said in caplog.text
    assert bool(caplog.records) == bool(said or videos.bad_records)


def test_segments_of_one_video_are_told_apart_by_their_start() -> None:
    videos = open_videos(CASES / "duplicate-ids" / "three-segments-of-one-video.tfrecord")
    assert videos.ids == ["samevideoid:0", "samevideoid:10", "samevideoid:20"]


def test_mediapipe_features_in_a_tfrecord_file_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = CASES / "mediapipe-to-shards" / "t.tfrecord"
    with pytest.raises(UserError, match="convert them with `yt8m import`"):
        open_videos(source, streams=(("RGB/feature/floats", 1024), ("AUDIO/feature/floats", 128)))
    yt8m(monkeypatch, "import", source, "--output", tmp_path / "data", "--split", "0")
    videos = open_videos(tmp_path / "data" / "train")
    assert (videos.ids, videos.schema) == (["0", "1", "2"], YT8M)
    assert [videos.labels(video).tolist() for video in range(3)] == [[1]] * 3


def test_predictions_do_not_need_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = CASES / "missing-audio" / "rgb-only.tfrecord"
    train = ("--classification", "logistic", "--epochs", "1", "--allow", "shared-videos")
    yt8m(monkeypatch, "train", "--train", data, "--validation", data, "--run", tmp_path / "run", *train)
    yt8m(monkeypatch, "predict", tmp_path / "run", "--data", data, "--output", tmp_path / "p.csv")
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("folder", "validation", "message"),
    [
        ("leak-not-told", "validation", "6 of 6 validation videos are also training videos: 6 have the same id"),
        ("multihot-labels", "val", "40 of 40 videos have a label more than once.*they must be the ids"),
        ("unlabelled-negatives", "val", "videos have no labels, the first: 't0'.*--unlabeled skip.*negative"),
    ],
)
def test_training_on_faulty_data_stops_with_a_way_on(
    folder: str, validation: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ("--train", CASES / folder / "train", "--validation", CASES / folder / validation)
    with pytest.raises(SystemExit, match=message):
        yt8m(monkeypatch, "train", *data, "--run", tmp_path / "run", *TRAINING)


@pytest.mark.parametrize(("policy", "videos"), [("skip", 8), ("negative", 10)])
def test_unlabeled_videos_are_left_out_or_negative(
    policy: str, videos: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = CASES / "unlabelled-negatives"
    arguments = ("--train", data / "train", "--validation", data / "val", "--run", tmp_path / "run")
    yt8m(monkeypatch, "train", *arguments, *TRAINING, "--unlabeled", policy)
    assert f"{videos} videos (sample)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "schema", "videos", "note"),
    [
        ("audio-only-features.pb", AUDIOSET, 1, "'audio' is used as 'audio_embedding'"),
        ("output.tfrecord", YT8M, 1, "MediaPipe features: clipped"),
        ("empty-audio-list.tfrecord", YT8M, 1, "no 'audio': filled"),
        ("float-frames.tfrecord", YT8M, 1, "The features are floats"),
        ("arr_0-arr_1.npz", YT8M, 1, "recognized by their widths: 'arr_0' as 'rgb', 'arr_1' as 'audio'"),
        ("paddle-names.npz", YT8M, 1, "'feature' as 'rgb'"),
        ("n-videos-by-1152.npy", VIDEO, 20, "20 vectors: each is a video"),
    ],
)
def test_uploads_are_read_as_meant(file: str, schema: Schema, videos: int, note: str) -> None:
    read = read_upload(file, (CASES / "uploads" / file).read_bytes(), schema)
    assert len(read) == videos
    assert any(note in text for text in read[0].notes)
    assert read[0].frames.shape[1] == schema.width
    assert np.isfinite(read[0].frames).all()


@pytest.mark.parametrize(
    ("file", "advice"),
    [
        ("int32.npz", "save array.astype(numpy.uint8)"),
        ("multihot-labels-C5.npz", "Save the ids of the labels: numpy.flatnonzero(labels)"),
        ("features.pt", "torch.load"),
        ("clip.mp4", "a video (MP4)"),
    ],
)
def test_uploads_that_cannot_be_read_get_advice(file: str, advice: str) -> None:
    with pytest.raises(UserError) as error:
        read_upload(file, (CASES / "uploads" / file).read_bytes(), YT8M)
    assert advice in str(error.value)


@pytest.mark.parametrize("file", sorted((CASES / "vocabularies").glob("*.csv")), ids=lambda file: file.stem)
def test_vocabularies_are_read(file: Path) -> None:
    vocabulary = read_vocabulary(file)
    first = {"class_labels_indices": "Speech", "segments_2019": "Concert"}.get(file.stem, "Cat")
    assert first in vocabulary.names
