"""Interrupted, repeated and failed imports: the output folder is always one whole import, or none."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yt8m_core.data.dataset import open_videos
from yt8m_core.data.importer import units as importer_units
from yt8m_core.data.importer.plan import make_plan
from yt8m_core.data.importer.run import ImportResult, import_features
from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard
from yt8m_core.data.vocabulary import read_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import exclusive_lock

VIDEOS = 6
CATS = {f"v{number}": "cat" for number in range(VIDEOS)} | {"v0": "dog"}
DOGS = {f"v{number}": "dog" for number in range(VIDEOS)} | {"v0": "cat"}  # numbered the other way round


class Killed(BaseException):
    """What a test raises where the process would be killed."""


def frames(number: int) -> Any:
    return np.arange(3 * 16, dtype=np.uint8).reshape(3, 16) + number


@pytest.fixture
def features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write six videos, two to a unit."""
    monkeypatch.setattr("yt8m_core.data.importer.sources.UNIT_FILES", 2)
    folder = tmp_path / "features"
    folder.mkdir()
    for number in range(VIDEOS):
        np.savez(folder / f"v{number}.npz", x=frames(number))
    return folder


def run(features: Path, labels: dict[str, str], split: float = 0.4) -> ImportResult:
    table = features.parent / "labels.csv"
    table.write_text("id,label\n" + "".join(f"{key},{label}\n" for key, label in labels.items()))
    return import_features(make_plan(features, features.parent / "data", labels=table, split=split))


def fail(features: Path) -> None:
    """Import features that are damaged after the plan was made."""
    other = features.parent / "other"
    other.mkdir(exist_ok=True)
    np.savez(other / "a.npz", x=frames(9))
    plan = make_plan(other, features.parent / "data")
    (other / "a.npz").write_bytes(b"damaged")
    with pytest.raises(UserError, match="no video could be converted"):
        import_features(plan)


def imported(features: Path) -> dict[str, str]:
    """Return the label of each imported video."""
    output = features.parent / "data"
    names = read_vocabulary(output / "vocabulary.csv").names
    found = {}
    for split in ("train", "validate"):
        if list((output / split).iterdir()):
            videos = open_videos(output / split, streams=(("x", 16),))
            found |= {videos.id(n): names[videos.labels(n)[0]] for n in range(len(videos))}
    return dict(sorted(found.items()))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".import" not in path.parts
    }


def kill_at(monkeypatch: pytest.MonkeyPatch, function: str, number: int) -> list[int]:
    """Raise Killed at a call of a function of the os module; return a list of the calls."""
    calls: list[int] = []
    original: Callable[..., Any] = getattr(os, function)

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(len(calls))
        if len(calls) > number:
            raise Killed
        return original(*arguments, **options)

    monkeypatch.setattr(os, function, counted)
    return calls


def foreign_shards(output: Path) -> None:
    write_shard(output / "train" / "train00.tfrecord", [encode_sequence_example({"id": b"v1"}, {"x": frames(1)})])
    (output / "vocabulary.csv").write_text("Index,Name\n0,Original\n")


def foreign_numbered_shards(output: Path) -> None:
    write_shard(output / "train" / "part-00000.tfrecord", [encode_sequence_example({"id": b"v1"}, {"x": frames(1)})])


def foreign_vocabulary(output: Path) -> None:
    output.mkdir()
    (output / "vocabulary.csv").write_text("Index,Name\n0,Original\n")


@pytest.mark.fault
@pytest.mark.parametrize("prepare", [foreign_shards, foreign_numbered_shards, foreign_vocabulary])
def test_data_set_of_another_origin_is_never_overwritten(features: Path, prepare: Callable[[Path], None]) -> None:
    output = features.parent / "data"
    prepare(output)
    before = contents(output)
    with pytest.raises(UserError, match="expected an empty folder, or an earlier import"):
        run(features, CATS)
    assert contents(output) == before


@pytest.mark.fault
@pytest.mark.parametrize("name", ["part-00000-of-00010.tfrecord", "part-00017.tfrecord", "notes.txt"])
def test_file_that_was_added_to_an_import_is_refused_by_name(features: Path, name: str) -> None:
    run(features, CATS)
    (features.parent / "data" / "train" / name).write_bytes(b"mine")
    with pytest.raises(UserError, match=f"a folder with train/{name}"):
        run(features, DOGS)
    assert (features.parent / "data" / "train" / name).read_bytes() == b"mine"


