"""Scored: a run's probabilities for the videos of a data set, computed once and kept, so that questions cost no model.

Which labels are hard, which videos, what would another threshold, another label processing or an ensemble come to: all
of these are answered from the scores [N, C] alone. They are plain ``.npy`` files in the workspace, found again as long
as run and shards are the same, and may be deleted at any time. Where the workspace has no room for them or may not be
written, fewer are computed, and stay in memory.
"""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Loader
from yt8m_core.errors import UserError
from yt8m_core.inference.evaluation import BATCH_SIZE
from yt8m_core.inference.prediction import check_finite
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.metrics.top_k import Probabilities
from yt8m_core.models.classifier import VideoClassifier
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import atomic_write, new_array
from yt8m_core.workspace import workspace

FORMAT = 1
CELLS = 1 << 26  # scores of a data set at most, 256 MB: of a larger one a sample of the videos is scored
IN_MEMORY = 1 << 24  # the same where no file can take them
KEPT = 1 << 32  # bytes of scores in the workspace at most; the oldest go
SAMPLE_SEED = 0


@dataclass(frozen=True)
class Scored:
    """What a run says of the videos of a data set, and what is true.

    Attributes:
        name: the run's.
        videos: int64 [N], rising: the positions in the data set of those that are scored, all of them or a sample.
        of: how many videos the data set has.
        probabilities: float32 [N, C], after all slots; nobody may write to it.
        classified: float32 [N, C], before label processing; the very same where that changes nothing.
        truth: [N, C] of ones, sparse.
    """

    name: str
    videos: NDArray[np.int64]
    of: int
    probabilities: Probabilities
    classified: Probabilities
    truth: csr_array

    @property
    def sampled(self) -> bool:
        """Whether the data set has more videos than these."""
        return len(self.videos) < self.of

    def row(self, video: int) -> int | None:
        """Where a video of the data set stands here; None where it is not in the sample."""
        at = int(np.searchsorted(self.videos, video))
        return at if at < len(self.videos) and self.videos[at] == video else None


def scored_of(run: Run, videos: Videos, *, progress: Progress = silent) -> Scored:
    """The kept scores of a run, computed where there are none yet.

    Args:
        run: a finished run.
        videos: a data set that fits it, as ``evaluation.open_data_of`` opens it.
        progress: told how far the scoring is.

    Raises:
        UserError: the data set has no labels, or the run no weights, or none that come to finite scores.
    """
    if not videos.labeled.any():
        raise UserError("no video has labels", where=videos.place(0), advice="Choose a data set with labels.")
    C = run.facts.num_classes
    # The scores after all slots, and before label processing where there is one.
    kinds = 1 if run.experiment.label_processing.name == "identity" else 2
    chosen = chosen_videos(videos.labeled, CELLS // C)
    file, shape = _file(run, videos), (kinds, len(chosen), C)
    stages = _open(file, shape)
    if stages is None:
        model = run.load_model()
        try:
            with atomic_write(file) as unfinished:
                array = new_array(unfinished, np.float32, shape)
                _fill(array, model, videos, chosen, progress)
                array.flush()
            _forget_the_oldest(file)
            stages = cast(NDArray[np.float32], _open(file, shape))
        except OSError as error:
            logging.getLogger(__name__).warning("the scores of run %s stay in memory: %s", run.name, error)
            chosen = chosen_videos(videos.labeled, IN_MEMORY // C)
            stages = np.empty((kinds, len(chosen), C), np.float32)
            _fill(stages, model, videos, chosen, progress)
    values, offsets = _labels(videos, chosen)
    return Scored(run.name, chosen, len(videos), stages[0], stages[-1], label_matrix(values, offsets, C))


def chosen_videos(labeled: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """The labeled videos, or a sample of ``most`` of them, always the same; rising.

    >>> chosen_videos(np.array([True, False, True]), 5).tolist()
    [0, 2]
    """
    all_of_them = np.flatnonzero(labeled)
    if len(all_of_them) <= most:
        return all_of_them
    return np.sort(np.random.default_rng(SAMPLE_SEED).choice(all_of_them, max(1, most), replace=False))


def _labels(videos: Videos, chosen: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The labels of some videos one after the other, and where each one's begin."""
    each = [videos.labels(int(video)) for video in chosen]
    offsets = np.concatenate([[0], np.cumsum([len(labels) for labels in each])]).astype(np.int64)
    return np.concatenate(each).astype(np.int32), offsets


def _fill(
    stages: NDArray[np.float32],
    model: VideoClassifier,
    videos: Videos,
    chosen: NDArray[np.int64],
    progress: Progress,
) -> None:
    done = 0
    for batch in Loader(videos, np.split(chosen, range(BATCH_SIZE, len(chosen), BATCH_SIZE))):
        with torch.no_grad():
            _, trace = model(batch.frames, batch.num_frames)
        check_finite(trace.processed.p)
        for stage, scores in zip(stages, (trace.processed, trace.classified), strict=False):
            stage[done : done + len(batch.videos)] = scores.p.float().numpy()
        done += len(batch.videos)
        progress("scoring", done, len(chosen))


def _open(file: Path, shape: tuple[int, int, int]) -> NDArray[np.float32] | None:
    """A view of the file, or None where there is none that is whole."""
    try:
        values: NDArray[np.float32] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return values if values.shape == shape and values.dtype == np.float32 else None


def _file(run: Run, videos: Videos) -> Path:
    try:
        weights = (run.path / "model.safetensors").stat()
    except FileNotFoundError:
        raise UserError(f"run {run.path} has no trained weights", advice="Train it to its end.") from None
    parts = [
        [FORMAT, CELLS, str(run.path), weights.st_size, weights.st_mtime_ns, run.experiment.to_dict()],
        [(shard.path, shard.size, shard.mtime_ns) for shard in videos.shards],
    ]
    return workspace() / "scored" / (hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24] + ".npy")


def _forget_the_oldest(newest: Path) -> None:
    """Remove the oldest files where all of them take more than ``KEPT``. One that is open stays readable."""
    left = KEPT
    for file in sorted(newest.parent.glob("*.npy"), key=lambda file: -file.stat().st_mtime):
        left -= file.stat().st_size
        if left < 0 and file != newest:
            file.unlink(missing_ok=True)
