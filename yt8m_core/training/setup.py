"""Set up a training: the run that its folder may hold, and the model, loss and optimizer."""

import logging
import os
from dataclasses import replace
from pathlib import Path

from lightning_fabric import Fabric
from torch import Tensor, nn

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import shuffled_batches
from yt8m_core.data.read_ahead import plan_downloads
from yt8m_core.errors import UserError
from yt8m_core.experiment import DATA_PATHS, Experiment
from yt8m_core.inference.compute import Compute
from yt8m_core.inference.pooled_cache import load_pooled
from yt8m_core.inference.pooled_videos import PooledVideos
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.models.label_prior import fit_label_prior, has_label_prior
from yt8m_core.models.registry import build
from yt8m_core.models.size import check_training_size
from yt8m_core.processes.group import Group
from yt8m_core.progress import Progress
from yt8m_core.runs.run import Facts, Run, build_model
from yt8m_core.training.step import Learner


def open_existing_run(folder: Path, experiment: Experiment) -> Run | None:
    """Return the run of an experiment in a folder; None where there is none yet.

    Raises:
        UserError: the folder holds another experiment. The message lists the settings that differ.
    """
    if not (folder / "config.json").is_file():
        return None
    existing = Run.open(folder)
    differences = {
        name: texts
        for name, texts in existing.experiment.differences(experiment).items()
        if name not in (*DATA_PATHS, "init") or not _is_same_place(*texts)
    }
    if differences:
        texts = [f"{name}: {own} in the run, {other} here" for name, (own, other) in differences.items()]
        advice = "Choose another run folder."
        slots = {"pooling", "classification", "label_processing", "fusion", "streams"}
        if existing.is_finished and not slots & differences.keys():
            advice += f" To train on from its weights: --init {folder} --run NEW."
        raise UserError(f"another experiment ({'; '.join(texts)})", where=str(folder), advice=advice)
    return existing


def _is_same_place(path: str, other: str) -> bool:
    """Whether two paths lead to the same place, such as through a link to the workspace."""
    return os.path.realpath(path) == os.path.realpath(other)


def check_facts(existing: Run, facts: Facts) -> None:
    """Raise UserError where the data, or the weights that it started from, have changed since a run started."""
    if existing.facts == facts:
        return
    same_data = replace(existing.facts, init_weights=facts.init_weights) == facts
    changed = f"the weights of {existing.experiment.init}" if same_data else "the data"
    raise UserError(
        f"{changed} have changed since the run started", where=str(existing.path), advice="Choose another run folder."
    )


def create_learner(
    fabric: Fabric, experiment: Experiment, facts: Facts, videos: Videos, weights: dict[str, Tensor] | None
) -> Learner:
    """Create the model and the loss, with the label prior of the training videos, both from the experiment's seed.

    Args:
        fabric: Fabric of this process.
        experiment: the experiment.
        facts: properties of its data.
        videos: training videos.
        weights: weights of the model to start from, all of them; None for random ones.

    Raises:
        UserError: a method or an option is unknown, or this machine has too little memory for the model.
    """
    check_training_size(lambda: _build_modules(experiment, facts), str(experiment))
    fabric.seed_everything(experiment.seed, verbose=False)
    model, loss = _build_modules(experiment, facts)
    labels = label_matrix(videos.label_values, videos.label_offsets, facts.num_classes)
    for module in (model, loss):
        if videos.rated is None:
            fit_label_prior(module, labels)
        elif has_label_prior(module) and (module is loss or weights is None):
            raise UserError(
                f"{experiment.loss if module is loss else experiment} with --segments",
                expected="a loss and slots that need no frequencies of labels",
                advice="Ratings of segments are no sample of the labels. Slots may come from a run: --init RUN.",
            )
    if weights is not None:
        model.load_state_dict(weights)
    return Learner.create(fabric, model, loss, experiment.training, facts.num_classes)


def _build_modules(experiment: Experiment, facts: Facts) -> tuple[VideoClassifier, nn.Module]:
    """Build the model and the loss with fresh weights."""
    model = build_model(experiment, facts)
    loss = build(
        "loss",
        experiment.loss.name,
        experiment.loss.options,
        num_classes=facts.num_classes,
        embedding_features=model.classification.embedding_features,
    )
    return model, loss


def warn_downloads(videos: Videos, experiment: Experiment) -> None:
    """Log how much of remote training data an epoch downloads; nothing for data on this machine."""
    batches = shuffled_batches(videos.num_frames, experiment.training.batch_size, seed=experiment.seed, epoch=0)
    if plan := plan_downloads(videos.shards, videos.shard_numbers, batches):
        logging.getLogger(__name__).warning("%s", plan.message)


def load_pooled_split(
    fabric: Fabric,
    model: VideoClassifier,
    videos: Videos,
    experiment: Experiment,
    group: Group,
    progress: Progress,
) -> PooledVideos | None:
    """Return the pooled vectors of a split on the device, if the pooling is cacheable."""
    precision = experiment.training.pool_once
    compute = Compute(fabric.device)
    pooled = load_pooled(model, videos, precision=precision, compute=compute, group=group, progress=progress)
    return pooled and pooled.to(fabric.device)
