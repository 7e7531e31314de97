"""Atomic writes, exclusive locks, and printable file names.

Whatever several processes may make, or remove, at the same time is made under a private name or under a lock. Locks end
with their process, also with a killed one. Nothing is removed while another process holds its lock.
"""

import errno
import glob
import os
import platform
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from filelock import FileLock, SoftFileLock, Timeout

from yt8m_core.errors import LockedError, UserError
from yt8m_core.storage.paths import check_file, check_replaceable

LOCK = ".lock"  # lock file in a folder
STALE_AFTER = 3600  # seconds since the last write, after which a temporary file may belong to a killed process
GRACE = 0.5  # seconds for a process that is just releasing a lock
ATTEMPTS = 1000  # to make a folder that other processes remove; below /proc, none can be made
Wait = Callable[[str], object]  # receives a message every few seconds


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path with the name of ``path`` and rename it to ``path`` when the block succeeds.

    Works for a file or a folder. If the block raises, the temporary path is removed and the previous content of
    ``path`` stays. The temporary path is in a hidden folder next to ``path``, which this process locks: other processes
    have folders of their own, and the next write to ``path`` removes those of killed processes only.

    Raises:
        UserError: ``path`` is a device, a pipe or a socket, which the rename would replace.
    """
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent, glob.escape(path.name), STALE_AFTER)
    folder = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    with exclusive_lock(folder, "write"):
        temporary = folder / path.name
        try:
            yield temporary
            if temporary.is_file():
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())  # the data must reach the disk before the new name does
            _replace(temporary, path)
        finally:
            _remove_contents(folder)


@contextmanager
def exclusive_lock(folder: Path, task: str, *, timeout: float = GRACE) -> Iterator[None]:
    """Lock a folder for this process, with a lock file in it.

    The folder is created if missing, and removed afterwards if it is empty. The lock ends with the process.

    Args:
        folder: The folder to lock.
        task: What the lock holder does, such as "training", for the error message.
        timeout: Seconds to wait for another process.

    Raises:
        LockedError: Another process holds the lock, on this machine or on one that shares the disk.
    """
    is_held = False
    try:
        with _hold(folder / LOCK, timeout) as is_held:
            if not is_held:
                found = f"another {task} is running in this folder{_holder(folder / LOCK)}"
                raise LockedError(found, where=str(folder), advice="Wait until it ends, or stop it.")
            remove_abandoned(folder)
            yield
    finally:
        with suppress(OSError):
            if is_held:
                folder.rmdir()  # fails unless the folder is empty: another process may have locked it since


@contextmanager
def file_lock(path: Path, task: str, *, wait: Wait | None = None) -> Iterator[None]:
    """Lock a file or folder that this process makes, with a hidden lock file next to it.

    Args:
        path: What is made. It need not exist, and may be replaced meanwhile.
        task: What the lock holder does, such as "download", for the message.
        wait: Called with a message while another process holds the lock. None: an error instead.

    Raises:
        LockedError: Another process holds the lock, and ``wait`` is None.
    """
    file = path.with_name(f".{path.name}{LOCK}")
    while True:
        with _hold(file, GRACE if wait is None else 10 * GRACE) as is_held:
            if is_held:
                yield
                return
            found = f"another {task} is running{_holder(file)}"
            if wait is None:
                raise LockedError(found, where=str(path), advice="Wait until it ends, or stop it.")
        wait(f"waiting: {found}")


def remove_folder(folder: Path, task: str, *, timeout: float = GRACE) -> None:
    """Remove a folder, if it exists, while holding its lock.

    Raises:
        LockedError: Another process holds the lock; the folder stays as it is.
        UserError: The folder is a link, whose target may be used elsewhere.
    """
    if folder.is_symlink():
        raise UserError("a link", where=str(folder), expected="a folder to replace", advice="Remove the link.")
    if folder.is_dir():
        with exclusive_lock(folder, task, timeout=timeout):
            _remove_contents(folder)


def remove_abandoned(folder: Path, name: str = "*", age: float = 0) -> None:
    """Remove the temporary files in a folder that killed processes have left.

    Args:
        folder: The folder.
        name: Pattern of the names of what they were to become.
        age: Minimum number of seconds since the last write. A time in the future counts as old: a clock was
            set back.
    """
    for temporary in folder.glob(f".{name}.????????.tmp"):
        with suppress(OSError, LockedError):  # a locked one is being written
            if age and abs(time.time() - temporary.stat().st_mtime) < age:
                continue
            if temporary.is_dir() and not temporary.is_symlink():
                remove_folder(temporary, "write", timeout=0)
            else:
                temporary.unlink()


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


@contextmanager
def _hold(file: Path, timeout: float) -> Iterator[bool]:
    """Lock a lock file, and delete it afterwards. Yield whether this process holds it; otherwise another one does."""
    lock = FileLock(file)
    for attempt in range(ATTEMPTS):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=timeout)
        except (FileNotFoundError, FileExistsError):  # the previous holder has just removed the folder
            if attempt + 1 == ATTEMPTS or _is_no_folder(file.parent):
                raise
            continue
        except Timeout:
            yield False
            return
        break
    inode = 0
    try:
        with suppress(OSError):
            inode = file.stat().st_ino
            if not isinstance(lock, SoftFileLock):  # which has a text of its own
                file.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        yield True
    finally:
        with suppress(OSError):
            if file.stat().st_ino == inode:  # else a person has deleted it, and another process has locked a new one
                file.unlink()  # before the release: a waiting process that locks a deleted file tries again
        lock.release()


def _holder(file: Path) -> str:
    """Return which process holds a lock file, in parentheses; empty if unknown."""
    with suppress(OSError, UnicodeError, UserError):
        check_file(file, 1000)
        text = file.read_text(encoding="utf-8")
        if text.startswith("process ") and text.isprintable():
            return f" ({text})"
    return ""


def _replace(temporary: Path, path: Path) -> None:
    """Rename a file or folder to a path, also while other processes do the same."""
    old = temporary.with_name(".old")
    while True:
        try:
            os.replace(temporary, path)
        except OSError as error:  # a rename replaces a file, but not a folder
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or path.is_symlink():
                with suppress(OSError):
                    os.rename(old, path)
                raise
        else:
            return
        _remove(old)
        with suppress(FileNotFoundError):  # another process has just moved it away
            os.rename(path, old)


def _is_no_folder(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return not stat.S_ISDIR(path.lstat().st_mode)
    return False


def _remove_contents(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != LOCK:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
