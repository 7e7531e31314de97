"""Files appear whole or not at all, and a folder has one writer at a time."""

import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from filelock import FileLock, Timeout

from yt8m_core.errors import UserError

ABANDONED = 3600  # seconds since its last byte, after which an unfinished file is that of a process that was killed


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` (for a file or a folder) that takes its name when the block ends well.

    When the block raises, what it wrote is removed and what ``path`` held before is still there. What a process left
    that was killed while it wrote to ``path`` goes with the next one that writes to it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _forget_abandoned(path)
    unfinished = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        yield unfinished
        if unfinished.is_file():
            with unfinished.open("rb") as file:
                os.fsync(file.fileno())  # the bytes before the name, also where the power fails
        if unfinished.is_dir() and path.is_dir():  # a folder, unlike a file, is not replaced by renaming
            shutil.rmtree(path)
        os.replace(unfinished, path)
    finally:
        _remove(unfinished)


@contextmanager
def exclusive_lock(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for this process: made where it is not, and gone again where nothing came to be in it.

    Raises UserError where another process holds it, of this machine or of one that shares the disk; ``what`` says what
    that is doing there. The hold ends with the process, however that ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"another {what} is at work there", where=str(folder), advice="Wait for it, or stop it."
        ) from None
    try:
        for left in folder.glob(".*.????????.tmp"):  # of a process that was killed while it held the folder
            _remove(left)
        yield
    finally:
        with suppress(OSError):
            (folder / ".lock").unlink()  # while it is held: who finds a lock on no file asks again
            folder.rmdir()  # which a folder with something in it does not take
        lock.release()


def check_size(file: Path, most: int) -> None:
    """Refuse a file of more than so many bytes, before it is read into memory. Raises UserError, and OSError.

    So is what is no file at all: a pipe would be waited for, and /dev/zero never ends.
    """
    found = file.stat()
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):  # of a folder, the system tells
        raise UserError("a device or a pipe", where=str(file), expected="a file")
    if found.st_size > most:
        raise UserError(f"{found.st_size:,} bytes", where=str(file), expected=f"at most {most:,}")


def as_text(name: str) -> str:
    """The name of a file as it can be shown and stored: bytes in it that are not UTF-8 stand as question marks.

    >>> as_text("run\\udcff")
    'run?'
    """
    return name.encode(errors="replace").decode()


def new_array(file: Path, dtype: Any, shape: tuple[int, ...]) -> "np.memmap[Any, Any]":
    """A ``.npy`` to be filled, mapped into memory, whose room on the disk is taken at once.

    A mapped file without room would kill the process at the first page that finds none. Raises OSError instead.
    """
    array: np.memmap[Any, Any] = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
    return array


def _forget_abandoned(path: Path) -> None:
    for left in path.parent.glob(f".{path.name}.????????.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED:
                _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
