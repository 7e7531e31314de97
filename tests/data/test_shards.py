"""Finding shards by name and content, and expanding compressed ones."""

import gzip
import os
import shutil
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support.shards import framed, indexed, small, write
from yt8m_core.data import shards
from yt8m_core.data.dataset import Videos
from yt8m_core.data.shards import find_shards, readable_shard
from yt8m_core.data.tfrecord.shard import OpenShard, Shard
from yt8m_core.errors import UserError
from yt8m_core.workspace import workspace

pytestmark = pytest.mark.usefixtures("own_workspace")


@pytest.fixture
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zlib": zlib.compress}


def test_folder_lists_every_ending_of_shards(tmp_path: Path) -> None:
    names = ["a.tfrecord", "b.tfrecords", "c.tfrecord.gz", "d.tfrecords.gz", "e.tfrecord-00000-of-00002", "g.TFRECORD"]
    for name in [*names, "notes.txt", ".hidden.tfrecord", "f.tfrecord.part", "train-00000-of-00002"]:
        write(tmp_path / name, small(name))
    assert [path.name for path in find_shards(tmp_path)] == names


def test_shards_without_an_ending_are_found_by_their_first_record(tmp_path: Path) -> None:
    for number in range(2):
        write(tmp_path / f"train-0000{number}-of-00002", small(f"v{number}"))
    (tmp_path / "README").write_text("not a shard, but without an ending")
    (tmp_path / "notes.gz").write_bytes(gzip.compress(b"not a shard either"))
    (tmp_path / "train0000.gz").write_bytes(gzip.compress(framed(small("v2").regular())))
    (tmp_path / "train").write_bytes(zlib.compress(framed(small("v3").regular())))
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert [path.name for path in find_shards(tmp_path)] == [
        "train", "train-00000-of-00002", "train-00001-of-00002", "train0000.gz"
    ]  # fmt: skip
    assert indexed(tmp_path).table["id"].to_pylist() == ["v3", "v0", "v1", "v2"]


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
    again = indexed(source)  # of another copy, which is indexed again
    assert (again.sources, again.table) == (index.sources, index.table)
    assert copy.is_file()

    source.write_bytes(gzip.compress(framed(small("new").regular())))
    (copy.parent / f".{copy.name}.12345678.tmp").touch()  # left by a killed process
    assert indexed(source).table["id"].to_pylist() == ["new"]
    assert len([path for path in (workspace() / "expanded").rglob("*") if path.is_file()]) == 2  # copy and lock


@pytest.mark.fault
def test_damaged_expanded_copy_is_made_again(tmp_path: Path) -> None:
    source = tmp_path / "a.tfrecord.gz"
    content = small()
    source.write_bytes(gzip.compress(framed(content.regular())))
    copy = Path(indexed(source).shards[0].path)
    time.sleep(0.01)  # files written in one tick of the clock cannot be told apart
    os.truncate(copy, 20)
    assert (Videos(indexed(source)).frames(0) == content.expected_frames).all()


@pytest.mark.fault
def test_processes_that_expand_the_same_shard_share_one_copy(tmp_path: Path) -> None:
    source = tmp_path / "a.tfrecord.gz"
    source.write_bytes(gzip.compress(framed(small(x=2000).regular()), 1))
    shard = Shard.at(source)
    with ThreadPoolExecutor(4) as pool:
        copies = list(pool.map(lambda _: OpenShard(readable_shard(shard)), range(8)))
    for opened in copies:
        opened.check()  # the copy that was opened first was not replaced


@pytest.mark.fault
def test_messages_name_the_compressed_file(tmp_path: Path) -> None:
    source = tmp_path / "a.tfrecord.gz"
    bad = framed(small("a").regular()) + framed(b"no record")
    source.write_bytes(gzip.compress(bad))
    with pytest.raises(UserError, match=rf"^{source}, record 1, data:"):
        indexed(source)
    index = indexed(source, skip_bad=True)
    assert index.bad_records[0].shard == str(source)
    assert Videos(index).location(0) == f"{source}, record 0"
    source.write_bytes(gzip.compress(framed(small("a").regular(), small("a").regular())))
    with pytest.raises(UserError, match=rf"'a' in {source}, record 0 and {source}, record 1"):
        indexed(source)


def test_zlib_streams_one_after_another_are_read_whole(tmp_path: Path) -> None:
    parts = [zlib.compress(framed(small(f"v{i}").regular())) for i in range(3)]
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"".join(parts))
    assert indexed(path).table["id"].to_pylist() == ["v0", "v1", "v2"]
    path.write_bytes(parts[0] + b"something else")
    with pytest.raises(UserError, match="damaged zlib data"):
        indexed(path)


def test_damaged_length_that_looks_like_zlib_is_a_bad_record(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tfrecord", small())
    path.write_bytes(b"\x78\x9c" + path.read_bytes()[2:])
    with pytest.raises(UserError, match=r"record 0, length: length .* with a wrong checksum"):
        indexed(path)


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
