"""Data checks: counts, messages, and which of them stop a command."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.shards import FRAME_STREAMS, Content, Encoder, frames, indexed, small, write
from tests.support.tiny import tiny_experiment
from yt8m_core.data.checks import (
    CONSTANT_FEATURES,
    FATAL,
    REPEATED_LABELS,
    SHARED_VIDEOS,
    check_splits,
    check_videos,
    stop_if_fatal,
)
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.labeled import labeled_videos
from yt8m_core.data.tfrecord.encode import encode_sequence_example
from yt8m_core.data.tfrecord.records import SequenceExample
from yt8m_core.errors import UserError
from yt8m_core.training.loop import train
from yt8m_core.training.splits import assign_folds, split_fold


def opened(folder: Path, *records: Content | bytes) -> Videos:
    write(folder / "a.tfrecord", *records)
    return Videos(indexed(folder))


def constant(id: str, value: int) -> Content:
    return replace(small(id), streams={name: np.full((2, dim), value, np.uint8) for name, dim in FRAME_STREAMS})


def found(videos: Videos) -> dict[str, int]:
    return {check.name: check.videos for check in check_videos(videos)}


def test_clean_data_have_no_findings(tmp_path: Path) -> None:
    videos = opened(tmp_path, *(small(f"v{i}") for i in range(5)), small("unlabeled", None))
    assert check_videos(videos) == ()


@pytest.mark.fault
def test_every_finding_is_counted_and_names_the_first_video(tmp_path: Path) -> None:
    half = replace(small("half"), streams={**small().streams, "x": np.full((4, 7), 9, np.uint8)})
    unread = encode_sequence_example({"id": b"unread", "class_labels": [1], "labels": [1]}, small("u").streams)
    videos = opened(
        tmp_path, small("a"), small("twice", (1, 1)), half, constant("gray", 7), constant("black", 0), unread,
        replace(small("a"), id="copy"),
    )  # fmt: skip
    checks = {check.name: check for check in check_videos(videos)}
    assert {name: check.videos for name, check in checks.items()} == {
        "repeated-labels": 1, "constant-features": 2, "constant-stream": 1, "unread-keys": 1, "equal-features": 1,
    }  # fmt: skip
    assert not any(check.is_fatal for check in checks.values())
    assert checks[REPEATED_LABELS].message == (
        f"1 of 7 videos have a label more than once. The first: 'twice' in {tmp_path}/a.tfrecord, record 1. 'labels' "
        "may be 0/1 vectors, or padded; they must be the ids of the video's labels."
    )
    assert checks["unread-keys"].message == (
        "1 of 7 records have the keys 'class_labels', which are not read: labels are in 'labels'."
    )
    assert checks["equal-features"].message.endswith("The first: 'a' and 'copy'.")
    assert found(videos.subset(np.array([0, 4]))) == {"constant-features": 1}


def test_missing_audio_is_counted_and_explained(tmp_path: Path) -> None:
    both = {"rgb": frames(3, 24), "audio": frames(3, 8)}
    write(tmp_path / "a.tfrecord", encode_sequence_example({"id": b"a"}, both))
    write(tmp_path / "b.tfrecord", encode_sequence_example({"id": b"b"}, {"rgb": frames(2, 24)}))
    streams = (("rgb", 24), ("audio", 8))
    (check,) = check_videos(open_videos(tmp_path, streams=streams))
    assert (check.name, check.videos, check.is_fatal) == ("missing-audio", 1, False)
    assert "1 of 2 videos have no audio. The first: 'b'" in check.message
    assert "--streams" not in check.message
    (check,) = check_videos(open_videos(tmp_path / "b.tfrecord", streams=streams))
    assert check.message.endswith("To train without it: --streams rgb:24.")


@pytest.mark.fault
def test_shared_videos_are_found_by_id_and_by_content(tmp_path: Path) -> None:
    training = opened(tmp_path / "train", *(small(f"v{i}") for i in range(200)), constant("gray", 7))
    clean = opened(tmp_path / "clean", small("zzzz0"), constant("gray too", 7))
    assert check_splits(training, clean) == ()
    renamed = replace(small("v5"), id="other name")
    changed = replace(small("v7"), streams=small("z").streams)
    validation = opened(tmp_path / "validation", small("v3"), renamed, changed, *(small(f"zzzz{i}") for i in range(9)))
    (check,) = check_splits(training, validation)
    assert (check.name, check.videos, check.is_fatal) == (SHARED_VIDEOS, 3, True)
    assert check.message.startswith(
        "3 of 12 validation videos are also training videos: 2 have the same id, 2 the same features. The first: 'v3'"
    )
    few = opened(tmp_path / "few", small("v3"), *(small(f"zzzz{i}") for i in range(100)))
    assert [check.is_fatal for check in check_splits(training, few)] == [False]


def test_segments_of_one_video_share_its_fold_and_are_shared_videos(tmp_path: Path) -> None:
    segments = [replace(small(f"s{i}"), id="abc", start=10.0 * i) for i in range(3)]
    videos = opened(tmp_path / "train", *segments, small("v0"), small("v1"), replace(small("v2"), start=5.0))
    assert videos.ids == ["abc:0", "abc:10", "abc:20", "v0", "v1", "v2"]
    assert videos.video_ids.to_pylist() == ["abc", "abc", "abc", "v0", "v1", "v2"]
    assert Videos(indexed(tmp_path / "train")).ids == videos.ids  # from the stored index
    for part in split_fold(videos, f"{assign_folds(['abc'], 3)[0]}/3"):
        assert sum(id.startswith("abc:") for id in part.ids) in (0, 3)
    other = opened(tmp_path / "validation", replace(small("s9"), id="abc", start=90.0))
    assert [check.videos for check in check_splits(videos, other)] == [1]


def test_segment_ids_have_the_start_as_it_was_written(tmp_path: Path) -> None:
    starts = (0.0, 30.1, 40.2, 20_000_000.0)
    videos = opened(tmp_path, *(replace(small(f"s{i}"), id="abc", start=start) for i, start in enumerate(starts)))
    assert videos.ids == ["abc:0", "abc:30.1", "abc:40.2", "abc:20000000"]


@pytest.mark.fault
def test_leaks_are_found_whatever_the_encoding(tmp_path: Path) -> None:
    training = opened(tmp_path / "train", *(small(f"v{i}") for i in range(5)))
    in_context = SequenceExample()
    in_context.context.feature["id"].bytes_list.value.append(b"other")
    for name, rows in small("v1").streams.items():
        in_context.context.feature[name].bytes_list.value.extend(row.tobytes() for row in rows)
    records = [
        in_context.SerializeToString(),
        Encoder(["labels one by one"]).encode(replace(small("v2"), id="odd")),
        replace(small("v3"), id="unlabeled", labels=()).regular(),
    ]
    write(tmp_path / "validation" / "a.tfrecord", *records)
    (check,) = check_splits(training, Videos(indexed(tmp_path / "validation")))
    assert check.videos == 3


@pytest.mark.fault
def test_equal_segments_of_one_video_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.tfrecord", *(replace(small(), start=start) for start in (0.0, 5.5, 5.5)))
    with pytest.raises(UserError, match=r"1 video ids occur more than once: 'abcd:5\.5' in .* record 1 and"):
        indexed(tmp_path)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("name", "record"), [(REPEATED_LABELS, small("a", (0, 1, 0))), (CONSTANT_FEATURES, constant("a", 128))]
)
def test_fatal_checks_stop_unless_they_are_allowed(tmp_path: Path, name: str, record: Content) -> None:
    videos = opened(tmp_path, record)
    checks = check_videos(videos)
    with pytest.raises(UserError, match=f"1 of 1 videos have.*Correct the data.*--allow {name}"):
        stop_if_fatal(checks)
    stop_if_fatal(checks, [name])
    with pytest.raises(UserError, match="unknown allow 'shared'.*Known: " + ", ".join(FATAL)):
        stop_if_fatal(checks, ["shared"])


@pytest.mark.fault
def test_training_on_validation_videos_stops_unless_allowed_and_is_stored(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path)
    assert train(experiment, tmp_path / "run").metrics["shared_videos"] == 0
    leaking = replace(experiment, data=replace(experiment.data, validation=experiment.data.train))
    with pytest.raises(UserError, match=r"120 of 120 validation videos are also training videos.*--allow shared"):
        train(leaking, tmp_path / "leaking")
    assert not (tmp_path / "leaking").exists()
    run = train(leaking, tmp_path / "leaking", allow=[SHARED_VIDEOS])
    assert run.metrics["shared_videos"] == 120


def test_videos_without_labels_are_refused_left_out_or_negative(tmp_path: Path) -> None:
    videos = opened(tmp_path, small("a"), small("b", None), small("c", (1,)))
    with pytest.raises(UserError, match=r"record 1: 1 of 3 videos have no labels, the first: 'b'.*skip.*negative"):
        labeled_videos(videos, "error")
    assert labeled_videos(videos, "skip").ids == ["a", "c"]
    negative = labeled_videos(videos, "negative")
    assert negative.is_labeled.all()
    assert [negative.labels(video).tolist() for video in range(3)] == [[3, 7], [], [1]]
    assert (negative.frames(1) == small("b").expected_frames).all()
    assert labeled_videos(negative, "error") is negative
    with pytest.raises(UserError, match=r"unknown unlabeled 'Skip'"):
        labeled_videos(videos, "Skip")
    for policy in ("error", "skip", "negative"):
        with pytest.raises(UserError, match="no video has labels"):
            labeled_videos(videos.subset(np.array([1])), policy)
