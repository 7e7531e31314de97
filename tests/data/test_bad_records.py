"""Bad records: an error by default; with ``skip_bad`` they are skipped, counted, and reported with their location."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.command import yt8m
from tests.support.shards import FRAME_STREAMS, framed, small, stored_indexes, vector, write
from tests.support.tiny import STREAMS, write_tiny
from yt8m_core.data import index
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.index import index_shard, open_index
from yt8m_core.data.tfrecord.bad_records import MAX_LISTED, BadRecord, format_bad_records
from yt8m_core.data.tfrecord.shard import Shard
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))


def opened(data: Path, **options: Any) -> Videos:
    return open_videos(data, streams=FRAME_STREAMS, **options)


def damaged(payload: bytes) -> bytes:
    """Frame a payload and flip one of its bits, without updating the checksum."""
    record = bytearray(framed(payload))
    record[12 + len(payload) // 2] ^= 1
    return bytes(record)


def cut(payload: bytes) -> bytes:
    return framed(payload)[:-10]


def misframed(payload: bytes) -> bytes:
    """Frame a payload with a wrong checksum of its length, so that the next record cannot be located."""
    return bytes([*framed(payload)[:8], 0, 0, 0, 0]) + framed(payload)[12:]


BAD = framed(small("b1", (4, -1)).regular())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Shard a is valid; b has three bad records out of five; the framing of c breaks at the second of three."""
    b = [framed(small("b0").regular()), BAD, damaged(small("b2").regular()), framed(b"\xff nothing")]
    c = [framed(small("c0").regular()), misframed(small("c1").regular()), framed(small("c2").regular())]
    write(tmp_path / "data" / "a.tfrecord", small("a0"), small("a1", None))
    (tmp_path / "data" / "b.tfrecord").write_bytes(b"".join([*b, framed(small("b4", x=2).regular())]))
    (tmp_path / "data" / "c.tfrecord").write_bytes(b"".join(c))
    return tmp_path / "data"


