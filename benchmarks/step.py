"""One training step at the paper's widths, on the clock: batches of 128 videos, 4,716 classes, 300 frames.

    python -m benchmarks step

The peers are the same step on the frames, uncompiled, and in TensorFlow. The limit is what the hardware cannot do
without: the step's matrix products, and a pass over the bytes that makes numbers of them.
"""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from benchmarks.measure import row, take_turns
from benchmarks.tensorflow_step import tensorflow_step
from yt8m_core.data.loader import Batch, MicroBatch
from yt8m_core.data.quantization import dequantize
from yt8m_core.experiment import Training
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.registry import build
from yt8m_core.models.slot import Slot
from yt8m_core.training.step import Learner, configure_training_process

BATCH, CLASSES, FRAMES, STREAMS = 128, 4716, 300, (("rgb", 1024), ("audio", 128))
WIDTH = sum(width for _, width in STREAMS)
LSTM_FRAMES = 60  # its step takes as long as they are many, and 300 would take minutes
LSTM = "lstm(use_input_sum=True, use_output_sum=True)"
UNIT = "videos/s"
RATE = 6e-4
Step = Callable[[], object]


def model_of(pooling: str, classification: str) -> VideoClassifier:
    """A line of slots at the paper's widths, always with the same weights."""
    torch.manual_seed(0)
    slots = {"pooling": Slot.parse(pooling), "classification": Slot.parse(classification)}
    choices: dict[str, Any] = {name: (slot.name, slot.options) for name, slot in slots.items()}
    return VideoClassifier(streams=STREAMS, num_classes=CLASSES, label_processing=("identity", {}), **choices)


def step_of(model: VideoClassifier, frames: Tensor, num_frames: Tensor, labels: Tensor, *, compiled: bool) -> Step:
    """Our step on one batch, as a training takes it; the frames may be summaries [B, s]."""
    fabric = Fabric(accelerator="cpu", devices=1)
    loss = build("loss", "cross_entropy", {"eps": 1e-5})
    learner = Learner.set_up(fabric, model.train(), loss, Training(compile=compiled), CLASSES)
    batch = Batch(frames, num_frames, labels, np.arange(len(frames)))
    return lambda: learner.step([(MicroBatch(batch.videos, 1.0), batch)], RATE, last=0)["loss"]


def products(weights: list[Tensor], rows: int, *, input_gradient: bool = False) -> Step:
    """The matrix products that no step can do without: of each weight [n, d] with ``rows`` inputs, and its gradient."""
    inputs = [torch.randn(rows, weight.shape[1]) for weight in weights]
    outputs = [torch.randn(rows, weight.shape[0]) for weight in weights]

    def multiply() -> None:
        for weight, x, gradient in zip(weights, inputs, outputs, strict=True):
            _ = x @ weight.T
            _ = gradient.T @ x
            if input_gradient:
                _ = gradient @ weight

    return multiply


def matrices(module: nn.Module) -> list[Tensor]:
    """The weight matrices of a slot."""
    return [weight.detach() for weight in module.parameters() if weight.ndim == 2]


