"""Where a training stands, so that it can go on: tensors and JSON in one safetensors file, nothing pickled."""

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
class Position:
    """How far a training is: the next step of an epoch, and the examples that have been learned from."""

    epoch: int = 0
    step: int = 0
    examples: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Parts:
    """What a training changes."""

    model: nn.Module
    loss: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None = None  # of the model's weights over the steps

    @property
    def best(self) -> nn.Module:
        """What the training comes to: the average, or else the model itself."""
        return self.model if self.average is None else self.average.module

    @property
    def modules(self) -> dict[str, nn.Module]:
        """All that have weights or buffers, by name."""
        modules = {"model": self.model, "loss": self.loss}
        return modules if self.average is None else {**modules, "average": self.average}


def save(file: Path, parts: Parts, position: Position) -> None:
    """Write what the training has changed, and its position. Raises UserError where the disk does not take it."""
    tensors = {f"{part}.{name}": t for part, m in parts.modules.items() for name, t in m.state_dict().items()}
    for number, state in parts.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
    write_tensors(file, tensors, metadata={"position": json.dumps(asdict(position))})


def resume(file: Path, parts: Parts) -> Position:
    """Put ``parts`` where the checkpoint left them, and tell where that is; the start, if there is no checkpoint.

    Raises UserError for a file that cannot be read.
    """
    if not file.is_file():
        return Position()
    try:
        with safe_open(file, framework="pt") as stored:
            position = Position(**json.loads(stored.metadata()["position"]))
            tensors: dict[str, Tensor] = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"a checkpoint that cannot be read ({error})", where=str(file), advice="Delete it to start anew."
        ) from None
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".", 2)
            states.setdefault(int(number), {})[key] = tensor
    for part, module in parts.modules.items():
        module.load_state_dict(
            {name.removeprefix(f"{part}."): t for name, t in tensors.items() if name.startswith(f"{part}.")}
        )
    groups = parts.optimizer.state_dict()["param_groups"]
    parts.optimizer.load_state_dict({"state": states, "param_groups": groups})
    return position
