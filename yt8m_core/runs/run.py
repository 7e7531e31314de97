"""The run folder: everything that one experiment left behind, and nothing that executes.

config.json             the experiment and the facts of its data
vocabulary.csv          the names of the labels that it scores
model.safetensors       the trained weights
metrics.json            the metrics of the validation data; there once the run is finished
log.csv                 the training as it went
tensorboard/            the same, and the parts of the loss, for TensorBoard
predictions.parquet     each validation video's 20 best labels
checkpoint.safetensors  where to go on; only while the run is unfinished
"""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from yt8m_core.data.scale import SCALE_WORDS
from yt8m_core.data.schema import MAX_LABEL, MAX_WIDTH, Schema
from yt8m_core.data.vocabulary import Vocabulary, read_vocabulary, write_vocabulary
from yt8m_core.errors import UserError, check_choice
from yt8m_core.experiment import Experiment
from yt8m_core.models.slot import Slot
from yt8m_core.runs.predictions_file import MAX_VIDEOS, read_predictions
from yt8m_core.storage.atomic import as_text, atomic_write, check_size
from yt8m_core.storage.typed_json import MOST, check_number, read_fields

# torch takes seconds to import, and the app lists runs before it needs a model.
if TYPE_CHECKING:
    import torch

    from yt8m_core.models.classifier import VideoClassifier

FORMAT = 1
MAX_JSON, MAX_LOG, MAX_WEIGHTS = 1 << 22, 1 << 25, 1 << 36  # bytes
NEEDED = ("gap", "gap_low", "gap_high")  # of the metrics of the validation data


@dataclass(frozen=True)
class Facts:
    """What a run's data turned out to be."""

    schema: Schema
    num_classes: int
    scale: str  # "demo", "sample" or "paper": which world the numbers are about
    train_videos: int
    validation_videos: int
    train_bad_records: int = 0  # left out
    validation_bad_records: int = 0

    def __post_init__(self) -> None:
        """Refuse what no data are. Raises UserError that names the first."""
        if not self.schema.streams:
            raise UserError("no feature streams", where="facts, schema", expected="at least one")
        for name, width in self.schema.streams:
            check_number(width, 1, MAX_WIDTH, where=f"facts, schema, stream '{name}'")
        check_number(self.num_classes, 1, MAX_LABEL + 1, where="facts, num_classes")
        check_choice("scale", self.scale, SCALE_WORDS, where="facts")
        for count in ("train_videos", "validation_videos", "train_bad_records", "validation_bad_records"):
            check_number(getattr(self, count), 0, MAX_VIDEOS, where=f"facts, {count}")


def build_model(experiment: Experiment, facts: Facts) -> "VideoClassifier":
    """The experiment's line of slots with fresh weights. Raises UserError for an unknown method or option."""
    from yt8m_core.models.classifier import VideoClassifier

    def named(slot: Slot) -> tuple[str, Mapping[str, Any]]:
        return slot.name, slot.options

    return VideoClassifier(
        streams=facts.schema.streams,
        num_classes=facts.num_classes,
        pooling=named(experiment.pooling),
        classification=named(experiment.classification),
        label_processing=named(experiment.label_processing),
        fusion=named(experiment.fusion),
        normalization=experiment.normalization,
    )


