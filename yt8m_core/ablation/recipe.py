"""Recipes: the data, layer widths, training and seeds of each paper table at each scale.

``YT8M_SCALE`` selects the scale: "demo" (the demo world), "sample" (real records on a CPU), "paper" (all shards and a
GPU), or "smoke", which only checks that everything runs and never stores its numbers.

The best learning rate decreases with layer width and number of steps, so it is searched at the scale where it is used:
at "demo" on another demo world, at "sample" on the training records, some of which are held out.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from yt8m_core.ablation.learning_rates import FIRST_RATES, FIRST_RATES_VIDEO, GapsByRow, rate_for, read_rates
from yt8m_core.data.scale import SCALE_NAMES
from yt8m_core.data.shards import find_shards
from yt8m_core.demo import world as demo
from yt8m_core.demo.runs import WORLDS
from yt8m_core.errors import UserError, check_choice
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.progress import Progress, silent
from yt8m_core.workspace import workspace

SCALES = {**SCALE_NAMES, "smoke": "smoke test, no result"}
# Part of every digest: increment it when a code change alters results, so that everything trains again.
VERSION = 1

# Training, and the divisor of the paper's layer widths.
SETUPS = {
    "smoke": (Training(epochs=1, batch_size=16, learning_rate=0.01), 64),
    "demo": (Training(epochs=5, batch_size=32), 16),
    "sample": (Training(), 4),
    "paper": (Training(), 1),
}
# Base rate of the table about the learning rate itself: a tenth of the highest rate that the search may select.
FIXED_RATES = {"rates": 0.003}
# MoE-16 over 3,862 labels: 6 to 11 minutes per run on one core.
ONE_SEED = {("loss", "sample"), ("scoring_variants", "sample")}
SEARCH_SCALES = ("smoke", "demo", "sample")  # "paper" uses the rate of section 2.6
SEARCH_SEED = 99  # of the runs of the learning rate search, and of its demo world


@dataclass(frozen=True)
class Records:
    """Real records below ``YT8M_REAL_DATA``, as DATA arguments of the command line."""

    name: str
    train: str
    validation: str
    search_train: str  # subset of ``train`` that the rate search trains on
    search_validation: str  # subset of ``train`` that the rate search evaluates on


FRAME_RECORDS = Records(
    "AudioSet, frames",
    "audioset/bal_train-*.tfrecord",
    "audioset/eval-*.tfrecord",
    "audioset/bal_train-0[0-4].tfrecord",
    "audioset/bal_train-05.tfrecord",
)
VIDEO_RECORDS = Records(
    "YouTube-8M 2018, video level",
    "yt8m-2018-video/train",
    "yt8m-2018-video/validate",
    "yt8m-2018-video/train/shard00[0-3]?.tfrecord",
    "yt8m-2018-video/train/shard00[45]?.tfrecord",
)


def chosen_scale(scale: str | None = None) -> str:
    """Return the given scale, else ``YT8M_SCALE``, else "demo". Raises UserError for an unknown scale."""
    name = scale or os.environ.get("YT8M_SCALE") or "demo"
    check_choice("scale", name, SCALES, where="" if scale else "YT8M_SCALE")
    return name


@dataclass(frozen=True)
class Recipe:
    """How the rows of a table are trained at a scale, on any data."""

    training: Training
    width_divisor: int  # the paper's layer widths are divided by this
    seeds: tuple[int, ...]
    frames: bool = True  # whether videos have frames; otherwise every pooling is replaced by the mean
    rates: GapsByRow | None = None  # result of the rate search; None: the rate of ``training`` for all rows

    @property
    def first_rates(self) -> tuple[float, ...]:
        """Learning rates that a search tries first."""
        return FIRST_RATES if self.frames else FIRST_RATES_VIDEO

    def experiment(self, row: Row, seed: int, data: Data) -> Experiment:
        """Return a row as an experiment on some data. Raises UserError if its learning rate was not searched."""
        training = self.training
        if self.rates is not None:
            training = replace(training, learning_rate=rate_for(row, self.rates, self.first_rates))
        if not self.frames and row.pooling != Slot("none"):
            row = replace(row, pooling=Slot("mean"))
        return row.experiment(data, training, width_divisor=self.width_divisor, seed=seed)

    def digest(self, row: Row) -> str:
        """Return a digest of the row's experiments without their data; a stored result with another is outdated."""
        experiments = (self.experiment(row, seed, Data("", "")).to_dict() for seed in self.seeds)
        return digest_of([VERSION, *experiments])


