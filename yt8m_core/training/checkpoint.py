"""Training checkpoints: tensors and JSON in one safetensors file, without pickle."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from yt8m_core.errors import UserError
from yt8m_core.models.size import MAX_WEIGHTS
from yt8m_core.runs.weights import read_weights
from yt8m_core.storage.paths import check_file
from yt8m_core.storage.tensor_files import write_tensors
from yt8m_core.storage.typed_json import check_number, read_fields

# Steps that an optimizer counts: a float32 stays at 2^24.
MAX_STEPS = 1 << 24


@dataclass
class TrainingProgress:
    """Position of a training: the next step of an epoch, examples seen, and seconds of training."""

    epoch: int = 0
    step: int = 0
    examples: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class TrainingState:
    """Modules and optimizer that a training updates."""

    model: nn.Module
    loss: nn.Module
    optimizer: torch.optim.Adam
    average: AveragedModel | None = None  # moving average of the model's weights

    @property
    def final_model(self) -> nn.Module:
        """The model to evaluate and save: the moving average, if there is one."""
        return self.model if self.average is None else self.average.module

    @property
    def modules(self) -> dict[str, nn.Module]:
        """All modules with weights or buffers, by name."""
        modules = {"model": self.model, "loss": self.loss}
        return modules if self.average is None else {**modules, "average": self.average}


@dataclass(frozen=True)
class Epochs:
    """The epochs of a training, from which the progress of a checkpoint must follow.

    Attributes:
        number: number of epochs.
        batch_sizes: epoch → number of videos of each of its steps. All epochs have the same steps and videos.
    """

    number: int
    batch_sizes: Callable[[int], Sequence[int]]


def save_checkpoint(file: Path, state: TrainingState, progress: TrainingProgress) -> None:
    """Write the training state and its progress. Raises UserError where the disk is full."""
    tensors = {f"{name}.{key}": t for name, m in state.modules.items() for key, t in m.state_dict().items()}
    for number, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{key}": tensor for key, tensor in values.items()}
    write_tensors(file, tensors, metadata={"position": json.dumps(asdict(progress))})


def load_checkpoint(file: Path, state: TrainingState, epochs: Epochs) -> TrainingProgress:
    """Restore ``state`` from a checkpoint and return its progress; without a checkpoint, the start.

    Raises UserError, and leaves ``state`` as it is, for a file that cannot be read, and for one of another training: a
    progress that does not follow from the epochs, other tensors, numbers that are not finite, or an optimizer after
    other steps.
    """
    if not file.exists():
        return TrainingProgress()
    try:
        progress, steps = _read_progress(file, epochs)
        tensors = read_weights(file, _expected_tensors(state), "the experiment")
        _check_optimizer(file, tensors, steps)
    except UserError as error:
        raise UserError(str(error), advice="Delete the checkpoint to start over.") from None
    optimizer: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".", 2)
            optimizer.setdefault(int(number), {})[key] = tensor
    for part, module in state.modules.items():
        module.load_state_dict(
            {name.removeprefix(f"{part}."): t for name, t in tensors.items() if name.startswith(f"{part}.")}
        )
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": optimizer, "param_groups": groups})
    return progress


def _read_progress(file: Path, epochs: Epochs) -> tuple[TrainingProgress, int]:
    """Return the progress of a checkpoint, and the number of optimizer steps until then."""
    try:
        check_file(file, MAX_WEIGHTS)
        with safe_open(file, framework="pt") as stored:
            values = json.loads((stored.metadata() or {})["position"])
    except KeyError:
        raise UserError("no position", where=str(file), expected="a checkpoint") from None
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise UserError(f"cannot read the checkpoint ({str(error)[:200]})", where=str(file)) from None
    where = f"{file}, position"
    progress: TrainingProgress = read_fields(TrainingProgress, values, where)
    check_number(progress.epoch, 0, epochs.number, where=f"{where}, epoch")
    sizes = epochs.batch_sizes(progress.epoch)
    check_number(progress.step, 0, len(sizes) if progress.epoch < epochs.number else 0, where=f"{where}, step")
    examples = progress.epoch * sum(sizes) + sum(sizes[: progress.step])
    if progress.examples != examples:
        raise UserError(f"{progress.examples}"[:40], where=f"{where}, examples", expected=f"{examples}")
    check_number(progress.seconds, 0, where=f"{where}, seconds")
    return progress, progress.epoch * len(sizes) + progress.step


def _expected_tensors(state: TrainingState) -> dict[str, Tensor]:
    """Return tensors with the names, shapes and types of those in a checkpoint of ``state``."""
    tensors = {f"{name}.{key}": t for name, m in state.modules.items() for key, t in m.state_dict().items()}
    parameters = [parameter for group in state.optimizer.param_groups for parameter in group["params"]]
    for number, parameter in enumerate(parameters):
        tensors |= {f"optimizer.{number}.{key}": parameter for key in ("exp_avg", "exp_avg_sq")}
        tensors[f"optimizer.{number}.step"] = torch.zeros(())
    return tensors


def _check_optimizer(file: Path, tensors: Mapping[str, Tensor], steps: int) -> None:
    """Raise UserError where a part of the optimizer or of the moving average has seen another number of steps."""
    for name, tensor in tensors.items():
        part, _, key = name.partition(".")
        where = f"{file}, '{name}'"
        is_optimizer = part == "optimizer"
        if key == "n_averaged" or (is_optimizer and key.endswith(".step")):
            expected = min(steps, MAX_STEPS) if is_optimizer else steps
            if float(tensor) != expected:
                raise UserError(f"{float(tensor):g} steps", where=where, expected=f"{expected:,}")
        if is_optimizer and key.endswith(".exp_avg_sq") and bool((tensor < 0).any()):
            raise UserError("negative squares", where=where, expected="numbers of at least 0")
