"""Faults of DATA in a bucket or behind HTTP, and of the cache of its shards."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import numpy as np
import pytest

from tests.support.buckets import cached_bytes
from tests.support.command import yt8m
from tests.support.file_server import IGNORE_RANGE, Cut, FileServer, serve_files
from tests.support.shards import FRAME_STREAMS, indexed, small, write
from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core import train
from yt8m_core.data import shard_cache as module
from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Loader, shuffled_batches
from yt8m_core.data.read_ahead import plan_downloads
from yt8m_core.data.shard_cache import ShardCache, shard_cache
from yt8m_core.data.sources import find_sources
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data
from yt8m_core.storage import remote, remote_access
from yt8m_core.workspace import workspace

SHARD_VIDEOS = 6


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(remote_access, "PAUSE", 0.01)


class Served(NamedTuple):
    server: FileServer
    data: str  # address of the folder

    @property
    def shard_size(self) -> int:
        return max(map(len, self.server.files.values()))

    def reads(self, name: str = "") -> list[str]:
        """Return the paths of all requests for the content of shards."""
        return [path for path, _ in self.server.requests if path.endswith(f"{name}.tfrecord")]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Serve four shards of six videos with 20 frames."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve_files() as server:
        server.has_etags = server.lists_folders = True
        for letter in "abcd":
            videos = (small(f"{letter}{number}", x=20) for number in range(SHARD_VIDEOS))
            server.files[f"data/{letter}.tfrecord"] = write(tmp_path / "shard", *videos).read_bytes()
        yield Served(server, f"{server.address}/data/")


def other_version(content: bytes) -> bytes:
    """Return a shard of the same size with another id in each record."""
    return content[:-30] + bytes(30)


def check_frames(videos: Videos) -> None:
    for number, video_id in enumerate(videos.ids):
        assert (videos.frames(number) == small(video_id, x=20).expected_frames).all()


def remove_copies() -> None:
    shutil.rmtree(workspace() / "shards", ignore_errors=True)


@pytest.mark.fault
def test_dropped_connection_is_continued_at_the_byte_where_it_broke(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "BLOCK", 2048)
    monkeypatch.setattr(remote, "MIN_BLOCK", 1024)
    served.server.faults["data/b.tfrecord"] = [Cut(100), Cut(0), 503, Cut(500)]
    check_frames(Videos(indexed(served.data)))
    ranges = served.server.ranges("data/b.tfrecord")
    assert ranges[:5] == ["bytes=0-2047", *["bytes=0-1023"] * 4]
    assert ranges.count("bytes=0-1023") == 4  # what had arrived was not requested again


@pytest.mark.fault
def test_server_that_drops_every_connection_ends_in_a_sentence(served: Served) -> None:
    served.server.faults["data/b.tfrecord"] = [Cut(100)] * 50
    with pytest.raises(UserError, match=r"b\.tfrecord: cannot be read after 0 of 27,\d+ bytes: .* complete shards are"):
        indexed(served.data)
    assert len(served.reads("b")) == remote_access.ATTEMPTS
    served.server.faults.clear()
    served.server.requests.clear()
    check_frames(Videos(indexed(served.data)))
    assert served.reads("a") == []  # its copy was complete


@pytest.mark.fault
def test_object_replaced_after_it_was_indexed_is_refused(served: Served) -> None:
    videos = Videos(indexed(served.data))
    remove_copies()
    content = served.server.files["data/c.tfrecord"]
    served.server.files["data/c.tfrecord"] = other_version(content)  # of the same size
    with pytest.raises(UserError, match=r"c\.tfrecord: the object has changed since the data set was opened\."):
        check_frames(videos)
    served.server.files["data/c.tfrecord"] = content
    check_frames(Videos(indexed(served.data)))


@pytest.mark.fault
def test_object_replaced_during_its_download_is_refused_and_not_kept(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "BLOCK", 4096)
    original = remote.call

    def replace_after_the_first_block(files: Any, method: str, *arguments: Any, **options: Any) -> Any:
        answer = original(files, method, *arguments, **options)
        if method == "cat_file" and arguments[0].endswith("a.tfrecord"):
            served.server.files["data/a.tfrecord"] = other_version(served.server.files["data/a.tfrecord"])
        return answer

    monkeypatch.setattr(remote, "call", replace_after_the_first_block)
    with pytest.raises(UserError, match=r"a\.tfrecord: the object has changed"):
        indexed(served.data)
    assert cached_bytes() == 0


@pytest.mark.fault
def test_object_replaced_during_training_ends_it_and_keeps_the_checkpoint(
    tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = tiny_experiment(tmp_path)
    for split in ("train", "validation"):
        for path in (tmp_path / split).iterdir():
            served.server.files[f"{split}/{path.name}"] = path.read_bytes()
    address = served.server.address
    data = Data(f"{address}/train/", f"{address}/validation/", streams=STREAMS)

    def replace_shards(task: str, done: int, total: int, note: str = "") -> None:
        if task == "epoch 1 of 2" and done == total:
            for name in [name for name in served.server.files if name.startswith("train/")]:
                served.server.files[name] = other_version(served.server.files[name])
            shard_cache()._maps.clear()
            remove_copies()

    monkeypatch.setattr("yt8m_core.training.loop.CHECKPOINT_SECONDS", -1)
    training = experiment.training
    object.__setattr__(training, "pool_once", "no")
    with pytest.raises(UserError, match=r"the object has changed since the data set was opened"):
        train(tiny_experiment(tmp_path, data=data, training=training), tmp_path / "run", progress=replace_shards)
    assert (tmp_path / "run" / "checkpoint.safetensors").is_file()


@pytest.mark.fault
def test_silent_server_is_given_up_with_a_sentence(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    index = indexed(served.data)
    remove_copies()
    monkeypatch.setattr(remote_access, "TIMEOUT", 0.2)
    served.server.pause = 1
    started = time.monotonic()
    with pytest.raises(UserError, match=r"a\.tfrecord: cannot be read after 0 of .* bytes: no answer in 0\.2 s\."):
        check_frames(Videos(index))
    assert time.monotonic() - started < 20
    assert cached_bytes() == 0
    time.sleep(1)  # until the server has noticed


def test_slow_server_is_read_in_smaller_blocks(tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    content = small("long", x=3000)
    served.server.files = {"data/a.tfrecord": write(tmp_path / "long", content).read_bytes()}
    monkeypatch.setattr(remote_access, "TIMEOUT", 0.6)
    served.server.pause = 0.1  # 640 kB/s: the shard takes more than a second
    videos = Videos(indexed(served.data))
    assert (videos.frames(0) == content.expected_frames[:300]).all()
    assert len(served.reads()) > 2


@pytest.mark.fault
@pytest.mark.parametrize("status", [401, 403])
def test_denied_access_is_a_sentence_and_not_repeated(served: Served, status: int) -> None:
    served.server.faults["data/a.tfrecord"] = [status] * 9
    with pytest.raises(UserError, match=r"a\.tfrecord: access is denied \(.*\)\. Give credentials in the environment"):
        indexed(served.data)
    assert len(served.reads("a")) == 1


def test_server_that_compresses_its_answers_is_asked_for_the_bytes_of_the_object(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "BLOCK", 4096)
    served.server.compresses = True
    check_frames(Videos(indexed(served.data)))
    assert len(served.reads("a")) > 2  # in ranges


@pytest.mark.fault
def test_token_in_the_configuration_of_fsspec_is_used_and_not_stored(
    tmp_path: Path, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.server.token = "Bearer 0123456789abcdef"  # noqa: S105
    with pytest.raises(UserError, match="access is denied") as refused:
        indexed(served.data)
    monkeypatch.setitem(fsspec.config.conf, "http", {"headers": {"Authorization": served.server.token}})
    check_frames(Videos(indexed(served.data)))
    served.server.faults["data/a.tfrecord"] = [403] * 9
    remove_copies()
    with pytest.raises(UserError, match="access is denied") as denied:
        check_frames(Videos(indexed(served.data)))
    assert "0123456789abcdef" not in f"{refused.value}{denied.value}"
    assert [path for path in tmp_path.rglob("*") if path.is_file() and b"0123456789ab" in path.read_bytes()] == []


def test_server_without_ranges_is_read_whole(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "BLOCK", 4096)
    for name in served.server.files:
        served.server.faults[name] = [IGNORE_RANGE] * 99
    check_frames(Videos(indexed(served.data)))


def test_folder_that_the_server_does_not_list_is_refused_with_advice(served: Served) -> None:
    served.server.lists_folders = False
    with pytest.raises(UserError, match=r"/data/: the server does not list this folder\. Name its shards: '.*"):
        indexed(served.data)


@pytest.mark.fault
@pytest.mark.parametrize("fault", ["little is free", "allocation fails", "write fails"])
def test_full_cache_disk_is_a_sentence_and_loses_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    index = indexed(f"{served.data}a.tfrecord")
    with monkeypatch.context() as patch:
        if fault == "little is free":
            patch.setattr(module.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 40, 1 << 40, 20_000))
        elif fault == "allocation fails":
            patch.setattr(os, "posix_fallocate", full_disk)
        else:
            patch.setattr(module, "read_blocks", full_disk)
        with pytest.raises(UserError, match=r"shard cache .*/shards: found no space for shard .*b\.tfrecord"):
            indexed(f"{served.data}b.tfrecord")
    assert len(list((workspace() / "shards").rglob("*.tfrecord"))) == 1
    served.server.requests.clear()
    check_frames(Videos(index))
    assert served.reads() == []
    check_frames(Videos(indexed(served.data)))


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.fault
def test_cache_with_room_for_one_shard_never_has_two(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = served.shard_size
    monkeypatch.setenv("YT8M_SHARD_CACHE", str(budget))
    sizes: list[int] = []
    original = remote.call

    def watch(*arguments: Any, **options: Any) -> Any:
        sizes.append(cached_bytes())
        return original(*arguments, **options)

    monkeypatch.setattr(remote, "call", watch)
    videos = Videos(indexed(served.data))
    expected = {video_id: small(video_id, x=20).expected_frames for video_id in videos.ids}
    batches = shuffled_batches(videos.num_frames, 5, seed=0, epoch=0)
    for batch in Loader(videos, batches):
        for row, video in enumerate(batch.videos):
            assert (batch.frames[row].numpy() == expected[videos.id(int(video))]).all()
    assert max(sizes) <= budget + 4096  # lock files
    shards_per_batch = [len(np.unique(videos.shard_numbers[batch])) for batch in batches]
    plan = plan_downloads(videos.shards, videos.shard_numbers, batches)
    assert plan is not None
    assert len(videos.shards) * budget < plan.epoch_bytes <= sum(shards_per_batch) * budget
    assert "times the data, because every batch has videos of many shards. Set YT8M_SHARD_CACHE" in plan.message


@pytest.mark.fault
def test_copy_that_a_process_has_mapped_is_not_deleted(served: Served) -> None:
    shards = find_sources(served.data)
    folder = workspace() / "shards"
    mine, other = (ShardCache(folder, served.shard_size) for _ in range(2))  # of another process, as far as locks tell
    opened = mine.open(shards[0])
    for shard in shards[1:]:
        other.open(shard)
    opened.check()
    assert mine.has(shards[0])
    assert len(list(folder.glob("*.tfrecord"))) == 2  # the mapped one and the newest
    mine._maps.clear()
    del opened
    other.open(shards[1])
    assert not other.has(shards[0])


def test_least_recently_used_copy_is_deleted_first(served: Served) -> None:
    shards = find_sources(served.data)
    cache = ShardCache(workspace() / "shards", 3 * served.shard_size)
    for number in (0, 1, 2, 0, 3):
        cache.open(shards[number])
        time.sleep(0.01)
    assert [cache.has(shard) for shard in shards] == [True, False, True, True]


@pytest.mark.fault
def test_damaged_copy_is_downloaded_again(served: Served) -> None:
    videos = Videos(indexed(served.data))
    (copy, *_) = sorted((workspace() / "shards").glob("*.tfrecord"))
    os.truncate(copy, 20)
    served.server.requests.clear()
    check_frames(videos)
    assert len(set(served.reads())) == 1


def start_index(data: str) -> subprocess.Popen[str]:
    command = ["index", data, "--streams", *(f"{name}:{width}" for name, width in FRAME_STREAMS)]
    return subprocess.Popen(
        [sys.executable, "-m", "yt8m_core", *command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
@pytest.mark.fault
def test_two_processes_request_each_shard_once(served: Served) -> None:
    served.server.pause = 0.5
    processes = [start_index(served.data) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted(served.reads()) == sorted(served.server.files)


@pytest.mark.slow
@pytest.mark.fault
def test_killed_download_leaves_nothing_and_the_same_command_goes_on(served: Served) -> None:
    served.server.pause = 1
    first = start_index(served.data)
    while not list((workspace() / "shards").glob(".*.tmp/*.tfrecord")):
        assert first.poll() is None
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    served.server.pause = 0
    output = start_index(served.data).communicate(timeout=300)[0]
    assert "24 videos in 4 shards" in output
    assert len(list((workspace() / "shards").rglob("*.tfrecord"))) == 4


@pytest.mark.fault
def test_shards_are_fetched_ahead_in_the_order_of_the_batches(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = Videos(indexed(served.data))
    monkeypatch.setattr(module, "MAX_OPEN_SHARDS", 1)
    shard_cache()._maps.clear()
    remove_copies()
    served.server.requests.clear()
    batches = [np.flatnonzero(videos.shard_numbers == number) for number in (2, 0, 3, 1)]
    loaded = iter(Loader(videos, batches, buffers=1))
    next(loaded)
    deadline = time.monotonic() + 20
    while len(served.reads()) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert served.reads() == [f"data/{letter}.tfrecord" for letter in "cadb"]
    loaded.close()  # type: ignore[attr-defined]
    while any(thread.name == "read ahead" for thread in threading.enumerate()):
        time.sleep(0.02)


def test_budget_is_a_size_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YT8M_SHARD_CACHE", "some")
    with pytest.raises(UserError, match=r"YT8M_SHARD_CACHE: found 'some'; expected a size such as 50GB"):
        shard_cache()
    monkeypatch.delenv("YT8M_SHARD_CACHE")
    free = shutil.disk_usage(tmp_path).free
    assert 0.4 * free < shard_cache().budget < 0.6 * free


TOKEN = "X-Amz-Signature=0123456789abcdef"  # noqa: S105


@pytest.mark.fault
@pytest.mark.parametrize(
    "address",
    ["https://ada:{}@host/train/", "s3://key:{}@bucket/train", "https://host/a.tfrecord?{}", "http://{}@host/"],
)
def test_address_with_a_password_or_token_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], address: str
) -> None:
    data = address.format(TOKEN)
    run = tmp_path / "run"
    for command in (
        ["index", data],
        ["labels", data],
        ["train", "--train", data, "--validation", data, "--run", run],
        ["missing-labels", "--train", data, "--output", tmp_path / "out.csv"],
        ["app", "--data", data],
    ):
        with pytest.raises(SystemExit) as refused:
            yt8m(monkeypatch, *command)
        captured = capfd.readouterr()
        text = f"{refused.value}{captured.out}{captured.err}"
        assert "0123456789abcdef" not in text, command
        assert "an address with " in text, command
        assert "***" in text
    stored = [path for path in tmp_path.rglob("*") if path.is_file() and b"0123456789abcdef" in path.read_bytes()]
    assert stored == []
