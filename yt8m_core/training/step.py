"""One optimizer step: backward, per-tensor gradient clipping, Adam (section 2.6).

https://arxiv.org/abs/1706.07960
"""

import contextlib
import ctypes
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from yt8m_core.data.loader import Batch, MicroBatch
from yt8m_core.experiment import Training
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.training.checkpoint import TrainingProgress, TrainingState


def learning_rate(training: Training, examples: int, total: int) -> float:
    """Return the learning rate after a number of examples out of a total.

    Times 0.95 for every 1.5 million examples (section 2.6), or half a cosine (SGDR without restarts,
    https://arxiv.org/abs/1608.03983). The paper's run, five epochs of 6,308,488 videos, has 21 decays:

    >>> total = 5 * 6_308_488
    >>> round(learning_rate(Training(), total, total) / 6e-4, 4) == round(0.95**21, 4)
    True
    >>> [round(learning_rate(Training(schedule="cosine"), seen, 100) / 6e-4, 4) for seen in (0, 50, 75, 100)]
    [1.0, 0.5, 0.1464, 0.0]
    """
    if training.schedule == "cosine":
        return training.learning_rate * (1 + math.cos(math.pi * examples / total)) / 2
    return training.learning_rate * training.decay ** (examples // training.decay_examples)


@dataclass(frozen=True)
class Learner:
    """A model, its loss and its optimizer on the devices of Fabric.

    Attributes:
        fabric: Fabric of this process.
        state: modules and optimizer.
        trained: the model as Fabric runs it: in half precision, with gradients averaged over processes.
        num_classes: C.
        clip_norm: maximum norm of each tensor's gradient.
    """

    fabric: Fabric
    state: TrainingState
    trained: nn.Module
    num_classes: int
    clip_norm: float

    @classmethod
    def create(
        cls, fabric: Fabric, model: VideoClassifier, loss: nn.Module, training: Training, num_classes: int
    ) -> "Learner":
        """Create the optimizer and the moving average of a model, and move all to the device."""
        optimizer = adam(model, training)
        # Compiled for any number of frames; dequantization, masking and pooling become one pass over the frames.
        compiled = cast(nn.Module, torch.compile(model, dynamic=True)) if training.compile else model
        trained, _ = fabric.setup(compiled, optimizer)
        state = TrainingState(model, loss.to(fabric.device), optimizer, moving_average(model, training.ema))
        return cls(fabric, state, trained, num_classes, training.clip_norm)

    def seed_step(self, seed: int, progress: TrainingProgress) -> None:
        """Seed dropout and noise by the step and the process."""
        key = [seed % 2**64, progress.epoch, progress.step, self.fabric.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))

    def step(self, batches: Iterable[tuple[MicroBatch, Batch]], rate: float, last: int) -> dict[str, Tensor]:
        """Run one optimizer step on this process's micro-batches of a batch.

        Args:
            batches: the micro-batches and their data.
            rate: learning rate.
            last: index of the last micro-batch, at which gradients are averaged over processes.

        Returns:
            Scalars on the device, weighted by micro-batch: the loss, its terms, the fraction of scores that label
            processing clamped, if it can, and the gradient norm.
        """
        fabric, state = self.fabric, self.state
        means: dict[str, Tensor] = {}
        for number, (micro_batch, batch) in enumerate(batches):
            targets = batch.targets(self.num_classes, fabric.device)
            weights = batch.weights(self.num_classes, fabric.device)
            if not micro_batch.weight:  # a placeholder without gradient, so that this process takes part
                targets.zero_()
            with fabric.no_backward_sync(cast(Any, self.trained), enabled=number < last and fabric.world_size > 1):
                scores, _ = self.trained(batch.frames, batch.num_frames, targets)
                loss, terms = state.loss(scores, targets, weights)
                # DDP averages over processes; the product undoes that and weights by the share of the batch.
                fabric.backward(loss * micro_batch.weight * fabric.world_size)
            if (clamped := getattr(state.model.label_processing, "clamped_fraction", None)) is not None:
                terms = {**terms, "clamped": clamped}
            for name, value in {"loss": loss.detach(), **terms}.items():
                # 0 * NaN is NaN, and a placeholder must not count.
                zero = torch.zeros_like(value, dtype=torch.float32)
                weighted = micro_batch.weight * value.float() if micro_batch.weight else zero
                means[name] = means[name] + weighted if name in means else weighted
        norms = [
            clip_gradient(parameter.grad, self.clip_norm)
            for parameter in state.model.parameters()
            if parameter.grad is not None
        ]
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group["step_scale"]
        state.optimizer.step()
        state.optimizer.zero_grad()
        if (after_step := getattr(state.loss, "after_step", None)) is not None:
            after_step(lambda tensor: fabric.all_reduce(tensor, reduce_op="sum"))
        if state.average is not None:
            state.average.update_parameters(state.model)
        return {**means, "gradient": torch.stack(norms).norm() / fabric.world_size}


