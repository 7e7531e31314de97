"""Train the missing runs of a paper table: one run per row and seed, identified by its digest.

Runs are stored in ``workspace/ablations/<digest>``, so tables that share an experiment share its run. They are separate
from ``workspace/runs``, which the app lists and whose weights it needs. Here predictions, metrics, config and log are
kept and weights are deleted: nothing reads them, and a MoE-16 at the paper's widths takes 0.6 GB. Ensemble members keep
their weights because an average needs all scores of a video, not only its 20 best.
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
from yt8m_core.ablation.recipe import Source, chosen_scale, digest_of, table_recipe, table_source
from yt8m_core.ablation.significance import RowGaps, bootstrap_gaps
from yt8m_core.errors import UserError, check_choice
from yt8m_core.experiment import Experiment
from yt8m_core.paper_tables import TABLES, Row, Table
from yt8m_core.progress import Progress, console_progress
from yt8m_core.runs.label_precision_file import LABEL_PRECISION
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import file_lock, remove_folder
from yt8m_core.workspace import workspace

WEIGHTS = "model.safetensors"
UNUSED = (WEIGHTS, "checkpoint.safetensors", "tensorboard")  # removed from a finished run; kept weights stay


@dataclass(frozen=True)
class StoredRun:
    """Folder with the predictions and metrics of a run or an ensemble."""

    path: Path

    @property
    def predictions(self) -> pd.DataFrame:
        """Best labels of each validation video: id, labels [20], scores [20], true_labels."""
        return pd.read_parquet(self.path / "predictions.parquet")

    @property
    def metrics(self) -> dict[str, Any]:
        """Same as ``Run.metrics``."""
        metrics: dict[str, Any] = json.loads((self.path / "metrics.json").read_text())
        return metrics

    @property
    def label_precision(self) -> pd.DataFrame:
        """Same as ``Run.label_precision``. Raises UserError for a run of an older version, which has none."""
        try:
            return pd.read_parquet(self.path / LABEL_PRECISION)
        except FileNotFoundError:
            raise UserError(
                f"run {self.path} has no average precision by label",
                advice="It was trained by an older version; delete its folder, and repeat `yt8m ablate`.",
            ) from None


@dataclass(frozen=True)
class Ablation:
    """A table with its runs."""

    name: str
    table: Table
    scale: str
    source: Source
    runs: Mapping[str, tuple[StoredRun, ...]]  # of each row and ensemble, one per seed

    @cached_property
    def row_gaps(self) -> dict[str, RowGaps]:
        """GAP of each row, on all videos and on resampled videos."""
        return bootstrap_gaps({name: [run.predictions for run in runs] for name, runs in self.runs.items()})

    def diversity(self) -> pd.DataFrame:
        """Return the agreement of ensemble members, as ``ensembles.diversity``."""
        metrics = {name: [run.metrics for run in self.runs[name]] for name in self.table.ensembles}
        return diversity(self.table.ensembles, metrics)


def ablate(
    name: str, *, scale: str | None = None, rows: Collection[str] = (), progress: Progress | None = None
) -> Ablation:
    """Return a table of the paper with its runs. Missing runs are trained; an interrupted call resumes.

    >>> ablate("pooling")  # doctest: +SKIP

    Args:
        name: Key of ``TABLES``.
        scale: "demo", "sample", "paper" or "smoke"; default: ``YT8M_SCALE``.
        rows: Rows and ensembles to include; empty: all.
        progress: Progress callback; default: a progress bar.

    Raises:
        UserError: The table, a row or the scale is unknown, the data do not exist, a learning rate was not searched, or
            a loss diverged.
    """
    check_choice("table", name, TABLES)
    table, scale, progress = TABLES[name], chosen_scale(scale), progress or console_progress()
    for row in rows:
        check_choice("row", row, table.names, where=table.title)
    selected = [row for row in table.names if not rows or row in rows]
    members = {member for ensemble in selected for member in table.ensembles.get(ensemble, ())}
    recipe, videos = table_recipe(name, scale), table_source(name, scale)
    trained_rows = [row for row in table.rows if row.name in members.union(selected)]
    trained = train_missing(
        {
            _title(row.name, seed): recipe.experiment(row, seed, videos.data)
            for row in trained_rows
            for seed in recipe.seeds
        },
        videos,
        keep_weights={_title(row.name, seed) for row in trained_rows if _is_member(row) for seed in recipe.seeds},
        progress=progress,
    )

    def stored_run(row: str, seed: int) -> StoredRun:
        if row not in table.ensembles:
            return trained[_title(row, seed)]
        return _average([trained[_title(member, seed)] for member in table.ensembles[row]], videos, progress)

    runs = {row: tuple(stored_run(row, seed) for seed in recipe.seeds) for row in selected}
    return Ablation(name, table, scale, videos, runs)


def train_missing(
    experiments: Mapping[str, Experiment], videos: Source, *, keep_weights: Collection[str] = (), progress: Progress
) -> dict[str, StoredRun]:
    """Train those of the experiments that have no stored run. All use the same videos.

    Args:
        experiments: By a title that progress messages show.
        videos: Training and validation videos.
        keep_weights: Titles of the experiments whose weights are kept.
        progress: Progress callback; counts runs.

    Raises:
        UserError, TrainingDivergedError: As ``train``.
    """
    folders = {title: _folder() / videos.digest(experiment) for title, experiment in experiments.items()}
    missing = [
        title
        for title, folder in folders.items()
        if not _exists(folder, weights=title in keep_weights) or _unused(folder, weights=title in keep_weights)
    ]
    if missing:
        videos.prepare(progress)
    task = f"training {len(missing)} runs"
    for number, title in enumerate(missing):
        folder, weights = folders[title], title in keep_weights

        def report(what: str, done: int, total: int, note: str = "", title: str = title, number: int = number) -> None:
            progress(task, number, len(missing), f"{title}, {what}")

        with file_lock(folder, "training of this run", wait=lambda message: report(message, 0, 1)):
            if not _exists(folder, weights=weights):  # else another process has trained it for another table
                _train(experiments[title], folder, report)
            _remove_unused(folder, weights=weights)  # at once: all weights may not fit on the disk
    if missing:
        progress(task, len(missing), len(missing))
    return {title: StoredRun(folder) for title, folder in folders.items()}


def _train(experiment: Experiment, folder: Path, progress: Progress) -> None:
    from yt8m_core.training.loop import train

    try:
        # Not one that started in a workspace that was moved since, or finished without the weights that are needed now.
        can_resume = not (run := Run.open(folder)).is_finished and run.experiment == experiment
    except UserError:
        can_resume = False
    if not can_resume:
        remove_folder(folder, "training")
    train(experiment, folder, progress=progress)


def _average(members: list[StoredRun], videos: Source, progress: Progress) -> StoredRun:
    folder = _folder() / digest_of(["average", "diversity", *(member.path.name for member in members)])
    with file_lock(folder, "evaluation of this ensemble", wait=lambda message: progress(message, 0, 1)):
        if not _exists(folder, weights=False):
            videos.prepare(progress)
            average_runs([member.path for member in members], videos.data.validation, folder, progress)
    return StoredRun(folder)


def _title(row: str, seed: int) -> str:
    return f"{row}, seed {seed}"


def _is_member(row: Row) -> bool:
    """Return whether an ensemble of any table averages a row with the same slots."""
    return any(
        replace(row, name="", gap=None, reference="") == replace(table.row(member), name="", gap=None, reference="")
        for table in TABLES.values()
        for members in table.ensembles.values()
        for member in members
    )


def _exists(folder: Path, *, weights: bool) -> bool:
    return (folder / "metrics.json").is_file() and (not weights or (folder / WEIGHTS).is_file())


def _unused(folder: Path, *, weights: bool) -> list[Path]:
    """Return what nothing reads from a finished run; also left by a process that was killed before it removed it."""
    return [folder / name for name in UNUSED if not (weights and name == WEIGHTS) and (folder / name).exists()]


def _remove_unused(folder: Path, *, weights: bool) -> None:
    for path in _unused(folder, weights=weights):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _folder() -> Path:
    return workspace() / "ablations"
