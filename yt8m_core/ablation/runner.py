"""A table of the paper, trained as far as it is not yet: one run a row and seed, found again by its digest.

A run is kept in ``workspace/ablations/<digest>``, so that tables which share an experiment share its run, and apart
from ``workspace/runs``, since the app lists those and wants their weights. Here the predictions, the metrics, the
config and the log stay, and the weights go: nothing reads them, and those of one MoE-16 at the paper's width take
0.6 GB. Members of an ensemble keep theirs: an average needs all scores of a video and not its 20 best alone.
"""

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from yt8m_core.ablation.ensembles import average_runs, diversity
from yt8m_core.ablation.recipe import Source, chosen_scale, digest_of, recipe, source
from yt8m_core.ablation.significance import Measured, measure
from yt8m_core.errors import UserError, check_choice
from yt8m_core.experiment import Experiment
from yt8m_core.paper_tables import TABLES, Row, Table
from yt8m_core.progress import Bars, Progress
from yt8m_core.runs.run import Run
from yt8m_core.workspace import workspace

WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Trained:
    """What is left of a run, or of an average of several: its folder."""

    path: Path

    @property
    def predictions(self) -> pd.DataFrame:
        """Each validation video's best labels: id, labels [20], scores [20], true_labels."""
        return pd.read_parquet(self.path / "predictions.parquet")

    @property
    def metrics(self) -> dict[str, Any]:
        """As ``Run.metrics``."""
        metrics: dict[str, Any] = json.loads((self.path / "metrics.json").read_text())
        return metrics


@dataclass(frozen=True)
class Ablation:
    """A table with everything that was trained for it."""

    name: str
    table: Table
    scale: str
    source: Source
    runs: Mapping[str, tuple[Trained, ...]]  # of each row and ensemble, one a seed

    @cached_property
    def measured(self) -> dict[str, Measured]:
        """The GAP of each row, and on resampled videos."""
        return measure({name: [run.predictions for run in runs] for name, runs in self.runs.items()})

    def diversity(self) -> pd.DataFrame:
        """How alike the members of each ensemble are: as ``ensembles.diversity``."""
        metrics = {name: [run.metrics for run in self.runs[name]] for name in self.table.ensembles}
        return diversity(self.table.ensembles, metrics)


def ablate(
    name: str, *, scale: str | None = None, rows: Collection[str] = (), progress: Progress | None = None
) -> Ablation:
    """A table of the paper with its runs; what is missing is trained, and an interrupted call goes on where it was.

    >>> ablate("pooling")  # doctest: +SKIP

    Args:
        name: a key of ``TABLES``.
        scale: "demo", "sample", "paper" or "smoke"; without it, that of ``YT8M_SCALE``.
        rows: only these rows and ensembles; without them, all.
        progress: told how far it is; without it, a bar.

    Raises:
        UserError: the table, a row or the scale is unknown, the data are not there, no rate was found for a row, or a
            loss is no longer finite.
    """
    check_choice("table", name, TABLES)
    table, scale, progress = TABLES[name], chosen_scale(scale), progress or Bars()
    for row in rows:
        check_choice("row", row, table.names, where=table.title)
    wanted = [row for row in table.names if not rows or row in rows]
    members = {member for ensemble in wanted for member in table.ensembles.get(ensemble, ())}
    how, videos = recipe(name, scale), source(name, scale)
    chosen = [row for row in table.rows if row.name in members.union(wanted)]
    trained = train_missing(
        {_named(row.name, seed): how.experiment(row, seed, videos.data) for row in chosen for seed in how.seeds},
        videos,
        keep={_named(row.name, seed) for row in chosen if _is_a_member(row) for seed in how.seeds},
        progress=progress,
    )

    def of_seed(row: str, seed: int) -> Trained:
        if row not in table.ensembles:
            return trained[_named(row, seed)]
        return _average([trained[_named(member, seed)] for member in table.ensembles[row]], videos, progress)

    runs = {row: tuple(of_seed(row, seed) for seed in how.seeds) for row in wanted}
    return Ablation(name, table, scale, videos, runs)


def train_missing(
    experiments: Mapping[str, Experiment], videos: Source, *, keep: Collection[str] = (), progress: Progress
) -> dict[str, Trained]:
    """Train those of some named experiments, all on the same videos, that no run stands for.

    Args:
        experiments: by a name for the progress.
        videos: what they are trained and measured on.
        keep: the names of those whose weights are wanted.
        progress: told how many are done.

    Raises:
        UserError, Diverged: as ``train`` does.
    """
    folders = {name: _folder() / videos.digest(experiment) for name, experiment in experiments.items()}
    missing = [name for name, folder in folders.items() if not _is_there(folder, weights=name in keep)]
    if missing:
        videos.prepare(progress)
    for number, name in enumerate(missing):
        if _is_there(folders[name], weights=name in keep):
            continue  # meanwhile trained for another table, by another process

        def named(what: str, done: int, total: int, note: str = "", name: str = name, number: int = number) -> None:
            progress(f"training {len(missing)} runs", number, len(missing), f"{name}, {what}")

        _train(experiments[name], folders[name], named)
        _leave_out(folders[name], weights=name in keep)  # at once: those of a whole table may not fit on the disk
    if missing:
        progress(f"training {len(missing)} runs", len(missing), len(missing))
    return {name: Trained(folder) for name, folder in folders.items()}


def _train(experiment: Experiment, folder: Path, progress: Progress) -> None:
    from yt8m_core.training.loop import train

    try:
        # Begun in a workspace that was since moved, or finished without the weights that are wanted now.
        if (begun := Run.open(folder)).finished or begun.experiment != experiment:
            shutil.rmtree(folder)
    except UserError:
        shutil.rmtree(folder, ignore_errors=True)
    train(experiment, folder, progress=progress)


def _average(members: list[Trained], videos: Source, progress: Progress) -> Trained:
    folder = _folder() / digest_of(["average", "diversity", *(member.path.name for member in members)])
    if not _is_there(folder, weights=False):
        videos.prepare(progress)
        average_runs([member.path for member in members], videos.data.validation, folder, progress)
    return Trained(folder)


def _named(row: str, seed: int) -> str:
    return f"{row}, seed {seed}"


def _is_a_member(row: Row) -> bool:
    """Whether some ensemble averages this line of slots, in whichever table it stands here."""
    return any(
        replace(row, name="", gap=None, against="") == replace(table.row(member), name="", gap=None, against="")
        for table in TABLES.values()
        for members in table.ensembles.values()
        for member in members
    )


def _is_there(folder: Path, *, weights: bool) -> bool:
    return (folder / "metrics.json").is_file() and (not weights or (folder / WEIGHTS).is_file())


def _leave_out(folder: Path, *, weights: bool) -> None:
    """Remove what nothing reads, of a run that is finished."""
    if not weights:
        (folder / WEIGHTS).unlink(missing_ok=True)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)


def _folder() -> Path:
    return workspace() / "ablations"
