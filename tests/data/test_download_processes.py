"""Downloads of one partition in several processes at the same time."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.file_server import FileServer, serve_files
from yt8m_core.data.download.plan import Partition, PlannedShard
from yt8m_core.data.download.shards import Download, Servers
from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import file_lock

PARTITION = "2/video/train"
SHARDS = {f"traina{letter}.tfrecord": bytes([number]) * 1_000_000 for number, letter in enumerate("abcd")}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Serve four shards of 1 MB, each in about a second."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve_files() as server:
        server.files = {f"{PARTITION}/{name}": content for name, content in SHARDS.items()}
        plan = {"files": {name: md5(content) for name, content in SHARDS.items()}}
        server.files["2/download_plans/video_train.json"] = json.dumps(plan).encode()
        server.pause = 0.06
        yield server


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def start_download(server: FileServer, output: Path) -> subprocess.Popen[str]:
    command = ["download", PARTITION, "--output", str(output), "--mirror", server.address]
    return subprocess.Popen(
        [sys.executable, "-m", "yt8m_core", *command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def check_shards(output: Path) -> None:
    folder = output / PARTITION
    assert {path.name for path in folder.iterdir()} == {
        ".checked",
        *(PlannedShard(name, "").local_name for name in SHARDS),
    }
    for name, content in SHARDS.items():
        assert md5((folder / PlannedShard(name, "").local_name).read_bytes()) == md5(content)


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("seconds_apart", [0, 1])
def test_downloads_of_one_partition_at_the_same_time_share_its_shards(
    tmp_path: Path, server: FileServer, seconds_apart: float
) -> None:
    first = start_download(server, tmp_path)
    time.sleep(seconds_apart)
    second = start_download(server, tmp_path)
    outputs = [process.communicate(timeout=120) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), outputs
    check_shards(tmp_path)
    requests = [path for path, _ in server.requests if path.endswith(".tfrecord")]
    assert sorted(requests) == sorted(f"{PARTITION}/{name}" for name in SHARDS)  # each was downloaded once


@pytest.mark.slow
@pytest.mark.fault
def test_shard_of_a_killed_download_is_taken_over_by_one_that_waits(tmp_path: Path, server: FileServer) -> None:
    first = start_download(server, tmp_path)
    while not list(tmp_path.rglob("*.part")):
        assert first.poll() is None
        time.sleep(0.02)
    second = start_download(server, tmp_path)
    time.sleep(1)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    output = second.communicate(timeout=120)
    assert second.returncode == 0, output
    check_shards(tmp_path)


def test_shard_that_another_process_downloads_comes_last_with_a_message(tmp_path: Path, server: FileServer) -> None:
    server.pause = 0
    servers = Servers(server.address, (server.address,), f"{server.address}/vocabulary.csv", pause=0, timeout=5)
    download = Download.open(Partition.parse(PARTITION), tmp_path, servers=servers)
    held = download.folder / download.missing[0].local_name
    lock, reports = file_lock(held, "download of this shard"), list[str]()

    def finish_other_download(task: str, done: int, total: int, note: str = "") -> None:
        reports.append(task)
        if task.startswith("waiting"):
            held.write_bytes(SHARDS[download.missing[0].name])
            lock.__exit__(None, None, None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yt8m_core.storage.atomic.GRACE", 0.05)
        lock.__enter__()
        downloaded = download.run(finish_other_download)
    assert downloaded == sum(map(len, SHARDS.values())) - 1_000_000
    (message,) = (task for task in dict.fromkeys(reports) if task.startswith("waiting"))
    assert message == f"waiting: another download of this shard is running (process {os.getpid()} on {os.uname()[1]})"
    check_shards(tmp_path)


@pytest.mark.fault
def test_link_in_place_of_a_partial_download_is_refused(tmp_path: Path, server: FileServer) -> None:
    server.pause = 0
    servers = Servers(server.address, (server.address,), f"{server.address}/vocabulary.csv", pause=0, timeout=5)
    download = Download.open(Partition.parse(PARTITION), tmp_path, servers=servers)
    download.folder.mkdir(parents=True)
    (tmp_path / "mine").write_text("my own text")
    part = download.folder / f".{download.missing[0].local_name}.part"
    part.symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match=r"\.part: found a link; expected a partial download\. Remove the link\."):
        download.run()
    assert (tmp_path / "mine").read_text() == "my own text"
    part.unlink()
    Download.open(Partition.parse(PARTITION), tmp_path, servers=servers).run()
    check_shards(tmp_path)
