"""Speed of training and scoring with every row of Table 1 and every head, compared with the limits of the device.

    python -m benchmarks.gpu [--device cuda] [--output benchmarks/gpu.csv]

A step cannot be faster than the slowest of four operations, whose rates are measured on the device first: copying the
frames to the device, reading and writing weights and Adam's moments, matrix products, and the sequential steps of the
LSTM. As in a training, batches are copied from pinned memory in a separate stream, and a pooling that runs once uses
pooled vectors on the device. Finally the demo world is trained in float32 and bfloat16 to compare their GAP.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.__main__ import machine
from benchmarks.reader import synthetic_index
from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch, Loader, MicroBatch, ordered_batches
from yt8m_core.data.schema import Schema
from yt8m_core.demo.runs import demo_experiments, prepare
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.inference.compute import Compute
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.registry import build
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.runs.run import Facts, build_model
from yt8m_core.training.loop import train
from yt8m_core.training.step import Learner, on_device

COLUMNS = ("row", "precision", "videos_per_second", "limit", "share_of_limit", "bound_by", "most_time_in")
STREAMS = (("rgb", 1024), ("audio", 128))
ADAM = 7  # reads a weight, its gradient and two moments; writes all but the gradient


@dataclass(frozen=True)
class Size:
    """Sizes of batches and models."""

    batch: int = 128
    frames: int = 230  # mean of YouTube-8M
    classes: int = 4716
    narrower: int = 1


@dataclass(frozen=True)
class Rates:
    """Rates of a device, per second."""

    copied: float  # bytes from the host
    moved: float  # bytes read or written in its own memory
    flops: float  # of a large matrix product
    chained: float  # small matrix products, one after another

    @classmethod
    def measure(cls, device: torch.device, precision: str, size: Size) -> "Rates":
        """Measure the rates."""
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        n, width = 4096 // size.narrower, 1152 // size.narrower
        host = torch.empty(n * n, dtype=torch.uint8, pin_memory=device.type == "cuda")
        large, state, kernel = (
            torch.randn(shape, device=device).to(dtype) for shape in ((n, n), (size.batch, width), (width, 4 * width))
        )
        other = torch.empty_like(large)
        return cls(
            copied=host.nbytes / seconds(lambda: host.to(device, non_blocking=True), device),
            moved=2 * large.nbytes / seconds(lambda: other.copy_(large), device),
            flops=2 * n**3 / seconds(lambda: large @ large, device),
            chained=1 / seconds(lambda: state @ kernel, device),
        )


def seconds(call: Callable[[], object], device: torch.device, repeats: int = 20) -> float:
    """Return the mean time of a call after a warm-up."""

    def run(times: int) -> float:
        started = time.perf_counter()
        for _ in range(times):
            call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    run(3)
    return run(repeats) / repeats


def paper_rows() -> Iterator[tuple[str, Row]]:
    """Yield the rows of Table 1, and those of Tables 2 and 4 with other heads."""
    for table in ("pooling", "classification", "loss"):
        for row in TABLES[table].rows:
            if table == "pooling" or row.name in ("Many-to-Many", "3 Layer MLP-4096-LN", "L_CE"):
                yield f"{TABLES[table].title.split(':')[0]}: {row.name}", row


def limits(model: VideoClassifier, size: Size, rates: Rates, *, trains: bool = True) -> dict[str, float]:
    """Return the minimum seconds of a step, or of scoring a batch, by bound: work that nobody can avoid."""
    once = trains and getattr(model.pooling, "is_cacheable", False)
    per_weight, passes = (4.0, 3) if trains else (2.0, 1)  # backward twice
    per_frame = list((model.pooling or model.classification).parameters())
    per_video = list(model.classification.parameters()) if model.pooling is not None else []
    frames = size.batch * size.frames
    flops = per_weight * sum(w.numel() for w in per_frame if w.ndim >= 2) * (0 if once else frames)
    flops += per_weight * sum(w.numel() for w in per_video if w.ndim == 2) * size.batch
    recurrent = any("weight_hh" in name or "recurrent" in name for name, _ in model.named_parameters())
    weights = sum(w.numel() for w in model.parameters())
    return {
        "copying": 0.0 if once else frames * sum(width for _, width in STREAMS) / rates.copied,
        "weights": (ADAM if trains else 1) * 4 * weights / rates.moved,
        "products": flops / rates.flops,
        "waiting": passes * size.frames / rates.chained if recurrent else 0.0,
    }


def row_model(row: Row, size: Size) -> VideoClassifier:
    """Build the model of a row, always with the same weights."""
    torch.manual_seed(0)
    experiment = row.experiment(Data("", ""), Training(), width_divisor=size.narrower)
    return build_model(experiment, Facts(Schema("frame", STREAMS), size.classes, "paper", 1, 1))


def build_learner(row: Row, precision: str, device: torch.device, size: Size) -> Learner:
    """Set up the model of a row for training."""
    fabric = Fabric(
        accelerator=device.type, devices=1, precision="bf16-mixed" if precision == "bfloat16" else "32-true"
    )
    model = row_model(row, size)
    facts_of_loss = {"num_classes": size.classes, "embedding_features": model.classification.embedding_features}
    loss = build("loss", row.loss.name, row.loss.options, **facts_of_loss)
    return Learner.create(fabric, model.train(), loss, Training(), size.classes)


def batches(learner: Learner, size: Size, count: int) -> Iterator[Batch]:
    """Yield batches like those of a training: bytes in pinned memory, or pooled vectors on the device."""
    device = learner.fabric.device
    random = np.random.default_rng(0)
    codes = random.integers(0, 256, (size.batch, size.frames, sum(w for _, w in STREAMS)), dtype=np.uint8)
    frames = torch.from_numpy(codes)
    lengths = torch.full((size.batch,), size.frames)
    model = cast(Any, learner.state.model)
    if getattr(model.pooling, "is_cacheable", False):
        with torch.no_grad():
            frames = model.summarize(frames[:8].to(device), lengths[:8].to(device)).vector.repeat(
                -(-size.batch // 8), 1
            )
            frames = frames[: size.batch]
    elif device.type == "cuda":
        frames = frames.pin_memory()
    labels = torch.from_numpy(np.stack([np.arange(size.batch), random.integers(0, size.classes, size.batch)]))
    for _ in range(count):
        yield Batch(frames, lengths, labels, np.arange(size.batch))


def measure(name: str, row: Row, precision: str, device: torch.device, size: Size, steps: int) -> dict[str, Any]:
    """Measure the speed of a row, its limit, and the kernels that take the most time."""
    learner = build_learner(row, precision, device, size)

    def run(count: int) -> None:
        for batch in on_device(batches(learner, size, count), learner.fabric.device):
            learner.step([(MicroBatch(batch.videos, 1.0), batch)], 6e-4, last=0)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    run(3)
    started = time.perf_counter()
    run(steps)
    rate = steps * size.batch / (time.perf_counter() - started)
    activity = ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiled:
        run(2)
    bound = limits(cast(VideoClassifier, learner.state.model), size, Rates.measure(device, precision, size))
    what = max(bound, key=bound.__getitem__)
    limit = size.batch / bound[what]
    values = (name, precision, rate, limit, rate / limit, what, most_time(profiled, device))
    return dict(zip(COLUMNS, values, strict=True))


def measure_scoring(
    name: str, row: Row, precision: str, device: torch.device, size: Size, videos: Videos
) -> dict[str, Any]:
    """Measure how fast a row scores a data set, as ``yt8m evaluate`` and ``predict`` do, and its limit."""
    model, compute = row_model(row, size).to(device).eval(), Compute(device, precision)
    batches = ordered_batches(len(videos), size.batch)

    def score(frames: Tensor, num_frames: Tensor) -> tuple[Tensor, ...]:
        return (model(frames, num_frames)[0].p,)

    def run() -> None:
        for _, (p,) in compute.map(score, videos, batches):
            p.cpu()

    run()
    started = time.perf_counter()
    run()
    rate = len(videos) / (time.perf_counter() - started)
    activity = ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiled:  # which sees this thread only
        for batch in Loader(videos, batches[:2]):
            compute.run(score, batch.frames, batch.num_frames)
    frames = replace(size, frames=int(videos.num_frames.mean()))
    bound = limits(model, frames, Rates.measure(device, precision, size), trains=False)
    what = max(bound, key=bound.__getitem__)
    limit = size.batch / bound[what]
    values = (f"scoring, {name}", precision, rate, limit, rate / limit, what, most_time(profiled, device))
    return dict(zip(COLUMNS, values, strict=True))


def most_time(profiled: profile, device: torch.device) -> str:
    """Return the three kernels that take the most time, with their shares."""
    field = "self_device_time_total" if device.type == "cuda" else "self_cpu_time_total"
    spent = {event.key: float(getattr(event, field)) for event in profiled.key_averages()}
    whole = sum(spent.values()) or 1.0
    first = sorted(spent, key=spent.__getitem__, reverse=True)[:3]
    return ", ".join(f"{key[:40]} {spent[key] / whole:.0%}" for key in first)


def gaps_of_precisions(experiment: Experiment, accelerator: str) -> dict[str, float]:
    """Train an experiment in float32 and in bfloat16, and return GAP@20 of each."""
    gaps = {}
    with TemporaryDirectory() as folder:
        for precision in ("float32", "bfloat16"):
            chosen = replace(experiment, training=replace(experiment.training, precision=precision))
            run = train(chosen, Path(folder, precision), accelerator=accelerator)
            gaps[precision] = float(run.metrics["validation"]["gap"])
    return gaps


def rows(device: torch.device, size: Size, steps: int, precisions: Iterable[str]) -> list[dict[str, Any]]:
    """Measure training and scoring of all rows of the paper in each precision."""
    chosen = [(name, row, precision) for name, row in paper_rows() for precision in precisions]
    trained = [measure(*one, device, size, steps) for one in chosen]
    with synthetic_index(size.batch * steps) as index:
        videos = Videos(index, max_frames=size.frames)
        return [*trained, *(measure_scoring(*one, device, size, videos) for one in chosen)]


def main() -> None:
    """Measure and print; store with --output."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--narrower", type=int, default=1, help="divisor of all widths, for devices other than GPUs")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else machine()["cpu"]
    results = rows(device, Size(narrower=arguments.narrower), arguments.steps, ("float32", "bfloat16"))
    for row in results:
        speeds = f"{row['videos_per_second']:12,.0f} of {row['limit']:12,.0f} videos/s ({row['share_of_limit']:.0%})"
        print(f"{row['row']:45} {row['precision']:9} {speeds}, bound by {row['bound_by']}; {row['most_time_in']}")
    prepare()
    for run, experiment in demo_experiments().items():
        gaps = gaps_of_precisions(experiment, device.type)
        print(f"{run}: " + ", ".join(f"GAP@20 {gap:.4f} in {precision}" for precision, gap in gaps.items()))
    print(f"on {name}")
    if arguments.output:
        with open(arguments.output, "w", newline="") as file:
            writer = csv.DictWriter(file, (*COLUMNS, "device"), lineterminator="\n")
            writer.writeheader()
            writer.writerows({**row, "device": name} for row in results)


if __name__ == "__main__":
    main()
