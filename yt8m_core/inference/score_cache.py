"""Cache of a run's probabilities [N, C] on a data set, so that analyses need no forward pass.

Label and video difficulty, other thresholds, other label processing and ensembles all follow from the scores alone.
They are ``.npy`` files in the workspace, valid as long as run and shards are the same. Where the workspace has no room
or is not writable, fewer videos are scored and the scores stay in memory.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.errors import UserError
from yt8m_core.inference.array_cache import ArrayCache, CacheKey, Put, digest
from yt8m_core.inference.compute import Compute, check_finite, choose_compute
from yt8m_core.inference.identity import compute_identity, run_identity, videos_identity
from yt8m_core.inference.sampling import MAX_SCORES, sample_videos
from yt8m_core.inference.scoring_parts import BATCH_SIZE, PART_BATCHES
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.metrics.sparse import Probabilities
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.processes.group import ALONE, Group
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run

FORMAT = 2
PART_VIDEOS = PART_BATCHES * BATCH_SIZE
MAX_SCORES_IN_MEMORY = 1 << 24  # MAX_SCORES without a cache file
CACHE = ArrayCache("scored", max_bytes=1 << 32)


@dataclass(frozen=True)
class CachedScores:
    """A run's probabilities for labeled videos of a data set, and the true labels.

    Attributes:
        name: name of the run.
        videos: int64 [N], ascending: positions of the scored videos in the data set, all of them or a sample.
        num_videos: number of videos in the data set.
        probabilities: float32 [N, C], after all slots. Read-only.
        classified: float32 [N, C], before label processing; the same array for the identity. Read-only.
        truth: sparse [N, C] of ones.
    """

    name: str
    videos: NDArray[np.int64]
    num_videos: int
    probabilities: Probabilities
    classified: Probabilities
    truth: csr_array

    @property
    def is_sample(self) -> bool:
        """Whether the data set has videos that are not scored."""
        return len(self.videos) < self.num_videos

    def row(self, video: int) -> int | None:
        """Return the row of a video of the data set; None for a video that is not in the sample."""
        row = int(np.searchsorted(self.videos, video))
        return row if row < len(self.videos) and self.videos[row] == video else None


def load_scores(
    run: Run,
    videos: Videos,
    *,
    accelerator: str = "",
    precision: str = "",
    group: Group = ALONE,
    progress: Progress = silent,
) -> CachedScores:
    """Return the cached scores of a run, computing them on a miss.

    Args:
        run: finished run.
        videos: data set that fits the run, as ``evaluation.open_run_data`` opens it.
        accelerator, precision: as of ``compute.choose_compute``. Each precision has scores of its own.
        group: the processes that divide the work; each returns the scores of all.
        progress: progress callback.

    Raises:
        UserError: the data set has no labels, the run has no weights, or its scores are not finite.
    """
    if not videos.is_labeled.any():
        raise UserError("no video has labels", where=videos.location(0), advice="Choose a data set with labels.")
    C = run.facts.num_classes
    # The scores after all slots, then those before label processing, unless that is the identity.
    stages = 1 if run.experiment.label_processing.name == "identity" else 2
    sample = sample_videos(videos.is_labeled, MAX_SCORES // C)
    compute = choose_compute(accelerator, precision)
    key, shape = _key(run, videos, compute), (stages, len(sample), C)
    scores = CACHE.load(key, shape, np.float32)
    if scores is None:
        model = run.load_model(compute.device)

        progress = group.watch(progress)
        try:
            parts = -(-len(sample) // PART_VIDEOS)

            def fill(number: int, put: Put) -> None:
                _fill(number, put, model, videos, sample, stages, compute, progress)

            scores = CACHE.store(key, shape, np.float32, fill, parts=parts, group=group, progress=progress)
        except OSError as error:
            logging.getLogger(__name__).warning("The scores of run %s stay in memory: %s", run.name, error)
            sample = sample_videos(videos.is_labeled, MAX_SCORES_IN_MEMORY // C)
            in_memory = np.empty((stages, len(sample), C), np.float32)

            def put_in_memory(place: tuple[int, ...], p: NDArray[np.float32]) -> None:
                stage, row = place
                in_memory[stage, row : row + len(p)] = p

            for number in range(-(-len(sample) // PART_VIDEOS)):
                _fill(number, put_in_memory, model, videos, sample, stages, compute, progress)
            scores = in_memory
    scores.flags.writeable = False
    values, offsets = _labels(videos, sample)
    return CachedScores(run.name, sample, len(videos), scores[0], scores[-1], label_matrix(values, offsets, C))


def _labels(videos: Videos, sample: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the concatenated labels of the sampled videos, and the offset of each video's first label."""
    labels = [videos.labels(int(video)) for video in sample]
    offsets = np.concatenate([[0], np.cumsum([len(values) for values in labels])]).astype(np.int64)
    return np.concatenate(labels).astype(np.int32), offsets


def _fill(
    number: int,
    put: Callable[[tuple[int, ...], NDArray[np.float32]], None],
    model: VideoClassifier,
    videos: Videos,
    sample: NDArray[np.int64],
    stages: int,
    compute: Compute,
    progress: Progress,
) -> None:
    """Score a part of the sampled videos, and put the scores at (stage, row)."""

    def score(frames: Tensor, num_frames: Tensor) -> tuple[Tensor, ...]:
        _, trace = model(frames, num_frames)
        return tuple(scores.p.float() for scores in (trace.scores, trace.raw_scores)[:stages])

    row = number * PART_VIDEOS
    part = sample[row : row + PART_VIDEOS]
    batches = np.split(part, range(BATCH_SIZE, len(part), BATCH_SIZE))
    for batch, probabilities in compute.map(score, videos, batches):
        check_finite(probabilities[0])
        for stage, p in enumerate(probabilities):
            put((stage, row), p.cpu().numpy())
        row += len(batch.videos)
        progress("scoring", row, len(sample))


def _key(run: Run, videos: Videos, compute: Compute) -> CacheKey:
    """Return the key of a run, its weights, and the state of the shards."""
    identity = [run_identity(run), videos_identity(videos), compute_identity(compute)]
    return CacheKey(digest([FORMAT, MAX_SCORES, *identity], 24))
