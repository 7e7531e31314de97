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
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.analysis.label_evidence import Combination, LabelEvidence, fit_combination, log_odds, sample_pairs
from yt8m_core.data.checks import warn_videos
from yt8m_core.data.dataset import Videos
from yt8m_core.data.labeled import labeled_videos
from yt8m_core.errors import UserError
from yt8m_core.experiment import MAX_FOLDS, Experiment
from yt8m_core.inference.evaluation import check_run_data, open_experiment_data, score_batches
from yt8m_core.inference.pooled_cache import load_pooled
from yt8m_core.inference.prediction import check_finite
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.progress import Progress, silent
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.csv_file import table_text
from yt8m_core.storage.typed_json import check_number
from yt8m_core.training.loop import train
from yt8m_core.training.splits import assign_folds

SAMPLE_VIDEOS = 10_000  # whose pairs determine the weights of the combination
MAX_CANDIDATES = 1_000_000
SEED = 0
PAIR_COLUMNS = ("video", "label", "score", "probability", "fold")
COLUMNS = (
    "rank", "id", "location", "label", "name", "score", "probability", "listed_labels",
    "evidence_label", "evidence_name", "evidence_probability", "evidence_videos", "fold",
)  # fmt: skip


class TopPairs:
    """The ``limit`` pairs of a video and a label with the highest scores of all batches.

    Ties are broken by position in the data set, then by label, so the order of the batches makes no difference. Holds
    ``limit`` pairs and those of one batch.

    Attributes:
        pairs: columns video, label, score, probability and fold, by descending score.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.pairs = pd.DataFrame(
            {
                name: np.empty(0, kind)
                for name, kind in zip(PAIR_COLUMNS, (int, int, float, np.float32, int), strict=True)
            }
        )

    def update(
        self, videos: NDArray[np.int64], scores: NDArray[np.float64], probabilities: NDArray[np.float32], fold: int
    ) -> None:
        """Add the pairs of a batch.

        Args:
            videos: positions in the data set, [B].
            scores: [B, C], -inf for pairs that are no candidates.
            probabilities: [B, C].
            fold: fold of the videos.
        """
        is_full = len(self.pairs) == self.limit
        lowest = self.pairs["score"].iloc[-1] if is_full else -np.inf
        rows, labels = np.nonzero((scores >= lowest) & (scores > -np.inf))
        added = {
            "video": videos[rows],
            "label": labels,
            "score": scores[rows, labels],
            "probability": probabilities[rows, labels],
            "fold": fold,
        }
        pairs = pd.concat([self.pairs, pd.DataFrame(added)], ignore_index=True)
        order = np.lexsort((pairs["label"], pairs["video"], -pairs["score"]))[: self.limit]
        self.pairs = pairs.iloc[order].reset_index(drop=True)


@dataclass(frozen=True)
class FoldRuns:
    """A data set, and a run per fold that was trained on the videos outside the fold.

    Attributes:
        videos: the data set.
        runs: the runs, of folds 1 to K.
        progress: progress callback.
    """

    videos: Videos
    runs: Sequence[Run]
    progress: Progress = silent

    @cached_property
    def labels(self) -> csr_array:
        """Label matrix, sparse [N, C]."""
        return label_matrix(self.videos.label_values, self.videos.label_offsets, self.runs[0].facts.num_classes)

    @cached_property
    def evidence(self) -> LabelEvidence:
        """Evidence from the labels that videos list."""
        return LabelEvidence(self.labels)

    def score(self, positions: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.float32]]]:
        """Yield the fold, the positions [B] and the out-of-fold probabilities [B, C] of batches of these videos."""
        fold_of = assign_folds(self.videos.video_ids.to_pylist(), len(self.runs))[positions]
        for fold, run in enumerate(self.runs, 1):
            model, precision = run.load_model(), run.experiment.training.pool_once
            videos = self.videos.subset(positions[fold_of == fold])
            progress = _fold_progress(self.progress, fold, len(self.runs))
            pooled = load_pooled(model, videos, precision=precision, progress=progress)
            for batch, p in score_batches(model, videos, progress=progress, pooled=pooled):
                check_finite(p)
                yield fold, videos.positions[batch.videos], p.float().numpy()

    def fit(self) -> Combination:
        """Fit the combination on the pairs of a random sample of the videos."""
        random = np.random.default_rng(SEED)
        sample = np.sort(random.permutation(len(self.videos))[:SAMPLE_VIDEOS])
        return fit_combination(
            sample_pairs(self.evidence, self.videos.labels(int(video)), row, random)
            for _, positions, p in self.score(sample)
            for video, row in zip(positions, p, strict=True)
        )

    def rank(self, combination: Combination, limit: int) -> pd.DataFrame:
        """Return the pairs with the highest scores among all pairs that the data set does not list.

        Returns:
            Columns video (position), label, score, probability and fold, by descending score.
        """
        top = TopPairs(limit)
        for fold, positions, p in self.score(np.arange(len(self.videos))):
            listed = self.labels[positions]
            scores = combination.score(
                log_odds(p, self.evidence.of_absent(listed.indices, listed.indptr), self.evidence.base)
            )
            scores[listed.nonzero()] = -np.inf
            top.update(positions, scores, p, fold)
        return top.pairs

    def describe(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Return ``COLUMNS`` for the pairs that ``rank`` returns: names, location and the strongest evidence."""
        name, rows = self.runs[0].vocabulary.name, []
        columns = (pairs[column].tolist() for column in PAIR_COLUMNS)
        for rank, (video, label, score, probability, fold) in enumerate(zip(*columns, strict=True), 1):
            listed = self.videos.labels(video)
            strongest = self.evidence.strongest(listed, label)
            place = (rank, self.videos.id(video), self.videos.location(video), label, name(label))
            numbers = (float(f"{score:.6g}"), float(f"{probability:.6g}"))
            listed_names = "; ".join(name(int(other)) for other in listed)
            evidence = (strongest.label, name(strongest.label), strongest.probability, strongest.videos)
            rows.append((*place, *numbers, listed_names, *evidence, fold))
        return pd.DataFrame(rows, columns=list(COLUMNS))


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
        ``COLUMNS``, one row per candidate, by descending score.

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


def write_candidates(candidates: pd.DataFrame, output: Path) -> None:
    """Write the candidates as CSV."""
    with atomic_write(output) as unfinished:
        unfinished.write_bytes(table_text(candidates).encode())


def _fold_progress(progress: Progress, fold: int, folds: int) -> Progress:
    def report(task: str, done: int, total: int, note: str = "") -> None:
        progress(f"fold {fold} of {folds}, {task}", done, total, note)

    return report
