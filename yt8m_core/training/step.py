"""What learns, and one step of it (section 2.6): backward, each tensor's gradient clipped by itself, Adam.

https://arxiv.org/abs/1706.07960
"""

import contextlib
import ctypes
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from yt8m_core.data.loader import Batch, MicroBatch
from yt8m_core.experiment import Training
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.training.checkpoint import Parts, Position


def learning_rate(training: Training, examples: int) -> float:
    """The staircase of section 2.6: times 0.95 for every 1.5 million examples.

    Over the paper's run of five epochs of 6,308,488 videos that is 21 times:

    >>> round(learning_rate(Training(), 5 * 6_308_488) / 6e-4, 4) == round(0.95**21, 4)
    True
    """
    return training.learning_rate * training.decay ** (examples // training.decay_examples)


@dataclass(frozen=True)
class Learner:
    """A model, its loss and its optimizer, on the devices of Fabric."""

    fabric: Fabric
    parts: Parts
    trained: nn.Module  # the model as Fabric runs it: in half precision, with gradients shared between processes
    num_classes: int
    clip_norm: float  # of each tensor's gradient

    @classmethod
    def set_up(
        cls, fabric: Fabric, model: VideoClassifier, loss: nn.Module, training: Training, num_classes: int
    ) -> "Learner":
        """A learner of a model with fresh weights, which moves to the device."""
        optimizer = adam(model, training)
        # As it is compiled, for any number of frames: dequantizing, masking and pooling pass over the frames once.
        compiled = cast(nn.Module, torch.compile(model, dynamic=True)) if training.compile else model
        trained, _ = fabric.setup(compiled, optimizer)
        parts = Parts(model, loss.to(fabric.device), optimizer, moving_average(model, training.ema))
        return cls(fabric, parts, trained, num_classes, training.clip_norm)

    def set_randomness(self, seed: int, position: Position) -> None:
        """Make dropout and noise a function of the step, and different in each process."""
        key = [seed % 2**64, position.epoch, position.step, self.fabric.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))

    def step(self, batches: Iterable[tuple[MicroBatch, Batch]], rate: float, last: int) -> dict[str, Tensor]:
        """Learn from this process's shares of a batch; the ``last``th of them brings the processes together.

        Returns the loss, its parts, the part of the scores that label processing clamped, if it may, and the norm of
        the gradient, of all shares together, on the device.
        """
        fabric, parts = self.fabric, self.parts
        seen: dict[str, Tensor] = {}
        for number, (share, batch) in enumerate(batches):
            targets = batch.targets(self.num_classes, fabric.device)
            if not share.weight:  # a stand-in, so that this process takes part: it must teach nothing
                targets.zero_()
            with fabric.no_backward_sync(cast(Any, self.trained), enabled=number < last and fabric.world_size > 1):
                scores, _ = self.trained(batch.frames, batch.num_frames, targets)
                loss, named = parts.loss(scores, targets)
                # Processes end with the mean of their gradients; this one's is to count by its part of the batch.
                fabric.backward(loss * share.weight * fabric.world_size)
            if (clamped := getattr(parts.model.label_processing, "clamped_fraction", None)) is not None:
                named = {**named, "clamped": clamped}
            for name, value in {"loss": loss.detach(), **named}.items():
                counted = share.weight * value.float() if share.weight else torch.zeros_like(value, dtype=torch.float32)
                seen[name] = seen[name] + counted if name in seen else counted
        norms = [
            clip(parameter.grad, self.clip_norm) for parameter in parts.model.parameters() if parameter.grad is not None
        ]
        for group in parts.optimizer.param_groups:
            group["lr"] = rate
        parts.optimizer.step()
        parts.optimizer.zero_grad()
        if (after_step := getattr(parts.loss, "after_step", None)) is not None:
            after_step(lambda tensor: fabric.all_reduce(tensor, reduce_op="sum"))
        if parts.average is not None:
            parts.average.update_parameters(parts.model)
        return {**seen, "gradient": torch.stack(norms).norm() / fabric.world_size}


def configure_training_process() -> None:
    """Set up a process that does nothing but train, before it computes anything; its threads inherit it.

    Numbers below 1e-38 become 0. A CPU takes a hundred times as long for products with them, and saturated scores have
    such gradients: correlation of experts at a rate of 0.03 came to 18 seconds a step instead of 3.

    Up to 2 GB that it frees it keeps. A step frees its gradients and takes as much for the next, and glibc gives large
    blocks back to the system, which clears every page again: a tenth of a step of MoE-16 on a CPU. Without glibc
    nothing is kept.
    """
    torch.set_flush_denormal(True)
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        glibc = ctypes.CDLL("libc.so.6")
        glibc.mallopt(mmap_max, 0)
        glibc.mallopt(trim_threshold, 2**31 - 1)


def clip(gradient: Tensor, limit: float) -> Tensor:
    """Scale a gradient down to a norm of ``limit`` where it is longer; returns the norm it had.

    As ``nn.utils.clip_grad_norm_``, which multiplies by 1 as well: a fifth of a step whose head is large. A GPU would
    have to be waited for to know.
    """
    norm: Tensor = torch.linalg.vector_norm(gradient)
    if gradient.device.type != "cpu" or not norm <= limit:
        gradient.mul_((limit / (norm + 1e-6)).clamp(max=1.0))
    return norm


def on_device(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches on a device; on a GPU each is copied there, by a stream of its own, while the one before is used."""
    if device.type != "cuda":
        yield from (batch.to(device) for batch in batches)
        return
    copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    waiting: Batch | None = None
    source = iter(batches)
    while True:
        with torch.cuda.stream(copying):  # the loader marks here when the buffer that it is given back has been read
            following = next(source, None)
            following = following and following.to(device)
        if waiting is not None:
            yield waiting
        if following is None:
            return
        using = torch.cuda.current_stream(device)
        using.wait_stream(copying)
        for tensor in (following.frames, following.num_frames, following.labels):
            tensor.record_stream(using)  # its memory is free again only when what uses it is done
        waiting = following


def adam(model: VideoClassifier, training: Training) -> torch.optim.Adam:
    """Adam with L2 on the weight matrices of the classification slot, as in the authors' code."""
    decayed = [parameter for parameter in model.classification.parameters() if parameter.ndim >= 2]
    chosen = {id(parameter) for parameter in decayed}
    others = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    return torch.optim.Adam(
        [group for group in ({"params": decayed, "weight_decay": training.l2}, {"params": others}) if group["params"]],
        lr=training.learning_rate,
        betas=(training.beta1, training.beta2),
        eps=training.epsilon,
        fused=True,
    )


def moving_average(model: nn.Module, decay: float) -> AveragedModel | None:
    """The exponential moving average of the weights; None for a decay of 0, which is no average."""
    if not decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]
