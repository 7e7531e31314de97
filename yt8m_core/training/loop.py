"""The training loop (section 2.6), on Lightning Fabric: one experiment → one run folder.

``train`` sets up, ``_Loop`` is the loop. The order of the data and every random number are a pure function of (seed,
epoch, step), so a training that was killed and resumed ends with the weights of one that never was; and each process
learns from its part of a batch with the weight of that part, so that several end where one would.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Loader, shares_of, shuffled_batches
from yt8m_core.data.tfrecord.bad_records import warn_of_bad
from yt8m_core.errors import Diverged, Stopped, UserError
from yt8m_core.experiment import Experiment
from yt8m_core.inference.evaluation import Evaluation, evaluate
from yt8m_core.inference.pooled_cache import Summaries, summaries_of
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.registry import build
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Facts, Run, build_model
from yt8m_core.storage.atomic import exclusive_lock
from yt8m_core.training.checkpoint import Position, resume, save
from yt8m_core.training.interrupt import StopSignal
from yt8m_core.training.log import RunLog
from yt8m_core.training.splits import open_both
from yt8m_core.training.step import Learner, learning_rate, on_device

LOG_STEPS = 20
CHECKPOINT_STEPS = 1000  # a multiple of it
CHECKPOINT_SECONDS = 300  # or when so many have passed, for steps that take long


def train(
    experiment: Experiment,
    folder: Path,
    *,
    accelerator: str = "auto",
    skip_bad: bool = False,
    progress: Progress = silent,
) -> Run:
    """Train an experiment and leave a finished run folder.

    A folder that holds the same experiment unfinished is gone on with, and a finished one is returned as it is. SIGTERM
    ends a training between two steps, with a checkpoint; killed in any other way it goes on from the last one. Under
    ``torchrun`` all its processes train together, each on its part of every batch, with the result of one process.
    ``skip_bad`` leaves bad records out, and is no part of the experiment: whoever repeats it is asked again.

    Raises:
        UserError: the data cannot be used, a slot is unknown, the folder holds another experiment or another training
            is at work there, or the disk is full.
        Stopped: it was asked to stop.
        Diverged: the loss is no longer finite (the last checkpoint stays).
    """
    fabric = _fabric(accelerator, experiment.training.precision)
    if not fabric.is_global_zero:
        return _train(fabric, experiment, folder, skip_bad, silent)
    with exclusive_lock(folder, "training"):
        return _train(fabric, experiment, folder, skip_bad, progress)


def _train(fabric: Fabric, experiment: Experiment, folder: Path, skip_bad: bool, progress: Progress) -> Run:
    begun = Run.open(folder) if (folder / "config.json").is_file() else None
    if begun and begun.experiment != experiment:
        raise UserError(
            f"another experiment: {begun.experiment}", where=str(folder), advice="Choose another run folder."
        )
    if begun and begun.finished:
        if fabric.is_global_zero:  # left where the process was killed after its last file but one
            (folder / "checkpoint.safetensors").unlink(missing_ok=True)
        return begun
    with fabric.rank_zero_first():  # which leaves the index to the others
        videos, validation, vocabulary, facts = open_both(experiment, skip_bad=skip_bad, progress=progress)
    if fabric.is_global_zero:
        warn_of_bad([*videos.bad, *validation.bad])
    if begun and begun.facts != facts:
        raise UserError(
            "other data than when the run was begun", where=str(folder), advice="Choose another run folder."
        )
    learner = _learner(fabric, experiment, facts, videos)
    model = cast(VideoClassifier, learner.parts.model)
    position = resume(folder / "checkpoint.safetensors", learner.parts)
    with fabric.rank_zero_first():
        summaries = (
            _summaries(fabric, model, videos, experiment, progress),
            _summaries(fabric, model, validation, experiment, progress),
        )
    fabric.barrier()  # whatever is read of the folder has been read
    run = Run(folder, experiment, facts)
    if fabric.is_global_zero:
        Run.create(folder, experiment, facts, vocabulary)
    with StopSignal() as stop:
        evaluation = _Loop(fabric, learner, videos, validation, summaries, run, position, stop, progress).run_all()
    if fabric.is_global_zero:
        run.finish(
            cast(VideoClassifier, learner.parts.best),
            {
                "validation": evaluation.metrics,
                "data": experiment.data.validation,
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
                "training_seconds": round(position.seconds, 1),
                "videos_per_second": round(position.examples / max(position.seconds, 1e-9), 1),
                "processes": fabric.world_size,
            },
            evaluation.predictions,
        )
        (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    fabric.barrier()
    return run


def _learner(fabric: Fabric, experiment: Experiment, facts: Facts, videos: Videos) -> Learner:
    """The experiment's model, which has seen the labels of its videos, and its loss, both as the seed has them."""
    fabric.seed_everything(experiment.seed, verbose=False)
    model = build_model(experiment, facts)
    model.fit_label_prior(label_matrix(videos.label_values, videos.label_offsets, facts.num_classes))
    loss = build(
        "loss",
        experiment.loss.name,
        experiment.loss.options,
        num_classes=facts.num_classes,
        embedding_features=model.classification.embedding_features,
    )
    return Learner.set_up(fabric, model, loss, experiment.training, facts.num_classes)


