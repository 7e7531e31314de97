"""Download the shards of one YouTube-8M partition, and the vocabulary.

The partition ``2/frame/train`` is stored in a folder as the rest of the package expects it::

    2/frame/vocabulary.csv
    2/frame/train/train0093.tfrecord        a complete shard with the md5 of the download plan
    2/frame/train/.train0094.tfrecord.part  a partial download, resumed by the next run
    2/frame/train/.checked                  shards with a verified md5, which are not read again

An interrupted download is resumed by the same command. Several downloads of the same partition can run at the same
time: a shard is locked while one of them downloads it.

Of the package, only this module and ``sharing.hub`` use the network.
"""

import os
import shutil
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from yt8m_core.data.download.http import ByteProgress, Transfer, Unreachable, md5_of
from yt8m_core.data.download.plan import Partition, PlannedShard, read_plan, select_fraction
from yt8m_core.data.vocabulary import read_vocabulary
from yt8m_core.errors import LockedError, UserError, check_choice
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import Wait, atomic_write, file_lock
from yt8m_core.storage.file_state import FileState

PLANS = "http://data.yt8m.org"
MIRRORS = {name: f"http://{name}.data.yt8m.org" for name in ("us", "eu", "asia")}
VOCABULARY = "https://research.google.com/youtube8m/csv/2/vocabulary.csv"  # edition 3 has the labels of edition 2

MAX_PLAN = 16 << 20  # bytes; real plans have 0.2 MB
MAX_VOCABULARY = 32 << 20  # the real one has 3.6 MB
MAX_SHARD = 8 << 30
SIZE_SAMPLES = 8  # number of shards whose size is requested to estimate the total; shards have similar sizes


@dataclass(frozen=True)
class Servers:
    """URLs of the data set and retry settings (see ``Transfer``); the defaults survive an outage of a minute."""

    plans: str = PLANS
    mirrors: tuple[str, ...] = tuple(MIRRORS.values())
    vocabulary: str = VOCABULARY
    rounds: int = 6
    pause: float = 2.0
    timeout: float = 30.0

    @classmethod
    def from_mirror(cls, mirror: str) -> "Servers":
        """Return Google's servers with ``us``, ``eu`` or ``asia`` first, or a copy of them at a URL.

        >>> Servers.from_mirror("eu").mirrors[:2]
        ('http://eu.data.yt8m.org', 'http://us.data.yt8m.org')
        >>> Servers.from_mirror("http://nas/yt8m/").vocabulary
        'http://nas/yt8m/vocabulary.csv'
        """
        if mirror.startswith(("http://", "https://")):
            try:
                host = urlsplit(mirror).hostname
            except ValueError:
                host = None
            if not host:
                raise UserError(f"mirror '{mirror}'", expected="us, eu, asia or a URL such as http://nas/yt8m")
            base = mirror.rstrip("/")
            return cls(base, (base,), f"{base}/vocabulary.csv")
        check_choice("mirror", mirror, MIRRORS)
        return cls(mirrors=(MIRRORS[mirror], *(url for name, url in MIRRORS.items() if name != mirror)))

    def shard_urls(self, partition: Partition, shard: PlannedShard) -> list[str]:
        """Return the URLs of a shard, preferred one first."""
        return [f"{mirror}/{partition}/{shard.name}" for mirror in self.mirrors]


