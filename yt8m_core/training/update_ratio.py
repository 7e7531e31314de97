"""Update-to-weight ratio: by how much of its own size one optimizer step changes a parameter.

A healthy ratio is at most about 1 in the first step, and below 1 later. A ratio far above 1 means that a step replaces
the parameter: its entries are too small for the learning rate, and its method should declare ``step_scales`` (see
``adam``).
"""

from typing import Any

import torch
from torch import Tensor, nn

CHUNK = 1 << 22  # entries whose updates are held in memory at once
ROUNDING = 1e-6  # relative error of a recomputed update; a parameter that was smaller before the step was 0


@torch.no_grad()
def update_ratios(model: nn.Module, optimizer: torch.optim.Adam) -> dict[str, float]:
    """Compute the ratio of the last step for each slot of a model with trainable parameters.

    The update is recomputed from Adam's moments, which are unchanged since the step. A parameter that was 0 before the
    step has no size and is omitted.

    Returns:
        "update_<slot>" → the largest RMS(update) / RMS(parameter before the step) of the parameters of the slot.
    """
    groups = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}
    ratios: dict[str, float] = {}
    for slot, method in model.named_children():
        squares = [
            _squares(parameter, groups[parameter], optimizer.state[parameter])
            for parameter in method.parameters()
            if optimizer.state.get(parameter)  # a parameter without gradient has no state
        ]
        if squares:
            update, weight = torch.stack(squares).sqrt().unbind(dim=1)
            ratios[f"update_{slot}"] = float(torch.where(weight > ROUNDING * update, update / weight, 0).max())
    return ratios


def _squares(parameter: Tensor, group: dict[str, Any], state: dict[str, Tensor]) -> Tensor:
    """Return Σ update² and Σ (parameter before the step)², [2]."""
    beta1, beta2 = group["betas"]
    step = float(state["step"])  # as a float32 tensor, 1 - 0.999 would have only five digits
    mean_scale, square_scale = 1 - beta1**step, 1 - beta2**step
    total = torch.zeros(2, device=parameter.device)
    flat = (parameter.flatten(), state["exp_avg"].flatten(), state["exp_avg_sq"].flatten())
    for weight, mean, square in zip(*(torch.split(tensor, CHUNK) for tensor in flat), strict=True):
        update = group["lr"] * (mean / mean_scale) / ((square / square_scale).sqrt() + group["eps"])
        total += torch.stack([update.square().sum(), (weight + update).square().sum()])
    return total
