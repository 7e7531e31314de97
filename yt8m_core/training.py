"""The training loop (section 2.6), on Lightning Fabric: one experiment → one run folder.

``train`` sets up, ``_fit`` is the loop. The order of the data is a pure function of (seed, epoch, step), so a training
that was killed and resumed ends with the weights of one that never was.
"""

import csv
import math
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from yt8m_core.checkpoint import Parts, Position, resume, save
from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Batch, Loader, shuffled_batches
from yt8m_core.data.vocabulary import Vocabulary, vocabulary_of
from yt8m_core.errors import UserError
from yt8m_core.evaluation import Evaluation, describe, evaluate, open_data
from yt8m_core.experiment import Experiment, Training
from yt8m_core.files import replacing
from yt8m_core.model import VideoClassifier
from yt8m_core.progress import Progress, silent
from yt8m_core.registry import build
from yt8m_core.runs import Facts, Run, build_model
from yt8m_core.scale import scale_of

LOG_STEPS = 20
CHECKPOINT_STEPS = 1000


def learning_rate(training: Training, examples: int) -> float:
    """The staircase of section 2.6: times 0.95 for every 1.5 million examples.

    Over the paper's run of five epochs of 6,308,488 videos that is 21 times:

    >>> round(learning_rate(Training(), 5 * 6_308_488) / 6e-4, 4) == round(0.95**21, 4)
    True
    """
    return training.learning_rate * training.decay ** (examples // training.decay_examples)


def train(experiment: Experiment, folder: Path, *, accelerator: str = "auto", progress: Progress = silent) -> Run:
    """Train an experiment and leave a finished run folder.

    A folder that holds the same experiment unfinished is gone on with, and a finished one is returned as it is.

    Raises:
        UserError: the data cannot be used, a slot is unknown, the folder holds another experiment, or the loss is no
            longer finite (the last checkpoint stays).
    """
    begun = Run.open(folder) if (folder / "config.json").is_file() else None
    if begun and begun.experiment != experiment:
        raise UserError(
            f"another experiment: {begun.experiment}", where=str(folder), advice="Choose another run folder."
        )
    if begun and begun.finished:
        return begun
    train_videos = open_data(experiment, experiment.data.train, progress=progress)
    validation = open_data(experiment, experiment.data.validation, progress=progress)
    labels = np.concatenate([train_videos.label_values, validation.label_values])
    vocabulary = vocabulary_of(experiment.data.train, experiment.data.vocabulary, labels)
    _check(train_videos, validation, vocabulary, experiment)
    facts = Facts(
        train_videos.schema,
        vocabulary.num_classes,
        scale_of(experiment.data.train, len(train_videos)),
        len(train_videos),
        len(validation),
    )
    if begun and begun.facts != facts:
        raise UserError(
            "other data than when the run was begun", where=str(folder), advice="Choose another run folder."
        )

    fabric = Fabric(accelerator=accelerator, devices=1)
    fabric.seed_everything(experiment.seed, verbose=False)
    model = build_model(experiment, facts)
    loss = build("loss", experiment.loss.name, experiment.loss.options)
    optimiser = _adam(model, experiment.training)
    run = Run.create(folder, experiment, facts, vocabulary)
    trained, optimiser = fabric.setup(model, optimiser)
    loss = loss.to(fabric.device)
    parts = Parts(trained, loss, cast(torch.optim.Optimizer, optimiser))
    position = resume(folder / "checkpoint.safetensors", parts)
    evaluation = _fit(fabric, parts, train_videos, validation, run, position, progress)
    speed = position.examples / max(position.seconds, 1e-9)
    run.finish(
        model,
        {
            "validation": evaluation.metrics,
            "data": experiment.data.validation,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "training_seconds": round(position.seconds, 1),
            "videos_per_second": round(speed, 1),
        },
        evaluation.predictions,
    )
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    return run


def _fit(
    fabric: Fabric, parts: Parts, videos: Videos, validation: Videos, run: Run, position: Position, progress: Progress
) -> Evaluation:
    """All epochs that are left, each followed by a look at the validation data."""

    def validate() -> Evaluation:
        model = cast(VideoClassifier, parts.model)
        return evaluate(model, validation, num_classes=run.facts.num_classes, device=fabric.device, progress=progress)

    log = _Log(run.path / "log.csv", position.examples)
    evaluation = None
    while position.epoch < run.experiment.training.epochs:
        _epoch(fabric, parts, videos, run, position, log, progress)
        evaluation = validate()
        log.add(position, **{name: evaluation.metrics[name] for name in ("gap", "hit_at_1", "perr", "map_present")})
        save(run.path / "checkpoint.safetensors", parts, position)
    # A training that was stopped between its last epoch and its last file has nothing left to learn.
    return evaluation or validate()


def _epoch(
    fabric: Fabric, parts: Parts, videos: Videos, run: Run, position: Position, log: "_Log", progress: Progress
) -> None:
    """The steps of the epoch at ``position`` that are left, and ``position`` at the start of the next."""
    experiment = run.experiment
    training = experiment.training
    what = f"epoch {position.epoch + 1} of {training.epochs}"
    batches = shuffled_batches(videos.num_frames, training.batch_size, seed=experiment.seed, epoch=position.epoch)
    losses: list[Tensor] = []  # since the last line of the log; on the device, for reading one waits for the step
    started = time.perf_counter()
    parts.model.train()
    for batch in Loader(videos, batches[position.step :], pin_memory=fabric.device.type == "cuda"):
        rate = learning_rate(training, position.examples)
        losses.append(_learn(fabric, parts, batch, rate, training.clip_norm, run.facts.num_classes))
        position.step += 1
        position.examples += len(batch.videos)
        if position.step % LOG_STEPS == 0 or position.step == len(batches):
            mean = float(torch.stack(losses).mean())
            if not math.isfinite(mean):
                raise UserError(
                    f"the loss is {mean}",
                    where=f"{what}, steps {position.step - len(losses) + 1} to {position.step}",
                    advice=f"Lower the learning rate. The last good checkpoint stays in {run.path}.",
                )
            losses.clear()
            log.add(position, learning_rate=rate, loss=mean)
            progress(what, position.step, len(batches), f"loss {mean:.4g}")
        if position.step % CHECKPOINT_STEPS == 0:  # a multiple of LOG_STEPS: what is saved is known to be finite
            position.seconds += time.perf_counter() - started
            started = time.perf_counter()
            save(run.path / "checkpoint.safetensors", parts, position)
    position.seconds += time.perf_counter() - started
    position.epoch, position.step = position.epoch + 1, 0


def _learn(fabric: Fabric, parts: Parts, batch: Batch, rate: float, clip_norm: float, num_classes: int) -> Tensor:
    """One step: forward, backward, clip each tensor's gradient by itself, Adam. Returns the loss."""
    frames = batch.frames.to(fabric.device, non_blocking=True)
    num_frames = batch.num_frames.to(fabric.device, non_blocking=True)
    targets = batch.targets(num_classes, fabric.device)
    scores, _ = parts.model(frames, num_frames, targets)
    loss, _ = parts.loss(scores, targets)
    fabric.backward(loss)
    for parameter in parts.model.parameters():
        torch.nn.utils.clip_grad_norm_(parameter, clip_norm)
    for group in parts.optimiser.param_groups:
        group["lr"] = rate
    parts.optimiser.step()
    parts.optimiser.zero_grad()
    return cast(Tensor, loss.detach())


def _check(videos: Videos, validation: Videos, vocabulary: Vocabulary, experiment: Experiment) -> None:
    if videos.schema != validation.schema:
        raise UserError(
            describe(validation.schema),
            where=experiment.data.validation,
            expected=f"{describe(videos.schema)}, as the training data has",
        )
    if not videos.labelled.all():
        unlabelled = int((~videos.labelled).argmax())
        raise UserError(
            f"video '{videos.id(unlabelled)}' has no labels",
            where=videos.place(unlabelled),
            advice="Train on shards with labels; test shards have none.",
        )
    if not validation.labelled.any():
        raise UserError(
            "no video has labels", where=experiment.data.validation, advice="Validation measures with them."
        )
    for one in (videos, validation):
        one.check_labels(vocabulary.num_classes)


def _adam(model: VideoClassifier, training: Training) -> torch.optim.Adam:
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


class _Log:
    """``log.csv``: a line every few steps with the loss, and a line an epoch with the validation metrics."""

    COLUMNS = ("epoch", "step", "examples", "learning_rate", "loss", "gap", "hit_at_1", "perr", "map_present")

    def __init__(self, file: Path, examples: int) -> None:
        """Open the log of a training that stands at ``examples``: what an earlier try wrote past that is dropped."""
        self.file = file
        lines = file.read_text().splitlines()[1:] if file.is_file() else []
        kept = [line for line in lines if int(line.split(",")[2]) <= examples and examples > 0]
        with replacing(file) as unfinished:
            unfinished.write_text("\n".join([",".join(self.COLUMNS), *kept]) + "\n")

    def add(self, position: Position, **values: Any) -> None:
        """Append a line."""
        row = {"epoch": position.epoch, "step": position.step, "examples": position.examples, **values}
        with self.file.open("a", newline="") as file:
            csv.DictWriter(file, self.COLUMNS, lineterminator="\n").writerow(row)
