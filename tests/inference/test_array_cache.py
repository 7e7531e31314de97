"""The cache that stores scores and pooled frames: hits, misses, eviction and full disks."""

import errno
import gc
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yt8m_core.inference import pooled_cache, score_cache
from yt8m_core.inference.array_cache import ArrayCache, CacheKey, Put

SHAPE = (10, 5)
FILE_BYTES = 10 * 5 * 4 + 128  # with the header of a .npy


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path))
    return tmp_path


def cache(max_files: int = 100) -> ArrayCache:
    return ArrayCache("arrays", max_bytes=max_files * FILE_BYTES)


def store(cache: ArrayCache, name: str, value: float = 1.0, replaces: str = "") -> np.ndarray:
    def fill(part: int, put: Put) -> None:
        put((5 * part,), np.full((5, 5), value))

    return cache.store(CacheKey(name, replaces), SHAPE, np.float32, fill, parts=2)


def names(home: Path) -> list[str]:
    return sorted(file.name for file in (home / "arrays").iterdir())


def set_age(home: Path, name: str, seconds: float) -> None:
    file = home / "arrays" / f"{name}.npy"
    last_use = file.stat().st_mtime - seconds
    os.utime(file, (last_use, last_use))


def test_stored_array_is_loaded_again_and_missing_ones_are_none(home: Path) -> None:
    assert cache().load(CacheKey("a"), SHAPE, np.float32) is None
    assert (store(cache(), "a", 3.0) == 3).all()
    loaded = cache().load(CacheKey("a"), SHAPE, np.float32)
    assert loaded is not None
    assert (loaded == 3).all()
    assert cache().load(CacheKey("b"), SHAPE, np.float32) is None
    assert names(home) == ["a.npy"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "pickle", "shape", "dtype"])
def test_damaged_file_is_a_miss_and_is_replaced(home: Path, damage: str) -> None:
    store(cache(), "a")
    file = home / "arrays" / "a.npy"
    if damage in ("truncated", "empty"):
        file.write_bytes(file.read_bytes()[: 150 if damage == "truncated" else 0])
    else:
        arrays = {"pickle": np.array([{}]), "shape": np.ones((2, 2), np.float32), "dtype": np.ones(SHAPE)}
        np.save(file, arrays[damage])
    assert cache().load(CacheKey("a"), SHAPE, np.float32) is None
    assert (store(cache(), "a", 2.0) == 2).all()


def test_least_recently_used_files_are_evicted_beyond_the_budget(home: Path) -> None:
    for age, name in ((30, "a"), (20, "b"), (10, "c")):
        store(cache(), name)
        set_age(home, name, age)
    cache().load(CacheKey("a"), SHAPE, np.float32)  # its last use is now
    gc.collect()
    store(cache(max_files=2), "d")
    assert names(home) == ["a.npy", "d.npy"]


def test_new_file_stays_even_where_it_exceeds_the_budget_alone(home: Path) -> None:
    store(cache(), "a")
    assert (store(cache(max_files=0), "b", 2.0) == 2).all()
    assert names(home) == ["b.npy"]


def test_file_in_use_is_never_evicted(home: Path) -> None:
    array = store(cache(), "a", 7.0)
    view = array[3:].view()
    del array
    set_age(home, "a", 100)
    for name in ("b", "c"):
        store(cache(max_files=1), name)
    assert names(home) == ["a.npy", "c.npy"]
    assert (view == 7).all()
    del view
    gc.collect()
    store(cache(max_files=1), "d")
    assert names(home) == ["d.npy"]


@pytest.mark.slow
@pytest.mark.slow
def test_file_in_use_by_another_process_is_never_evicted(home: Path) -> None:
    store(cache(), "a", 7.0)
    program = """
import numpy as np
from yt8m_core.inference.array_cache import ArrayCache, CacheKey, Put
array = ArrayCache("arrays", max_bytes=0).load(CacheKey("a"), (10, 5), np.float32)
print("loaded", flush=True)
input()
assert (array == 7).all()
"""
    user = subprocess.Popen(
        [sys.executable, "-c", program], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert user.stdout is not None
    assert user.stdout.readline() == "loaded\n"
    store(cache(max_files=0), "b")
    assert names(home) == ["a.npy", "b.npy"]
    user.communicate("\n")
    assert user.returncode == 0
    store(cache(max_files=0), "c")
    assert names(home) == ["c.npy"]


@pytest.mark.fault
def test_new_file_is_not_evicted_by_another_process_before_it_is_loaded(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = ArrayCache.load

    def evict_first(own: ArrayCache, *arguments: Any) -> Any:
        cache(0)._evict(newest=home / "arrays" / "of the other process.npy")
        return load(own, *arguments)

    monkeypatch.setattr(ArrayCache, "load", evict_first)
    assert (store(cache(1), "new") == 1).all()
    assert names(home) == ["new.npy"]


def test_older_version_is_deleted_at_once_and_stays_readable(home: Path) -> None:
    old = store(cache(), "shards-1", 5.0, replaces="shards-")
    store(cache(), "others-1")
    store(cache(), "shards-2", replaces="shards-")
    assert names(home) == ["others-1.npy", "shards-2.npy"]
    assert (old == 5).all()


def test_failed_or_impossible_write_leaves_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(part: int, put: Put) -> None:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        cache().store(CacheKey("a"), SHAPE, np.float32, fail)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000, 900, 100))
    with pytest.raises(OSError, match="No space left") as full:
        store(cache(), "a")
    assert full.value.errno == errno.ENOSPC
    assert names(home) == []


@pytest.mark.fault
def test_interrupted_array_goes_on_from_its_parts(home: Path) -> None:
    parts: list[int] = []

    def fill(part: int, put: Put) -> None:
        parts.append(part)
        if parts == [0, 1]:
            raise SystemExit
        put((5 * part, 2), np.full((3,), part + 1.0))

    with pytest.raises(SystemExit):
        cache().store(CacheKey("a"), SHAPE, np.float32, fill, parts=2)
    assert names(home) == [".a.parts"]
    assert cache().load(CacheKey("a"), SHAPE, np.float32) is None
    array = cache().store(CacheKey("a"), SHAPE, np.float32, fill, parts=2)
    assert parts == [0, 1, 1]
    assert names(home) == ["a.npy"]
    expected = np.zeros(SHAPE)
    expected[0, 2:], expected[5, 2:] = 1, 2
    assert np.array_equal(array, expected)


@pytest.mark.fault
def test_unfinished_array_of_another_shape_is_replaced(home: Path) -> None:
    def interrupt(part: int, put: Put) -> None:
        if part:
            raise SystemExit

    with pytest.raises(SystemExit):
        cache().store(CacheKey("a"), (4, 5), np.float32, interrupt, parts=2)
    assert (store(cache(), "a", 2.0) == 2).all()
    assert names(home) == ["a.npy"]


def test_both_caches_have_a_budget() -> None:
    assert (score_cache.CACHE.folder, pooled_cache.CACHE.folder) == ("scored", "pooled")
    assert 0 < score_cache.CACHE.max_bytes < pooled_cache.CACHE.max_bytes < 1 << 40
