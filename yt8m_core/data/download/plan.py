"""Partitions of YouTube-8M, their download plans, and selection of a fraction of their shards.

The rules follow Google's script, http://data.yt8m.org/download.py, so that the same options select the same shards.
Download plans are untrusted: their file names become part of local paths.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from yt8m_core.errors import UserError, check_choice

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}\.tfrecord")
_MD5 = re.compile(r"[0-9a-f]{32}")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass(frozen=True)
class Partition:
    """One split of one edition (2: 2018, 3: segments) at frame or video level; Google's term."""

    edition: str
    level: str
    split: str

    @classmethod
    def parse(cls, text: str) -> "Partition":
        """Parse ``edition/level/split``. Raises UserError for values that do not exist."""
        parts = text.split("/")
        if len(parts) != 3:
            raise UserError(f"partition '{text}'", expected="edition/level/split, for example 2/frame/train")
        known = {"edition": ("2", "3"), "level": ("frame", "video"), "split": ("train", "validate", "test")}
        for part, (name, choices) in zip(parts, known.items(), strict=True):
            check_choice(name, part, choices, where=f"partition '{text}'")
        return cls(*parts)

    @property
    def plan(self) -> str:
        """Path of the download plan on the server.

        >>> Partition.parse("2/frame/train").plan
        '2/download_plans/frame_train.json'
        """
        return f"{self.edition}/download_plans/{self.level}_{self.split}.json"

    def __str__(self) -> str:
        return f"{self.edition}/{self.level}/{self.split}"


@dataclass(frozen=True)
class PlannedShard:
    """Name on the server and md5 of a shard in a download plan."""

    name: str
    md5: str

    @property
    def local_name(self) -> str:
        """Local file name: the last two characters become a number, for disks where ``aB`` and ``ab`` are the same.

        >>> PlannedShard("trainbF.tfrecord", "").local_name
        'train0093.tfrecord'
        """
        match = re.fullmatch(r"(train|validate|test)([A-Za-z0-9])([A-Za-z0-9])\.tfrecord", self.name)
        if not match:
            return self.name
        number = _LETTERS.index(match[2]) * len(_LETTERS) + _LETTERS.index(match[3])
        return f"{match[1]}{number:04d}.tfrecord"


def read_plan(text: bytes, where: str) -> list[PlannedShard]:
    """Parse a download plan into shards, sorted by local name.

    Raises:
        UserError: the text is not a plan, or a name or an md5 is invalid.
    """
    try:
        plan = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError("invalid JSON", where=where, expected="a download plan") from None
    files = plan.get("files") if isinstance(plan, dict) else None
    if not isinstance(files, dict) or not files:
        raise UserError("no files", where=where, expected='{"files": {name: md5}}')
    shards = []
    for name, md5 in files.items():
        if not _NAME.fullmatch(name):
            raise UserError(f"the file name {name[:100]!r}", where=where, expected="a name such as trainbF.tfrecord")
        if not isinstance(md5, str) or not _MD5.fullmatch(md5.lower()):
            raise UserError(f"{str(md5)[:100]!r}", where=f"{where}, md5 of {name}", expected="32 hexadecimal digits")
        shards.append(PlannedShard(name, md5.lower()))
    if len({shard.local_name for shard in shards}) < len(shards):
        raise UserError("two shards with the same local name", where=where)
    return sorted(shards, key=lambda shard: shard.local_name)


def parse_fraction(text: str) -> tuple[int, int]:
    """Parse ``X,Y``, the X-th of Y parts. Raises UserError for anything else.

    >>> parse_fraction("1,100")
    (1, 100)
    """
    match = re.fullmatch(r"([0-9]{1,9}),([0-9]{1,9})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UserError(f"fraction '{text}'", expected="X,Y with 1 <= X <= Y, for example 1,100 for one hundredth")
    return int(match[1]), int(match[2])


def select_fraction(shards: Sequence[PlannedShard], fraction: tuple[int, int]) -> list[PlannedShard]:
    """Select the X-th of Y parts of the shards by the md5 of their names. Raises UserError if that part is empty."""
    part, parts = fraction

    def part_of(name: str) -> int:
        return int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(), 16) % parts

    selected = [shard for shard in shards if part_of(shard.name) == part - 1]
    if not selected:
        raise UserError(
            f"part {part} of {parts} contains none of the {len(shards):,} shards",
            advice="Choose another part or a larger one.",
        )
    return selected
