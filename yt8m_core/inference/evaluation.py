"""Metrics and top labels of a model on a data set (section 3.1)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.checks import check_videos, stop_if_fatal, warn_videos
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.feature_check.scale import check_scale
from yt8m_core.data.labeled import labeled_videos
from yt8m_core.data.loader import Batch, ordered_batches
from yt8m_core.data.schema import describe_schema
from yt8m_core.errors import UserError
from yt8m_core.experiment import Experiment
from yt8m_core.inference.array_cache import digest
from yt8m_core.inference.compute import Compute, choose_compute
from yt8m_core.inference.evaluation_state import Evaluation, EvaluationState
from yt8m_core.inference.identity import compute_identity, run_identity, videos_identity
from yt8m_core.inference.pooled_videos import PooledVideos
from yt8m_core.inference.scoring_parts import BATCH_SIZE, STATE, Batches, Count, score_parts
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.processes.group import ALONE, Group
from yt8m_core.processes.parts import shared_lock
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.data_paths import advise_relocation
from yt8m_core.runs.run import Run
from yt8m_core.workspace import workspace


def evaluate(
    run: Run,
    data: str | Path,
    *,
    accelerator: str = "",
    precision: str = "",
    skip_bad: bool = False,
    unlabeled: str = "",
    allow: Sequence[str] = (),
    group: Group = ALONE,
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
        accelerator, precision: as of ``compute.choose_compute``.
        skip_bad: skip bad records and warn about them; otherwise the first one raises an error.
        unlabeled: "error", "skip" or "negative" for videos without labels; default: as in the run's experiment.
        allow: names of fatal data checks (``data/checks.py``) that do not stop the evaluation.
        group: the processes that divide the work; each returns the result of all.
        progress: progress callback.

    Returns:
        Metrics and the 20 top labels of every video.

    Raises:
        UserError: the run has no weights, or the data cannot be read, do not fit the run, or have no labels.
    """
    compute = choose_compute(accelerator, precision)
    model, progress = run.load_model(compute.device), group.watch(progress)
    videos = open_run_data(run, data, skip_bad=skip_bad, group=group, progress=progress)
    videos = labeled_videos(videos, unlabeled or run.experiment.data.unlabeled)
    if group.is_first:
        check_features(run, videos, allow)
    check_labeled(videos)

    def new_state() -> EvaluationState:
        return EvaluationState(videos, run.facts.num_classes, run.training_counts, compute.device)

    def write(batches: Batches, folder: Path, count: Count) -> None:
        state = new_state()
        for batch, p in score_batches(model, videos, batches, compute=compute):
            state.update(batch, p)
            count(len(batch.videos))
        state.save(folder / STATE)

    key = digest(["evaluate", run_identity(run), videos_identity(videos), compute_identity(compute)], 24)
    folder = workspace() / "parts" / key
    with shared_lock(folder, "evaluation", group, progress):
        parts = score_parts(folder, len(videos), write, group, progress)
        state = new_state()
        for path in parts.paths:
            state.add(path / STATE)
        parts.remove(group)
    return state.evaluation()


def open_experiment_data(
    experiment: Experiment,
    data: str | Path,
    *,
    skip_bad: bool = False,
    group: Group = ALONE,
    progress: Progress = silent,
) -> Videos:
    """Open DATA with the streams and the maximum number of frames of an experiment. Raises UserError on bad data."""
    return open_videos(
        data,
        max_frames=experiment.data.max_frames,
        streams=experiment.data.streams or None,
        skip_bad=skip_bad,
        group=group,
        progress=progress,
    )


def open_run_data(
    run: Run, data: str | Path, *, skip_bad: bool = False, group: Group = ALONE, progress: Progress = silent
) -> Videos:
    """Open DATA for a run. Raises UserError where its features or labels do not fit the run."""
    with advise_relocation(run, data):
        videos = open_experiment_data(run.experiment, data, skip_bad=skip_bad, group=group, progress=progress)
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
    batches: Sequence[NDArray[np.int64]] | None = None,
    *,
    compute: Compute | None = None,
    pooled: PooledVideos | None = None,
) -> Iterator[tuple[Batch, Tensor]]:
    """Yield batches of a data set, in order, without their frames, with their probabilities [B, C] on the device.

    Args:
        model: model on the device of ``compute``.
        videos: the data set.
        batches: positions of the videos of each batch; default: all videos.
        compute: device of the model; default: the CPU.
        pooled: pooled vectors of ``videos``, used instead of their frames.
    """

    def score(frames: Tensor, num_frames: Tensor) -> tuple[Tensor, ...]:
        return (model(frames, num_frames)[0].p,)

    if batches is None:
        batches = ordered_batches(len(videos), BATCH_SIZE)
    for batch, (p,) in (compute or Compute()).map(score, videos, batches, pooled):
        yield batch, p


def evaluate_model(
    model: VideoClassifier,
    videos: Videos,
    *,
    num_classes: int,
    training_counts: NDArray[np.int64] | None = None,
    compute: Compute | None = None,
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
        model: model on the device of ``compute``.
        videos: the data set.
        num_classes: C.
        training_counts: number of training videos of each label [C], for ``BandPrecision``; None to leave it out.
        compute: device of the model; default: the CPU.
        seed: seed of the bootstrap.
        progress: progress callback.
        rank: number of this process.
        world_size: number of processes.
        pooled: pooled vectors of ``videos``, used instead of their frames.

    Raises:
        UserError: no video has labels.
    """
    check_labeled(videos)
    compute, was_training = compute or Compute(), model.training
    model.eval()
    state = EvaluationState(videos, num_classes, training_counts, compute.device)
    batches = ordered_batches(len(videos), BATCH_SIZE)
    done = 0
    for batch, p in score_batches(model, videos, batches[rank::world_size], compute=compute, pooled=pooled):
        state.update(batch, p)
        done = min(done + len(batch.videos) * world_size, len(videos))
        progress("scoring", done, len(videos))
    model.train(was_training)
    # The state has the videos of process 0, then those of process 1, …
    scored = np.concatenate([batch for process in range(world_size) for batch in batches[process::world_size]])
    return state.evaluation(np.argsort(scored), seed)


def check_labeled(videos: Videos) -> None:
    """Raise UserError where no video has labels."""
    if not videos.is_labeled.any():
        raise UserError(
            "no video has labels",
            where=videos.location(0),
            advice="Evaluate on labeled data, or run `yt8m predict`, which needs no labels.",
        )
