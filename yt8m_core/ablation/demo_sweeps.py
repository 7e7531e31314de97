"""When does a component help? One cause of the demo world is turned, and its gain measured at each setting.

A setting is a small demo world of its own, on which a line with the component and one without it are trained. The world
is built for as long as something trains on it and then removed, since its dials tell its runs from others.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from yt8m_core.ablation.learning_rates import read_rates
from yt8m_core.ablation.recipe import WORDS, Recipe, Source, chosen_scale, digest_of, search_setting, world_source
from yt8m_core.ablation.runner import train_missing
from yt8m_core.ablation.significance import measure
from yt8m_core.demo import world as demo
from yt8m_core.errors import check_choice
from yt8m_core.experiment import Training
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.paper_tables.pooling import MOE_2
from yt8m_core.progress import Bars, Progress
from yt8m_core.workspace import workspace

# A third of the demo world, which makes a dial a matter of two minutes; there are 200 steps, half of the tables'. Each
# line has the rate that was found for it there.
SMALL = replace(demo.World(), train_videos=800, validation_videos=400)
TRAINING = Training(epochs=4, batch_size=16)
COLUMNS = (
    "dial", "setting", "row", "against", "gain", "gain_low", "gain_high", "gap", "gap_against", "seeds", "videos",
    "scale",
)  # fmt: skip


@dataclass(frozen=True)
class Dial:
    """A cause of the demo world, and the two lines whose difference it should move."""

    name: str  # a field of ``demo.World``
    words: str  # what it is, for the axis of a figure
    settings: tuple[float, ...]
    row: Row  # with the component
    against: Row  # without it


def _line(name: str, pooling: str) -> Row:
    return Row(name, None, Slot(pooling), MOE_2)


_POOLING, _LABELS, _LOSS = (TABLES[name] for name in ("pooling", "label_processing", "loss"))
DIALS = {
    dial.name: dial
    for dial in (
        Dial(
            "main_share",
            "share of the main scene",
            (0.15, 0.4, 0.75),
            _line("Indirect Clustering", "indirect_clustering"),
            _line("Mean", "mean"),
        ),
        # LSTM-M-O holds the very sum that it is compared with: what is gained is the LSTM's.
        Dial(
            "order_dependence",
            "probability that a label of an order pair shows in its order alone",
            (0.0, 0.5, 1.0),
            _POOLING.row("LSTM-M-O"),
            _line("Sum", "sum"),
        ),
        Dial(
            "correlation",
            "probability that a further label is of the first one's topic",
            (0.0, 0.5, 1.0),
            _LABELS.row("MoE - (1.0, 0.1, 0.0)"),
            _LABELS.row(_LABELS.baseline),
        ),
        Dial(
            "tail_exponent",
            "exponent of the labels' popularity",
            (0.5, 1.5, 2.5),
            _line("Adaptive Noise", "adaptive_noise"),
            _line("Sum", "sum"),
        ),
        Dial(
            "label_noise",
            "share of true labels that is missing",
            (0.0, 0.2, 0.4),
            _LOSS.row("Huber (δ = 0.5)"),
            _LOSS.row("L_CE"),
        ),
    )
}


def turn(name: str, *, scale: str | None = None, progress: Progress | None = None) -> pd.DataFrame:
    """The gain of a component at each setting of a dial: ``COLUMNS``; what is missing is trained.

    The world is the demo world at every scale; at "smoke" a few dozen videos show at two settings that it runs.

    Args:
        name: a key of ``DIALS``.
        scale: without it, that of ``YT8M_SCALE``.
        progress: told how far it is; without it, a bar.

    Raises:
        UserError: the dial or the scale is unknown, or no rate was found for its lines.
    """
    check_choice("dial", name, DIALS)
    dial, progress = DIALS[name], progress or Bars()
    smoke = chosen_scale(scale) == "smoke"
    recipe = _recipe(smoke=smoke)
    settings = (dial.settings[0], dial.settings[-1]) if smoke else dial.settings
    rows = []
    for setting in settings:
        point = _gain(dial, recipe, _source(name, setting, smoke=smoke), progress)
        rows.append({"dial": dial.words, "setting": setting, **point, "scale": WORDS["smoke" if smoke else "demo"]})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def digest(name: str) -> str:
    """What tells the experiments of a dial from others. Raises UserError where no rate was found for its lines."""
    dial, recipe = DIALS[name], _recipe(smoke=False)
    return digest_of(
        videos.digest(recipe.experiment(row, seed, videos.data))
        for videos in (_source(name, setting, smoke=False) for setting in dial.settings)
        for row in (dial.row, dial.against)
        for seed in recipe.seeds
    )


def _recipe(*, smoke: bool) -> Recipe:
    if smoke:
        return Recipe(replace(TRAINING, epochs=1, learning_rate=0.01), 64, (0,))
    return Recipe(TRAINING, 16, (0, 1, 2), rates=read_rates(search_setting("pooling", "demo")))


def _gain(dial: Dial, recipe: Recipe, videos: Source, progress: Progress) -> dict[str, object]:
    """Both lines on one world: the gain of the one over the other."""
    names = {row.name: [f"{row.name}, seed {seed}" for seed in recipe.seeds] for row in (dial.row, dial.against)}
    experiments = {
        name: recipe.experiment(row, seed, videos.data)
        for row in (dial.row, dial.against)
        for name, seed in zip(names[row.name], recipe.seeds, strict=True)
    }
    trained = train_missing(experiments, videos, progress=progress)
    shutil.rmtree(Path(videos.data.train).parent, ignore_errors=True)
    measured = measure({row: [trained[name].predictions for name in ones] for row, ones in names.items()})
    with_it, without = measured[dial.row.name], measured[dial.against.name]
    gain = with_it.less(without)
    return {
        "row": dial.row.name,
        "against": dial.against.name,
        "gain": gain.value,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "gap": with_it.gap().value,
        "gap_against": without.gap().value,
        "seeds": len(recipe.seeds),
        "videos": int(next(iter(trained.values())).metrics["validation"]["num_videos"]),
    }


def _source(name: str, setting: float, *, smoke: bool) -> Source:
    turned: dict[str, Any] = {name: setting}
    world = replace(demo.smoke(SMALL) if smoke else SMALL, **turned)
    return world_source(workspace() / "dials" / digest_of([str(world)]), world)
