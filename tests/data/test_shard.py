"""Shards that change while they are open: reported by name at the next read, without killing the process."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.shards import FRAME_STREAMS, Encoder, small, vector, write
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.index import open_index
from yt8m_core.data.tfrecord import shard as module
from yt8m_core.data.tfrecord.shard import OpenShard, Shard
from yt8m_core.errors import UserError

CHANGED = "the shard has changed since the data set was opened. Open the data set again."
MISSING = "the shard no longer exists. Restore it, or open the data set again."


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))


KINDS = {
    "regular": lambda i: small(f"v{i}", x=40).regular(),
    "irregular": lambda i: Encoder(["value before key"]).encode(small(f"v{i}", x=40)),
    "video level": lambda i: vector(f"v{i}").regular(),
}


def two_shards(folder: Path, kind: str) -> Videos:
    """Open two shards of 20 videos each, and read all videos once."""
    for shard in "ab":
        write(folder / f"{shard}.tfrecord", *map(KINDS[kind], range(*((20,) if shard == "a" else (20, 40)))))
    videos = open_videos(folder, streams=None if kind == "video level" else FRAME_STREAMS)
    for video in range(len(videos)):
        videos.frames(video)
    return videos


def rewrite_in_place(path: Path) -> None:
    """Rewrite with the same size but another modification time: the shard is older than a tick."""
    path.write_bytes(path.read_bytes())
    os.utime(path)


def replace_with_same_size_and_time(path: Path) -> None:
    """Replace with another file that differs only by its inode."""
    stat, other = path.stat(), path.with_name("other")
    other.write_bytes(bytes(stat.st_size))
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(other, path)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.fault
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (rewrite_in_place, CHANGED),
        (replace_with_same_size_and_time, CHANGED),
        (grow, CHANGED),
        (Path.unlink, MISSING),
        (lambda path: path.rename(path.with_name("elsewhere")), MISSING),
    ],
    ids=["rewritten", "replaced", "grown", "removed", "renamed"],
)
def test_changed_shard_is_detected_at_the_next_read(
    tmp_path: Path, kind: str, change: Callable[[Path], object], problem: str
) -> None:
    videos = two_shards(tmp_path, kind)
    change(tmp_path / "b.tfrecord")
    for video in (20, 39, 20):
        with pytest.raises(UserError) as error:
            videos.frames(video)
        assert str(error.value) == f"{tmp_path}/b.tfrecord: {problem}"
    videos.frames(0)  # the other shard is still readable


def test_shard_stays_readable_when_only_permissions_or_links_change(tmp_path: Path) -> None:
    videos = two_shards(tmp_path, "regular")
    before = videos.frames(0)
    (tmp_path / "a.tfrecord").chmod(0o400)
    os.link(tmp_path / "a.tfrecord", tmp_path / "backup")
    assert (videos.frames(0) == before).all()
    opened = videos.reader.open_shard(0)
    assert opened._last.st_ctime_ns == os.stat(tmp_path / "a.tfrecord").st_ctime_ns  # no further stat of the path


def run_in_child(script: str, *arguments: Path | str) -> str:
    """Run a script in a child process, which a truncated memory map may kill, and return its output."""
    result = subprocess.run(
        [sys.executable, "-c", dedent(script), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 0, f"exit status {result.returncode}: {result.stderr[-2000:]}"
    return result.stdout


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("threads", [1, 3])
def test_shard_truncated_while_batches_are_read_is_reported_by_name(tmp_path: Path, threads: int) -> None:
    script = """
        import os, sys
        from pathlib import Path
        from tests.data.test_shard import KINDS, two_shards
        from yt8m_core.data.loader import Loader, ordered_batches
        from yt8m_core.errors import UserError

        folder, threads = Path(sys.argv[1]), int(sys.argv[2])
        for kind in KINDS:
            videos = two_shards(folder / kind, kind)
            batches = iter(Loader(videos, ordered_batches(40, 4) * 3, threads=threads))
            next(batches)
            os.truncate(folder / kind / "b.tfrecord", 100)
            try:
                for _ in batches:
                    pass
            except UserError as error:
                print(error)
    """
    printed = run_in_child(script, tmp_path, str(threads))
    assert printed.splitlines() == [f"{tmp_path}/{kind}/b.tfrecord: {CHANGED}" for kind in KINDS]


@pytest.mark.slow
@pytest.mark.fault
def test_shard_truncated_during_indexing_is_reported_by_name(tmp_path: Path) -> None:
    script = """
        import os, sys
        from pathlib import Path
        from tests.support.shards import FRAME_STREAMS, small, write
        from yt8m_core.data import index
        from yt8m_core.errors import UserError

        path = write(Path(sys.argv[1], "a.tfrecord"), *(small(f"v{i}", x=50) for i in range(20)))
        scan_record = index.scan_record

        def truncating(*arguments):
            scanned = scan_record(*arguments)
            os.truncate(path, 100)
            return scanned

        index.scan_record = truncating
        try:
            index.open_index(path, streams=FRAME_STREAMS)
        except UserError as error:
            print(error)
    """
    assert run_in_child(script, tmp_path) == f"{tmp_path}/a.tfrecord: {CHANGED}\n"


@pytest.mark.slow
@pytest.mark.fault
def test_shard_truncated_during_training_is_reported_and_the_checkpoint_is_kept(tmp_path: Path) -> None:
    script = """
        import os, sys
        from dataclasses import replace
        from pathlib import Path
        from tests.support.tiny import tiny_experiment
        from yt8m_core.errors import UserError
        from yt8m_core.training.loop import train

        root = Path(sys.argv[1])
        experiment = tiny_experiment(root)
        experiment = replace(experiment, training=replace(experiment.training, pool_once="no"))

        def truncating(what, done, total, note=""):
            if what == "scoring" and done == total:  # between two epochs
                os.truncate(root / "train" / "train1.tfrecord", 100)

        try:
            train(experiment, root / "run", progress=truncating)
        except UserError as error:
            print(error)
    """
    assert run_in_child(script, tmp_path) == f"{tmp_path}/train/train1.tfrecord: {CHANGED}\n"
    assert (tmp_path / "run" / "checkpoint.safetensors").is_file()


@pytest.mark.fault
def test_shard_rewritten_within_one_tick_is_read_in_its_new_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Size and time stay the same, so the shard is read only after the tick has ended."""
    path = write(tmp_path / "a.tfrecord", small("old"))
    written = time.time_ns() + module.TICK_NS // 2  # in the current tick, even on a busy machine
    os.utime(path, ns=(written, written))

    def rewrite(seconds: float) -> None:
        assert seconds > 0
        write(path, small("new"))
        os.utime(path, ns=(written, written))

    monkeypatch.setattr(module.time, "sleep", rewrite)
    monkeypatch.setattr(module.time, "time_ns", lambda: written + 1)
    assert open_videos(path, streams=FRAME_STREAMS).ids == ["new"]
    ended = max(written, path.stat().st_ctime_ns) + module.TICK_NS
    monkeypatch.setattr(module.time, "time_ns", lambda: ended)
    monkeypatch.setattr(module.time, "sleep", lambda _: pytest.fail("the tick has ended"))
    module.settled_shards([path])
    monkeypatch.setattr(module.time, "time_ns", lambda: written - 10**15)  # the clock was set back
    module.settled_shards([path])


