"""Training loop (section 2.6) on Lightning Fabric: one experiment trains into one run folder.

``train`` sets up the data and the model; ``_Loop`` runs the epochs. Batch order and all random numbers are pure
functions of (seed, epoch, step), so a training that was killed and resumed ends with the weights of an uninterrupted
one. Each process weights its gradient by its share of the batch, so several processes give the result of one.
https://arxiv.org/abs/1706.07960
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch, Loader, shuffled_batches, split_batch
from yt8m_core.errors import TrainingDivergedError, TrainingStoppedError
from yt8m_core.experiment import Experiment
from yt8m_core.inference.compute import Compute, choose_compute
from yt8m_core.inference.evaluation import evaluate_model
from yt8m_core.inference.evaluation_state import Evaluation
from yt8m_core.inference.pooled_videos import PooledVideos
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.processes.group import open_group
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import exclusive_lock
from yt8m_core.storage.paths import check_unicode
from yt8m_core.training.checkpoint import Epochs, TrainingProgress, load_checkpoint, save_checkpoint
from yt8m_core.training.initial_weights import read_initial_weights
from yt8m_core.training.interrupt import StopSignal
from yt8m_core.training.log import METRICS, RunLog
from yt8m_core.training.setup import check_facts, create_learner, load_pooled_split, open_existing_run, warn_downloads
from yt8m_core.training.splits import open_splits
from yt8m_core.training.step import Learner, launch_fabric, learning_rate, on_device
from yt8m_core.training.update_ratio import update_ratios

LOG_STEPS = 20
CHECKPOINT = "checkpoint.safetensors"
CHECKPOINT_STEPS, CHECKPOINT_SECONDS = 1000, 300  # whichever comes first; the steps are a multiple of LOG_STEPS


def train(
    experiment: Experiment,
    folder: str | Path,
    *,
    accelerator: str = "",
    skip_bad: bool = False,
    allow: Sequence[str] = (),
    progress: Progress = silent,
) -> Run:
    """Train an experiment into a run folder, or resume it there; a finished run is returned unchanged.

    SIGTERM stops a training between two steps and saves a checkpoint. After any other interruption it resumes from the
    last checkpoint. Under ``torchrun`` all processes train together, each on its share of every batch, with the result
    of one process.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from yt8m_core import Experiment, Slot, train
    >>> from yt8m_core.demo.world import build, smoke
    >>> from yt8m_core.experiment import Data, Training
    >>> folder = Path(tempfile.mkdtemp())
    >>> build(folder / "data", smoke())
    >>> data = Data(str(folder / "data" / "train"), str(folder / "data" / "validation"))
    >>> experiment = Experiment(data, pooling=Slot("indirect_clustering"), training=Training(epochs=1))
    >>> run = train(experiment, folder / "run")
    >>> run.is_finished, run.metrics["validation"]["num_videos"]
    (True, 32)

    Args:
        experiment: data, slots, training settings and seed.
        folder: run folder.
        accelerator: as of ``compute.choose_compute``.
        skip_bad: skip bad records and warn about them; otherwise the first one raises an error. Not part of the
            experiment.
        allow: names of fatal data checks (``data/checks.py``) that do not stop the training.
        progress: progress callback.

    Returns:
        The finished run.

    Raises:
        UserError: the data cannot be used, a slot is unknown, the folder holds another experiment or a training that
            is running, the weights of ``experiment.init`` do not fit, or the disk is full.
        TrainingStoppedError: SIGTERM stopped the training.
        TrainingDivergedError: the loss is no longer finite. The last checkpoint stays.
    """
    folder = Path(folder)
    check_unicode(folder)
    fabric = launch_fabric(choose_compute(accelerator).device.type, experiment.training.precision)
    if not fabric.is_global_zero:
        return _train(fabric, experiment, folder, skip_bad, allow, silent)
    with exclusive_lock(folder, "training"):
        return _train(fabric, experiment, folder, skip_bad, allow, progress)


def _train(
    fabric: Fabric, experiment: Experiment, folder: Path, skip_bad: bool, allow: Sequence[str], progress: Progress
) -> Run:
    existing = open_existing_run(folder, experiment)
    if existing and existing.is_finished:
        _ = existing.metrics  # refused where they are invalid
        if fabric.is_global_zero:  # left by a process that was killed just before it deleted the checkpoint
            (folder / CHECKPOINT).unlink(missing_ok=True)
        return existing
    with open_group() as group:
        splits = open_splits(experiment, skip_bad=skip_bad, allow=allow, group=group, progress=progress)
    videos, validation, facts = splits.videos, splits.validation, splits.facts
    if fabric.is_global_zero:
        splits.warn()
    weights = None
    if experiment.init:
        if existing and (folder / CHECKPOINT).exists():  # has replaced the weights, whose run may be gone
            digest = existing.facts.init_weights
        else:
            weights, digest = read_initial_weights(experiment, facts, splits.vocabulary)
        facts = replace(facts, init_weights=digest)
    if existing:
        check_facts(existing, facts)
    learner = create_learner(fabric, experiment, facts, videos, weights)
    model = cast(VideoClassifier, learner.state.model)
    position = load_checkpoint(folder / CHECKPOINT, learner.state, _epochs(experiment, videos))
    with open_group() as group:
        pooled = [
            load_pooled_split(fabric, model, split, experiment, group, progress) for split in (videos, validation)
        ]
    if fabric.is_global_zero and pooled[0] is None:
        warn_downloads(videos, experiment)
    fabric.barrier()  # until every process has read the folder
    run = Run(folder, experiment, facts)
    if fabric.is_global_zero:
        Run.create(folder, experiment, facts, splits.vocabulary)
    with StopSignal() as stop:
        evaluation = _Loop(fabric, learner, videos, validation, pooled, run, position, stop, progress).run_epochs()
    if fabric.is_global_zero:
        metrics = {
            "validation": evaluation.metrics,
            "data": experiment.data.validation_name,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "training_seconds": round(position.seconds, 1),
            "videos_per_second": round(position.examples / max(position.seconds, 1e-9), 1),
            "processes": fabric.world_size,
            **splits.shared_videos,
        }
        final_model = cast(VideoClassifier, learner.state.final_model)
        run.finish(final_model, metrics, evaluation.predictions, evaluation.label_precision)
        (folder / CHECKPOINT).unlink(missing_ok=True)
    fabric.barrier()
    return run


def _epochs(experiment: Experiment, videos: Videos) -> Epochs:
    training = experiment.training

    def batches(epoch: int) -> list[NDArray[np.int64]]:
        return shuffled_batches(videos.num_frames, training.batch_size, seed=experiment.seed, epoch=epoch)

    return Epochs(training.epochs, lambda epoch: [*map(len, batches(epoch))])


@dataclass
class _Loop:
    """Epochs of training steps, each followed by validation."""

    fabric: Fabric
    learner: Learner
    videos: Videos
    validation: Videos
    pooled: list[PooledVideos | None]  # of both splits, if the pooling is cacheable
    run: Run
    position: TrainingProgress
    stop: StopSignal
    report: Progress
    saved: float = field(default_factory=time.monotonic)  # when the last checkpoint was written
    save_seconds: float = 0.0  # how long that took

    def run_epochs(self) -> Evaluation:
        """Train the remaining epochs and return the last evaluation."""
        evaluation, position = None, self.position
        with RunLog(self.run.path, position, is_writer=self.fabric.is_global_zero) as log:
            try:
                while position.epoch < self.run.experiment.training.epochs:
                    self.train_epoch(log)
                    evaluation = self.validate()
                    position.epoch, position.step = position.epoch + 1, 0
                    log.add(position, **{name: evaluation.metrics[name] for name in METRICS})
                    if time.monotonic() - self.saved > 20 * self.save_seconds:  # MoE-16: 1.8 GB, 8 s on a slow disk
                        self.save()
                # A training that was stopped after its last epoch has no metrics yet.
                return evaluation or self.validate()
            except TrainingStoppedError:
                self.save()
                raise TrainingStoppedError(
                    f"stopped in epoch {position.epoch + 1}, after {position.examples:,} examples",
                    where=str(self.run.path),
                    advice="Run the same command to resume.",
                ) from None

    def validate(self) -> Evaluation:
        """Evaluate the model, or its moving average, on the validation split."""
        return evaluate_model(
            cast(VideoClassifier, self.learner.state.final_model),
            self.validation,
            num_classes=self.run.facts.num_classes,
            training_counts=np.bincount(self.videos.label_values, minlength=self.run.facts.num_classes),
            compute=Compute(self.fabric.device),
            progress=self.stop.wrap_progress(self.report),
            rank=self.fabric.global_rank,
            world_size=self.fabric.world_size,
            pooled=self.pooled[1],
        )

    def save(self) -> None:
        """Write a checkpoint, in one process."""
        started = time.monotonic()
        if self.fabric.is_global_zero:
            save_checkpoint(self.run.path / CHECKPOINT, self.learner.state, self.position)
        self.saved, self.save_seconds = time.monotonic(), time.monotonic() - started

    def train_epoch(self, log: RunLog) -> None:
        """Run the remaining steps of the current epoch."""
        position, training, seed = self.position, self.run.experiment.training, self.run.experiment.seed
        task = f"epoch {position.epoch + 1} of {training.epochs}"
        batches = shuffled_batches(self.videos.num_frames, training.batch_size, seed=seed, epoch=position.epoch)
        steps = [  # this process's micro-batches of each step
            split_batch(batch, self.fabric.global_rank, self.fabric.world_size, training.accumulate)
            for batch in batches[position.step :]
        ]
        loaded = self.load([micro_batch.videos for step in steps for micro_batch in step])
        recent: list[dict[str, Tensor]] = []  # losses of the steps since the last log line, on the device
        ratios: dict[str, float] = {}  # largest of each slot since the last log line
        started = time.perf_counter()
        self.learner.state.model.train()
        self.learner.state.loss.train()
        for step in steps:
            rate = learning_rate(training, position.examples, training.epochs * len(self.videos))
            self.learner.seed_step(seed, position)
            recent.append(self.learner.step(zip(step, loaded, strict=False), rate, last=len(step) - 1))
            position.examples += len(batches[position.step])
            position.step += 1
            writes_line = position.step % LOG_STEPS == 0 or position.step == len(batches)
            if writes_line or (position.epoch, position.step) == (0, 1):
                measured = update_ratios(self.learner.state.model, self.learner.state.optimizer)
                ratios = {column: max(ratio, ratios.get(column, 0)) for column, ratio in measured.items()}
            if writes_line:
                losses = self.mean_losses(recent, task, batches)
                recent.clear()
                log.add(position, learning_rate=rate, **losses, **ratios)
                ratios = {}
                # A large clamped fraction explains a loss that does not decrease.
                clamped = f", {losses['clamped']:.1%} of the scores clamped" if losses.get("clamped") else ""
                self.report(task, position.step, len(batches), f"loss {losses['loss']:.4g}{clamped}")
                if position.step % CHECKPOINT_STEPS == 0 or time.monotonic() - self.saved > CHECKPOINT_SECONDS:
                    position.seconds += time.perf_counter() - started
                    self.save()  # the weights are finite, because the losses are
                    started = time.perf_counter()
            # Stop only with finite losses, so that the checkpoint is finite and all processes stop at the same step.
            if self.stop.is_set and all(bool(value.isfinite()) for losses in recent for value in losses.values()):
                position.seconds += time.perf_counter() - started
                self.stop.check()
        position.seconds += time.perf_counter() - started

    def load(self, micro_batches: list[NDArray[np.int64]]) -> Iterator[Batch]:
        """Yield the batches on the device, from the pooled vectors or from the frames."""
        pooled, device = self.pooled[0], self.fabric.device
        if pooled is not None:
            return on_device(pooled.load(micro_batches), device)
        return on_device(Loader(self.videos, micro_batches, pin_memory=device.type == "cuda"), device)

    def mean_losses(
        self, recent: list[dict[str, Tensor]], task: str, batches: list[NDArray[np.int64]]
    ) -> dict[str, float]:
        """Return the means over recent steps and all processes.

        Raises TrainingDivergedError for a value that is not finite.
        """
        names = list(recent[0])
        table = torch.stack([torch.stack([step[name] for name in names]) for step in recent])  # [steps, names]
        table = cast(Tensor, self.fabric.all_reduce(table, reduce_op="sum")).cpu()
        if not table.isfinite().all():
            row = int((~table.isfinite()).any(dim=1).nonzero()[0])
            # The total loss comes first; name the term of it that is not finite, if there is one.
            name = next(name for name in [*names[1:], names[0]] if not table[row, names.index(name)].isfinite())
            number = self.position.step - len(recent) + row
            ids = ", ".join(f"'{self.videos.id(int(video))}'" for video in batches[number][:3])
            raise TrainingDivergedError(
                f"the {name.replace('_', ' ')} is {table[row, names.index(name)]:g}",
                where=f"{task}, step {number + 1} of {len(batches)} (its {len(batches[number])} videos: {ids}, …)",
                advice=f"Lower the learning rate. The last good checkpoint, if any, stays in {self.run.path}.",
            )
        return dict(zip(names, table.mean(dim=0).tolist(), strict=True))