@dataclass(frozen=True)
class Download:
    """The download of a partition: ``open`` plans it, ``run`` executes it."""

    partition: Partition
    folder: Path
    """Folder of its shards."""
    planned: int
    """Number of shards of the whole partition."""
    shards: tuple[PlannedShard, ...]
    """Selected shards."""
    missing: tuple[PlannedShard, ...]
    """Selected shards that are missing here or have another md5."""
    size: int | None
    """Estimated bytes of the missing shards; None if the servers do not report sizes."""
    free: int
    """Free bytes on the disk."""
    servers: Servers
    transfer: Transfer

    @classmethod
    def open(
        cls,
        partition: Partition,
        output: Path,
        *,
        fraction: tuple[int, int] = (1, 1),
        servers: Servers | None = None,
        progress: Progress = silent,
    ) -> "Download":
        """Download the plan and determine which shards are missing.

        Args:
            partition: the partition to download.
            output: a folder; the partition is stored in its subfolder ``edition/level/split``.
            fraction: (X, Y), the X-th of Y parts of the shards.
            servers: servers to use; Google's by default.
            progress: called while existing shards are verified.

        Raises:
            UserError: the plan does not exist or is invalid, or the shards do not fit on the disk.
        """
        servers = servers or Servers()
        transfer = Transfer(rounds=servers.rounds, pause=servers.pause, timeout=servers.timeout)
        url, plan = f"{servers.plans}/{partition.plan}", BytesIO()
        try:
            transfer.fetch([url], plan, limit=MAX_PLAN)
        except Unreachable:
            raise
        except UserError as error:
            raise UserError(
                f"no download plan for {partition} ({error})",
                advice="Not all combinations of edition, level and split exist: see https://research.google.com/youtube8m.",
            ) from None
        planned = read_plan(plan.getvalue(), url)
        shards = select_fraction(planned, fraction)
        folder = output / str(partition)
        missing = _find_missing(folder, shards, progress)
        size = _estimate_size([servers.shard_urls(partition, shard) for shard in missing], transfer)
        free = shutil.disk_usage(next(f for f in (folder, *folder.absolute().parents) if f.is_dir())).free
        if size is not None and size > free:
            raise UserError(
                f"{_format_bytes(free)} free, but {len(missing):,} shards need about {_format_bytes(size)}",
                where=str(folder),
                advice="Choose a smaller fraction of the shards or another disk.",
            )
        return cls(partition, folder, len(planned), tuple(shards), tuple(missing), size, free, servers, transfer)

    def __str__(self) -> str:
        size = "unknown size" if self.size is None else f"about {_format_bytes(self.size)}"
        return (
            f"{self.partition}: {len(self.shards):,} of {self.planned:,} shards selected, "
            f"{len(self.shards) - len(self.missing):,} already in {self.folder}, "
            f"{len(self.missing):,} to download, {size} ({_format_bytes(self.free)} free)"
        )

    def fetch_vocabulary(self) -> Path:
        """Download the vocabulary into the parent folder of the splits, unless it exists.

        Raises:
            UserError: it is not available.
        """
        path = self.folder.parent / "vocabulary.csv"
        if path.is_file():
            return path
        text = BytesIO()
        try:
            self.transfer.fetch([self.servers.vocabulary], text, limit=MAX_VOCABULARY)
            with atomic_write(path) as unfinished:
                unfinished.write_bytes(text.getvalue())
                read_vocabulary(unfinished)
        except UserError as error:
            raise UserError(
                f"no vocabulary at {self.servers.vocabulary} ({error})",
                advice=f"The shards can be used without it. For label names, save the file as {path}.",
            ) from None
        return path

    def run(self, progress: Progress = silent) -> int:
        """Download the missing shards one by one.

        The download continues after a shard that the servers refuse or that keeps arriving with a wrong md5. It ends
        if the servers are unreachable. Shards that another process downloads come last, and are not downloaded twice.

        Returns:
            Number of bytes of the downloaded shards.

        Raises:
            UserError: some shards are still missing.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        done, errors = 0, []
        queue: deque[tuple[PlannedShard, Wait | None]] = deque((shard, None) for shard in self.missing)
        while queue:
            shard, wait = queue.popleft()
            number = len(self.missing) - len(queue) - 1
            try:
                done += self._fetch(shard, self._shard_progress(progress, number, done), wait)
            except LockedError:
                queue.append((shard, lambda message: progress(message, 0, 1)))
            except Unreachable:
                raise
            except UserError as error:
                errors.append(error)
        if self.missing:
            progress(self._task, done, done, f"{len(self.missing) - len(errors):,} shards")
        if errors:
            count = f"{len(errors):,} of {len(self.shards):,} shards could not be downloaded. The first: "
            raise UserError((count if len(errors) > 1 else "") + str(errors[0]))
        return done

    @property
    def _task(self) -> str:
        return f"downloading {self.partition}"

    def _shard_progress(self, progress: Progress, number: int, done: int) -> ByteProgress:
        """Convert progress of one shard into progress of the whole download, in bytes."""

        def report(received: int, size: int) -> None:
            size = max(received, size)
            remaining = (done + size) / (number + 1) * (len(self.missing) - number - 1)  # same mean size as so far
            total = max(done + size + round(remaining), done + received + 1)  # `run` reports completion
            progress(self._task, done + received, total, f"{number:,} of {len(self.missing):,} shards")

        return report

    def _fetch(self, shard: PlannedShard, progress: ByteProgress, wait: Wait | None) -> int:
        """Download a shard, or use that of another process; return the bytes downloaded. Locked as ``file_lock``."""
        path = self.folder / shard.local_name
        part = path.with_name(f".{path.name}.part")
        urls = self.servers.shard_urls(self.partition, shard)
        with file_lock(path, "download of this shard", wait=wait):
            if path.is_file() and not _find_missing(self.folder, [shard], silent):
                return 0
            if part.is_symlink():
                raise UserError("a link", where=str(part), expected="a partial download", advice="Remove the link.")
            try:
                with part.open("a+b") as file:
                    self.transfer.fetch(urls, file, limit=MAX_SHARD, md5=shard.md5, progress=progress)
                os.replace(part, path)
            finally:
                if part.is_file() and not part.stat().st_size:
                    part.unlink()
            _record_verified(path, shard.md5)
            return path.stat().st_size


def _find_missing(folder: Path, shards: Sequence[PlannedShard], progress: Progress) -> list[PlannedShard]:
    """Return the shards that are missing in the folder or have a wrong md5; each file is verified only once."""
    try:
        verified = set((folder / ".checked").read_text(errors="replace").splitlines())
    except FileNotFoundError:
        verified = set()
    missing, unverified = [], []
    for shard in shards:
        path = folder / shard.local_name
        if not path.is_file():
            missing.append(shard)
        elif _fingerprint(path, shard.md5) not in verified:
            unverified.append((shard, path))
    done, total = 0, sum(path.stat().st_size for _, path in unverified)
    for shard, path in unverified:
        with path.open("rb") as file:
            is_valid = md5_of(file) == shard.md5
        if is_valid:
            _record_verified(path, shard.md5)
        else:
            missing.append(shard)
        done += path.stat().st_size
        progress(f"verifying {folder}", done, total)
    return sorted(missing, key=lambda shard: shard.local_name)


def _record_verified(path: Path, md5: str) -> None:
    with path.with_name(".checked").open("a") as file:
        file.write(_fingerprint(path, md5) + "\n")


def _fingerprint(path: Path, md5: str) -> str:
    """Return a line that identifies a file with this md5 until it is written to."""
    state = FileState.of(path.stat())
    return f"{md5} {state.size} {state.mtime_ns} {state.ctime_ns} {path.name}"


def _estimate_size(files: Sequence[Sequence[str]], transfer: Transfer) -> int | None:
    """Estimate the total bytes of files, each given by its URLs, from an evenly spaced sample of them."""
    samples = min(SIZE_SAMPLES, len(files))
    total = 0
    for i in range(samples):
        size = transfer.size(files[i * len(files) // samples])
        if size is None:
            return None
        total += size
    return total * len(files) // samples if samples else 0


def _format_bytes(number: int) -> str:
    return f"{tqdm.format_sizeof(number)}B"
