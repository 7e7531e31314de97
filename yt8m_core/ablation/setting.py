"""What a scale makes of a table of the paper: which videos, how wide, how long, at which rate, with how many seeds.

One switch, ``YT8M_SCALE``, decides: "demo" (the demo world), "sample" (real records on a CPU), "paper" (all shards and
a GPU), or "smoke", which proves that everything runs, and whose numbers are never kept.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from yt8m_core.data import demo
from yt8m_core.data.index import find_shards
from yt8m_core.demo_runs import WORLDS
from yt8m_core.errors import UserError, check_choice
from yt8m_core.experiment import Data, Experiment, Slot, Training
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.progress import Progress, silent
from yt8m_core.scale import SCALE_WORDS
from yt8m_core.workspace import workspace

WORDS = {**SCALE_WORDS, "smoke": "smoke test, no result"}
# In every digest: one more when a change of the code changes what an experiment comes to, so that all train again.
VERSION = 1

# One learning rate a table and scale, for all its rows but those that are about the rate itself. The paper's is meant
# for 250,000 steps; here there are 400 to 900. It is the one of ``GRID`` that comes to the best GAP of the table's
# baseline row alone, with a seed that no table has: no other row has a say in it (`yt8m ablate TABLE --rates` looks
# again). What came out for 0.001, 0.003, 0.01 and 0.03 at the demo scale:
#     LSTM                    0.561 0.623 0.623 0.565    Tables of which the baseline stands in Table 1 have its rate.
#     3 Layer MLP-4096        0.515 0.506 0.505 0.451
#     L_CE                    0.444 0.493 0.568 0.583    Also the baseline of Table 3 and of the published scorings.
#     Concatenation           0.490 0.531 0.571 0.576
#     Sum, L2                 0.606 0.675 0.721 0.714
# A rate that suits one row does not suit each: LSTM-M-O had 0.620 0.671 0.665 0.709.
GRID = (0.001, 0.003, 0.01, 0.03)
DEMO_RATES = {
    **dict.fromkeys(("pooling", "single", "ensemble", "rates"), 0.003),
    "classification": 0.001,
    **dict.fromkeys(("label_processing", "loss", "scoring_variants"), 0.03),
    "fusion": 0.03,
    "pooling_variants": 0.01,
}
RATES = {
    "smoke": dict.fromkeys(TABLES, 0.01),
    "demo": DEMO_RATES,
    "sample": DEMO_RATES,  # for about as many steps; not looked for there
    "paper": dict.fromkeys(TABLES, Training().learning_rate),
}
SEARCH_SEED = 99


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

    def experiment(self, row: Row, seed: int, data: Data) -> Experiment:
        """A row of a table as an experiment on some data."""
        if not self.frames and row.pooling != Slot("none"):
            row = replace(row, pooling=Slot("mean"))
        return row.experiment(data, self.training, narrower=self.narrower, seed=seed)

    def digest(self, row: Row) -> str:
        """What tells the row's experiments from others, without their data: a result without it is of the past."""
        experiments = (self.experiment(row, seed, Data("", "")).to_dict() for seed in self.seeds)
        return digest_of([VERSION, *experiments])


def recipe(table: str, scale: str) -> Recipe:
    """The recipe of a table at a scale."""
    rate = RATES[scale][table]
    if scale == "smoke":
        return Recipe(Training(epochs=1, batch_size=16, learning_rate=rate), 64, (0,))
    if scale == "demo":
        return Recipe(Training(epochs=5, batch_size=32, learning_rate=rate), 16, (0, 1, 2))
    if scale == "sample":
        return Recipe(Training(learning_rate=rate), 1, (0, 1, 2), frames=TABLES[table].frames)
    # One seed: its intervals are over videos alone, and say so.
    return Recipe(Training(learning_rate=rate), 1, (0,))


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


def source(table: str, scale: str) -> Source:
    """The videos of a table at a scale. Raises UserError where they are not there."""
    if scale in WORLDS:
        return world_source(workspace() / scale, WORLDS[scale])
    if scale == "paper":
        folder = _folder("YT8M_PAPER_DATA", "a folder with all shards, in its folders train and validate")
        return shard_source("YouTube-8M", str(folder / "train"), str(folder / "validate"))
    folder = _folder("YT8M_REAL_DATA", "a folder of real records, with its folders audioset and yt8m-2018-video")
    if TABLES[table].frames:
        audioset = folder / "audioset"
        return shard_source(
            "AudioSet, frames", str(audioset / "bal_train-*.tfrecord"), str(audioset / "eval-*.tfrecord")
        )
    videos = folder / "yt8m-2018-video"
    return shard_source("YouTube-8M 2018, video level", str(videos / "train"), str(videos / "validate"))


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


def _folder(variable: str, what: str) -> Path:
    named = os.environ.get(variable)
    if not named:
        raise UserError(f"{variable} is not set", expected=what)
    return Path(named).expanduser().absolute()
