"""One file of a data set: what it was when the data were opened, and whether it still is.

Shards are read through memory maps, which cost the loader half of what ``pread`` costs. But whoever touches a mapped
page that a truncation has taken away is killed (SIGBUS) instead of told, so a map is looked after: ``check`` asks the
file itself, before each read, for what any truncation, rewriting, renaming or removal leaves behind.
"""

import mmap
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import check_size

# File systems take the time of a change from a clock that ticks: every 4 ms in most Linux kernels, every 10 in some.
TICK_NS = 20_000_000
MAX_BYTES = 1 << 40  # of a shard; YouTube-8M's have less than a GB


@dataclass(frozen=True)
class Shard:
    """One file of a data set, as it was when it was read."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def at(cls, path: Path) -> "Shard":
        """The file as it is now. Raises UserError where there is none, or something that is no file."""
        with readable(path):
            check_size(path, MAX_BYTES)
            stat = path.stat()
        return cls(str(path), stat.st_size, stat.st_mtime_ns)


class OpenShard:
    """A shard that is being read, as a view of its bytes.

    Raises UserError where it is gone or no longer the file that it was.
    """

    def __init__(self, shard: Shard) -> None:
        self._fd = -1
        with _still(shard):
            self._fd = os.open(shard.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            stat = os.fstat(self._fd)
            if (stat.st_size, stat.st_mtime_ns) != (shard.size, shard.mtime_ns):
                raise _changed(shard)
            try:  # an empty file cannot be mapped
                mapped = mmap.mmap(self._fd, shard.size, access=mmap.ACCESS_READ) if shard.size else b""
            except ValueError:  # it has just become shorter
                raise _changed(shard) from None
        self.shard = shard
        self.data = memoryview(mapped)
        self._seen = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns

    def __del__(self) -> None:
        # Here, and not where it falls out of a cache: another thread may still be reading. The map closes itself so.
        if self._fd >= 0:
            os.close(self._fd)

    def check(self) -> None:
        """Raise UserError where the file under the shard's name is no longer this one, or has changed.

        One ``fstat`` as long as nothing has happened: the time of the inode's last change (ctime) tells of removal and
        renaming too. What else moves it, such as new permissions, is told apart by a look at the name.
        """
        stat = os.fstat(self._fd)
        seen = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
        if seen == self._seen:
            return
        with _still(self.shard):
            named = os.stat(self.shard.path)
        same = (named.st_size, named.st_mtime_ns) == (self.shard.size, self.shard.mtime_ns)
        if not same or not os.path.samestat(named, stat):
            raise _changed(self.shard)
        self._seen = seen


def let_settle(shards: Sequence[Shard]) -> None:
    """Wait out the tick in which a shard was last written, so that whatever is written from now on has another time.

    Otherwise a shard that is rewritten right after it was read, in the same tick and size, would pass for the same.
    """
    wait = max(shard.mtime_ns for shard in shards) + TICK_NS - time.time_ns()
    if 0 < wait <= TICK_NS:  # a time that lies in the future is another clock's
        time.sleep(wait / 1e9)


@contextmanager
def readable(path: Path | str) -> Iterator[None]:
    """Tell what the system says of a file as a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None


@contextmanager
def _still(shard: Shard) -> Iterator[None]:
    with readable(shard.path):
        try:
            yield
        except FileNotFoundError:
            advice = "Put it back, or open the data anew."
            raise UserError("the shard is gone", where=shard.path, advice=advice) from None


def _changed(shard: Shard) -> UserError:
    return UserError("the shard has changed since the data were opened", where=shard.path, advice="Open them anew.")