@pytest.fixture
def read_shards(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the shards that are indexed after this fixture is set up."""
    names: list[str] = []

    def recording(shard: Shard, *options: Any) -> index.ShardRows:
        names.append(Path(shard.path).stem)
        return index_shard(shard, *options)

    monkeypatch.setattr(index, "index_shard", recording)
    return names


def assert_skipped(videos: Videos, folder: Path) -> None:
    assert videos.ids == ["a0", "a1", "b0", "b4", "c0"]
    assert [videos.location(video) for video in (3, 4)] == [
        f"{folder}/b.tfrecord, record 4",
        f"{folder}/c.tfrecord, record 0",
    ]
    assert (videos.frames(3) == small("b4", x=2).expected_frames).all()
    assert [(Path(bad.shard).stem, bad.record) for bad in videos.bad_records] == [
        ("b", 1),
        ("b", 2),
        ("b", 3),
        ("c", 1),
    ]
    c1, c2 = (len(framed(small(name).regular())) for name in ("c1", "c2"))
    assert [bad.skipped_bytes for bad in videos.bad_records] == [0, 0, 0, c1 + c2]
    problems = ("label -1", "wrong checksum", "a tf.Example or", "with a wrong checksum")
    for bad, problem in zip(videos.bad_records, problems, strict=True):
        assert bad.message.startswith(f"{bad.shard}, record {bad.record}, ")
        assert problem in bad.message
    assert ", length: length " in videos.bad_records[3].message


@pytest.mark.fault
def test_bad_records_are_skipped_and_reported_with_their_location(folder: Path) -> None:
    assert_skipped(opened(folder, skip_bad=True), folder)


@pytest.mark.fault
def test_bad_record_in_the_middle_of_a_shard_is_an_error_with_its_location(folder: Path) -> None:
    with pytest.raises(UserError) as error:
        opened(folder)
    assert str(error.value).startswith(
        f"{folder}/b.tfrecord, record 1, context 'labels': found label -1; expected 0 to"
    )
    assert stored_indexes() == []


@pytest.mark.slow
def test_same_records_are_skipped_with_several_processes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "PARALLEL_BYTES", 0)
    assert_skipped(opened(folder, skip_bad=True, processes=2), folder)


@pytest.mark.fault
def test_index_with_skipped_records_is_used_only_with_skip_bad(folder: Path, read_shards: list[str]) -> None:
    opened(folder, skip_bad=True)
    read_shards.clear()
    assert_skipped(opened(folder, skip_bad=True), folder)
    assert read_shards == []  # the stored index lists the skipped records
    with pytest.raises(UserError, match=r"b\.tfrecord, record 1, context 'labels'"):
        opened(folder)
    assert read_shards == ["b"]
    assert_skipped(opened(folder, skip_bad=True), folder)
    assert read_shards == ["b"]


def test_complete_index_is_used_with_and_without_skip_bad_after_repair(folder: Path, read_shards: list[str]) -> None:
    opened(folder, skip_bad=True)
    for name in "bc":
        write(folder / f"{name}.tfrecord", small(f"{name}0"), small(f"{name}1"))
    complete = opened(folder)
    read_shards.clear()
    assert opened(folder, skip_bad=True).ids == complete.ids == ["a0", "a1", "b0", "b1", "c0", "c1"]
    assert opened(folder, skip_bad=True).bad_records == ()
    assert read_shards == []


def test_skipped_records_are_remembered_when_another_shard_changes(folder: Path, read_shards: list[str]) -> None:
    opened(folder, skip_bad=True)
    read_shards.clear()
    write(folder / "aa.tfrecord", small("aa"))
    videos = opened(folder, skip_bad=True)
    assert read_shards == ["aa"]
    assert [(Path(bad.shard).stem, bad.record) for bad in videos.bad_records] == [
        ("b", 1),
        ("b", 2),
        ("b", 3),
        ("c", 1),
    ]
    assert "aa" in videos.ids


@pytest.mark.parametrize("first", [damaged, cut, misframed, lambda _: framed(b""), lambda _: framed(b"\xff")])
def test_schema_is_detected_from_the_first_good_record(tmp_path: Path, first: Callable[[bytes], bytes]) -> None:
    (tmp_path / "a.tfrecord").write_bytes(first(vector("a0").regular()) + framed(vector("a1").regular()))
    write(tmp_path / "b.tfrecord", vector("b0"))
    videos = open_videos(tmp_path, skip_bad=True)
    assert videos.schema.level == "video"
    assert videos.ids[-1] == "b0"
    bad = videos.bad_records[0]
    assert (bad.record, len(videos) + len(videos.bad_records) + bool(bad.skipped_bytes)) == (0, 3)
    with pytest.raises(UserError, match=r"a\.tfrecord, record 0"):
        open_videos(tmp_path)


@pytest.mark.fault
@pytest.mark.parametrize("streams", [FRAME_STREAMS, (("x", 8), ("y", 200)), None])
def test_data_set_is_refused_when_all_records_are_bad(tmp_path: Path, streams: object) -> None:
    records = [small(f"v{i}", (-1,) if streams == FRAME_STREAMS else (1,)) for i in range(3)]
    write(tmp_path / "a.tfrecord", *records)
    with pytest.raises(UserError, match=r"a\.tfrecord, record 0"):
        open_index(tmp_path, streams=streams, skip_bad=True)  # type: ignore[arg-type]
    assert stored_indexes() == []


@pytest.mark.fault
def test_first_record_of_an_id_is_kept_with_skip_bad(tmp_path: Path) -> None:
    write(tmp_path / "a.tfrecord", small("a0", (1,)), small("a0", (2,)), small("a1"))
    write(tmp_path / "b.tfrecord", small("a1", (5,)), small("b0"))
    videos = opened(tmp_path, skip_bad=True)
    assert (videos.ids, videos.labels(0).tolist()) == (["a0", "a1", "b0"], [1])
    assert [(bad.record, bad.shard[-10:]) for bad in videos.bad_records] == [(1, "a.tfrecord"), (0, "b.tfrecord")]
    assert f"b.tfrecord, record 0, id: 'a1' a second time, first in {tmp_path}/a.tfrecord, record 2" in (
        videos.bad_records[1].message
    )
    assert opened(tmp_path, skip_bad=True).ids == videos.ids  # from the stored index

    (tmp_path / "a.tfrecord").unlink()
    assert opened(tmp_path, skip_bad=True).ids == ["a1", "b0"]  # no duplicate any more
    assert opened(tmp_path).bad_records == ()


@pytest.mark.fault
def test_message_is_short_when_there_are_many_bad_records() -> None:
    bad = [BadRecord("a", i, f"a, record {i}, data: …", 0) for i in range(5000)]
    lines = format_bad_records(bad).splitlines()
    assert lines[0] == "Skipped 5,000 bad records:"
    assert lines[1] == "  a, record 0, data: …"
    assert lines[-1] == f"  … and {5000 - MAX_LISTED:,} more"
    assert len(lines) == MAX_LISTED + 2


@pytest.mark.fault
def test_every_command_stops_at_a_bad_record_unless_skip_bad_is_set(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.WARNING)
    train, validation, run = (
        write_tiny(tmp_path / "train", 60, seed=1),
        write_tiny(tmp_path / "v", 20, seed=2),
        tmp_path / "run",
    )
    for shard, position in ((train / "train0.tfrecord", 3000), (validation / "v1.tfrecord", 60)):
        content = bytearray(shard.read_bytes())
        content[position] ^= 1  # in the payload of a record
        shard.write_bytes(content)
    streams = ("--streams", *(f"{name}:{dim}" for name, dim in STREAMS))
    commands: dict[str, tuple[object, ...]] = {
        "index": ("index", train, *streams),
        "labels": ("labels", train, *streams),
        "train": ("train", "--run", run, "--train", train, "--validation", validation, *streams, "--epochs", 1),
        "evaluate": ("evaluate", run, "--data", validation),
        "predict": ("predict", run, "--data", validation, "--output", tmp_path / "p.csv"),
        "ensemble": ("ensemble", run, "--data", validation),
    }  # fmt: skip
    for name, command in commands.items():
        with pytest.raises(SystemExit, match=r"^yt8m: .*tfrecord, record \d+, data: .*with a wrong checksum"):
            yt8m(monkeypatch, *map(str, command))
        caplog.clear()
        yt8m(monkeypatch, *map(str, command), "--skip-bad")
        logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("yt8m_core"))
        expected = [train / "train0.tfrecord"] if name in ("index", "labels") else [validation / "v1.tfrecord"]
        expected = [train / "train0.tfrecord", validation / "v1.tfrecord"] if name == "train" else expected
        assert f"Skipped {len(expected)} bad record{'s'[: len(expected) - 1]}:" in logged, name
        assert [logged.count(str(shard)) for shard in expected] == [1] * len(expected), name
    facts = Run.open(run).facts
    assert (facts.train_videos, facts.train_bad_records) == (59, 1)
    assert (facts.validation_videos, facts.validation_bad_records) == (19, 1)
    capsys.readouterr()
    yt8m(monkeypatch, *map(str, commands["evaluate"]), "--json", "--skip-bad")
    printed = json.loads(capsys.readouterr().out)
    assert (printed["bad_records"], printed["num_videos"]) == (1, 19)
    assert np.isfinite(printed["gap"])
