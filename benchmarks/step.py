"""Wall-clock rate of one training step at the paper's widths: batches of 128 videos, 4,716 classes, 300 frames.

The peers are the same step on frames without compilation, and in TensorFlow. The limit is the minimum work of a step:
its matrix products, and dequantizing the bytes.
"""

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from benchmarks.measure import measure_interleaved, row
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
LSTM_FRAMES = 60  # the time is proportional to it; 300 would take minutes
LSTM = "lstm(use_input_sum=True, use_output_sum=True)"
UNIT = "videos/s"
RATE = 6e-4
Step = Callable[[], object]


def build_model(pooling: str, classification: str) -> VideoClassifier:
    """Build a model at the paper's widths, always with the same weights."""
    torch.manual_seed(0)
    slots = {"pooling": Slot.parse(pooling), "classification": Slot.parse(classification)}
    choices: dict[str, Any] = {name: (slot.name, slot.options) for name, slot in slots.items()}
    return VideoClassifier(streams=STREAMS, num_classes=CLASSES, label_processing=("identity", {}), **choices)


def training_step(
    model: VideoClassifier, frames: Tensor, num_frames: Tensor, labels: Tensor, *, compiled: bool
) -> Step:
    """Return our training step on one batch; the frames can be pooled vectors [B, s]."""
    fabric = Fabric(accelerator="cpu", devices=1)
    loss = build("loss", "cross_entropy", {"eps": 1e-5})
    learner = Learner.create(fabric, model.train(), loss, Training(compile=compiled), CLASSES)
    batch = Batch(frames, num_frames, labels, np.arange(len(frames)))
    return lambda: learner.step([(MicroBatch(batch.videos, 1.0), batch)], RATE, last=0)["loss"]


def matrix_products(weights: list[Tensor], rows: int, *, input_gradient: bool = False) -> Step:
    """Return the matrix products that every step needs: weight [n, d] times ``rows`` inputs, and its gradient."""
    inputs = [torch.randn(rows, weight.shape[1]) for weight in weights]
    outputs = [torch.randn(rows, weight.shape[0]) for weight in weights]

    def multiply() -> None:
        for weight, x, gradient in zip(weights, inputs, outputs, strict=True):
            _ = x @ weight.T
            _ = gradient.T @ x
            if input_gradient:
                _ = gradient @ weight

    return multiply


def weight_matrices(module: nn.Module) -> list[Tensor]:
    """Return the weight matrices of a slot."""
    return [weight.detach() for weight in module.parameters() if weight.ndim == 2]


