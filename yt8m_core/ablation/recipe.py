"""What a scale makes of a table of the paper: which videos, how wide, how long, at which rate, with how many seeds.

One switch, ``YT8M_SCALE``, decides: "demo" (the demo world), "sample" (real records on a CPU), "paper" (all shards and
a GPU), or "smoke", which proves that everything runs, and whose numbers are never kept.

The best rate falls as layers get wider and steps more, so that it is searched where it is used: at "demo" in another
demo world, at "sample" in the training records, of which some are left out to measure on.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from yt8m_core.ablation.learning_rates import FIRST, FIRST_OF_VECTORS, Found, rate_of, read_rates
from yt8m_core.data.index import find_shards
from yt8m_core.data.scale import SCALE_WORDS
from yt8m_core.demo import world as demo
from yt8m_core.demo.runs import WORLDS
from yt8m_core.errors import UserError, check_choice
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.progress import Progress, silent
from yt8m_core.workspace import workspace

WORDS = {**SCALE_WORDS, "smoke": "smoke test, no result"}
# In every digest: one more when a change of the code changes what an experiment comes to, so that all train again.
VERSION = 1

# How long, and by how many times narrower than the paper's each width of a slot is.
REGIMES = {
    "smoke": (Training(epochs=1, batch_size=16, learning_rate=0.01), 64),
    "demo": (Training(epochs=5, batch_size=32), 16),
    "sample": (Training(), 4),
    "paper": (Training(), 1),
}
# The rows of this table are about the rate itself, and all start from one: a tenth of the highest that others may have.
OWN_RATES = {"rates": 0.003}
SEARCHED = ("smoke", "demo", "sample")  # at "paper" the rate is that of section 2.6
SEARCH_SEED = 99  # of the search for the others' rates: of its runs, and of a demo world like that of the tables


@dataclass(frozen=True)
class Records:
    """Real records below ``YT8M_REAL_DATA``, as DATA of the command line."""

    name: str
    train: str
    validation: str
    search_train: str  # of ``train``, what rates are searched on
    search_validation: str  # and what they are measured on


FRAMES = Records(
    "AudioSet, frames",
    "audioset/bal_train-*.tfrecord",
    "audioset/eval-*.tfrecord",
    "audioset/bal_train-0[0-4].tfrecord",
    "audioset/bal_train-05.tfrecord",
)
VIDEOS = Records(
    "YouTube-8M 2018, video level",
    "yt8m-2018-video/train",
    "yt8m-2018-video/validate",
    "yt8m-2018-video/train/shard00[0-3]?.tfrecord",
    "yt8m-2018-video/train/shard00[45]?.tfrecord",
)


def chosen_scale(scale: str | None = None) -> str:
    """The scale that is named, else that of ``YT8M_SCALE``, else "demo". Raises UserError for an unknown one."""
    named = scale or os.environ.get("YT8M_SCALE") or "demo"
    check_choice("scale", named, WORDS, where="" if scale else "YT8M_SCALE")
    return named


@dataclass(frozen=True)
class Recipe:
    """How the rows of a table are trained at a scale, whatever their videos are."""

    training: Training
    narrower: int  # each width of a slot is so many times smaller than the paper's
    seeds: tuple[int, ...]
    frames: bool = True  # whether videos have frames; one vector a video has nothing to pool, and its mean is itself
    rates: Found | None = None  # of each line; None: the rate of ``training`` for all

    @property
    def first_rates(self) -> tuple[float, ...]:
        """The learning rates that a search tries first."""
        return FIRST if self.frames else FIRST_OF_VECTORS

    def experiment(self, row: Row, seed: int, data: Data) -> Experiment:
        """A row of a table as an experiment on some data. Raises UserError where no rate was found for its line."""
        training = self.training
        if self.rates is not None:
            training = replace(training, learning_rate=rate_of(row, self.rates, self.first_rates))
        if not self.frames and row.pooling != Slot("none"):
            row = replace(row, pooling=Slot("mean"))
        return row.experiment(data, training, narrower=self.narrower, seed=seed)

    def digest(self, row: Row) -> str:
        """What tells the row's experiments from others, without their data: a result without it is of the past."""
        experiments = (self.experiment(row, seed, Data("", "")).to_dict() for seed in self.seeds)
        return digest_of([VERSION, *experiments])


