"""Where a training stands, so that it can go on: tensors and JSON in one safetensors file, nothing pickled."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from yt8m_core.errors import UserError
from yt8m_core.files import replacing


@dataclass
class Position:
    """How far a training is: the next step of an epoch, and the examples that have been learnt from."""

    epoch: int = 0
    step: int = 0
    examples: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Parts:
    """What a training changes."""

    model: nn.Module
    loss: nn.Module
    optimiser: torch.optim.Optimizer


def save(file: Path, parts: Parts, position: Position) -> None:
    """Write what the training has changed, the state of the random numbers, and its position."""
    tensors = {f"model.{name}": tensor for name, tensor in parts.model.state_dict().items()}
    tensors |= {f"loss.{name}": tensor for name, tensor in parts.loss.state_dict().items()}
    for number, state in parts.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in state.items()}
    tensors["random"] = torch.get_rng_state()
    with replacing(file) as unfinished:
        cpu = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        save_file(cpu, unfinished, metadata={"position": json.dumps(asdict(position))})


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
    torch.set_rng_state(tensors.pop("random"))
    states: dict[int, dict[str, Tensor]] = {}
    modules: dict[str, dict[str, Tensor]] = {"model": {}, "loss": {}}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        if part == "optimiser":
            number, key = rest.split(".", 1)
            states.setdefault(int(number), {})[key] = tensor
        else:
            modules[part][rest] = tensor
    parts.model.load_state_dict(modules["model"])
    parts.loss.load_state_dict(modules["loss"])
    groups = parts.optimiser.state_dict()["param_groups"]
    parts.optimiser.load_state_dict({"state": states, "param_groups": groups})
    return position
