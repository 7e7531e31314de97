"""Run folders: the files of one trained experiment, none of them executable.

config.json             the experiment, the facts of its data, and its workspace (``data_paths``)
vocabulary.csv          the names of the labels
model.safetensors       the trained weights
metrics.json            the validation metrics; only in a finished run
log.csv                 the training log
tensorboard/            the same, and the terms of the loss, for TensorBoard
predictions.parquet     the 20 top labels of each validation video
label_precision.parquet the average precision of each label on the validation videos
calibration.json        temperatures and thresholds; only after ``yt8m calibrate``
README.md               the model card; only after ``yt8m card``
checkpoint.safetensors  the training state; only in an unfinished run
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from yt8m_core.data.scale import SCALE_NAMES
from yt8m_core.data.schema import MAX_LABEL, MAX_WIDTH, Schema
from yt8m_core.data.vocabulary import Vocabulary, read_vocabulary, write_vocabulary
from yt8m_core.errors import UserError, check_choice
from yt8m_core.experiment import Experiment
from yt8m_core.models.slot import Slot
from yt8m_core.runs.calibration_file import CALIBRATION, Calibration, read_calibration
from yt8m_core.runs.data_paths import follow_workspace, workspace_entry
from yt8m_core.runs.label_precision_file import LABEL_PRECISION, read_label_precision
from yt8m_core.runs.log_file import read_log
from yt8m_core.runs.predictions_file import MAX_VIDEOS, read_predictions
from yt8m_core.storage.atomic import atomic_write, printable_name
from yt8m_core.storage.json_file import read_json, write_json
from yt8m_core.storage.typed_json import MAX_INTEGER, check_number, read_fields

# torch takes seconds to import, and the app lists runs without it.
if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from yt8m_core.models.classifier import VideoClassifier

FORMAT = 2  # 1 had British spelling
REQUIRED_METRICS = ("gap", "gap_low", "gap_high")  # of the validation data


@dataclass(frozen=True)
class Facts:
    """Properties of a run's data that determine its model and label its numbers."""

    schema: Schema
    num_classes: int
    scale: str  # "demo", "sample" or "paper"
    train_videos: int
    validation_videos: int
    train_bad_records: int = 0  # skipped
    validation_bad_records: int = 0
    feature_norms: tuple[float, ...] = field(default=(), compare=False)
    """Mean norm of the frames of each stream of the training videos; empty in runs of older versions."""
    init_weights: str = ""  # digest of the weights that the training started from (``Experiment.init``), if any

    def __post_init__(self) -> None:
        """Validate the values. Raises UserError that names the first invalid one."""
        if not self.schema.streams:
            raise UserError("no feature streams", where="facts, schema", expected="at least one")
        for name, width in self.schema.streams:
            check_number(width, 1, MAX_WIDTH, where=f"facts, schema, stream '{name}'")
        check_number(self.num_classes, 1, MAX_LABEL + 1, where="facts, num_classes")
        check_choice("scale", self.scale, SCALE_NAMES, where="facts")
        for count in ("train_videos", "validation_videos", "train_bad_records", "validation_bad_records"):
            check_number(getattr(self, count), 0, MAX_VIDEOS, where=f"facts, {count}")
        for norm in self.feature_norms:
            check_number(norm, 0, where="facts, feature_norms")
        if len(self.feature_norms) not in (0, len(self.schema.streams)):
            found, wanted = f"{len(self.feature_norms)} norms", f"one for each of {len(self.schema.streams)} streams"
            raise UserError(found, where="facts, feature_norms", expected=wanted)
        if not re.fullmatch("([0-9a-f]{16})?", self.init_weights):
            raise UserError(ascii(self.init_weights[:40]), where="facts, init_weights", expected="16 hex digits")

    def to_dict(self) -> dict[str, Any]:
        """Return the facts as plain values for JSON. ``init_weights`` is omitted where the weights were random."""
        values = asdict(self)
        if not self.init_weights:
            del values["init_weights"]
        return values


