"""Export of a run: trace its model, write the file, and keep it only if it gives the run's outputs."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from yt8m_core.errors import UserError, check_choice
from yt8m_core.export import onnx_file, torch_file
from yt8m_core.export.graph import INPUT_TYPES, PRECISIONS, trace
from yt8m_core.export.metadata import describe_run
from yt8m_core.export.parity import LIMITS, build_batches, largest_difference, load_videos, random_videos
from yt8m_core.models.classifier import NO_POOLING, VideoClassifier
from yt8m_core.models.registry import takes_frames
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run, build_model
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.paths import check_replaceable

FORMATS: dict[str, ModuleType] = {".onnx": onnx_file, ".pt2": torch_file}
# Methods that can be exported, to find the one that cannot.
SIMPLE = {
    "pooling": Slot("mean"),
    "classification": Slot("moe"),
    "label_processing": Slot("identity"),
    "fusion": Slot("concat"),
}


@dataclass(frozen=True)
class Exported:
    """An exported file and how it was verified."""

    path: Path
    num_bytes: int
    difference: float
    """Largest absolute difference of a probability or an attention weight from the run's."""
    limit: float
    """Largest difference that is allowed."""
    has_real_videos: bool
    """Whether the file was verified on videos of the run's data; False for random ones."""

    def __str__(self) -> str:
        videos = "videos of the run's data"
        if not self.has_real_videos:
            videos = "random videos, because the run's data cannot be read"
        size = f"{self.path}: {self.num_bytes:,} bytes"
        return f"{size}, differs from the run by at most {self.difference:.1e} (limit {self.limit:g}) on {videos}"


@dataclass(frozen=True)
class _Target:
    """What to write: the format by its file ending, and the types of inputs and weights."""

    suffix: str
    input_type: str
    precision: str

    @property
    def format(self) -> Any:
        """Module that writes and opens the file."""
        return FORMATS[self.suffix]


def export_run(run: Run, output: str | Path, *, precision: str = "float32", input_type: str | None = None) -> Exported:
    """Export a finished run as one file that runs without this project.

    The file is verified before it gets its name: it is opened by ONNX Runtime or ``torch.export.load``, and its outputs
    for batches of several sizes are compared with the run's.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from yt8m_core import Experiment, Slot, export_run, train
    >>> from yt8m_core.demo.world import build, smoke
    >>> from yt8m_core.experiment import Data, Training
    >>> folder = Path(tempfile.mkdtemp())
    >>> build(folder / "data", smoke())
    >>> data = Data(str(folder / "data" / "train"), str(folder / "data" / "validation"))
    >>> run = train(Experiment(data, classification=Slot("logistic"), training=Training(epochs=1)), folder / "run")
    >>> exported = export_run(run, folder / "model.pt2")
    >>> exported.path.name, exported.has_real_videos, exported.difference <= 1e-4
    ('model.pt2', True, True)

    Args:
        run: Finished run.
        output: File to write: ``.onnx`` for ONNX Runtime, ``.pt2`` for ``torch.export.load``.
        precision: "float32", or "float16" for weights and matrix products.
        input_type: Type of the frames: "uint8", as stored, or "float", dequantized. None uses the type of the run's
            data: uint8 at frame level, float at video level, which has no other.

    Raises:
        UserError: The run is not finished, a name is unknown, a package is missing, a method cannot be exported, or the
            outputs differ from the run's. A previous file stays.
        OSError: The file cannot be written.
    """
    output = Path(output)
    check_choice("file type", output.suffix, FORMATS, where=str(output))
    check_choice("precision", precision, PRECISIONS)
    input_type = input_type or ("uint8" if run.facts.schema.level == "frame" else "float")
    check_choice("input type", input_type, INPUT_TYPES)
    if (run.facts.schema.level, input_type) == ("video", "uint8"):
        raise UserError("uint8 as the input", where=str(run.path), expected="float, because video-level features are")
    check_replaceable(output, kind="a file to write")
    if output.suffix == ".onnx":
        onnx_file.check_packages()
    _ = run.metrics  # raises UserError for an unfinished run
    model, target = run.load_model(), _Target(output.suffix, input_type, precision)
    with atomic_write(output) as unfinished:
        unfinished.touch()  # raises OSError without write permission, before the work
        videos = load_videos(run)
        try:
            with _quiet():
                difference = _write(run, model, target, unfinished, videos or random_videos(run))
        except (UserError, OSError):
            raise
        except Exception as error:  # torch and ONNX Runtime raise many types
            raise _unsupported_method(run, target, unfinished, error) from error
        exported = Exported(output, unfinished.stat().st_size, difference, LIMITS[precision], bool(videos))
        if difference > exported.limit:
            advice = {
                ("float32", ".onnx"): "Export to .pt2, whose operators are those of the run.",
                ("float32", ".pt2"): "",
            }.get((precision, output.suffix), "Export with --precision float32.")
            raise UserError(
                f"outputs that differ from the run's by {difference:.1e}",
                where=str(output),
                expected=f"at most {exported.limit:g} with {precision}",
                advice=advice,
            )
    return exported


def _write(run: Run, model: VideoClassifier, target: _Target, file: Path, videos: Sequence[NDArray[Any]]) -> float:
    """Write a model with the data of a run, and return the largest difference of the file's outputs from the model's.

    Raises:
        Exception: A method cannot be exported.
    """
    program = trace(
        model,
        width=run.facts.schema.width,
        max_frames=run.experiment.data.max_frames,
        input_type=target.input_type,
        precision=target.precision,
    )
    metadata = describe_run(run, program, input_type=target.input_type, precision=target.precision)
    target.format.write(program, file, metadata)
    batches = build_batches(videos, run.facts.schema.level, target.input_type)
    return largest_difference(model, target.format.Session(file), batches)


def _unsupported_method(run: Run, target: _Target, file: Path, error: Exception) -> UserError:
    """Return an error that names the method that cannot be exported: the one that fails among simple ones."""
    found = "the model"
    for slot in SIMPLE:
        method: Slot = getattr(run.experiment, slot)
        slots: dict[str, Any] = {**SIMPLE, slot: method}
        if takes_frames(slots["classification"].name):
            slots["pooling"] = Slot(*NO_POOLING)
        if (method.name, method.options) == NO_POOLING:
            continue
        model = build_model(replace(run.experiment, **slots), run.facts).eval().requires_grad_(False)
        try:
            with _quiet():
                _write(run, model, target, file, random_videos(run))
        except Exception as cause:
            found, error = f"{slot.replace('_', ' ')} '{method.name}'", cause
            break
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    reason = str(error).strip().partition("\n")[0][:200] or type(error).__name__
    kind, advice = {".onnx": ("ONNX", "Export to .pt2."), ".pt2": ("torch.export", "")}[target.suffix]
    return UserError(f"{found} cannot be exported to {kind}: {reason}", advice=advice)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the warnings of the exporters, such as one that torchvision is not installed."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
