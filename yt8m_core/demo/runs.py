"""The demo world and the runs trained on it, so that the app and the notebooks have something to show at once."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from yt8m_core.demo import world as demo
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run
from yt8m_core.workspace import workspace

# demo: minutes on a laptop. smoke: proves that something runs; its numbers are never kept.
WORLDS = {"demo": demo.World(), "smoke": demo.smoke()}

# Two lines, one that attends and one that does not. The paper's widths are meant for far more videos, and its rate for
# far more steps; each head has the rate of 0.003, 0.01 and 0.03 that came to the best GAP (of `mean`, for both).
LINES = {
    "indirect-clustering-moe": (Slot("indirect_clustering"), Slot("moe"), 0.03),
    "mean-mlp": (Slot("mean"), Slot("mlp", {"hidden": [256, 256, 256]}), 0.003),
}
TRAINING = {"demo": Training(epochs=8), "smoke": Training(epochs=1, batch_size=16)}


def demo_scale() -> str:
    """The scale of the demo world: ``YT8M_SCALE``, "demo" unless a test says "smoke"."""
    scale = os.environ.get("YT8M_SCALE", "demo")
    if scale not in WORLDS:
        raise UserError(f"YT8M_SCALE={scale}", expected=" or ".join(WORLDS))
    return scale


def demo_folder() -> Path:
    """Where the demo world is built."""
    return workspace() / demo_scale()


def runs_folder() -> Path:
    """Where the demo runs are, and where the app looks for others."""
    return workspace() / "runs"


def experiments() -> dict[str, Experiment]:
    """The demo runs by folder name."""
    folder, scale = demo_folder(), demo_scale()
    data = Data(str(folder / "train"), str(folder / "validation"))
    return {
        f"{scale}-{name}": Experiment(
            data, pooling=pooling, classification=head, training=replace(TRAINING[scale], learning_rate=rate)
        )
        for name, (pooling, head, rate) in LINES.items()
    }


def is_ready() -> bool:
    """Whether the demo world and all its runs are there, as this version makes them."""
    return demo.is_built(demo_folder(), WORLDS[demo_scale()]) and all(
        _is_of(runs_folder() / name, experiment) and (runs_folder() / name / "metrics.json").is_file()
        for name, experiment in experiments().items()
    )


def prepare(progress: Progress = silent) -> list[Run]:
    """Build the demo world and train its runs, as far as they are not there yet.

    A world or a demo run that another version left is replaced.
    """
    if is_ready():
        return [Run.open(runs_folder() / name) for name in experiments()]
    from yt8m_core.training.loop import train

    folder, world = demo_folder(), WORLDS[demo_scale()]
    world_stands = demo.is_built(folder, world)
    for name, experiment in experiments().items():
        if not (world_stands and _is_of(runs_folder() / name, experiment)):
            shutil.rmtree(runs_folder() / name, ignore_errors=True)
    if not world_stands:
        demo.build(folder, world, lambda done, total: progress("building the demo world", done, total))
    runs = []
    for name, experiment in experiments().items():

        def named(what: str, done: int, total: int, note: str = "", name: str = name) -> None:
            progress(f"run {name}, {what}", done, total, note)

        runs.append(train(experiment, runs_folder() / name, progress=named))
    return runs


def _is_of(folder: Path, experiment: Experiment) -> bool:
    """Whether a run folder, finished or not, is of an experiment."""
    try:
        return Run.open(folder).experiment == experiment
    except UserError:
        return False
