"""Memory-mapped shards, and detection of shards that change while they are open.

Memory maps make the loader twice as fast as ``pread``. But reading a mapped page of a truncated file kills the process
with SIGBUS instead of raising an exception. Therefore ``OpenShard.check`` looks for truncation, rewriting, renaming
and removal before each read.
"""

import mmap
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from yt8m_core.errors import UserError
from yt8m_core.storage.file_state import FileState
from yt8m_core.storage.paths import check_file, open_descriptor
from yt8m_core.storage.remote import RemoteState

try:
    import fcntl
except ImportError:  # Windows, which does not delete a file that is mapped
    fcntl = None  # type: ignore[assignment]

# Resolution of file times with a margin: 4 ms in most Linux kernels, 10 ms in some.
TICK_NS = 20_000_000
MAX_BYTES = 1 << 40  # of a shard; those of YouTube-8M are below 1 GB


def _max_open_shards() -> int:
    """Let open shards, with two file descriptors each, use a quarter of the process's limit."""
    try:
        import resource
    except ImportError:  # Windows, where the limit is in the thousands
        return 1024
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 16 if limit == resource.RLIM_INFINITY else limit // 8


MAX_OPEN_SHARDS = _max_open_shards()


@dataclass(frozen=True)
class Shard:
    """Path and state of a shard at the time it was indexed; of a remote one the address (``shard_cache``)."""

    path: str
    state: FileState | RemoteState
    source: str = ""  # the compressed file that it was expanded from, or the address that it was downloaded from

    @property
    def is_remote(self) -> bool:
        """Whether the shard is an object on another machine."""
        return isinstance(self.state, RemoteState)

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.state.size

    @property
    def name(self) -> str:
        """The user's file, for messages."""
        return self.source or self.path

    @classmethod
    def at(cls, path: Path, source: str = "") -> "Shard":
        """Return the current state of a file. Raises UserError if it is missing or not a regular file."""
        with report_unreadable(path):
            check_file(path, MAX_BYTES)
            return cls(str(path), FileState.of(path.stat()), source)


class OpenShard:
    """An open shard; ``data`` is a memory-mapped view of its bytes.

    Raises:
        UserError: the file is missing or has changed.
    """

    def __init__(self, shard: Shard) -> None:
        self._fd = -1
        with _report_missing(shard):
            try:
                self._fd = open_descriptor(Path(shard.path), MAX_BYTES)
            except (IsADirectoryError, UserError):  # it was a file when it was indexed
                raise _changed_error(shard) from None
            stat = os.fstat(self._fd)
            if FileState.of(stat) != shard.state:
                raise _changed_error(shard)
            try:  # an empty file cannot be mapped
                mapped = mmap.mmap(self._fd, shard.size, access=mmap.ACCESS_READ) if shard.size else b""
            except ValueError:  # truncated since fstat
                raise _changed_error(shard) from None
        self.shard = shard
        self.data = memoryview(mapped)
        self._last, self._state = stat, _state(stat)

    def lock(self) -> bool:
        """Hold a shared lock on the file while it is open and mapped. False where another process is deleting it."""
        if fcntl is not None:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return False
        return True

    def __del__(self) -> None:
        # Not on cache eviction: another thread may still be reading. The map is also closed when it is collected.
        if self._fd >= 0:
            os.close(self._fd)

    def check(self) -> None:
        """Raise UserError if the path no longer refers to this file, or if the file has changed.

        An unchanged file costs one ``fstat``: removal and renaming also change its ctime. Where new permissions, a new
        owner or another link explain the new ctime, the file has not changed.
        """
        stat = os.fstat(self._fd)
        if _state(stat) == self._state:
            return
        last = self._last
        with _report_missing(self.shard):
            path_stat = os.stat(self.shard.path)
        has_times = (stat.st_size, stat.st_mtime_ns) == (last.st_size, last.st_mtime_ns)
        is_explained = _attributes(stat) != _attributes(last)
        if not has_times or not is_explained or not os.path.samestat(path_stat, stat):
            raise _changed_error(self.shard)
        self._last, self._state = stat, _state(stat)


def _state(status: os.stat_result) -> tuple[int, int, int]:
    """Return the values of a ``FileState``, which itself takes three times as long to make: each video is checked."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _attributes(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mode, status.st_uid, status.st_gid, status.st_nlink


def settled_shards(paths: Sequence[Path]) -> tuple[Shard, ...]:
    """Return the states of shards, once any further write to them gets other times.

    Otherwise a shard that is rewritten right after it was read, in the same tick and size, would look unchanged.
    """
    shards = tuple(map(Shard.at, paths))
    now = time.time_ns()
    states = (shard.state for shard in shards if isinstance(shard.state, FileState))
    times = (time_ns for state in states for time_ns in (state.mtime_ns, state.ctime_ns))
    # A time in the future comes from another clock.
    if wait := max((time_ns + TICK_NS - now for time_ns in times if 0 <= now - time_ns < TICK_NS), default=0):
        time.sleep(wait / 1e9)
        shards = tuple(map(Shard.at, paths))
    return shards


@contextmanager
def report_unreadable(path: Path | str) -> Iterator[None]:
    """Convert an OSError about a file into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None


@contextmanager
def _report_missing(shard: Shard) -> Iterator[None]:
    with report_unreadable(shard.name):
        try:
            yield
        except FileNotFoundError:
            advice = "Restore it, or open the data set again."
            raise UserError("the shard no longer exists", where=shard.name, advice=advice) from None


def _changed_error(shard: Shard) -> UserError:
    return UserError(
        "the shard has changed since the data set was opened", where=shard.name, advice="Open the data set again."
    )