@pytest.mark.fault
def test_failed_import_leaves_the_earlier_one(features: Path) -> None:
    run(features, CATS)
    before = contents(features.parent / "data")
    fail(features)
    assert contents(features.parent / "data") == before
    run(features, CATS)
    assert contents(features.parent / "data") == before


@pytest.mark.fault
@pytest.mark.parametrize("function", ["replace", "link"])
def test_killed_import_never_leaves_labels_with_other_names(
    features: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """Kill a second import at each step, then let a third one fail."""
    output = features.parent / "data"
    number, has_ended = 0, False
    while not has_ended:
        run(features, CATS)
        with monkeypatch.context() as patch, suppress(Killed):
            kill_at(patch, function, number)
            run(features, DOGS)
            has_ended = True
        if (output / "train").exists():
            assert imported(features) in (CATS, DOGS)
        fail(features)
        assert imported(features) in (CATS, DOGS)
        number += 1
    assert number > 3


@pytest.mark.fault
def test_kill_between_shard_and_state_converts_the_unit_again(features: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path) -> Any:
        if path.suffix == ".json":
            raise Killed
        return write(path)

    run(features, CATS)
    write = importer_units.atomic_write
    with monkeypatch.context() as patch:
        patch.setattr(importer_units, "atomic_write", killed)
        with pytest.raises(Killed):
            run(features, {**CATS, "v0": "cat", "v1": "dog"})
    run(features, CATS)
    assert imported(features) == CATS
    for state in (features.parent / "data" / ".import").glob("*.json"):
        if "." not in state.stem and state.stem != "shards":
            (state.parent / f"{state.stem}.train.tfrecord").unlink(missing_ok=True)
    run(features, CATS)
    assert imported(features) == CATS


@pytest.mark.fault
def test_video_with_a_repeated_id_comes_back_with_an_id_of_its_own(features: Path) -> None:
    np.savez(features / "v0.npz", x=frames(0), id=np.array("v5"))
    labels = {**CATS, "new": "dog"}
    for _ in range(2):
        result = run(features, labels)
        assert sorted(imported(features)) == ["v1", "v2", "v3", "v4", "v5"]
        assert result.duplicates == [
            f"{features / 'v5.npz'}: the id 'v5' a second time, first in {features / 'v0.npz'}"
        ]
    np.savez(features / "v0.npz", x=frames(0), id=np.array("new"))
    assert run(features, labels).duplicates == []
    assert sorted(imported(features)) == ["new", "v1", "v2", "v3", "v4", "v5"]


@pytest.mark.fault
def test_leftovers_of_a_killed_import_are_removed(features: Path) -> None:
    run(features, CATS)
    output = features.parent / "data"
    leftovers = [
        output / folder / f".{name}.1a2b3c4d.tmp"
        for folder, name in (("", "vocabulary.csv"), ("train", "part-00000.tfrecord"), (".import", "00000.json"))
    ]
    for leftover in leftovers:
        leftover.write_text("x")
    (output / ".import" / "new" / "train").mkdir(parents=True)
    run(features, CATS)
    assert not [leftover for leftover in leftovers if leftover.exists()]
    run(features, DOGS)
    keys = {path.name.partition(".")[0] for path in (output / ".import").iterdir()}
    assert len(keys) == VIDEOS // 2 + 1  # and the list of shards


def test_disk_without_hard_links_gets_the_same_shards(features: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(1, "Operation not permitted")

    run(features, CATS)
    expected = contents(features.parent / "data")
    run(features, DOGS)
    monkeypatch.setattr("yt8m_core.data.importer.output.os.link", refuse)
    for _ in range(2):
        run(features, CATS)
        assert contents(features.parent / "data") == expected


def test_plan_says_that_an_earlier_import_is_replaced(features: Path) -> None:
    assert "replaces" not in make_plan(features, features.parent / "data").describe()
    run(features, CATS)
    assert "(replaces the import in it)" in make_plan(features, features.parent / "data").describe()
    output = features.parent / "data"
    with exclusive_lock(output, "import"), pytest.raises(UserError, match="another import is running in this folder"):
        run(features, CATS)


@pytest.mark.slow
@pytest.mark.fault
def test_workers_end_with_a_killed_import(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import time, os\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "from yt8m_core.data.importer.run import _set_job\n"
        "if __name__ == '__main__':\n"
        "    pool = ProcessPoolExecutor(2, get_context('spawn'), _set_job, (None, ''))\n"
        "    print(*{pool.submit(os.getpid).result() for _ in range(9)}, flush=True)\n"
        "    [pool.submit(time.sleep, 60) for _ in range(2)]\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert workers
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(is_running(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
