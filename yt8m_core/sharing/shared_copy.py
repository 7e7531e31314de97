"""The files of a run that are shared, without the paths of the person who trained it."""

import re
from dataclasses import replace
from pathlib import Path

from yt8m_core.data import vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import Experiment
from yt8m_core.models.size import MAX_WEIGHTS
from yt8m_core.runs import calibration_file, label_precision_file, log_file, predictions_file
from yt8m_core.runs.run import Run
from yt8m_core.storage import json_file

CARD = "README.md"
MAX_CARD = 1 << 20  # bytes
PREDICTIONS = "predictions.parquet"  # has the ids of the validation videos
REQUIRED = ("config.json", "vocabulary.csv", "model.safetensors", "metrics.json")
# File: maximum number of bytes that its reader accepts. Everything else in a run folder stays there.
SHARED_FILES = {
    "config.json": json_file.MAX_BYTES,
    "vocabulary.csv": vocabulary.MAX_BYTES,
    "model.safetensors": MAX_WEIGHTS,
    "metrics.json": json_file.MAX_BYTES,
    label_precision_file.LABEL_PRECISION: label_precision_file.MAX_BYTES,
    calibration_file.CALIBRATION: json_file.MAX_BYTES,
    "log.csv": log_file.MAX_BYTES,
    PREDICTIONS: predictions_file.MAX_BYTES,
    CARD: MAX_CARD,
}
MAX_NAME = 200  # characters


def check_run(run: Run) -> None:
    """Read every shared file of a run. Raises UserError for one that is missing or invalid, and for no run."""
    _ = run.metrics
    if run.vocabulary.num_classes != run.facts.num_classes:
        raise UserError(
            f"names of {run.vocabulary.num_classes:,} labels",
            where=str(run.path / "vocabulary.csv"),
            expected=f"{run.facts.num_classes:,}, as the run scores",
        )
    run.load_model()
    for name, attribute in (
        (label_precision_file.LABEL_PRECISION, "label_precision"),
        (calibration_file.CALIBRATION, "calibration"),
        ("log.csv", "log"),
        (PREDICTIONS, "predictions"),
    ):
        if (run.path / name).exists():
            getattr(run, attribute)


def data_name(path: str) -> str:
    """Return the last part of the path of a data set or a vocabulary.

    >>> data_name("/home/ada/shards/train"), data_name("C:\\\\ada\\\\train*.tfrecord"), data_name("/")
    ('train', 'train*.tfrecord', 'data')
    """
    name = re.split(r"[/\\]", path.rstrip("/\\"))[-1][:MAX_NAME]
    return "data" if name in ("", ".", "..") else name


def shared_experiment(experiment: Experiment, repo: str) -> Experiment:
    """Return the experiment with data that nobody opens by accident: their names in a folder that says so.

    A bare ``train`` would be opened where a folder of that name exists, and its videos be taken for the training data.

    >>> from yt8m_core.experiment import Data
    >>> shared_experiment(Experiment(Data("/home/ada/train", "/home/ada/validate")), "ada/moe").data.train
    'ada/moe (data not included)/train'
    """

    def shared(path: str) -> str:
        return f"{repo} (data not included)/{data_name(path)}"

    return experiment.map_paths(shared)


def shared_files(run: Run, folder: Path, repo: str, *, predictions: bool = False) -> dict[str, Path]:
    """Write what differs in the shared copy into a folder, and return all files by name, except the model card.

    Args:
        run: A run that ``check_run`` accepts.
        folder: An empty folder for config, vocabulary, metrics and calibration.
        repo: Repository that the files are shared in.
        predictions: Share the predictions too, which have the ids of the validation videos.
    """
    experiment = shared_experiment(run.experiment, repo)
    copy = Run.create(folder, experiment, run.facts, run.vocabulary)
    json_file.write_json(folder / "metrics.json", {**run.metrics, "data": experiment.data.validation_name})
    if (run.path / calibration_file.CALIBRATION).exists():
        calibration = run.calibration
        data = f"{repo} (data not included)/{data_name(calibration.data)}"
        calibration_file.write_calibration(copy.path, replace(calibration, data=data))
    names = [name for name in SHARED_FILES if name != CARD and (predictions or name != PREDICTIONS)]
    found = {name: folder / name if (folder / name).is_file() else run.path / name for name in names}
    return {name: file for name, file in found.items() if file.is_file()}
