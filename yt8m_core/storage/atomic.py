"""Atomic writes, an exclusive folder lock, and printable file names."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout

from yt8m_core.errors import UserError
from yt8m_core.storage.paths import check_replaceable

STALE_AFTER = 3600  # seconds since the last write, after which a temporary file belongs to a killed process


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path next to ``path`` and rename it to ``path`` when the block succeeds.

    Works for a file or a folder. If the block raises, the temporary path is removed and the previous content of
    ``path`` stays. Stale temporary files of killed processes are removed by the next write to ``path``.

    Raises:
        UserError: ``path`` is a device, a pipe or a socket, which the rename would replace.
    """
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        if temporary.is_file():
            with temporary.open("rb") as file:
                os.fsync(file.fileno())  # the data must reach the disk before the new name does
        if temporary.is_dir() and path.is_dir():  # a rename replaces a file, but not a folder
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


@contextmanager
def exclusive_lock(folder: Path, task: str) -> Iterator[None]:
    """Lock a folder for this process.

    The folder is created if missing, and removed afterwards if it is empty. The lock ends with the process.

    Args:
        folder: The folder to lock.
        task: What the lock holder does, such as "training", for the error message.

    Raises:
        UserError: Another process holds the lock, on this machine or on one that shares the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another {task} is running in this folder", where=str(folder), advice="Wait until it ends, or stop it."
        ) from None
    try:
        for temporary in folder.glob(".*.????????.tmp"):  # left by a killed lock holder
            _remove(temporary)
        yield
    finally:
        with suppress(OSError):
            (folder / ".lock").unlink()  # before the release: a waiting process that locks a deleted file retries
            folder.rmdir()  # fails unless the folder is empty
        lock.release()


def printable_name(name: str) -> str:
    """Return a file name that can be printed and stored: bytes that are not UTF-8 become question marks.

    >>> printable_name("run\\udcff")
    'run?'
    """
    return name.encode(errors="replace").decode()


def create_array(file: Path, dtype: Any, shape: tuple[int, ...]) -> "np.memmap[Any, Any]":
    """Create a memory-mapped ``.npy`` file and allocate its disk space.

    Without the allocation, a full disk would kill the process on a later write to a mapped page.

    Raises:
        OSError: The disk is full.
    """
    array: np.memmap[Any, Any] = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
    return array


def _remove_stale(path: Path) -> None:
    for temporary in path.parent.glob(f".{path.name}.????????.tmp"):
        with suppress(OSError):
            if time.time() - temporary.stat().st_mtime > STALE_AFTER:
                _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
