"""Bad records: the first one ends the pass; with ``skip_bad`` each is left out, counted, and named with its place."""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.shards import FRAME_STREAMS, framed, small, stored, vector, write
from tests.support.tiny import STREAMS, write_tiny
from yt8m_core.cli import main as cli
from yt8m_core.data import index
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.index import index_shard, open_index
from yt8m_core.data.tfrecord.bad_records import SHOWN, BadRecord, describe_bad
from yt8m_core.data.tfrecord.shard import Shard
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))


def opened(data: Path, **options: Any) -> Videos:
    return open_videos(data, streams=FRAME_STREAMS, **options)


def damaged(payload: bytes) -> bytes:
    """A whole record whose payload has one bit flipped, its own checksum and its length untouched."""
    record = bytearray(framed(payload))
    record[12 + len(payload) // 2] ^= 1
    return bytes(record)


def cut(payload: bytes) -> bytes:
    return framed(payload)[:-10]


def misframed(payload: bytes) -> bytes:
    """A length whose checksum is wrong: nobody knows where the next record is."""
    return bytes([*framed(payload)[:8], 0, 0, 0, 0]) + framed(payload)[12:]


BAD = framed(small("b1", (4, -1)).regular())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Shard a is sound; b has three bad records among five; the framing of c breaks at its second of three."""
    b = [framed(small("b0").regular()), BAD, damaged(small("b2").regular()), framed(b"\xff nothing")]
    c = [framed(small("c0").regular()), misframed(small("c1").regular()), framed(small("c2").regular())]
    write(tmp_path / "data" / "a.tfrecord", small("a0"), small("a1", None))
    (tmp_path / "data" / "b.tfrecord").write_bytes(b"".join([*b, framed(small("b4", x=2).regular())]))
    (tmp_path / "data" / "c.tfrecord").write_bytes(b"".join(c))
    return tmp_path / "data"


@pytest.fixture
def read_shards(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the shards that are read from here on."""
    names: list[str] = []

    def counted(shard: Shard, *rest: Any) -> index.Rows:
        names.append(Path(shard.path).stem)
        return index_shard(shard, *rest)

    monkeypatch.setattr(index, "index_shard", counted)
    return names


def assert_left_out(videos: Videos, folder: Path) -> None:
    assert videos.ids == ["a0", "a1", "b0", "b4", "c0"]
    assert [videos.place(video) for video in (3, 4)] == [
        f"{folder}/b.tfrecord, record 4",
        f"{folder}/c.tfrecord, record 0",
    ]
    assert (videos.frames(3) == small("b4", x=2).expected_frames).all()
    assert [(Path(one.shard).stem, one.record) for one in videos.bad] == [("b", 1), ("b", 2), ("b", 3), ("c", 1)]
    c1, c2 = (len(framed(small(name).regular())) for name in ("c1", "c2"))
    assert [one.rest for one in videos.bad] == [0, 0, 0, c1 + c2]
    for one, what in zip(videos.bad, ("label -1", "checksum is wrong", "a tf.Example or", "a length of"), strict=True):
        assert one.said.startswith(f"{one.shard}, record {one.record}, ")
        assert what in one.said


@pytest.mark.fault
def test_bad_records_are_left_out_and_named_with_their_place_when_asked(folder: Path) -> None:
    assert_left_out(opened(folder, skip_bad=True), folder)


@pytest.mark.fault
def test_bad_record_in_the_middle_of_a_shard_ends_the_pass_with_its_place(folder: Path) -> None:
    with pytest.raises(UserError) as error:
        opened(folder)
    assert str(error.value).startswith(
        f"{folder}/b.tfrecord, record 1, context 'labels': found label -1; expected 0 to"
    )
    assert stored() == []


def test_same_records_are_left_out_when_several_processes_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "PARALLEL_BYTES", 0)
    assert_left_out(opened(folder, skip_bad=True, processes=2), folder)


@pytest.mark.fault
def test_index_with_gaps_serves_only_whoever_accepts_them(folder: Path, read_shards: list[str]) -> None:
    opened(folder, skip_bad=True)
    read_shards.clear()
    assert_left_out(opened(folder, skip_bad=True), folder)
    assert read_shards == []  # and a later opening still says what was left out
    with pytest.raises(UserError, match=r"b\.tfrecord, record 1, context 'labels'"):
        opened(folder)
    assert read_shards == ["b"]
    assert_left_out(opened(folder, skip_bad=True), folder)
    assert read_shards == ["b"]


def test_index_without_gaps_serves_both_when_the_shards_are_mended(folder: Path, read_shards: list[str]) -> None:
    opened(folder, skip_bad=True)
    for name in "bc":
        write(folder / f"{name}.tfrecord", small(f"{name}0"), small(f"{name}1"))
    whole = opened(folder)
    read_shards.clear()
    assert opened(folder, skip_bad=True).ids == whole.ids == ["a0", "a1", "b0", "b1", "c0", "c1"]
    assert opened(folder, skip_bad=True).bad == ()
    assert read_shards == []


