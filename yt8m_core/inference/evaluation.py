"""A model on a data set → predictions and metrics (section 3.1)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.loader import Batch, Loader, ordered_batches
from yt8m_core.data.schema import Schema
from yt8m_core.errors import UserError
from yt8m_core.experiment import Experiment
from yt8m_core.inference.pooled_cache import Summaries
from yt8m_core.metrics.top_k import TopLabels
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run

BATCH_SIZE = 128


@dataclass(frozen=True)
class Evaluation:
    """What a model came to on a data set."""

    metrics: dict[str, Any]  # by name; ``gap_low`` and ``gap_high`` bound GAP's 95 % bootstrap interval over videos
    predictions: pd.DataFrame  # id, labels [20] best first, scores [20], true_labels


def open_data(
    experiment: Experiment, data: str | Path, *, skip_bad: bool = False, progress: Progress = silent
) -> Videos:
    """Open DATA as an experiment reads it: its streams, its number of frames. Raises UserError as the index does."""
    return open_videos(
        data,
        max_frames=experiment.data.max_frames,
        streams=experiment.data.streams or None,
        skip_bad=skip_bad,
        progress=lambda done, total: progress(f"indexing {data}", done, total),
    )


def open_data_of(run: Run, data: str | Path, *, skip_bad: bool = False, progress: Progress = silent) -> Videos:
    """Open DATA for a run. Raises UserError where its features or its labels are not those that the run knows."""
    videos = open_data(run.experiment, data, skip_bad=skip_bad, progress=progress)
    if videos.schema != run.facts.schema:
        raise UserError(
            describe(videos.schema), where=str(data), expected=f"{describe(run.facts.schema)}, as run '{run.name}' has"
        )
    videos.check_labels(run.facts.num_classes)
    return videos


def describe(schema: Schema) -> str:
    """A schema in words.

    >>> describe(Schema("frame", (("rgb", 1024), ("audio", 128))))
    'frame-level features rgb (1024) + audio (128)'
    """
    return f"{schema.level}-level features " + " + ".join(f"{name} ({dim})" for name, dim in schema.streams)


def score(
    model: VideoClassifier,
    videos: Videos,
    *,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
    process: tuple[int, int] = (0, 1),
    summaries: Summaries | None = None,
) -> Iterator[tuple[Batch, Tensor]]:
    """Every batch of a data set in its order, with its probabilities [B, C] on ``device``.

    ``process`` (r, n) leaves only every nth batch, from the rth on. ``summaries`` of the same videos stand for frames.
    """
    done = 0
    batches = ordered_batches(len(videos), BATCH_SIZE)[process[0] :: process[1]]
    for batch in Loader(videos, batches) if summaries is None else summaries.load(batches):
        with torch.no_grad():  # not around the yield: whoever consumes this would be left without gradients too
            scores, _ = model(batch.frames.to(device), batch.num_frames.to(device))
        done = min(done + len(batch.videos) * process[1], len(videos))
        progress("scoring", done, len(videos))
        yield batch, scores.p


def evaluate(
    model: VideoClassifier,
    videos: Videos,
    *,
    num_classes: int,
    device: torch.device | str = "cpu",
    seed: int = 0,
    progress: Progress = silent,
    process: tuple[int, int] = (0, 1),
    summaries: Summaries | None = None,
) -> Evaluation:
    """Metrics and the 20 best labels of every video.

    Of n processes of a group, each is told by ``process`` (r, n) which it is, scores its part of the videos, each video
    once, and gets the whole result. The model is put into evaluation mode and left as it was found. ``summaries`` of
    the videos, where there are some, spare their frames. Raises UserError for data without any label.
    """
    if not videos.labeled.any():
        raise UserError(
            "no video has labels", where=videos.place(0), advice="Metrics need them; `yt8m predict` does not."
        )
    training = model.training
    model.eval()
    metric = TopLabels(num_classes)
    metric.to(device)
    for batch, p in score(model, videos, device=device, progress=progress, process=process, summaries=summaries):
        rows, labels = batch.labels.to(device)
        metric.update(p, (rows, labels))
    model.train(training)
    low, high = metric.bootstrap(seed)
    with metric.sync_context():
        best = metric.best()  # of process 0, then of process 1, …
    batches = ordered_batches(len(videos), BATCH_SIZE)
    scored = np.concatenate([batch for r in range(process[1]) for batch in batches[r :: process[1]]])
    order = np.argsort(scored)
    predictions = pd.DataFrame(
        {
            "id": videos.ids,
            "labels": list(best.labels.cpu().numpy()[order]),
            "scores": list(best.scores.cpu().numpy()[order]),
            "true_labels": [videos.labels(video) for video in range(len(videos))],
        }
    )
    return Evaluation({**metric.compute(), "gap_low": low, "gap_high": high}, predictions)