@contextmanager
def drawn() -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Frames [B, T, D], their numbers, pairs of labels, and the same as 0 and 1 [B, C]."""
    random = np.random.default_rng(0)
    frames = torch.from_numpy(random.integers(0, 256, (BATCH, FRAMES, WIDTH), dtype=np.uint8))
    pairs = np.stack([np.repeat(np.arange(BATCH), 3), random.integers(0, CLASSES, 3 * BATCH)])
    dense = torch.zeros(BATCH, CLASSES)
    dense[tuple(pairs)] = 1
    yield frames, torch.full((BATCH,), FRAMES), torch.from_numpy(pairs), dense


def pooled_once_rows(repeats: int) -> list[dict[str, Any]]:
    """Poolings without weights before MoE-2: from their summaries, and on the frames, compiled and not."""
    found = []
    with drawn() as (frames, lengths, labels, _):
        for pooling in ("mean", "position_encoding", "indirect_clustering"):
            models = [model_of(pooling, "moe") for _ in range(4)]
            with torch.no_grad():
                summaries = models[0].summarize(frames, lengths).vector
            head = model_of("mean", "moe")  # nothing before it, on vectors in memory
            floor = products(matrices(head.classification), BATCH)
            candidates: dict[str, Step] = {
                "head": step_of(head, summaries, lengths, labels, compiled=False),
                "once": step_of(models[0], summaries, lengths, labels, compiled=False),
                "eager": step_of(models[1], frames, lengths, labels, compiled=False),
                "compiled": step_of(models[2], frames, lengths, labels, compiled=True),
                "floor": lambda floor=floor: (floor(), dequantize(frames)),  # type: ignore[misc]
            }
            rates = {name: BATCH / cost.wall for name, cost in take_turns(candidates, repeats).items()}
            what = f"step: {pooling} + MoE-2"
            found.append(
                row(f"{what}, pooled once", UNIT, rates["once"], "frames, eager", rates["eager"], rates["head"])
            )
            found.append(
                row(f"{what}, frames, compiled", UNIT, rates["compiled"], "eager", rates["eager"], rates["floor"])
            )
    return found


def head_rows(repeats: int) -> list[dict[str, Any]]:
    """Heads on vectors, and the LSTM on frames, beside TensorFlow; the limit is their matrix products."""
    found = []
    with drawn() as (frames, lengths, labels, dense):
        vectors = nn.functional.normalize(torch.randn(BATCH, WIDTH), dim=1)
        short, few = frames[:, :LSTM_FRAMES], torch.full((BATCH,), LSTM_FRAMES)
        for name, pooling, classification, head, experts in (
            ("MoE-2", "mean", "moe", "moe", 2),
            ("MoE-16", "mean", "moe(experts=16)", "moe", 16),
            ("MLP-4096-LN", "mean", "mlp", "mlp", 0),
            (f"LSTM-M-O + MoE-2, T = {LSTM_FRAMES}", LSTM, "moe", "lstm", 2),
        ):
            model = model_of(pooling, classification)
            recurrent = head == "lstm"
            if recurrent:
                with torch.no_grad():
                    given = model.preprocess(short, few)[0]
                # The gates' products with the frames and with the states, which need gradients of their inputs too.
                floors = [
                    products(matrices(model.pooling)[:1], BATCH * LSTM_FRAMES),  # type: ignore[arg-type]
                    products(matrices(model.pooling)[1:], BATCH * LSTM_FRAMES, input_gradient=True),  # type: ignore[arg-type]
                    products(matrices(model.classification), BATCH, input_gradient=True),
                ]
            else:
                given = vectors
                floors = [products(matrices(model.classification), BATCH, input_gradient=head == "mlp")]
            peers: dict[str, Step] = {}
            if importlib.util.find_spec("tensorflow"):
                state = {key: weight.numpy() for key, weight in model.state_dict().items()}
                peers["TensorFlow"] = tensorflow_step(
                    head, state, given.numpy(), dense.numpy(), learning_rate=RATE, experts=experts
                )
            inputs = (short, few) if recurrent else (vectors, lengths)
            ours = step_of(model, *inputs, labels, compiled=False)
            for peer in peers.values():  # from the same weights the same loss: it is the same step
                np.testing.assert_allclose(float(cast(float, peer())), float(cast(Tensor, ours())), rtol=2e-3)
            candidates = {"ours": ours, "floor": partial(_all, floors), **peers}
            rates = {key: BATCH / cost.wall for key, cost in take_turns(candidates, repeats).items()}
            peer_name = "TensorFlow" if peers else "TensorFlow: not installed (pip install tensorflow-cpu)"
            found.append(row(f"step: {name}", UNIT, rates["ours"], peer_name, rates.get("TensorFlow"), rates["floor"]))
    return found


def _all(steps: list[Step]) -> None:
    for step in steps:
        step()


def rows(repeats: int = 5) -> list[dict[str, Any]]:
    """The rows of this benchmark, with the memory as `yt8m train` keeps it, for ours and for TensorFlow."""
    configure_training_process()
    return [*pooled_once_rows(repeats), *head_rows(repeats)]