def build_model(experiment: Experiment, facts: Facts) -> "VideoClassifier":
    """Build the experiment's model with fresh weights. Raises UserError for an unknown method or option."""
    from yt8m_core.models.classifier import VideoClassifier

    def method(slot: Slot) -> tuple[str, Mapping[str, Any]]:
        return slot.name, slot.options

    return VideoClassifier(
        streams=facts.schema.streams,
        num_classes=facts.num_classes,
        pooling=method(experiment.pooling),
        classification=method(experiment.classification),
        label_processing=method(experiment.label_processing),
        fusion=method(experiment.fusion),
        normalization=experiment.normalization,
    )


@dataclass(frozen=True)
class Run:
    """An open run folder.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from yt8m_core import Experiment, Run, Slot, train
    >>> from yt8m_core.demo.world import build, smoke
    >>> from yt8m_core.experiment import Data, Training
    >>> folder = Path(tempfile.mkdtemp())
    >>> build(folder / "data", smoke())
    >>> data = Data(str(folder / "data" / "train"), str(folder / "data" / "validation"))
    >>> _ = train(Experiment(data, classification=Slot("logistic"), training=Training(epochs=1)), folder / "run")
    >>> run = Run.open(folder / "run")
    >>> print(run.experiment, run.is_finished, len(run.predictions))
    mean → logistic → identity → cross_entropy True 32
    >>> run.load_model().label_processing
    Identity()

    Attributes:
        path: the folder.
        experiment: the experiment.
        facts: properties of its data.
    """

    path: Path
    experiment: Experiment
    facts: Facts

    @classmethod
    def create(cls, path: Path, experiment: Experiment, facts: Facts, vocabulary: Vocabulary) -> "Run":
        """Create a run folder with its config and vocabulary."""
        path.mkdir(parents=True, exist_ok=True)
        write_vocabulary(path / "vocabulary.csv", vocabulary)
        config = {"format": FORMAT, "experiment": experiment.to_dict(), "facts": facts.to_dict()}
        write_json(path / "config.json", {**config, **workspace_entry(path, experiment)})
        return cls(path, experiment, facts)

    @classmethod
    def open(cls, path: str | Path) -> "Run":
        """Open a run folder. Raises UserError where it is no run folder, or of another version."""
        path = Path(path)
        config = read_json(path / "config.json", missing=f"{path} is not a run folder: it has no config.json")
        where = str(path / "config.json")
        if config.get("format") != FORMAT:
            advice = "The run was trained by another version of this program; train it again."
            raise UserError(
                f"format {config.get('format')}"[:80], where=where, expected=f"format {FORMAT}", advice=advice
            )
        try:
            facts: Facts = read_fields(Facts, config.get("facts"), "facts")
            experiment = Experiment.from_dict(config.get("experiment"))
            return cls(path, follow_workspace(experiment, config.get("workspace"), path), facts)
        except UserError as error:
            raise UserError(str(error), where=where) from None

    @property
    def name(self) -> str:
        """Name of the folder."""
        return printable_name(self.path.name)

    @property
    def is_finished(self) -> bool:
        """Whether the training is complete."""
        return (self.path / "metrics.json").is_file()

    @property
    def weights_file(self) -> Path:
        """File of the trained weights; only in a finished run."""
        return self.path / "model.safetensors"

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Vocabulary of the labels that the run scores."""
        return read_vocabulary(self.path / "vocabulary.csv")

    @property
    def metrics(self) -> dict[str, Any]:
        """Validation metrics with the CI of GAP, number of parameters, and training time.

        Raises UserError for an unfinished run and for invalid metrics.
        """
        file = self.path / "metrics.json"
        metrics = read_json(file, missing=f"run {self.path} is not finished: resume its training")
        validation = metrics.get("validation")
        if not isinstance(validation, dict) or not validation.keys() >= set(REQUIRED_METRICS):
            raise UserError("no GAP of the validation split", where=str(file))
        for name, value in [*metrics.items(), *validation.items()]:
            if name in ("validation", "data"):
                continue
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise UserError(repr(value)[:40], where=f"{file}, {name}", expected="a number")
            is_share = name in validation and not name.startswith("num_") and name != "ap_videos"
            limit = 1 if is_share else MAX_INTEGER
            check_number(value, 0, limit, where=f"{file}, {name}")
        return metrics

    @property
    def log(self) -> pd.DataFrame:
        """Training log: epoch, step, examples, learning_rate, loss, gradient, and metrics at the end of each epoch.

        update_<slot> is the update-to-weight ratio of a slot; logs of older versions have none.

        Raises UserError where there is no log yet, or the file is not a log.
        """
        try:
            return read_log(self.path / "log.csv")
        except (FileNotFoundError, pd.errors.EmptyDataError):
            raise UserError(f"run {self.path} has no training log yet") from None

    @property
    def predictions(self) -> pd.DataFrame:
        """Top labels of each validation video: id, labels [20], scores [20], true_labels.

        Raises UserError where there is no file, or its content does not fit the validation data.
        """
        try:
            return read_predictions(
                self.path / "predictions.parquet", self.facts.validation_videos, self.facts.num_classes
            )
        except FileNotFoundError:
            raise UserError(f"run {self.path} has no predictions; a pulled run has them if they were pushed") from None

    @property
    def label_precision(self) -> pd.DataFrame:
        """Average precision of each label on the validation videos: label, training_videos, band, positives, ap.

        Raises UserError where there is no file, or its content does not fit the run.
        """
        try:
            return read_label_precision(self.path / LABEL_PRECISION, self.facts.num_classes)
        except FileNotFoundError:
            raise UserError(
                f"run {self.path} has no average precision by label",
                advice="It is unfinished, or was trained by an older version; train it again.",
            ) from None

    @property
    def training_counts(self) -> "NDArray[np.int64] | None":
        """Number of training videos of each label [C]; None for a run without ``label_precision``."""
        if not (self.path / LABEL_PRECISION).exists():
            return None
        counts: NDArray[np.int64] = self.label_precision["training_videos"].to_numpy("int64")
        return counts

    @property
    def calibration(self) -> Calibration:
        """Result of ``yt8m calibrate``. Raises UserError where there is none, or the file is invalid."""
        return read_calibration(self.path, self.facts.num_classes)

    def load_model(self, device: "torch.device | str" = "cpu") -> "VideoClassifier":
        """Load the trained model in evaluation mode, without gradients.

        Raises UserError where the weights are missing, do not fit the config, or are not finite.
        """
        import torch

        from yt8m_core.runs.weights import read_weights

        # On the meta device: a config may name any size, so the shapes are compared before memory is allocated.
        with torch.device("meta"):
            tensors = build_model(self.experiment, self.facts).state_dict()
        weights = read_weights(self.weights_file, tensors, "the config")
        model = build_model(self.experiment, self.facts)
        model.load_state_dict(weights)
        return model.to(device).eval().requires_grad_(False)

    def finish(
        self,
        model: "VideoClassifier",
        metrics: Mapping[str, Any],
        predictions: pd.DataFrame,
        label_precision: pd.DataFrame | None,
    ) -> None:
        """Save weights, tables and metrics; the metrics last, because they mark the run as finished."""
        from yt8m_core.storage.tensor_files import write_tensors

        (self.path / CALIBRATION).unlink(missing_ok=True)  # of the previous weights
        write_tensors(self.weights_file, model.state_dict(), mode_of=self.path / "config.json")
        for name, table in (("predictions.parquet", predictions), (LABEL_PRECISION, label_precision)):
            if table is not None:
                with atomic_write(self.path / name) as file:
                    table.to_parquet(file, index=False, write_page_checksum=True)
        write_json(self.path / "metrics.json", metrics)


def find_runs(folder: Path) -> list[Path]:
    """Return the run folders in a folder, sorted by name."""
    return sorted(config.parent for config in folder.glob("*/config.json"))
