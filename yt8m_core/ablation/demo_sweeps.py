"""Sweeps: vary one parameter of the demo world and measure how much a component gains at each value.

Each value makes a small demo world, on which two architectures are trained: with the component and without it. The
world is removed after training; its parameters identify its runs.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from yt8m_core.ablation.learning_rates import read_rates
from yt8m_core.ablation.recipe import SCALES, Recipe, Source, chosen_scale, digest_of, search_setting, world_source
from yt8m_core.ablation.runner import train_missing
from yt8m_core.ablation.significance import bootstrap_gaps
from yt8m_core.demo import world as demo
from yt8m_core.errors import check_choice
from yt8m_core.experiment import Training
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.paper_tables.pooling import MOE_2
from yt8m_core.progress import Progress, console_progress
from yt8m_core.storage.atomic import file_lock
from yt8m_core.workspace import workspace

# A third of the demo world and half the steps of the tables (200), so that a sweep takes about two minutes. The
# learning rates are those searched on the demo world.
SMALL_WORLD = replace(demo.World(), train_videos=800, validation_videos=400)
TRAINING = Training(epochs=4, batch_size=16)
COLUMNS = (
    "parameter", "value", "row", "reference", "gain", "gain_low", "gain_high", "gap", "reference_gap", "seeds",
    "videos", "scale",
)  # fmt: skip


@dataclass(frozen=True)
class Sweep:
    """Values of a demo world parameter, and the two architectures that are compared at each value."""

    name: str
    field: str  # of ``demo.World``
    parameter: str  # axis title of the figure
    values: tuple[float, ...]
    row: Row  # with the component
    reference: Row  # without it


def _pooling_row(name: str, pooling: str) -> Row:
    return Row(name, None, Slot(pooling), MOE_2)


_POOLING, _PROCESSING, _LOSS, _TODAY = (
    TABLES[name] for name in ("pooling", "label_processing", "loss", "label_priors")
)
_DIALS = {  # axis title and values of each varied field
    "main_share": ("share of the main scene", (0.15, 0.4, 0.75)),
    "order_dependence": ("probability that only frame order shows a label of an order pair", (0.0, 0.5, 1.0)),
    "correlation": ("probability that further labels share the first label's topic", (0.0, 0.5, 1.0)),
    "tail_exponent": ("exponent of label popularity", (0.5, 1.5, 2.5)),
    "label_noise": ("share of missing true labels", (0.0, 0.2, 0.4)),
}


def _sweep(field: str, row: Row, reference: Row, name: str = "") -> Sweep:
    return Sweep(name or field, field, *_DIALS[field], row, reference)


SWEEPS = {
    sweep.name: sweep
    for sweep in (
        _sweep("main_share", _pooling_row("Indirect Clustering", "indirect_clustering"), _pooling_row("Mean", "mean")),
        # LSTM-M-O contains the sum that it is compared with, so the gain is due to the LSTM.
        _sweep("order_dependence", _POOLING.row("LSTM-M-O"), _pooling_row("Sum", "sum")),
        _sweep("correlation", _PROCESSING.row("MoE - (1.0, 0.1, 0.0)"), _PROCESSING.row(_PROCESSING.baseline)),
        _sweep("tail_exponent", _pooling_row("Adaptive Noise", "adaptive_noise"), _pooling_row("Sum", "sum")),
        _sweep("label_noise", _LOSS.row("Huber (δ = 0.5)"), _LOSS.row("L_CE")),
        _sweep("tail_exponent", _TODAY.row("Asymmetric"), _TODAY.row(_TODAY.baseline), "asymmetric"),
        _sweep("correlation", _TODAY.row("Chain"), _TODAY.row(_TODAY.baseline), "chain"),
        _sweep("label_noise", _TODAY.row("Hill"), _TODAY.row(_TODAY.baseline), "hill"),
    )
}


def run_sweep(name: str, *, scale: str | None = None, progress: Progress | None = None) -> pd.DataFrame:
    """Return the gain of a component at each value of a sweep: ``COLUMNS``. Missing runs are trained.

    The demo world is used at every scale. "smoke" runs two values with a few dozen videos, to show that it works.

    Args:
        name: Key of ``SWEEPS``.
        scale: Scale; default: ``YT8M_SCALE``.
        progress: Progress callback; default: a progress bar.

    Raises:
        UserError: The sweep or the scale is unknown, or a learning rate was not searched.
    """
    check_choice("sweep", name, SWEEPS)
    sweep, progress = SWEEPS[name], progress or console_progress()
    smoke = chosen_scale(scale) == "smoke"
    recipe = _recipe(smoke=smoke)
    values = (sweep.values[0], sweep.values[-1]) if smoke else sweep.values
    rows = []
    for value in values:
        # One after another: each removes its world, which another process may need too.
        with file_lock(workspace() / "sweeps", "sweep", wait=lambda message: progress(message, 0, 1)):
            gain = _gain(sweep, recipe, _source(sweep.field, value, smoke=smoke), progress)
        rows.append(
            {"parameter": sweep.parameter, "value": value, **gain, "scale": SCALES["smoke" if smoke else "demo"]}
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def digest(name: str) -> str:
    """Return a digest of the experiments of a sweep. Raises UserError if a learning rate was not searched."""
    sweep, recipe = SWEEPS[name], _recipe(smoke=False)
    return digest_of(
        videos.digest(recipe.experiment(row, seed, videos.data))
        for videos in (_source(sweep.field, value, smoke=False) for value in sweep.values)
        for row in (sweep.row, sweep.reference)
        for seed in recipe.seeds
    )


def _recipe(*, smoke: bool) -> Recipe:
    if smoke:
        return Recipe(replace(TRAINING, epochs=1, learning_rate=0.01), 64, (0,))
    return Recipe(TRAINING, 16, (0, 1, 2), rates=read_rates(search_setting("pooling", "demo")))


def _gain(sweep: Sweep, recipe: Recipe, videos: Source, progress: Progress) -> dict[str, object]:
    """Train both architectures on one world and return the gain of the first over the second."""
    rows = (sweep.row, sweep.reference)
    titles = {row.name: [f"{row.name}, seed {seed}" for seed in recipe.seeds] for row in rows}
    experiments = {
        title: recipe.experiment(row, seed, videos.data)
        for row in rows
        for title, seed in zip(titles[row.name], recipe.seeds, strict=True)
    }
    trained = train_missing(experiments, videos, progress=progress)
    shutil.rmtree(Path(videos.data.train).parent, ignore_errors=True)
    row_gaps = bootstrap_gaps({row: [trained[title].predictions for title in titles[row]] for row in titles})
    with_component, without = (row_gaps[row.name] for row in rows)
    gain = with_component.minus(without)
    return {
        "row": sweep.row.name,
        "reference": sweep.reference.name,
        "gain": gain.value,
        "gain_low": gain.low,
        "gain_high": gain.high,
        "gap": with_component.gap().value,
        "reference_gap": without.gap().value,
        "seeds": len(recipe.seeds),
        "videos": int(next(iter(trained.values())).metrics["validation"]["num_videos"]),
    }


def _source(field: str, value: float, *, smoke: bool) -> Source:
    changes: dict[str, Any] = {field: value}
    world = replace(demo.smoke(SMALL_WORLD) if smoke else SMALL_WORLD, **changes)
    return world_source(workspace() / "sweeps" / digest_of([str(world)]), world)