@dataclass(frozen=True)
class _Loop:
    """Epochs of steps, each epoch followed by a look at the validation data."""

    fabric: Fabric
    learner: Learner
    videos: Videos
    validation: Videos
    summaries: tuple[Summaries | None, Summaries | None]  # of both, where the pooling needs the frames only once
    run: Run
    position: Position
    stop: StopSignal
    show: Progress

    def run_all(self) -> Evaluation:
        """All epochs that are left."""
        evaluation, position = None, self.position
        with RunLog(self.run.path, position, writes=self.fabric.is_global_zero) as log:
            try:
                while position.epoch < self.run.experiment.training.epochs:
                    self.epoch(log)
                    evaluation = self.validate()
                    position.epoch, position.step = position.epoch + 1, 0
                    names = ("gap", "hit_at_1", "perr", "map_present")
                    log.add(position, **{name: evaluation.metrics[name] for name in names})
                    self.save()
                # A training that was stopped between its last epoch and its last file has nothing left to learn.
                return evaluation or self.validate()
            except Stopped:
                self.save()
                raise Stopped(
                    f"stopped in epoch {position.epoch + 1}, after {position.examples:,} examples",
                    where=str(self.run.path),
                    advice="The same command goes on from there.",
                ) from None

    def validate(self) -> Evaluation:
        """Measure the model, or its moving average where there is one."""
        return evaluate(
            cast(VideoClassifier, self.learner.parts.best),
            self.validation,
            num_classes=self.run.facts.num_classes,
            device=self.fabric.device,
            progress=self.stop.between(self.show),
            process=(self.fabric.global_rank, self.fabric.world_size),
            summaries=self.summaries[1],
        )

    def save(self) -> None:
        """Leave a checkpoint, once for all processes."""
        if self.fabric.is_global_zero:
            save(self.run.path / "checkpoint.safetensors", self.learner.parts, self.position)

    def epoch(self, log: RunLog) -> None:
        """The steps of the epoch at ``position`` that are left."""
        position, training, seed = self.position, self.run.experiment.training, self.run.experiment.seed
        what = f"epoch {position.epoch + 1} of {training.epochs}"
        batches = shuffled_batches(self.videos.num_frames, training.batch_size, seed=seed, epoch=position.epoch)
        mine = [  # for each step, what this process does of it
            shares_of(batch, self.fabric.global_rank, self.fabric.world_size, training.accumulate)
            for batch in batches[position.step :]
        ]
        shares = [share.videos for step in mine for share in step]
        pinned = self.fabric.device.type == "cuda"
        summaries = self.summaries[0]
        batches_ahead = summaries.load(shares) if summaries else Loader(self.videos, shares, pin_memory=pinned)
        loaded = on_device(batches_ahead, self.fabric.device)
        recent: list[dict[str, Tensor]] = []  # what each step since the last line of the log came to, on the device
        started, saved = time.perf_counter(), time.monotonic()
        self.learner.parts.model.train()
        self.learner.parts.loss.train()
        for step in mine:
            rate = learning_rate(training, position.examples)
            self.learner.set_randomness(seed, position)
            recent.append(self.learner.step(zip(step, loaded, strict=False), rate, last=len(step) - 1))
            position.examples += len(batches[position.step])
            position.step += 1
            if position.step % LOG_STEPS == 0 or position.step == len(batches):
                losses = self.means(recent, what, batches)
                recent.clear()
                log.add(position, learning_rate=rate, **losses)
                # Where a score is clamped nothing is learned: whoever wonders at a loss that stays is to see it.
                clamped = f", {losses['clamped']:.1%} of the scores clamped" if losses.get("clamped") else ""
                self.show(what, position.step, len(batches), f"loss {losses['loss']:.4g}{clamped}")
                if position.step % CHECKPOINT_STEPS == 0 or time.monotonic() - saved > CHECKPOINT_SECONDS:
                    position.seconds += time.perf_counter() - started
                    self.save()  # known to be finite, for so are the losses
                    started, saved = time.perf_counter(), time.monotonic()
            # What is saved is finite, here too; and of several processes none waits for another that has stopped.
            if self.stop.asked and all(bool(value.isfinite()) for one in recent for value in one.values()):
                position.seconds += time.perf_counter() - started
                self.stop.check()
        position.seconds += time.perf_counter() - started

    def means(self, recent: list[dict[str, Tensor]], what: str, batches: list[NDArray[np.int64]]) -> dict[str, float]:
        """The means over recent steps, over all processes. Raises Diverged where one of them is not finite."""
        names = list(recent[0])
        table = torch.stack([torch.stack([step[name] for name in names]) for step in recent])  # [steps, names]
        table = cast(Tensor, self.fabric.all_reduce(table, reduce_op="sum")).cpu()
        if not table.isfinite().all():
            row = int((~table.isfinite()).any(dim=1).nonzero()[0])
            # The loss is the sum of its parts: what is named is the part, where there is one.
            name = next(name for name in [*names[1:], names[0]] if not table[row, names.index(name)].isfinite())
            number = self.position.step - len(recent) + row
            batch = batches[number]
            ids = ", ".join(f"'{self.videos.id(int(video))}'" for video in batch[:3])
            raise Diverged(
                f"the {name.replace('_', ' ')} is {table[row, names.index(name)]:g}",
                where=f"{what}, step {number + 1} of {len(batches)} (its {len(batch)} videos: {ids}, …)",
                advice=f"Lower the learning rate. The last good checkpoint stays in {self.run.path}.",
            )
        return dict(zip(names, table.mean(dim=0).tolist(), strict=True))


def _fabric(accelerator: str, precision: str) -> Fabric:
    """Fabric for this process: alone, or one of those that ``torchrun`` started on one or more machines."""
    processes, here = (int(os.environ.get(name, 1)) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    fabric = Fabric(
        accelerator=accelerator,
        devices=here,
        num_nodes=processes // here,
        # Buffers are priors and centers, which every process computes alike; a correlation matrix takes 89 MB.
        strategy=DDPStrategy(forward_sync_buffers=False) if processes > 1 else "auto",
        precision="bf16-mixed" if precision == "bfloat16" else "32-true",
    )
    fabric.launch()
    return fabric


def _summaries(
    fabric: Fabric, model: VideoClassifier, videos: Videos, experiment: Experiment, progress: Progress
) -> Summaries | None:
    precision = experiment.training.pool_once
    if precision == "no":
        return None
    kept = summaries_of(model, videos, precision=precision, device=fabric.device, progress=progress)
    return kept and kept.to(fabric.device)