def launch_fabric(accelerator: str, precision: str) -> Fabric:
    """Launch Fabric in this process, alone or as one of those that ``torchrun`` started on one or more machines."""
    processes, local_processes = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    fabric = Fabric(
        accelerator=accelerator,
        devices=local_processes,
        num_nodes=processes // local_processes,
        # Buffers (label priors, centers) are equal in all processes, and a correlation matrix has 89 MB.
        strategy=DDPStrategy(forward_sync_buffers=False) if processes > 1 else "auto",
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
    )
    fabric.launch()
    return fabric


def configure_training_process() -> None:
    """Configure a process that only trains. Call it before any computation, because threads inherit the settings.

    - Denormal numbers (below 1e-38) are flushed to 0. On a CPU they make products a hundred times slower, and saturated
      scores have such gradients: a correlation of experts took 18 seconds per step instead of 3 at a rate of 0.03.
    - On CPUs where MKL is slow (AMD), oneDNN multiplies matrices, which halves a step of MoE-16. Its precision "bf16"
      permits, but does not require, bfloat16; where it would be used, MKL stays.
    - glibc keeps up to 2 GB of freed memory. It otherwise returns large blocks to the system, which clears their pages
      again at the next step: a tenth of a step of MoE-16 on a CPU. Without glibc nothing changes.
    """
    torch.set_flush_denormal(True)
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    probe = torch.full((512, 512), 1 + 2**-12)  # its squares differ from 1 in float32, not in bfloat16
    if not torch.allclose(probe @ probe, torch.tensor(512 * (1 + 2**-12) ** 2), rtol=1e-5):
        torch.backends.mkldnn.matmul.fp32_precision = "ieee"  # type: ignore[attr-defined]
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        glibc = ctypes.CDLL("libc.so.6")
        glibc.mallopt(mmap_max, 0)
        glibc.mallopt(trim_threshold, 2**31 - 1)


def clip_gradient(gradient: Tensor, max_norm: float) -> Tensor:
    """Clip a gradient in place to ``max_norm`` and return its norm before.

    Equals ``nn.utils.clip_grad_norm_``, but skips the multiplication by 1 on a CPU, which takes a fifth of a step with
    many classes. On a GPU the check would wait for the device.
    """
    norm: Tensor = torch.linalg.vector_norm(gradient)
    if gradient.device.type != "cpu" or not norm <= max_norm:
        gradient.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm


def on_device(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield the batches on a device. On a GPU, a separate stream copies each batch while the previous one is used."""
    if device.type != "cuda":
        yield from (batch.to(device) for batch in batches)
        return
    copy_stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    previous: Batch | None = None
    source = iter(batches)
    while True:
        with torch.cuda.stream(copy_stream):  # the loader records here when its buffer may be reused
            following = next(source, None)
            following = following and following.to(device)
        if previous is not None:
            yield previous
        if following is None:
            return
        current_stream = torch.cuda.current_stream(device)
        current_stream.wait_stream(copy_stream)
        for tensor in following.tensors:
            tensor.record_stream(current_stream)  # keeps its memory until the computation is done
        previous = following


def adam(model: VideoClassifier, training: Training) -> torch.optim.Adam:
    """Create Adam with L2 on the weight matrices of the classification slot, as in the authors' code.

    Adam moves every entry of a parameter by about the learning rate per step, whatever its size. A method whose
    parameter has entries of another size than weights declares ``step_scales``, a mapping from the parameter's name to
    a factor on the learning rate. Parameters with the same factor and the same L2 share an optimizer group, which holds
    the factor as ``step_scale``.
    """
    decayed = {id(parameter) for parameter in model.classification.parameters() if parameter.ndim >= 2}
    scales = {
        id(method.get_parameter(name)): scale
        for method in model.modules()
        for name, scale in getattr(method, "step_scales", {}).items()
    }
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for parameter in sorted(model.parameters(), key=lambda parameter: id(parameter) not in decayed):
        l2, scale = training.l2 if id(parameter) in decayed else 0.0, scales.get(id(parameter), 1.0)
        group = groups.setdefault((l2, scale), {"params": [], "weight_decay": l2, "step_scale": scale})
        group["params"].append(parameter)
    return torch.optim.Adam(
        list(groups.values()),
        lr=training.learning_rate,
        betas=(training.beta1, training.beta2),
        eps=training.epsilon,
        fused=True,
    )


def moving_average(model: nn.Module, decay: float) -> AveragedModel | None:
    """Create the exponential moving average of the weights; None for a decay of 0."""
    if not decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))  # type: ignore[no-untyped-call]