def recipe(table: str, scale: str) -> Recipe:
    """The recipe of a table at a scale."""
    training, narrower = REGIMES[scale]
    if scale in ("smoke", "paper"):  # One seed: its intervals are over videos alone, and say so.
        return Recipe(training, narrower, (0,))
    # Without frames, most rows of a sample are MoE-16 over 3,862 labels: a quarter of an hour a run on one core.
    seeds = (0, 1, 2) if _has_frames(table, scale) else (0,)
    how = Recipe(training, narrower, seeds, frames=_has_frames(table, scale))
    if table in OWN_RATES:
        return replace(how, training=replace(training, learning_rate=OWN_RATES[table]))
    return replace(how, rates=read_rates(search_setting(table, scale)))


def _has_frames(table: str, scale: str) -> bool:
    """Whether the videos of a table have frames: of a sample, only some have."""
    return scale != "sample" or TABLES[table].frames


def _records(table: str) -> Records:
    return FRAMES if TABLES[table].frames else VIDEOS


def search_recipe(table: str, scale: str, rate: float) -> Recipe:
    """How a table's lines are trained at a rate of the search: as in the table, but for the seed."""
    training, narrower = REGIMES[scale]
    return Recipe(replace(training, learning_rate=rate), narrower, (SEARCH_SEED,), frames=_has_frames(table, scale))


def search_source(table: str, scale: str) -> "Source":
    """The videos of the search: those of no table, of a demo world with the same dials, or some that a table trains on.

    Raises UserError where there are none.
    """
    if scale in WORLDS:
        return world_source(workspace() / f"{scale}-rates", replace(WORLDS[scale], seed=SEARCH_SEED))
    records, folder = _records(table), _real_data()
    return shard_source(
        f"{records.name}, of those to train on",
        str(folder / records.search_train),
        str(folder / records.search_validation),
    )


def search_setting(table: str, scale: str) -> str:
    """What tells rates that were found in this setting from others; the real records need not be there."""
    videos = search_source(table, scale).identity if scale in WORLDS else asdict(_records(table))
    return digest_of([VERSION, videos, asdict(search_recipe(table, scale, 0.0))])


@dataclass(frozen=True)
class Source:
    """Videos to train on and to measure on."""

    data: Data
    name: str
    identity: str  # hex digits that tell them from other videos, wherever they lie
    world: demo.World | None = None  # of the demo world, which can be built at any time

    def prepare(self, progress: Progress = silent) -> None:
        """Build the demo world where it is wanted and not there."""
        folder = Path(self.data.train).parent
        if self.world is not None and not demo.is_built(folder, self.world):
            demo.build(folder, self.world, lambda done, total: progress("building the demo world", done, total))

    def digest(self, experiment: Experiment) -> str:
        """What tells an experiment on these videos from any other, on any machine."""
        nowhere = replace(experiment.data, train="", validation="", vocabulary="")
        return digest_of([VERSION, self.identity, replace(experiment, data=nowhere).to_dict()])


def source(table: str, scale: str | None = None) -> Source:
    """The videos of a table at a scale, or at that of ``YT8M_SCALE``. Raises UserError where they are not there."""
    scale = chosen_scale(scale)
    if scale in WORLDS:
        return world_source(workspace() / scale, WORLDS[scale])
    if scale == "paper":
        folder = _folder("YT8M_PAPER_DATA", "a folder with all shards, in its folders train and validate")
        return shard_source("YouTube-8M", str(folder / "train"), str(folder / "validate"))
    records, folder = _records(table), _real_data()
    return shard_source(records.name, str(folder / records.train), str(folder / records.validation))


def world_source(folder: Path, world: demo.World) -> Source:
    """A demo world, which its dials tell from every other, so that its shards need not be there."""
    data = Data(str(folder / "train"), str(folder / "validation"))
    return Source(data, "demo world", digest_of(["demo world", demo.FORMAT, asdict(world)]), world)


def shard_source(name: str, train: str, validation: str) -> Source:
    """Shards, which their names and sizes tell from others. Raises UserError where there are none."""
    sizes = [[(shard.name, shard.stat().st_size) for shard in find_shards(data)] for data in (train, validation)]
    return Source(Data(train, validation), name, digest_of(sizes))


def digest_of(values: Iterable[Any]) -> str:
    """16 hex digits of some plain values."""
    return hashlib.sha256(json.dumps(list(values), sort_keys=True).encode()).hexdigest()[:16]


def _real_data() -> Path:
    return _folder("YT8M_REAL_DATA", "a folder of real records, with its folders audioset and yt8m-2018-video")


def _folder(variable: str, what: str) -> Path:
    named = os.environ.get(variable)
    if not named:
        raise UserError(f"{variable} is not set", expected=what)
    return Path(named).expanduser().absolute()
