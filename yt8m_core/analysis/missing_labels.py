"""Candidates for missing labels: pairs of a video and a label that it does not list, but probably has.

Each video is scored by a model that was not trained on it (cross-validation), so that the model cannot have learned
its missing labels. As in confident learning, a pair is ranked by the confidence that its given label is wrong; here the
labels that the video lists add to the model's confidence (``label_evidence.py``). The data are not changed.

C. Northcutt, L. Jiang, I. Chuang: Confident Learning: Estimating Uncertainty in Dataset Labels, 2021.
https://arxiv.org/abs/1911.00068
A. Thyagarajan, E. Snorrason, C. Northcutt, J. Mueller: Identifying Incorrect Annotations in Multi-Label Classification
Data, 2022. https://arxiv.org/abs/2211.13895
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.analysis.candidate_ranking import MAX_CANDIDATES, CandidateRanking, ScoredBatch
from yt8m_core.data.checks import warn_videos
from yt8m_core.data.dataset import Videos
from yt8m_core.data.labeled import labeled_videos
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import MAX_FOLDS, Experiment
from yt8m_core.inference.compute import check_finite, choose_compute
from yt8m_core.inference.evaluation import check_run_data, open_experiment_data, score_batches
from yt8m_core.inference.pooled_cache import load_pooled
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run
from yt8m_core.storage.typed_json import check_number
from yt8m_core.training.loop import train
from yt8m_core.training.splits import assign_folds


@dataclass(frozen=True)
class FoldRuns(CandidateRanking):
    """A data set, and a run per fold that was trained on the videos outside the fold.

    Attributes:
        videos: the data set.
        runs: the runs, of folds 1 to K.
        progress: progress callback.
    """

    videos: Videos
    runs: Sequence[Run]
    progress: Progress = silent

    @property
    def vocabulary(self) -> Vocabulary:
        """Vocabulary of the runs."""
        return self.runs[0].vocabulary

    @property
    def positions(self) -> NDArray[np.int64]:
        """Positions of all videos with a label."""
        return np.flatnonzero(np.diff(self.videos.label_offsets))

    def score(self, positions: NDArray[np.int64]) -> Iterator[ScoredBatch]:
        """Yield the out-of-fold probabilities of batches of these videos."""
        fold_of = assign_folds(self.videos.video_ids.to_pylist(), len(self.runs))[positions]
        for fold, run in enumerate(self.runs, 1):
            compute, precision = choose_compute(), run.experiment.training.pool_once
            model = run.load_model(compute.device)
            videos = self.videos.subset(positions[fold_of == fold])
            progress = _fold_progress(self.progress, fold, len(self.runs))
            pooled = load_pooled(model, videos, precision=precision, compute=compute, progress=progress)
            done = 0
            for batch, p in score_batches(model, videos, compute=compute, pooled=pooled):
                check_finite(p)
                done += len(batch.videos)
                progress("scoring", done, len(videos))
                yield ScoredBatch(fold, videos.positions[batch.videos], p.float().cpu().numpy())


def find_missing_labels(
    experiment: Experiment,
    folder: str | Path,
    *,
    folds: int = 5,
    limit: int = 1000,
    skip_bad: bool = False,
    allow: Sequence[str] = (),
    progress: Progress = silent,
) -> pd.DataFrame:
    """Rank the pairs of a video and a label that the training data do not list by how likely the label is missing.

    Trains one run per fold, or resumes it. Needs memory for ``limit`` pairs and [C, C] label pairs, not for [N, C].

    >>> import tempfile
    >>> from yt8m_core.demo.world import build, smoke
    >>> from yt8m_core.experiment import Data, Training
    >>> folder = Path(tempfile.mkdtemp())
    >>> build(folder / "data", smoke())
    >>> experiment = Experiment(Data(str(folder / "data" / "train"), ""), training=Training(epochs=1))
    >>> candidates = find_missing_labels(experiment, folder / "runs", folds=2, limit=10)
    >>> len(candidates), candidates["score"].is_monotonic_decreasing
    (10, True)

    Args:
        experiment: training data, slots and settings of the runs. The validation data are not used.
        folder: folder for the run folders.
        folds: number of folds.
        limit: maximum number of candidates.
        skip_bad: skip bad records and warn about them; otherwise the first one raises an error.
        allow: names of fatal data checks (``data/checks.py``) that do not stop the trainings.
        progress: progress callback.

    Returns:
        ``candidate_ranking.COLUMNS``, one row per candidate, by descending score.

    Raises:
        UserError: the data cannot be used, there are more folds than videos allow, or the folder holds other runs.
        TrainingStoppedError: SIGTERM stopped a training.
    """
    check_number(limit, 1, MAX_CANDIDATES, where="limit")
    runs = train_folds(experiment, Path(folder), folds=folds, skip_bad=skip_bad, allow=allow, progress=progress)
    return runs.describe(runs.rank(runs.fit(), limit))


def train_folds(
    experiment: Experiment,
    folder: Path,
    *,
    folds: int,
    skip_bad: bool = False,
    allow: Sequence[str] = (),
    progress: Progress = silent,
) -> FoldRuns:
    """Train one run per fold into run folders in ``folder``, or resume them. See ``find_missing_labels``."""
    check_number(folds, 2, MAX_FOLDS, where="folds")
    data = experiment.data
    videos = open_experiment_data(experiment, data.train, skip_bad=skip_bad, progress=progress)
    videos = labeled_videos(videos, data.unlabeled)
    warn_videos(videos)
    sizes = np.bincount(assign_folds(videos.video_ids.to_pylist(), folds) - 1, minlength=folds)
    if not sizes.all() or len(videos) == sizes.max():
        raise UserError(
            f"{folds} folds of {len(videos):,} videos",
            where=data.train,
            expected="at least one video in each fold",
            advice="Use fewer folds.",
        )
    runs = []
    for fold in range(1, folds + 1):
        of_fold = replace(experiment, data=replace(data, fold=f"{fold}/{folds}"))
        run = train(
            of_fold,
            folder / f"fold-{fold}-of-{folds}",
            skip_bad=skip_bad,
            allow=allow,
            progress=_fold_progress(progress, fold, folds),
        )
        check_run_data(run, videos, data.train)  # the shards may have changed since the run finished
        runs.append(run)
    return FoldRuns(videos, runs, progress)


def _fold_progress(progress: Progress, fold: int, folds: int) -> Progress:
    def report(task: str, done: int, total: int, note: str = "") -> None:
        progress(f"fold {fold} of {folds}, {task}", done, total, note)

    return report
