"""The copy of one remote shard: a file that is complete or absent, and locked while a process has mapped it."""

import os
from contextlib import suppress
from pathlib import Path

from yt8m_core.data.tfrecord.shard import OpenShard, Shard
from yt8m_core.errors import UserError

try:
    import fcntl
except ImportError:  # Windows, which does not delete a file that is mapped
    fcntl = None  # type: ignore[assignment]


def open_copy(file: Path, shard: Shard) -> OpenShard | None:
    """Map a copy; None where there is none, or where it is damaged or just being deleted."""
    if not is_complete(file):
        return None
    with suppress(UserError):
        opened = OpenShard(Shard.at(file, shard.path))
        if opened.lock():
            opened.check()  # it was not deleted before it was locked
            with suppress(OSError):
                _used(file).touch()
            return opened
    return None


def is_complete(file: Path) -> bool:
    """Whether a copy is as it was written: any later write has another time."""
    try:
        return file.stat().st_mtime_ns == _stamp(file)
    except OSError:
        return False


def mark_complete(unfinished: Path, file: Path) -> None:
    """Give a file that is about to get the name of a copy the time of a complete one."""
    stamp = _stamp(file)
    os.utime(unfinished, ns=(stamp, stamp))
    _used(file).touch()


def _stamp(file: Path) -> int:
    """Return the modification time of a complete copy: nanoseconds, in even seconds, which every disk can store."""
    return (10**9 + 2 * int(file.name[:7], 16)) * 10**9


def _used(file: Path) -> Path:
    """Return the file whose modification time is that of the last use of a copy."""
    return file.with_suffix(".used")


def last_use(file: Path) -> float:
    """Return when a copy was mapped last, in seconds since 1970; 0 if unknown."""
    try:
        return _used(file).stat().st_mtime
    except OSError:
        return 0.0


def delete_copy(file: Path) -> bool:
    """Delete a copy that no process has mapped."""
    with suppress(OSError), file.open("rb") as opened:
        if fcntl is not None:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink(missing_ok=True)
        _used(file).unlink(missing_ok=True)
    return not file.exists()


def allocate(file: Path, size: int) -> None:
    """Create a file and allocate its disk space. Raises OSError where the disk is full."""
    with file.open("wb") as opened:
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(opened.fileno(), 0, size)
