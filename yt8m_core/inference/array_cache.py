"""Disk cache of NumPy arrays with a byte budget: atomic writes, least recently used files evicted first."""

import errno
import hashlib
import json
import os
import shutil
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from yt8m_core.errors import LockedError
from yt8m_core.processes.group import ALONE, Group
from yt8m_core.processes.parts import Parts, shared_lock
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import atomic_write, create_array, remove_folder
from yt8m_core.workspace import workspace

try:
    import fcntl
except ImportError:  # Windows, which does not delete a file that is mapped
    fcntl = None  # type: ignore[assignment]

ARRAY = "array.npy"  # in the folder of an unfinished array
ABANDONED_AFTER = 30 * 86400  # seconds without a new part after which an unfinished array is removed
SPARE = 1.1  # free disk space that an array needs, as a multiple of its size


@dataclass(frozen=True)
class CacheKey:
    """The name of a cached array.

    Attributes:
        name: file name without ``.npy``.
        replaces: prefix of the names of older versions, which are deleted once this one is written; "" for none.
    """

    name: str
    replaces: str = ""


def digest(value: Any, length: int) -> str:
    """Return the first hex digits of the SHA-256 of a JSON value.

    >>> digest(["shard", 1], 12)
    'e5644268453b'
    """
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:length]


class Put:
    """Writes values into a stored array, also while other processes write other ones."""

    def __init__(self, descriptor: int, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._descriptor, self._start, self._shape, self._dtype = descriptor, start, shape, dtype

    def __call__(self, place: tuple[int, ...], values: NDArray[Any]) -> None:
        """Write values at a place: the indices of their first row. They are contiguous in the array."""
        index = (*place, *([0] * (len(self._shape) - len(place))))
        offset = self._start + int(np.ravel_multi_index(index, self._shape)) * self._dtype.itemsize
        data = np.ascontiguousarray(values, self._dtype).data.cast("B")
        while data:
            written = os.pwrite(self._descriptor, data, offset)
            data, offset = data[written:], offset + written

    def sync(self) -> None:
        """Wait until the values are on the disk."""
        os.fsync(self._descriptor)


@dataclass(frozen=True)
class ArrayCache:
    """``.npy`` files in a folder of the workspace. Any of them may be deleted at any time.

    An array that a process has loaded holds a shared lock on its file, so that no process evicts it.

    Attributes:
        folder: name of the folder in the workspace.
        max_bytes: size of all files at which the least recently used ones are deleted. A file in use, or just written,
            stays even above it.
    """

    folder: str
    max_bytes: int

    @property
    def path(self) -> Path:
        """The folder."""
        return workspace() / self.folder

    def load(self, key: CacheKey, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any] | None:
        """Return the cached array, mapped copy-on-write; None where it is missing, damaged or of another shape."""
        file = self._file(key)
        try:
            # Copy-on-write, because torch wants writable memory. Nothing writes to it.
            values: NDArray[Any] = np.load(file, mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if values.shape != shape or values.dtype != np.dtype(dtype):
            return None
        with suppress(OSError):
            _lock_while_alive(file, values)
            os.utime(file)
        return values

    def store(
        self,
        key: CacheKey,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        fill: Callable[[int, Put], None],
        *,
        parts: int = 1,
        group: Group = ALONE,
        progress: Progress = silent,
    ) -> NDArray[Any]:
        """Write an array in parts, evict old files, and return it as ``load`` does.

        A killed process loses the part that it was writing.

        Args:
            key: name of the array.
            shape: its shape.
            dtype: its type.
            fill: computes the part of a number, and puts its values where they belong.
            parts: number of parts.
            group: the processes that divide the parts.
            progress: receives a message while another group writes the same array.

        Raises:
            OSError: the disk has no room or the folder is not writable.
            ProcessEndedError: another process of the group has ended.
        """
        file = self._file(key)
        unfinished = file.with_name(f".{key.name}.parts")
        with shared_lock(file, "computation of this array", group, progress):
            is_missing = group.share(self.load(key, shape, dtype) is None)  # another group may have made it
            if is_missing:
                if group.is_first:
                    self._allocate(unfinished, shape, dtype)
                group.wait()
                done = Parts(unfinished, parts)
                with _open_array(unfinished / ARRAY, shape, dtype) as put:

                    def fill_part(number: int, mark: Path) -> None:
                        fill(number, put)
                        put.sync()
                        mark.touch()

                    try:
                        done.make(fill_part, group)
                    except BaseException:
                        if group.is_first and len(done.missing()) == parts:  # nothing to go on from
                            remove_folder(unfinished, "computation")
                        raise
                if group.is_first:
                    array = np.load(unfinished / ARRAY, mmap_mode="r", allow_pickle=False)
                    with suppress(OSError):
                        _lock_while_alive(unfinished / ARRAY, array)  # else another process may evict it at once
                    os.replace(unfinished / ARRAY, file)
                done.remove(group)
            values = self.load(key, shape, dtype)
        if group.is_first:
            self._remove_replaced(key)
            self._evict(newest=file)
        if values is None:
            raise OSError(errno.EIO, "cannot be read after it was written", str(file))
        return values

    def _allocate(self, folder: Path, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        """Create the unfinished array, unless a killed process has left it, and remove those of other arrays."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        folder.parent.mkdir(parents=True, exist_ok=True)
        for other in folder.parent.glob(".*.parts"):
            with suppress(OSError, LockedError):
                if other != folder and time.time() - other.stat().st_mtime > ABANDONED_AFTER:
                    remove_folder(other, "computation")
        with suppress(OSError, ValueError):
            array = np.load(folder / ARRAY, mmap_mode="r", allow_pickle=False)
            if array.shape == shape and array.dtype == np.dtype(dtype):
                return
        remove_folder(folder, "computation")
        if shutil.disk_usage(folder.parent).free < SPARE * size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder.parent))
        with atomic_write(folder) as new:
            new.mkdir()
            create_array(new / ARRAY, dtype, shape)

    def _remove_replaced(self, key: CacheKey) -> None:
        if key.replaces:
            for other in self.path.glob(f"{key.replaces}*.npy"):
                if other != self._file(key):
                    other.unlink(missing_ok=True)

    def _file(self, key: CacheKey) -> Path:
        return self.path / f"{key.name}.npy"

    def _evict(self, newest: Path) -> None:
        """Delete the least recently used files beyond the budget."""
        files = []
        for file in newest.parent.glob("*.npy"):
            with suppress(FileNotFoundError):  # another process evicts too
                files.append((file, file.stat()))
        left = self.max_bytes
        for file, status in sorted(files, key=lambda entry: (entry[0] != newest, -entry[1].st_mtime_ns)):
            left -= status.st_size
            if left < 0 and file != newest and not _is_in_use(file):
                with suppress(OSError):
                    file.unlink(missing_ok=True)
                left += status.st_size


@contextmanager
def _open_array(file: Path, shape: tuple[int, ...], dtype: DTypeLike) -> Iterator[Put]:
    start = np.load(file, mmap_mode="r", allow_pickle=False).offset
    descriptor = os.open(file, os.O_RDWR)
    try:
        yield Put(descriptor, start, shape, np.dtype(dtype))
    finally:
        os.close(descriptor)


def _lock_while_alive(file: Path, array: NDArray[Any]) -> None:
    """Hold a shared lock on the file until the array, and every view of it, is freed."""
    if fcntl is None:
        return
    descriptor = os.open(file, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    weakref.finalize(array, os.close, descriptor)


def _is_in_use(file: Path) -> bool:
    """Whether any process holds an array of the file."""
    if fcntl is None:
        return False
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return file.exists()
    return False
