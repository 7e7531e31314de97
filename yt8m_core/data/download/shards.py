"""Fetches YouTube-8M from where Google publishes it: the shards of one partition, and the names of the labels.

In a folder, the partition ``2/frame/train`` lies as the rest of the package reads it::

    2/frame/vocabulary.csv
    2/frame/train/train0093.tfrecord        a shard that is whole and has the md5 of the download plan
    2/frame/train/.train0094.tfrecord.part  the beginning of one, to go on from
    2/frame/train/.checked                  which shards were found right, so that these are not read again

Whatever stops a download, the same command goes on from there. Several of them, with different parts of the same
fraction, may run side by side. Nothing else in the package uses the network.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from tqdm import tqdm

from yt8m_core.data.download.http import Arrived, Transfer, Unreachable, md5_of
from yt8m_core.data.download.plan import Partition, PlannedShard, choose, read_plan
from yt8m_core.data.vocabulary import read_vocabulary
from yt8m_core.errors import UserError, check_choice
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import atomic_write

PLANS = "http://data.yt8m.org"
MIRRORS = {name: f"http://{name}.data.yt8m.org" for name in ("us", "eu", "asia")}
VOCABULARY = "https://research.google.com/youtube8m/csv/2/vocabulary.csv"  # edition 3 has the labels of edition 2

MAX_PLAN = 16 << 20  # bytes; the real ones have 0.2 MB
MAX_VOCABULARY = 32 << 20  # the real one has 3.6 MB
MAX_SHARD = 8 << 30
SAMPLED = 8  # shards of which the size is asked before the download starts; they are much alike


@dataclass(frozen=True)
class Source:
    """Where the data set is, and how patient to be with it (see ``Transfer``): a fault of a minute is sat out."""

    plans: str = PLANS
    mirrors: tuple[str, ...] = tuple(MIRRORS.values())
    vocabulary: str = VOCABULARY
    rounds: int = 6
    pause: float = 2.0
    timeout: float = 30.0

    @classmethod
    def named(cls, mirror: str) -> "Source":
        """Google's servers with ``us``, ``eu`` or ``asia`` first; or a copy of them at an address, vocabulary and all.

        >>> Source.named("eu").mirrors[:2]
        ('http://eu.data.yt8m.org', 'http://us.data.yt8m.org')
        >>> Source.named("http://nas/yt8m/").vocabulary
        'http://nas/yt8m/vocabulary.csv'
        """
        if mirror.startswith(("http://", "https://")):
            try:
                host = urlsplit(mirror).hostname
            except ValueError:
                host = None
            if not host:
                raise UserError(f"mirror '{mirror}'", expected="us, eu, asia or an address such as http://nas/yt8m")
            base = mirror.rstrip("/")
            return cls(base, (base,), f"{base}/vocabulary.csv")
        check_choice("mirror", mirror, MIRRORS)
        return cls(mirrors=(MIRRORS[mirror], *(url for name, url in MIRRORS.items() if name != mirror)))


@dataclass(frozen=True)
class Download:
    """What is to be fetched of a partition; ``open`` finds out, ``run`` fetches it."""

    partition: Partition
    folder: Path
    """Where its shards lie."""
    planned: int
    """Shards of the whole partition."""
    shards: tuple[PlannedShard, ...]
    """Those chosen."""
    missing: tuple[PlannedShard, ...]
    """Those of them that are not here yet, or have another md5."""
    size: int | None
    """Bytes of the missing ones, estimated from a few of them; None where the servers do not say."""
    free: int
    """Bytes that are free on the disk."""
    source: Source
    transfer: Transfer

    @classmethod
    def open(
        cls,
        partition: Partition,
        output: Path,
        *,
        fraction: tuple[int, int] = (1, 1),
        source: Source | None = None,
        progress: Progress = silent,
    ) -> "Download":
        """Fetch the plan, and see what of it is here.

        Args:
            partition: what to fetch.
            output: a folder, in which the partition has the folder ``edition/level/split``.
            fraction: (X, Y), the X-th of Y parts of the shards.
            source: where it is; Google's servers if not given.
            progress: told how far the check of the shards that are here is.

        Raises:
            UserError: there is no such plan, or it cannot be used, or the shards will not fit on the disk.
        """
        source = source or Source()
        transfer = Transfer(rounds=source.rounds, pause=source.pause, timeout=source.timeout)
        url, plan = f"{source.plans}/{partition.plan}", BytesIO()
        try:
            transfer.fetch([url], plan, limit=MAX_PLAN)
        except Unreachable:
            raise
        except UserError as error:
            raise UserError(
                f"no download plan of {partition} ({error})",
                advice="Not every edition has every level and split: look at https://research.google.com/youtube8m.",
            ) from None
        planned = read_plan(plan.getvalue(), url)
        shards = choose(planned, fraction)
        folder = output / str(partition)
        missing = _missing(folder, shards, progress)
        size = _estimate([_urls(source, partition, shard) for shard in missing], transfer)
        free = shutil.disk_usage(next(f for f in (folder, *folder.absolute().parents) if f.is_dir())).free
        if size is not None and size > free:
            raise UserError(
                f"{_bytes(free)} free, for {len(missing):,} shards of about {_bytes(size)} in all",
                where=str(folder),
                advice="Choose a smaller fraction of the shards, or another disk.",
            )
        return cls(partition, folder, len(planned), tuple(shards), tuple(missing), size, free, source, transfer)

    def __str__(self) -> str:
        size = "of unknown size" if self.size is None else f"about {_bytes(self.size)}"
        return (
            f"{self.partition}: {len(self.shards):,} of {self.planned:,} shards, of which "
            f"{len(self.shards) - len(self.missing):,} are in {self.folder} and {len(self.missing):,} are to be "
            f"fetched, {size} ({_bytes(self.free)} free)"
        )

    def fetch_vocabulary(self) -> Path:
        """The names of the labels, beside the folders of the splits; they are fetched unless they are there.

        Raises UserError where they are not to be had.
        """
        path = self.folder.parent / "vocabulary.csv"
        if path.is_file():
            return path
        text = BytesIO()
        try:
            self.transfer.fetch([self.source.vocabulary], text, limit=MAX_VOCABULARY)
            with atomic_write(path) as unfinished:
                unfinished.write_bytes(text.getvalue())
                read_vocabulary(unfinished)
        except UserError as error:
            raise UserError(
                f"no vocabulary at {self.source.vocabulary} ({error})",
                advice=f"The shards can be used without it. To have the names, save the file as {path}.",
            ) from None
        return path

    def run(self, progress: Progress = silent) -> int:
        """Fetch the missing shards, one after the other.

        A shard that the servers refuse, or that arrives with a wrong md5 again and again, does not keep the others
        from being fetched; servers that do not answer end it.

        Returns:
            The bytes of the shards that were fetched.

        Raises:
            UserError: some shards are still missing.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        done, faults = 0, []
        for number, shard in enumerate(self.missing):
            try:
                done += self._fetch(shard, self._told(progress, number, done))
            except Unreachable:
                raise
            except UserError as error:
                faults.append(error)
        if self.missing:
            progress(self._what, done, done, f"{len(self.missing) - len(faults):,} shards")
        if faults:
            count = f"{len(faults):,} of {len(self.shards):,} shards could not be fetched. The first: "
            raise UserError((count if len(faults) > 1 else "") + str(faults[0]))
        return done

    @property
    def _what(self) -> str:
        return f"fetching {self.partition}"

    def _told(self, progress: Progress, number: int, done: int) -> Arrived:
        """Tells progress, as bytes of all missing shards, while the shard of this number arrives."""

        def arrived(here: int, size: int) -> None:
            whole = max(here, size)
            rest = (done + whole) / (number + 1) * (len(self.missing) - number - 1)  # as large as those so far
            total = max(done + whole + round(rest), done + here + 1)  # only the end of `run` is the end
            progress(self._what, done + here, total, f"{number:,} of {len(self.missing):,} shards")

        return arrived

    def _fetch(self, shard: PlannedShard, arrived: Arrived) -> int:
        path = self.folder / shard.local
        part = path.with_name(f".{path.name}.part")
        urls = _urls(self.source, self.partition, shard)
        try:
            with part.open("a+b") as file:
                self.transfer.fetch(urls, file, limit=MAX_SHARD, md5=shard.md5, arrived=arrived)
            os.replace(part, path)
        finally:
            if part.is_file() and not part.stat().st_size:
                part.unlink()
        _note_checked(path, shard.md5)
        return path.stat().st_size


