"""What YouTube-8M consists of on Google's servers: partitions, their download plans, and a fraction of their shards.

The facts are those of Google's own script, http://data.yt8m.org/download.py, so that the same choice gives the same
shards under the same names. A plan is a stranger's file: each of its names becomes part of a path here.
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
    """What Google calls so: one split of one edition (2: 2018, 3: segments), at frame level or video level."""

    edition: str
    level: str
    split: str

    @classmethod
    def parse(cls, text: str) -> "Partition":
        """Read ``edition/level/split``; raises UserError for what was never published."""
        parts = text.split("/")
        if len(parts) != 3:
            raise UserError(f"partition '{text}'", expected="edition/level/split, for example 2/frame/train")
        known = {"edition": ("2", "3"), "level": ("frame", "video"), "split": ("train", "validate", "test")}
        for part, (what, choices) in zip(parts, known.items(), strict=True):
            check_choice(what, part, choices, where=f"partition '{text}'")
        return cls(*parts)

    @property
    def plan(self) -> str:
        """Where its download plan is on the server.

        >>> Partition.parse("2/frame/train").plan
        '2/download_plans/frame_train.json'
        """
        return f"{self.edition}/download_plans/{self.level}_{self.split}.json"

    def __str__(self) -> str:
        return f"{self.edition}/{self.level}/{self.split}"


@dataclass(frozen=True)
class PlannedShard:
    """A shard of a plan: its name on the servers, and its md5."""

    name: str
    md5: str

    @property
    def local(self) -> str:
        """Its name here: two characters at the end become a number, as not every disk tells ``aB`` from ``ab``.

        >>> PlannedShard("trainbF.tfrecord", "").local
        'train0093.tfrecord'
        """
        found = re.fullmatch(r"(train|validate|test)([A-Za-z0-9])([A-Za-z0-9])\.tfrecord", self.name)
        if not found:
            return self.name
        number = _LETTERS.index(found[2]) * len(_LETTERS) + _LETTERS.index(found[3])
        return f"{found[1]}{number:04d}.tfrecord"


def read_plan(text: bytes, where: str) -> list[PlannedShard]:
    """The shards that a download plan names, sorted by their names here.

    Raises:
        UserError: this is no plan, or a name or an md5 in it is not what it should be.
    """
    try:
        plan = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError("no JSON", where=where, expected="a download plan") from None
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
    if len({shard.local for shard in shards}) < len(shards):
        raise UserError("two names that would be the same one here", where=where)
    return sorted(shards, key=lambda shard: shard.local)


def read_fraction(text: str) -> tuple[int, int]:
    """``X,Y``, the X-th of Y parts; raises UserError for anything else.

    >>> read_fraction("1,100")
    (1, 100)
    """
    found = re.fullmatch(r"([0-9]{1,9}),([0-9]{1,9})", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise UserError(f"fraction '{text}'", expected="X,Y with 1 <= X <= Y, for example 1,100 for a hundredth")
    return int(found[1]), int(found[2])


def choose(shards: Sequence[PlannedShard], fraction: tuple[int, int]) -> list[PlannedShard]:
    """The X-th of Y parts of the shards, by the md5 of their names; raises UserError if that part is empty."""
    part, parts = fraction

    def drawn(name: str) -> int:
        return int(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(), 16) % parts

    chosen = [shard for shard in shards if drawn(shard.name) == part - 1]
    if not chosen:
        raise UserError(
            f"none of {len(shards):,} shards in part {part} of {parts}", advice="Choose another part, or a larger one."
        )
    return chosen
