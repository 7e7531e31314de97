"""Metrics and top labels of a model on a data set (section 3.1)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.checks import check_videos, stop_if_fatal, warn_videos
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.feature_check.scale import check_scale
from yt8m_core.data.labeled import labeled_videos
from yt8m_core.data.loader import Batch, Loader, ordered_batches
from yt8m_core.data.schema import describe_schema
from yt8m_core.errors import UserError
from yt8m_core.experiment import Experiment
from yt8m_core.inference.band_precision import BandPrecision
from yt8m_core.inference.pooled_cache import PooledVideos
from yt8m_core.metrics.top_k import TopLabels
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.data_paths import advise_relocation
from yt8m_core.runs.run import Run

BATCH_SIZE = 128


@dataclass(frozen=True)
class Evaluation:
    """Metrics and top labels of a model on a data set.

    Attributes:
        metrics: values by name. ``gap_low`` and ``gap_high`` bound GAP's 95% bootstrap CI over videos. ``ap_head``,
            ``ap_mid``, ``ap_tail`` and ``ap_all`` are means of ``label_precision``, which is of ``ap_videos`` videos.
        predictions: one row per video: id, labels [20] by descending score, scores [20], true_labels.
        bad_records: number of records that were skipped.
        label_precision: one row per label: label, training_videos, band, positives, ap; None without training counts.
    """

    metrics: dict[str, Any]
    predictions: pd.DataFrame
    bad_records: int = 0
    label_precision: pd.DataFrame | None = None


def evaluate(
    run: Run,
    data: str | Path,
    *,
    device: torch.device | str = "cpu",
    skip_bad: bool = False,
    unlabeled: str = "",
    allow: Sequence[str] = (),
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate a trained run on a data set with labels.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from yt8m_core import Experiment, Slot, evaluate, train
    >>> from yt8m_core.demo.world import build, smoke
    >>> from yt8m_core.experiment import Data, Training
    >>> folder = Path(tempfile.mkdtemp())
    >>> build(folder / "data", smoke())
    >>> data = Data(str(folder / "data" / "train"), str(folder / "data" / "validation"))
    >>> run = train(Experiment(data, classification=Slot("logistic"), training=Training(epochs=1)), folder / "run")
    >>> metrics = evaluate(run, folder / "data" / "validation").metrics
    >>> metrics["num_videos"], 0 < metrics["gap_low"] <= metrics["gap"] <= metrics["gap_high"] < 1
    (32, True)

    Args:
        run: finished run.
        data: a shard, a folder of shards, or a glob, on a disk or at an address.
        device: device of the model.
        skip_bad: skip bad records and warn about them; otherwise the first one raises an error.
        unlabeled: "error", "skip" or "negative" for videos without labels; default: as in the run's experiment.
        allow: names of fatal data checks (``data/checks.py``) that do not stop the evaluation.
        progress: progress callback.

    Returns:
        Metrics and the 20 top labels of every video.

    Raises:
        UserError: the run has no weights, or the data cannot be read, do not fit the run, or have no labels.
    """
    model = run.load_model(device)
    videos = open_run_data(run, data, skip_bad=skip_bad, progress=progress)
    videos = labeled_videos(videos, unlabeled or run.experiment.data.unlabeled)
    check_features(run, videos, allow)
    return evaluate_model(
        model,
        videos,
        num_classes=run.facts.num_classes,
        training_counts=run.training_counts,
        device=device,
        progress=progress,
    )


def open_experiment_data(
    experiment: Experiment, data: str | Path, *, skip_bad: bool = False, progress: Progress = silent
) -> Videos:
    """Open DATA with the streams and the maximum number of frames of an experiment. Raises UserError on bad data."""
    return open_videos(
        data,
        max_frames=experiment.data.max_frames,
        streams=experiment.data.streams or None,
        skip_bad=skip_bad,
        progress=progress,
    )


def open_run_data(run: Run, data: str | Path, *, skip_bad: bool = False, progress: Progress = silent) -> Videos:
    """Open DATA for a run. Raises UserError where its features or labels do not fit the run."""
    with advise_relocation(run, data):
        videos = open_experiment_data(run.experiment, data, skip_bad=skip_bad, progress=progress)
    check_run_data(run, videos, data)
    return videos


