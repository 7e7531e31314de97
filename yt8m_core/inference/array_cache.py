"""Disk cache of NumPy arrays with a byte budget: atomic writes, least recently used files evicted first."""

import errno
import hashlib
import json
import os
import shutil
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from yt8m_core.storage.atomic import atomic_write, create_array
from yt8m_core.workspace import workspace

try:
    import fcntl
except ImportError:  # Windows, which does not delete a file that is mapped
    fcntl = None  # type: ignore[assignment]

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
        self, key: CacheKey, shape: tuple[int, ...], dtype: DTypeLike, fill: Callable[[NDArray[Any]], None]
    ) -> NDArray[Any]:
        """Write an array that ``fill`` computes in place, evict old files, and return it as ``load`` does.

        Raises OSError where the disk has no room or the folder is not writable.
        """
        file, size = self._file(key), int(np.prod(shape)) * np.dtype(dtype).itemsize
        file.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(file.parent).free < SPARE * size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file.parent))
        with atomic_write(file) as unfinished:
            array = create_array(unfinished, dtype, shape)
            fill(array)
            array.flush()
            with suppress(OSError):
                _lock_while_alive(unfinished, array)  # else another process may evict it before it is loaded below
        if key.replaces:
            for other in file.parent.glob(f"{key.replaces}*.npy"):
                if other != file:
                    other.unlink(missing_ok=True)
        values = self.load(key, shape, dtype)
        self._evict(newest=file)
        if values is None:
            raise OSError(errno.EIO, "cannot be read after it was written", str(file))
        return values

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
