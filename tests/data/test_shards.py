"""Finding shards by name and content, and expanding compressed ones."""

import gzip
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.shards import framed, indexed, small, write
from yt8m_core.data import shards
from yt8m_core.data.dataset import Videos
from yt8m_core.data.shards import find_shards, readable_shard
from yt8m_core.data.tfrecord.shard import Shard
from yt8m_core.errors import UserError
from yt8m_core.workspace import workspace

pytestmark = pytest.mark.usefixtures("own_workspace")


@pytest.fixture
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zlib": zlib.compress}


def test_folder_lists_every_ending_of_shards(tmp_path: Path) -> None:
    names = ["a.tfrecord", "b.tfrecords", "c.tfrecord.gz", "d.tfrecords.gz"]
    for name in [*names, "notes.txt", ".hidden.tfrecord", "train-00000-of-00002"]:
        write(tmp_path / name, small(name))
    assert [path.name for path in find_shards(tmp_path)] == names


def test_shards_without_an_ending_are_found_by_their_first_record(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / f"train-0000{number}-of-00002", small(f"v{number}"))
    (tmp_path / "README").write_text("not a shard, but without an ending")
    assert [path.name for path in find_shards(tmp_path)] == ["train-00000-of-00002", "train-00001-of-00002"]
    assert indexed(tmp_path).table["id"].to_pylist() == ["v0", "v1"]


@pytest.mark.parametrize("name", ["a.tfrecord.gz", "a.tfrecord"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compressed_shard_is_read_like_the_expanded_one(tmp_path: Path, compression: str, name: str) -> None:
    contents = [small(f"v{number}", x=number + 1) for number in range(5)]
    expanded = framed(*(content.regular() for content in contents))
    (tmp_path / name).write_bytes(COMPRESSIONS[compression](expanded))
    videos = Videos(indexed(tmp_path))
    for number, content in enumerate(contents):
        assert (videos.frames(number) == content.expected_frames).all()
    copy = Path(videos.shards[0].path)
    assert (copy.read_bytes(), copy.name) == (expanded, "a.tfrecord")


def test_expanded_copy_is_reused_made_again_where_missing_and_replaced_with_its_source(tmp_path: Path) -> None:
    source = tmp_path / "a.tfrecord.gz"
    source.write_bytes(gzip.compress(framed(small("old").regular())))
    index = indexed(source)
    copy = Path(index.shards[0].path)
    stamp = copy.stat().st_ino
    assert indexed(source) == index
    assert copy.stat().st_ino == stamp

    shutil.rmtree(workspace() / "expanded")
    assert indexed(source).shards == index.shards
    assert copy.is_file()

    source.write_bytes(gzip.compress(framed(small("new").regular())))
    assert indexed(source).table["id"].to_pylist() == ["new"]


@pytest.mark.fault
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_damaged_compressed_shard_is_refused_by_name(tmp_path: Path, compression: str) -> None:
    random = np.random.default_rng(0)
    data = bytearray(COMPRESSIONS[compression](framed(*(small(f"v{i}", x=20).regular() for i in range(9)))))
    path = tmp_path / "a.tfrecord"
    for damage in ("cut", "changed"):
        for _ in range(8):
            at = int(random.integers(2, len(data) - 1))
            path.write_bytes(data[:at] if damage == "cut" else data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
            with pytest.raises(UserError, match=r"a\.tfrecord"):  # in the header, a change makes it no archive
                indexed(path)
    assert not list((workspace() / "expanded").rglob("*.tfrecord"))


@pytest.mark.fault
def test_other_compressed_files_and_a_full_disk_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.tfrecord.gz").write_bytes(gzip.compress(b"no shard at all"))
    with pytest.raises(UserError, match=r"notes\.tfrecord\.gz: found a gzip file without TFRecords; expected a"):
        indexed(tmp_path / "notes.tfrecord.gz")
    (tmp_path / "a.tfrecord.gz").write_bytes(gzip.compress(framed(small().regular())))
    monkeypatch.setattr(shards, "MIN_FREE", 1 << 62)
    with pytest.raises(UserError, match=r"the disk is full after 0 bytes.*Set YT8M_HOME"):
        indexed(tmp_path / "a.tfrecord.gz")
    assert not list((workspace() / "expanded").rglob("*.tfrecord"))


def test_uncompressed_shards_are_read_in_place(tmp_path: Path) -> None:
    shard = Shard.at(write(tmp_path / "a.tfrecord", small()))
    assert readable_shard(shard) is shard
    empty = tmp_path / "empty.tfrecord"
    empty.touch()
    assert readable_shard(Shard.at(empty)) == Shard.at(empty)
    os.truncate(tmp_path / "a.tfrecord", 5)
    assert readable_shard(Shard.at(tmp_path / "a.tfrecord")).size == 5
