"""The demo world and the runs trained on it, as first content for the app and the notebooks."""

import os
from dataclasses import replace
from pathlib import Path

from yt8m_core.demo import segments
from yt8m_core.demo import world as demo
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import exclusive_lock, remove_folder
from yt8m_core.workspace import workspace

# demo: takes minutes on a laptop. smoke: for tests; its results are not stored.
WORLDS = {"demo": demo.World(), "smoke": demo.smoke()}

# One model with attention and one without. The paper's widths are for far more videos, and its learning rate is for far
# more steps; each classification has the rate out of 0.003, 0.01 and 0.03 with the best GAP (with `mean` pooling).
MODELS = {
    "indirect-clustering-moe": (Slot("indirect_clustering"), Slot("moe"), 0.03),
    "mean-mlp": (Slot("mean"), Slot("mlp", {"hidden": [256, 256, 256]}), 0.003),
}
TRAINING = {"demo": Training(epochs=8), "smoke": Training(epochs=1, batch_size=16)}


def demo_scale() -> str:
    """Return the scale of the demo world from ``YT8M_SCALE``: "demo" by default, "smoke" in tests."""
    scale = os.environ.get("YT8M_SCALE", "demo")
    if scale not in WORLDS:
        raise UserError(f"YT8M_SCALE={scale}", expected=" or ".join(WORLDS))
    return scale


def demo_folder() -> Path:
    """Return the folder of the demo world."""
    return workspace() / demo_scale()


def segments_folder() -> Path:
    """Return the folder of the rated segments of the demo world."""
    return workspace() / f"{demo_scale()}-segments"


def runs_folder() -> Path:
    """Return the folder of the demo runs, where the app also looks for other runs."""
    return workspace() / "runs"


def demo_experiments() -> dict[str, Experiment]:
    """Return the experiments of the demo runs by folder name."""
    folder, scale = demo_folder(), demo_scale()
    data = Data(str(folder / "train"), str(folder / "validation"))
    return {
        f"{scale}-{name}": Experiment(
            data, pooling=pooling, classification=head, training=replace(TRAINING[scale], learning_rate=rate)
        )
        for name, (pooling, head, rate) in MODELS.items()
    }


def is_ready() -> bool:
    """Whether the demo world and all its runs exist and are up to date."""
    scale = demo_scale()
    has_data = demo.is_built(demo_folder(), WORLDS[scale]) and segments.is_built(
        segments_folder(), segments.VIDEOS[scale], WORLDS[scale]
    )
    return has_data and all(
        _has_experiment(runs_folder() / name, experiment) and (runs_folder() / name / "metrics.json").is_file()
        for name, experiment in demo_experiments().items()
    )


def prepare(progress: Progress = silent) -> list[Run]:
    """Build the demo world and train its runs if they are missing or out of date.

    Raises:
        UserError: Another process does so in this workspace, or trains or changes one of these runs.
    """
    if is_ready():
        return [Run.open(runs_folder() / name) for name in demo_experiments()]
    with exclusive_lock(runs_folder(), "build of the demo world and its runs"):
        return _prepare(progress)


def _prepare(progress: Progress) -> list[Run]:
    from yt8m_core.training.loop import train

    folder, world = demo_folder(), WORLDS[demo_scale()]
    world_is_built = demo.is_built(folder, world)
    for name, experiment in demo_experiments().items():
        if not (world_is_built and _has_experiment(runs_folder() / name, experiment)):
            remove_folder(runs_folder() / name, "training")
    demo.build_missing(folder, world, progress)
    segments.build_missing(segments_folder(), segments.VIDEOS[demo_scale()], world, progress)
    runs = []
    for name, experiment in demo_experiments().items():

        def run_progress(what: str, done: int, total: int, note: str = "", name: str = name) -> None:
            progress(f"run {name}, {what}", done, total, note)

        runs.append(train(experiment, runs_folder() / name, progress=run_progress))
    return runs


def _has_experiment(folder: Path, experiment: Experiment) -> bool:
    """Whether a run folder, finished or not, belongs to an experiment."""
    try:
        return Run.open(folder).experiment == experiment
    except UserError:
        return False
