"""Check files and folders that a person or a stranger's file names, before they are opened or replaced.

Opening a pipe waits for its other end, reading a device may never end, and writing beside either would replace it. All
readers of a named path use these functions.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from yt8m_core.errors import UserError

FOLDER = "a folder"
_KINDS = {
    stat.S_IFDIR: FOLDER,
    **dict.fromkeys((stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK), "a device or a pipe"),
}


def check_file(path: Path, max_bytes: int) -> None:
    """Check that a path is a regular file that is small enough to read.

    For readers that take only a path. The others use ``open_file``, which checks the file that it has opened.

    Raises:
        UserError: It is a device, a pipe or a socket, or larger than ``max_bytes``.
        OSError: It cannot be read; FileNotFoundError if nothing is there, or a link to nothing; IsADirectoryError.
    """
    _check(path, os.stat(path), max_bytes)


def open_file(path: Path, max_bytes: int) -> BinaryIO:
    """Open a regular file to read it. It never waits, even if the path changes into a pipe meanwhile.

    Raises: as ``check_file``.
    """
    check_file(path, max_bytes)  # before the file is opened: to open a device may have an effect
    return os.fdopen(open_descriptor(path, max_bytes), "rb")


def open_descriptor(path: Path, max_bytes: int) -> int:
    """Open a regular file to read it, and return its descriptor. Otherwise as ``open_file``."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    descriptor = os.open(path, flags)
    try:
        _check(path, os.fstat(descriptor), max_bytes)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file. Raises as ``check_file``."""
    with open_file(path, max_bytes) as file:
        return file.read(os.fstat(file.fileno()).st_size)  # read(max_bytes) would allocate as much


def check_unicode(path: Path) -> None:
    """Raise UserError for a path that is not UTF-8, where it has to be stored or given to Arrow, which takes no other.

    >>> check_unicode(Path("run\\udcff"))
    Traceback (most recent call last):
    yt8m_core.errors.UserError: run?: found a name that is not UTF-8; expected a path in Unicode. Rename it.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = str(path).encode(errors="replace").decode()
        raise UserError(
            "a name that is not UTF-8", where=shown, expected="a path in Unicode", advice="Rename it."
        ) from None


def check_replaceable(path: Path, *, kind: str = "") -> None:
    """Check that a path to write is free, a regular file or, without a ``kind``, a folder.

    Args:
        path: The path.
        kind: What it should be if it cannot be a folder, such as "a CSV file to write", for the error message.

    Raises:
        UserError: It is a device, a pipe or a socket; or, with a ``kind``, a folder or a name that is not UTF-8.
        OSError: Its folder cannot be accessed.
    """
    if kind:
        check_unicode(path)
    try:
        found = _KINDS.get(stat.S_IFMT(os.stat(path).st_mode))
    except (FileNotFoundError, NotADirectoryError):  # the latter is reported when the folder is created
        return
    if found is not None and (kind or found != FOLDER):
        raise UserError(found, where=str(path), expected=kind or "a file or a folder to write")


def _check(path: Path, status: os.stat_result, max_bytes: int) -> None:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind == FOLDER:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind is not None:
        raise UserError(kind, where=str(path), expected="a file")
    if status.st_size > max_bytes:
        raise UserError(f"{status.st_size:,} bytes", where=str(path), expected=f"at most {max_bytes:,}")