@dataclass(frozen=True)
class Run:
    """A run folder, opened."""

    path: Path
    experiment: Experiment
    facts: Facts

    @classmethod
    def create(cls, path: Path, experiment: Experiment, facts: Facts, vocabulary: Vocabulary) -> "Run":
        """Start a run folder with its config and vocabulary."""
        path.mkdir(parents=True, exist_ok=True)
        write_vocabulary(path / "vocabulary.csv", vocabulary)
        _write_json(
            path / "config.json", {"format": FORMAT, "experiment": experiment.to_dict(), "facts": asdict(facts)}
        )
        return cls(path, experiment, facts)

    @classmethod
    def open(cls, path: Path) -> "Run":
        """Open a run folder. Raises UserError where it is none, or of a version that is not known."""
        config = _read_json(path / "config.json", missing=f"{path} is no run folder: it has no config.json")
        where = str(path / "config.json")
        if config.get("format") != FORMAT:
            raise UserError(f"format {config.get('format')}", where=where, expected=f"format {FORMAT}")
        try:
            facts: Facts = read_fields(Facts, config.get("facts"), "facts")
            return cls(path, Experiment.from_dict(config.get("experiment")), facts)
        except UserError as error:
            raise UserError(str(error), where=where) from None

    @property
    def name(self) -> str:
        """The folder's name."""
        return as_text(self.path.name)

    @property
    def finished(self) -> bool:
        """Whether the training came to its end."""
        return (self.path / "metrics.json").is_file()

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The labels that the run scores."""
        return read_vocabulary(self.path / "vocabulary.csv")

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics of the validation data, with the interval of GAP, and what the training took.

        Raises UserError for an unfinished run, and for metrics that are none.
        """
        file = self.path / "metrics.json"
        metrics = _read_json(file, missing=f"run {self.path} is not finished: train it to its end")
        validation = metrics.get("validation")
        if not isinstance(validation, dict) or not validation.keys() >= set(NEEDED):
            raise UserError("no GAP of the validation data", where=str(file))
        for name, value in [*metrics.items(), *validation.items()]:
            if name in ("validation", "data"):
                continue
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise UserError(repr(value)[:40], where=f"{file}, {name}", expected="a number")
            most = 1 if name in validation and not name.startswith("num_") else MOST
            check_number(value, 0, most, where=f"{file}, {name}")
        return metrics

    @property
    def log(self) -> pd.DataFrame:
        """The training as it went: epoch, step, examples, learning_rate, loss, and GAP at the end of each epoch.

        Raises UserError where nothing was logged yet, or something that is no log.
        """
        file = self.path / "log.csv"
        try:
            check_size(file, MAX_LOG)
            whole, _, _ = file.read_text().rpartition("\n")  # a training may be writing what follows
            log = pd.read_csv(io.StringIO(whole))
            log = log.astype({"epoch": int, "step": int, "examples": int, "loss": float, "gap": float})
            for name, most in (("examples", MOST), ("loss", MOST), ("gap", 1)):
                if not log[name].dropna().between(0, most).all():
                    raise ValueError(f"a number in column '{name}' that it cannot have")
            return log
        except (FileNotFoundError, pd.errors.EmptyDataError):
            raise UserError(f"run {self.path} has no log of its training yet") from None
        except (OSError, ValueError, KeyError, OverflowError) as error:
            raise UserError(f"no log of a training ({str(error)[:200]})", where=str(file)) from None

    @property
    def predictions(self) -> pd.DataFrame:
        """Each validation video's best labels: id, labels [20], scores [20], true_labels.

        Raises UserError where there are none, or others than the validation data can have.
        """
        try:
            return read_predictions(
                self.path / "predictions.parquet", self.facts.validation_videos, self.facts.num_classes
            )
        except FileNotFoundError:
            raise UserError(f"run {self.path} has no predictions of its validation data") from None

    def load_model(self, device: "torch.device | str" = "cpu") -> "VideoClassifier":
        """The trained model, ready to predict.

        Raises UserError where the weights are missing, do not fit, or are not finite.
        """
        import torch
        from safetensors import SafetensorError, safe_open
        from safetensors.torch import load_file

        from yt8m_core.storage.tensor_files import TENSOR_TYPES

        file = self.path / "model.safetensors"
        # On no device at first: a config may ask for any size, and the file must bear it out before memory is taken.
        with torch.device("meta"):
            tensors = build_model(self.experiment, self.facts).state_dict()
        wanted = {name: f"{list(tensor.shape)} {TENSOR_TYPES[tensor.dtype]}" for name, tensor in tensors.items()}
        try:
            check_size(file, MAX_WEIGHTS)
            with safe_open(file, framework="pt") as stored:
                parts = {name: stored.get_slice(name) for name in stored.keys()}  # noqa: SIM118
                held = {name: f"{part.get_shape()} {part.get_dtype()}" for name, part in parts.items()}
            for name in sorted(wanted.keys() | held.keys()):
                if wanted.get(name) != held.get(name):
                    raise UserError(
                        f"weights that do not fit the run's config: '{name}' {held.get(name, 'missing')}",
                        where=str(file),
                        expected=wanted.get(name, "no such tensor"),
                    )
            model = build_model(self.experiment, self.facts)
            weights = load_file(file)
            for name, tensor in weights.items():
                if not tensor.isfinite().all():
                    raise UserError(f"numbers in '{name}' that are not finite", where=str(file))
            model.load_state_dict(weights)
        except FileNotFoundError:
            raise UserError(f"run {self.path} has no trained weights", advice="Train it to its end.") from None
        except (SafetensorError, OSError) as error:
            raise UserError(f"weights that cannot be read ({error})", where=str(file)) from None
        return model.to(device).eval().requires_grad_(False)

    def finish(self, model: "VideoClassifier", metrics: Mapping[str, Any], predictions: pd.DataFrame) -> None:
        """Store what the training came to; the metrics last, since they mark the run as finished."""
        from yt8m_core.storage.tensor_files import write_tensors

        write_tensors(self.path / "model.safetensors", model.state_dict(), mode_of=self.path / "config.json")
        with atomic_write(self.path / "predictions.parquet") as file:
            predictions.to_parquet(file, index=False)
        _write_json(self.path / "metrics.json", metrics)


def find_runs(folder: Path) -> list[Path]:
    """The run folders in a folder, by name."""
    return sorted(config.parent for config in folder.glob("*/config.json"))


def _read_json(path: Path, *, missing: str) -> dict[str, Any]:
    try:
        check_size(path, MAX_JSON)
        values = json.loads(path.read_text())
        json.dumps(values, ensure_ascii=False).encode()  # half of a character, which can be neither shown nor stored
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(missing) from None
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"no JSON ({error})", where=str(path)) from None
    if not isinstance(values, dict):
        raise UserError(type(values).__name__, where=str(path), expected="a JSON object")
    return values


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write_text(json.dumps(values, indent=2) + "\n")