def copy_with_times(source: Path, target: Path) -> None:
    """Copy like ``cp -p``, into the target itself."""
    target.write_bytes(source.read_bytes())
    shutil.copystat(source, target)


@pytest.mark.fault
@pytest.mark.parametrize("change", [copy_with_times, os.replace], ids=["cp -p", "mv"])
def test_shard_replaced_with_the_same_size_and_time_is_read_in_its_new_state(
    tmp_path: Path, change: Callable[[Path, Path], object]
) -> None:
    path = write(tmp_path / "a.tfrecord", small("old"))
    index = open_index(path, streams=FRAME_STREAMS)
    videos, unread = Videos(index), Videos(index)
    before = videos.frames(0)
    other = write(tmp_path / "other", small("new"))
    shutil.copystat(path, other)
    change(other, path)
    for opened in (videos, unread):
        with pytest.raises(UserError, match=CHANGED):
            opened.frames(0)
    again = open_videos(path, streams=FRAME_STREAMS)
    assert again.ids == ["new"]
    assert (again.frames(0) == small("new").expected_frames).all()
    assert (again.frames(0) != before).any()


def test_file_descriptors_are_closed_when_a_shard_is_dropped(tmp_path: Path) -> None:
    shard = Shard.at(write(tmp_path / "a.tfrecord", small()))
    before = len(os.listdir("/proc/self/fd"))
    opened = OpenShard(shard)
    data = opened.data
    del opened
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # of the memory map
    assert bytes(data[:8]) == (len(data) - 16).to_bytes(8, "little")
    del data
    assert len(os.listdir("/proc/self/fd")) == before
    (tmp_path / "a.tfrecord").write_bytes(b"other")
    with pytest.raises(UserError, match="has changed"):
        OpenShard(shard)
    assert len(os.listdir("/proc/self/fd")) == before