def table_recipe(table: str, scale: str) -> Recipe:
    """Return the recipe of a table at a scale."""
    training, divisor = SETUPS[scale]
    if scale in ("smoke", "paper"):  # one seed: intervals cover videos only
        return Recipe(training, divisor, (0,))
    seeds = (0,) if (table, scale) in ONE_SEED else (0, 1, 2)
    recipe = Recipe(training, divisor, seeds, frames=_has_frames(table, scale))
    if table in FIXED_RATES:
        return replace(recipe, training=replace(training, learning_rate=FIXED_RATES[table]))
    return replace(recipe, rates=read_rates(search_setting(table, scale)))


def _has_frames(table: str, scale: str) -> bool:
    """Return whether the videos of a table have frames; at "sample" some have only one vector."""
    return scale != "sample" or TABLES[table].frames


def _records(table: str) -> Records:
    return FRAME_RECORDS if TABLES[table].frames else VIDEO_RECORDS


def search_recipe(table: str, scale: str, rate: float) -> Recipe:
    """Return the recipe of the rate search: as in the table, with its own seed."""
    training, divisor = SETUPS[scale]
    return Recipe(replace(training, learning_rate=rate), divisor, (SEARCH_SEED,), frames=_has_frames(table, scale))


def search_source(table: str, scale: str) -> "Source":
    """Return the videos of the rate search: another demo world, or a part of the table's training records.

    No table evaluates on them. Raises UserError if they do not exist.
    """
    if scale in WORLDS:
        return world_source(workspace() / f"{scale}-rates", replace(WORLDS[scale], seed=SEARCH_SEED))
    records, folder = _records(table), _real_data()
    return shard_source(
        f"{records.name}, training records",
        str(folder / records.search_train),
        str(folder / records.search_validation),
    )


def search_setting(table: str, scale: str) -> str:
    """Return a digest of the setting in which rates are searched; the real records need not exist."""
    videos = search_source(table, scale).identity if scale in WORLDS else asdict(_records(table))
    search = search_recipe(table, scale, 0.0)
    recipe = {**asdict(search), "training": search.training.to_dict()}
    recipe["narrower"] = recipe.pop("width_divisor")  # the key that the digests in rates.json were made with
    return digest_of([VERSION, videos, recipe])


@dataclass(frozen=True)
class Source:
    """Videos for training and validation."""

    data: Data
    name: str
    identity: str  # hex digest of the videos, independent of their location
    world: demo.World | None = None  # of a demo world, which can be built on demand

    def prepare(self, progress: Progress = silent) -> None:
        """Build the demo world if it is needed and missing. Waits while another process builds it."""
        if self.world is not None:
            demo.build_missing(Path(self.data.train).parent, self.world, progress)

    def digest(self, experiment: Experiment) -> str:
        """Return a digest of an experiment on these videos that is the same on every machine."""
        without_paths = replace(experiment.data, train="", validation="", vocabulary="")
        return digest_of([VERSION, self.identity, replace(experiment, data=without_paths).to_dict()])


def table_source(table: str, scale: str | None = None) -> Source:
    """Return the videos of a table at a scale (default: ``YT8M_SCALE``). Raises UserError if they do not exist."""
    scale = chosen_scale(scale)
    if scale in WORLDS:
        return world_source(workspace() / scale, WORLDS[scale])
    if scale == "paper":
        folder = _folder("YT8M_PAPER_DATA", "a folder with all shards in its folders train and validate")
        return shard_source("YouTube-8M", str(folder / "train"), str(folder / "validate"))
    records, folder = _records(table), _real_data()
    return shard_source(records.name, str(folder / records.train), str(folder / records.validation))


def world_source(folder: Path, world: demo.World) -> Source:
    """Return a demo world, identified by its parameters; its shards need not exist."""
    data = Data(str(folder / "train"), str(folder / "validation"))
    return Source(data, "demo world", digest_of(["demo world", demo.FORMAT, asdict(world)]), world)


def shard_source(name: str, train: str, validation: str) -> Source:
    """Return shards, identified by their names and sizes. Raises UserError if there are none."""
    sizes = [[(shard.name, shard.stat().st_size) for shard in find_shards(data)] for data in (train, validation)]
    return Source(Data(train, validation), name, digest_of(sizes))


def digest_of(values: Iterable[Any]) -> str:
    """Return 16 hex digits that identify JSON-serializable values."""
    return hashlib.sha256(json.dumps(list(values), sort_keys=True).encode()).hexdigest()[:16]


def _real_data() -> Path:
    return _folder("YT8M_REAL_DATA", "a folder of real records with the folders audioset and yt8m-2018-video")


def _folder(variable: str, expected: str) -> Path:
    folder = os.environ.get(variable)
    if not folder:
        raise UserError(f"{variable} is not set", expected=expected)
    return Path(folder).expanduser().absolute()