def test_what_was_left_out_stays_known_when_only_another_shard_has_changed(
    folder: Path, read_shards: list[str]
) -> None:
    opened(folder, skip_bad=True)
    read_shards.clear()
    write(folder / "aa.tfrecord", small("aa"))
    videos = opened(folder, skip_bad=True)
    assert read_shards == ["aa"]
    assert [(Path(one.shard).stem, one.record) for one in videos.bad] == [("b", 1), ("b", 2), ("b", 3), ("c", 1)]
    assert "aa" in videos.ids


@pytest.mark.parametrize("first", [damaged, cut, misframed, lambda _: framed(b""), lambda _: framed(b"\xff")])
def test_kind_of_data_is_told_by_the_first_sound_record_when_the_first_is_bad(
    tmp_path: Path, first: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "a.tfrecord").write_bytes(first(vector("a0").regular()) + framed(vector("a1").regular()))
    write(tmp_path / "b.tfrecord", vector("b0"))
    videos = open_videos(tmp_path, skip_bad=True)
    assert videos.schema.level == "video"
    assert videos.ids[-1] == "b0"
    assert (videos.bad[0].record, len(videos) + len(videos.bad) + bool(videos.bad[0].rest)) == (0, 3)
    with pytest.raises(UserError, match=r"a\.tfrecord, record 0"):
        open_videos(tmp_path)


@pytest.mark.fault
@pytest.mark.parametrize("streams", [FRAME_STREAMS, (("x", 8), ("y", 200)), None])
def test_data_are_refused_when_no_record_can_be_used(tmp_path: Path, streams: object) -> None:
    records = [small(f"v{i}", (-1,) if streams == FRAME_STREAMS else (1,)) for i in range(3)]
    write(tmp_path / "a.tfrecord", *records)
    with pytest.raises(UserError, match=r"a\.tfrecord, record 0"):
        open_index(tmp_path, streams=streams, skip_bad=True)  # type: ignore[arg-type]
    assert stored() == []


def test_video_that_is_there_twice_is_refused_when_bad_records_are_left_out(tmp_path: Path) -> None:
    """It is not the record that is bad: which of the two counts is for a person to say."""
    write(tmp_path / "a.tfrecord", small("a0"), small("a0"))
    with pytest.raises(UserError, match="more than once: 'a0'"):
        opened(tmp_path, skip_bad=True)


@pytest.mark.fault
def test_few_lines_are_said_when_there_are_many_bad_records() -> None:
    bad = [BadRecord("a", i, f"a, record {i}, data: …", 0) for i in range(5000)]
    lines = describe_bad(bad).splitlines()
    assert lines[0] == "5,000 bad records left out:"
    assert lines[1] == "  a, record 0, data: …"
    assert lines[-1] == f"  … and {5000 - SHOWN:,} more"
    assert len(lines) == SHOWN + 2


def yt8m(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["yt8m", *map(str, arguments)])
    cli.main()


@pytest.mark.fault
def test_every_command_stops_at_a_bad_record_and_goes_on_when_told_to_skip(
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
    for shard, at in ((train / "train0.tfrecord", 3000), (validation / "v1.tfrecord", 60)):
        whole = bytearray(shard.read_bytes())
        whole[at] ^= 1  # in the payload of a record
        shard.write_bytes(whole)
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
        with pytest.raises(SystemExit, match=r"^yt8m: .*tfrecord, record \d+, data: .*whose checksum is wrong"):
            yt8m(monkeypatch, *map(str, command))
        caplog.clear()
        yt8m(monkeypatch, *map(str, command), "--skip-bad")
        said = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("yt8m_core"))
        expected = [train / "train0.tfrecord"] if name in ("index", "labels") else [validation / "v1.tfrecord"]
        expected = [train / "train0.tfrecord", validation / "v1.tfrecord"] if name == "train" else expected
        assert f"{len(expected)} bad record{'s'[: len(expected) - 1]} left out:" in said, name
        assert [said.count(str(shard)) for shard in expected] == [1] * len(expected), name
    facts = Run.open(run).facts
    assert (facts.train_videos, facts.train_bad_records) == (59, 1)
    assert (facts.validation_videos, facts.validation_bad_records) == (19, 1)
    capsys.readouterr()
    yt8m(monkeypatch, *map(str, commands["evaluate"]), "--json", "--skip-bad")
    printed = json.loads(capsys.readouterr().out)
    assert (printed["bad_records"], printed["num_videos"]) == (1, 19)
    assert np.isfinite(printed["gap"])
