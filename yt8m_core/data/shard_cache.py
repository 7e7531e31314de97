"""Local copies of remote shards, with a byte budget, so that remote shards are mapped like those on disk.

A copy is complete or absent. A shared lock on its file shows that a process has mapped it: nobody deletes it then. One
process downloads a shard, while others wait. The name of a copy depends on the address and the state of the object, so
that a copy is never used for another version.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import astuple
from functools import lru_cache
from pathlib import Path
from typing import cast
from weakref import WeakValueDictionary

from yt8m_core.data.shard_copy import allocate, delete_copy, is_complete, last_use, mark_complete, open_copy
from yt8m_core.data.shards import MIN_FREE, expand_shard
from yt8m_core.data.tfrecord.shard import MAX_OPEN_SHARDS, OpenShard, Shard
from yt8m_core.errors import UserError
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import atomic_write, file_lock, remove_abandoned
from yt8m_core.storage.remote import RemoteState, read_blocks
from yt8m_core.workspace import workspace

VARIABLE = "YT8M_SHARD_CACHE"
_UNITS = {"": 1} | {f"{unit}{i}": (1024 if i else 1000) ** (n + 1) for n, unit in enumerate("kmgt") for i in ("", "i")}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?i?)b?", re.IGNORECASE)
_ATTEMPTS = 10  # to open a copy that others delete
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _CanceledError(Exception):
    """The download of a shard was canceled."""


class ShardCache:
    """Copies of remote shards in a folder, which may be deleted at any time.

    Attributes:
        folder: the folder.
        budget: bytes of all copies at which the least recently used ones are deleted. Copies that a process has mapped
            stay even above it, and so does the one that is being read.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self.folder = folder
        self.budget = budget
        self._maps: OrderedDict[Path, OpenShard] = OrderedDict()  # least recently used first
        self._lock = threading.Lock()  # of the maps
        self._files: dict[Shard, Path] = {}

    def open(self, shard: Shard, *, keep: bool = True) -> OpenShard:
        """Return a remote shard as a mapped file, downloading it where there is no copy.

        Args:
            shard: the shard.
            keep: whether it stays mapped until its room is needed.

        Raises:
            UserError: the object has changed or cannot be read, or the disk is full.
        """
        if opened := self._mapped(shard):
            return opened
        file = self._file(shard)
        for _ in range(_ATTEMPTS):
            if (found := open_copy(file, shard)) is not None:
                if keep:
                    with self._lock:
                        self._maps[file] = found
                        while len(self._maps) > MAX_OPEN_SHARDS:
                            self._maps.popitem(last=False)
                return found
            self._fetch(file, shard, silent)
        raise UserError("other processes delete the copy of a shard again and again", where=str(file), advice=_ADVICE)

    def has(self, shard: Shard) -> bool:
        """Whether there is a complete copy of a shard, which is then the last one to be deleted."""
        return self._mapped(shard) is not None or is_complete(self._file(shard))

    def fetch_ahead(self, shard: Shard, needed: Collection[Shard], is_canceled: Callable[[], bool]) -> bool:
        """Download a shard before it is needed. Return False where the budget has no room for it beside ``needed``.

        Args:
            shard: the shard.
            needed: shards whose copies are not deleted for it.
            is_canceled: called after each block; once it returns True, the incomplete copy is removed.

        Raises UserError as ``open`` does.
        """

        def check(*_: object) -> None:
            if is_canceled():
                raise _CanceledError

        with suppress(_CanceledError):
            check()
            return self._fetch(self._file(shard), shard, check, {self._file(other) for other in needed})
        return False

    def _file(self, shard: Shard) -> Path:
        file = self._files.get(shard)
        if file is None:
            content = json.dumps([shard.path, *astuple(shard.state)])
            file = self.folder / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.tfrecord"
            self._files[shard] = file
        return file

    def _mapped(self, shard: Shard) -> OpenShard | None:
        """Return the map of a copy that this process has opened; None where there is none, or the copy is damaged."""
        file = self._file(shard)
        with self._lock, suppress(UserError):
            if opened := self._maps.pop(file, None):
                opened.check()
                self._maps[file] = opened
                return opened
        return None

    def _fetch(self, file: Path, shard: Shard, progress: Progress, needed: Collection[Path] | None = None) -> bool:
        """Download a shard unless there is a copy. With ``needed``, only if the budget has room beside those copies."""
        if is_complete(file):
            return True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with file_lock(file, "download of this shard", wait=lambda message: progress(message, 0, shard.size)):
                # Another process may just have downloaded it.
                return is_complete(file) or self._download(file, shard, progress, needed)
        except OSError as error:
            if error.errno in _DISK_ERRORS:
                raise self._full_error(shard, error.strerror or "") from None
            raise UserError(
                f"cannot be written: {error.strerror}", where=f"shard cache {self.folder}", advice=_ADVICE
            ) from None

    def _download(self, file: Path, shard: Shard, progress: Progress, needed: Collection[Path] | None) -> bool:
        with ExitStack() as stack:
            with file_lock(self.folder / "room", "change of the shard cache", wait=_ignore):
                if not self._make_room(shard, needed):
                    return False
                unfinished = stack.enter_context(atomic_write(file))
                allocate(unfinished, shard.size)  # so that others count it, and a full disk is an error now
            with unfinished.open("r+b") as copy:
                done = 0
                for block in read_blocks(shard.path, cast(RemoteState, shard.state)):
                    done += copy.write(block)
                    progress(f"downloading {shard.path}", done, shard.size)
            expanded = unfinished.with_suffix(".expanded")
            if expand_shard(unfinished, expanded, shard, progress):
                os.replace(expanded, unfinished)
            mark_complete(unfinished, file)
        return True

    def _make_room(self, shard: Shard, needed: Collection[Path] | None) -> bool:
        """Delete the least recently used copies beyond the budget, and those for which the disk has no space.

        Raises UserError where the disk has no space for the shard. With ``needed``, returns False instead, and where
        the budget has no room beside those copies.
        """
        remove_abandoned(self.folder)
        copies = self._copies()
        excess = sum(copies.values()) + shard.size - self.budget
        free = shutil.disk_usage(self.folder).free
        missing = shard.size + MIN_FREE - free
        if missing > sum(copies.values()):  # no deletion would help
            if needed is None:
                raise self._full_error(shard, f"{free:,} bytes are free")
            return False
        for file, size in copies.items():
            if max(excess, missing) <= 0:
                break
            if file in (needed or ()) or file.parent != self.folder:  # or it is being written
                continue
            with self._lock:
                self._maps.pop(file, None)
            if delete_copy(file):
                excess, missing = excess - size, missing - size
        if missing > 0 and needed is None:
            raise self._full_error(shard, f"{free:,} bytes were free")
        return max(excess, missing) <= 0 or needed is None

    def _copies(self) -> dict[Path, int]:
        """Return the sizes of all copies, the least recently used first, and of those that are being written."""
        with self._lock:
            order = {file: number for number, file in enumerate(self._maps)}
        sizes: dict[Path, tuple[int, float, int]] = {}
        for pattern in ("*.tfrecord", ".*.tmp/*.tfrecord"):
            for file in self.folder.glob(pattern):
                with suppress(OSError):
                    sizes[file] = order.get(file, -1), last_use(file), file.stat().st_size
        return {file: size for file, (_, _, size) in sorted(sizes.items(), key=lambda entry: entry[1][:2])}

    def _full_error(self, shard: Shard, found: str) -> UserError:
        return UserError(
            f"no space for shard {shard.path} with {shard.size:,} bytes: {found}",
            where=f"shard cache {self.folder}",
            expected=f"{MIN_FREE:,} bytes beside it",
            advice=_ADVICE,
        )