def _urls(source: Source, partition: Partition, shard: PlannedShard) -> list[str]:
    return [f"{mirror}/{partition}/{shard.name}" for mirror in source.mirrors]


def _missing(folder: Path, shards: Sequence[PlannedShard], progress: Progress) -> list[PlannedShard]:
    """The shards that are not in the folder with the right md5; each file is read only once for that."""
    try:
        checked = set((folder / ".checked").read_text(errors="replace").splitlines())
    except FileNotFoundError:
        checked = set()
    missing, unread = [], []
    for shard in shards:
        path = folder / shard.local
        if not path.is_file():
            missing.append(shard)
        elif _mark(path, shard.md5) not in checked:
            unread.append((shard, path))
    done, total = 0, sum(path.stat().st_size for _, path in unread)
    for shard, path in unread:
        with path.open("rb") as file:
            right = md5_of(file) == shard.md5
        if right:
            _note_checked(path, shard.md5)
        else:
            missing.append(shard)
        done += path.stat().st_size
        progress(f"checking {folder}", done, total)
    return sorted(missing, key=lambda shard: shard.local)


def _note_checked(path: Path, md5: str) -> None:
    with path.with_name(".checked").open("a") as file:
        file.write(_mark(path, md5) + "\n")


def _mark(path: Path, md5: str) -> str:
    """What a file with the right md5 is known by, as long as nobody writes to it."""
    stat = path.stat()
    return f"{md5} {stat.st_size} {stat.st_mtime_ns} {path.name}"


def _estimate(files: Sequence[Sequence[str]], transfer: Transfer) -> int | None:
    """Bytes of all the files, each given by its addresses, from the sizes of a few that are spread among them."""
    asked = min(SAMPLED, len(files))
    total = 0
    for i in range(asked):
        size = transfer.size(files[i * len(files) // asked])
        if size is None:
            return None
        total += size
    return total * len(files) // asked if asked else 0


def _bytes(number: int) -> str:
    return f"{tqdm.format_sizeof(number)}B"