def check_features(run: Run, videos: Videos, allow: Sequence[str] = ()) -> None:
    """Log the bad records and the data checks of ``videos``, and the scale of its features beside the run's.

    Raises:
        UserError: a check is fatal and not in ``allow``.
    """
    warn_videos(videos)
    stop_if_fatal((*check_videos(videos), *check_scale(videos, run.facts.feature_norms)), allow)


def check_run_data(run: Run, videos: Videos, data: str | Path) -> None:
    """Raise UserError where the features or labels of ``videos``, opened from DATA, do not fit the run."""
    if not run.facts.schema.accepts(videos.schema):
        expected = f"{describe_schema(run.facts.schema)}, which run '{run.name}' was trained on"
        raise UserError(describe_schema(videos.schema), where=str(data), expected=expected)
    videos.check_labels(run.facts.num_classes)


def score_batches(
    model: VideoClassifier,
    videos: Videos,
    *,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
    rank: int = 0,
    world_size: int = 1,
    pooled: PooledVideos | None = None,
) -> Iterator[tuple[Batch, Tensor]]:
    """Yield each batch of a data set, in order, with its probabilities [B, C] on ``device``.

    Args:
        model: model on ``device``.
        videos: the data set.
        device: device of the model.
        progress: progress callback.
        rank: number of this process; it scores every ``world_size``-th batch from this one on.
        world_size: number of processes.
        pooled: pooled vectors of ``videos``, used instead of their frames.
    """
    done = 0
    batches = ordered_batches(len(videos), BATCH_SIZE)[rank::world_size]
    for batch in Loader(videos, batches) if pooled is None else pooled.load(batches):
        with torch.no_grad():  # not around the yield, which would disable gradients for the caller
            scores, _ = model(batch.frames.to(device), batch.num_frames.to(device))
        done = min(done + len(batch.videos) * world_size, len(videos))
        progress("scoring", done, len(videos))
        yield batch, scores.p


def evaluate_model(
    model: VideoClassifier,
    videos: Videos,
    *,
    num_classes: int,
    training_counts: NDArray[np.int64] | None = None,
    device: torch.device | str = "cpu",
    seed: int = 0,
    progress: Progress = silent,
    rank: int = 0,
    world_size: int = 1,
    pooled: PooledVideos | None = None,
) -> Evaluation:
    """Evaluate a model on an open data set.

    Each process of a group scores its share of the videos and returns the result of all. The model is evaluated in
    evaluation mode and returned to the mode that it was in.

    Args:
        model: model on ``device``.
        videos: the data set.
        num_classes: C.
        training_counts: number of training videos of each label [C], for ``BandPrecision``; None to leave it out.
        device: device of the model.
        seed: seed of the bootstrap.
        progress: progress callback.
        rank: number of this process.
        world_size: number of processes.
        pooled: pooled vectors of ``videos``, used instead of their frames.

    Raises:
        UserError: no video has labels.
    """
    if not videos.is_labeled.any():
        raise UserError(
            "no video has labels",
            where=videos.location(0),
            advice="Evaluate on labeled data, or run `yt8m predict`, which needs no labels.",
        )
    was_training = model.training
    model.eval()
    metric = TopLabels(num_classes).to(device)
    precision = None if training_counts is None else BandPrecision(videos, training_counts, device)
    for batch, p in score_batches(
        model, videos, device=device, progress=progress, rank=rank, world_size=world_size, pooled=pooled
    ):
        rows, labels = batch.labels.to(device)
        metric.update(p, (rows, labels))
        if precision is not None:
            precision.update(batch, p)
    model.train(was_training)
    low, high = metric.bootstrap(seed)
    with metric.sync_context():
        top = metric.top_labels()  # of process 0, then of process 1, …
    batches = ordered_batches(len(videos), BATCH_SIZE)
    scored = np.concatenate([batch for process in range(world_size) for batch in batches[process::world_size]])
    order = np.argsort(scored)
    predictions = pd.DataFrame(
        {
            "id": videos.ids,
            "labels": list(top.labels.cpu().numpy()[order]),
            "scores": list(top.scores.cpu().numpy()[order]),
            "true_labels": [videos.labels(video) for video in range(len(videos))],
        }
    )
    metrics = {**metric.compute(), "gap_low": low, "gap_high": high}
    table = None
    if precision is not None:
        table, band_metrics = precision.compute()
        metrics |= band_metrics
    return Evaluation(metrics, predictions, len(videos.bad_records), table)