def random_batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return random frames [B, T, D], numbers of frames [B], (row, label) pairs, and multi-hot labels [B, C]."""
    random = np.random.default_rng(0)
    frames = torch.from_numpy(random.integers(0, 256, (BATCH, FRAMES, WIDTH), dtype=np.uint8))
    pairs = np.stack([np.repeat(np.arange(BATCH), 3), random.integers(0, CLASSES, 3 * BATCH)])
    dense = torch.zeros(BATCH, CLASSES)
    dense[tuple(pairs)] = 1
    return frames, torch.full((BATCH,), FRAMES), torch.from_numpy(pairs), dense


def pooled_once_rows(repeats: int) -> list[dict[str, Any]]:
    """Measure poolings without weights before MoE-2: pooled once, and on frames with and without compilation."""
    results = []
    frames, lengths, labels, _ = random_batch()
    for pooling in ("mean", "position_encoding", "indirect_clustering"):
        models = [build_model(pooling, "moe") for _ in range(4)]
        with torch.no_grad():
            summaries = models[0].summarize(frames, lengths).vector
        head = build_model("mean", "moe")  # on vectors in memory
        floor = matrix_products(weight_matrices(head.classification), BATCH)
        candidates: dict[str, Step] = {
            "head": training_step(head, summaries, lengths, labels, compiled=False),
            "once": training_step(models[0], summaries, lengths, labels, compiled=False),
            "eager": training_step(models[1], frames, lengths, labels, compiled=False),
            "compiled": training_step(models[2], frames, lengths, labels, compiled=True),
            "floor": lambda floor=floor: (floor(), dequantize(frames)),  # type: ignore[misc]
        }
        rates = {name: BATCH / cost.wall for name, cost in measure_interleaved(candidates, repeats).items()}
        what = f"step: {pooling} + MoE-2"
        results.append(row(f"{what}, pooled once", UNIT, rates["once"], "frames, eager", rates["eager"], rates["head"]))
        results.append(
            row(f"{what}, frames, compiled", UNIT, rates["compiled"], "eager", rates["eager"], rates["floor"])
        )
    return results


def head_rows(repeats: int) -> list[dict[str, Any]]:
    """Compare heads on vectors and the LSTM on frames with TensorFlow; the limit is their matrix products."""
    results = []
    frames, lengths, labels, dense = random_batch()
    vectors = nn.functional.normalize(torch.randn(BATCH, WIDTH), dim=1)
    short, short_lengths = frames[:, :LSTM_FRAMES], torch.full((BATCH,), LSTM_FRAMES)
    for name, pooling, classification, head, experts in (
        ("MoE-2", "mean", "moe", "moe", 2),
        ("MoE-16", "mean", "moe(experts=16)", "moe", 16),
        ("MLP-4096-LN", "mean", "mlp", "mlp", 0),
        (f"LSTM-M-O + MoE-2, T = {LSTM_FRAMES}", LSTM, "moe", "lstm", 2),
    ):
        model = build_model(pooling, classification)
        recurrent = head == "lstm"
        if recurrent:
            with torch.no_grad():
                given_inputs = model.preprocess(short, short_lengths)[0]
            # Products of the gates with the frames, and with the states, which also need input gradients.
            floors = [
                matrix_products(weight_matrices(model.pooling)[:1], BATCH * LSTM_FRAMES),  # type: ignore[arg-type]
                matrix_products(weight_matrices(model.pooling)[1:], BATCH * LSTM_FRAMES, input_gradient=True),  # type: ignore[arg-type]
                matrix_products(weight_matrices(model.classification), BATCH, input_gradient=True),
            ]
        else:
            given_inputs = vectors
            floors = [matrix_products(weight_matrices(model.classification), BATCH, input_gradient=head == "mlp")]
        peers: dict[str, Step] = {}
        if importlib.util.find_spec("tensorflow"):
            state = {key: weight.numpy() for key, weight in model.state_dict().items()}
            peers["TensorFlow"] = tensorflow_step(
                head, state, given_inputs.numpy(), dense.numpy(), learning_rate=RATE, experts=experts
            )
        inputs = (short, short_lengths) if recurrent else (vectors, lengths)
        ours = training_step(model, *inputs, labels, compiled=False)
        for peer in peers.values():  # the same loss from the same weights
            np.testing.assert_allclose(float(cast(float, peer())), float(cast(Tensor, ours())), rtol=2e-3)
        candidates = {"ours": ours, "floor": partial(_run_all, floors), "update": weight_update(model), **peers}
        rates = {key: BATCH / cost.wall for key, cost in measure_interleaved(candidates, repeats).items()}
        peer_name = "TensorFlow" if peers else "TensorFlow: not installed (pip install tensorflow-cpu)"
        results.append(row(f"step: {name}", UNIT, rates["ours"], peer_name, rates.get("TensorFlow"), rates["floor"]))
        both = 1 / (1 / rates["floor"] + 1 / rates["update"])
        results.append(row(f"step: {name}, update in the limit", UNIT, rates["ours"], "", None, both))
    return results


def weight_update(model: nn.Module) -> Step:
    """Return the norms of gradients and the update by Adam of weights like those of a model."""
    weights = [weight.detach().clone() for weight in model.parameters()]
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    optimizer = torch.optim.Adam(weights, RATE, fused=True)

    def update() -> None:
        for weight in weights:
            torch.linalg.vector_norm(cast(Tensor, weight.grad))
        optimizer.step()

    return update


def _run_all(steps: list[Step]) -> None:
    for step in steps:
        step()


def rows(repeats: int = 5) -> list[dict[str, Any]]:
    """Return the rows of this benchmark, in a process configured like `yt8m train`."""
    configure_training_process()
    return [*pooled_once_rows(repeats), *head_rows(repeats)]
