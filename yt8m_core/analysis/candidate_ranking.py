"""Rank pairs of a video and a label that it does not list by how likely the label is missing.

A pair is ranked by the probability of a model that was not trained on the video, and by the labels that the video lists
(``label_evidence.py``). ``missing_labels.py`` has models of a cross-validation on the training data; ``ScoredVideos``
has the scores of a run on other data, which need no further training.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from yt8m_core.analysis.label_evidence import Combination, LabelEvidence, fit_combination, log_odds, sample_pairs
from yt8m_core.data.dataset import Videos
from yt8m_core.data.vocabulary import Vocabulary
from yt8m_core.errors import UserError
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.storage.typed_json import check_number

SAMPLE_VIDEOS = 10_000  # whose pairs determine the weights of the combination
MAX_CANDIDATES = 1_000_000
SEED = 0
CHUNK = 1 << 20  # scores per batch of ``ScoredVideos``; their log-odds take 24 bytes each
PAIR_COLUMNS = ("video", "label", "score", "probability", "fold")
COLUMNS = (
    "rank", "id", "location", "label", "name", "score", "probability", "listed_labels",
    "evidence_label", "evidence_name", "evidence_probability", "evidence_videos", "fold",
)  # fmt: skip


class ScoredBatch(NamedTuple):
    """Scores of B videos by a model that was not trained on them."""

    fold: int  # fold of the videos in a cross-validation, from 1; 0 without one
    positions: NDArray[np.int64]  # in the data set [B]
    probabilities: NDArray[np.float32]  # [B, C]


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


class CandidateRanking(ABC):
    """Ranking of all pairs of a video and a label that the video does not list.

    Attributes:
        videos: the data set.
    """

    videos: Videos

    @property
    @abstractmethod
    def vocabulary(self) -> Vocabulary:
        """Vocabulary of the data set."""

    @property
    @abstractmethod
    def positions(self) -> NDArray[np.int64]:
        """Positions of the videos to rank; each of them has a label."""

    @abstractmethod
    def score(self, positions: NDArray[np.int64]) -> Iterator[ScoredBatch]:
        """Yield the scores of batches of these videos."""

    @cached_property
    def labels(self) -> csr_array:
        """Label matrix, sparse [N, C]."""
        return label_matrix(self.videos.label_values, self.videos.label_offsets, self.vocabulary.num_classes)

    @cached_property
    def evidence(self) -> LabelEvidence:
        """Evidence from the labels that videos list."""
        return LabelEvidence(self.labels)

    def fit(self) -> Combination:
        """Fit the combination on the pairs of a random sample of the videos."""
        random = np.random.default_rng(SEED)
        sample = np.sort(self.positions[random.permutation(len(self.positions))[:SAMPLE_VIDEOS]])
        return fit_combination(
            sample_pairs(self.evidence, self.videos.labels(int(video)), row, random)
            for batch in self.score(sample)
            for video, row in zip(batch.positions, batch.probabilities, strict=True)
        )

    def rank(self, combination: Combination, limit: int) -> pd.DataFrame:
        """Return the pairs with the highest scores among all pairs that the data set does not list.

        Returns:
            Columns video (position), label, score, probability and fold, by descending score.
        """
        top = TopPairs(limit)
        for fold, positions, p in self.score(self.positions):
            listed = self.labels[positions]
            scores = combination.score(
                log_odds(p, self.evidence.of_absent(listed.indices, listed.indptr), self.evidence.base)
            )
            scores[listed.nonzero()] = -np.inf
            top.update(positions, scores, p, fold)
        return top.pairs

    def describe(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Return ``COLUMNS`` for the pairs that ``rank`` returns: names, location and the strongest evidence."""
        name, rows = self.vocabulary.name, []
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


@dataclass(frozen=True)
class ScoredVideos(CandidateRanking):
    """A data set, and the cached scores of a run that was not trained on it.

    Attributes:
        videos: the data set.
        scored: scores of its videos, or of a sample of them.
        label_names: vocabulary of the data set.
    """

    videos: Videos
    scored: CachedScores
    label_names: Vocabulary

    @property
    def vocabulary(self) -> Vocabulary:
        """Vocabulary of the data set."""
        return self.label_names

    @property
    def positions(self) -> NDArray[np.int64]:
        """Positions of the scored videos that have a label."""
        num_labels = np.diff(self.videos.label_offsets)
        with_labels: NDArray[np.int64] = self.scored.videos[num_labels[self.scored.videos] > 0]
        return with_labels

    def score(self, positions: NDArray[np.int64]) -> Iterator[ScoredBatch]:
        """Yield the cached scores of batches of these videos."""
        rows = np.searchsorted(self.scored.videos, positions)
        step = max(1, CHUNK // self.vocabulary.num_classes)
        for first in range(0, len(rows), step):
            chunk = slice(first, first + step)
            yield ScoredBatch(0, positions[chunk], np.asarray(self.scored.probabilities[rows[chunk]]))


def score_candidates(videos: Videos, scored: CachedScores, vocabulary: Vocabulary, limit: int = 1000) -> pd.DataFrame:
    """Return candidates for missing labels of a data set, from the cached scores of a run.

    The run must not have been trained on these videos: it would have learned their missing labels.

    Args:
        videos: the data set.
        scored: scores of its videos.
        vocabulary: vocabulary of the data set.
        limit: maximum number of candidates.

    Returns:
        ``COLUMNS``, one row per candidate, by descending score; fold is 0.

    Raises:
        UserError: the scores belong to another data set, no scored video has labels, or the limit is out of range.
    """
    check_number(limit, 1, MAX_CANDIDATES, where="limit")
    if len(videos) != scored.num_videos or vocabulary.num_classes != scored.probabilities.shape[1]:
        raise UserError(
            f"scores of {scored.num_videos:,} videos and {scored.probabilities.shape[1]:,} labels",
            expected=f"{len(videos):,} videos and {vocabulary.num_classes:,} labels",
        )
    ranking = ScoredVideos(videos, scored, vocabulary)
    if not len(ranking.positions):
        raise UserError("no scored video has labels", advice="Choose a data set with labels.")
    return ranking.describe(ranking.rank(ranking.fit(), limit))