_ADVICE = f"Free some space, lower {VARIABLE}, or set YT8M_HOME to a folder on another disk."


def shard_cache() -> ShardCache:
    """Return the shard cache of the workspace; one per process.

    ``YT8M_SHARD_CACHE`` sets its budget, such as ``50GB``. Default: half of the space that would be free without it.

    Raises UserError for a budget that is not a size.
    """
    return _shard_cache(workspace() / "shards", os.environ.get(VARIABLE, ""))


def open_shard(shard: Shard) -> OpenShard:
    """Open a shard on this machine, or the copy of a remote one, to read it once. Raises UserError as these do."""
    return shard_cache().open(shard, keep=False) if shard.is_remote else OpenShard(shard)


def shard_opener(shards: Sequence[Shard]) -> Callable[[int], OpenShard]:
    """Return a function that opens the shards of a data set by number, and keeps them open.

    The cache closes copies of remote shards where it needs room.
    """
    if not (shards and shards[0].is_remote):
        return lru_cache(MAX_OPEN_SHARDS)(lambda number: OpenShard(shards[number]))
    cache = shard_cache()
    opened: WeakValueDictionary[int, OpenShard] = WeakValueDictionary()

    def open_copy(number: int) -> OpenShard:
        shard = opened.get(number)
        if shard is None:
            shard = opened[number] = cache.open(shards[number])
        return shard

    return open_copy


@lru_cache(maxsize=8)
def _shard_cache(folder: Path, setting: str) -> ShardCache:
    cache = ShardCache(folder, 0)
    existing = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    free = shutil.disk_usage(existing).free + sum(cache._copies().values())
    cache.budget = parse_size(setting) if setting else free // 2
    return cache


def parse_size(text: str) -> int:
    """Return a number of bytes.

    >>> parse_size("1.5 GB"), parse_size("2GiB"), parse_size("1000")
    (1500000000, 2147483648, 1000)

    Raises UserError for anything else.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None or found[2].lower() not in _UNITS:
        raise UserError(f"'{text[:40]}'", where=VARIABLE, expected="a size such as 50GB")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _ignore(message: str) -> None:
    pass
