"""Training checkpoints: tensors and JSON in one safetensors file, without pickle."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from yt8m_core.errors import UserError
from yt8m_core.storage.tensor_files import write_tensors


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


def save_checkpoint(file: Path, state: TrainingState, progress: TrainingProgress) -> None:
    """Write the training state and its progress. Raises UserError where the disk is full."""
    tensors = {f"{name}.{key}": t for name, m in state.modules.items() for key, t in m.state_dict().items()}
    for number, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{key}": tensor for key, tensor in values.items()}
    write_tensors(file, tensors, metadata={"position": json.dumps(asdict(progress))})


def load_checkpoint(file: Path, state: TrainingState) -> TrainingProgress:
    """Restore ``state`` from a checkpoint and return its progress; without a checkpoint, the start.

    Raises UserError for a file that cannot be read.
    """
    if not file.is_file():
        return TrainingProgress()
    try:
        with safe_open(file, framework="pt") as stored:
            progress = TrainingProgress(**json.loads(stored.metadata()["position"]))
            tensors: dict[str, Tensor] = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"cannot read the checkpoint ({error})", where=str(file), advice="Delete it to start over."
        ) from None
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
