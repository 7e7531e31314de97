"""Evidence for a label of a video: its probability given the labels that the video lists, and given the model.

If the frames and the other labels were independent given the label, Bayes' rule would add their log-odds and subtract
those of the base rate. They are not, so ``fit_combination`` weights the three by a logistic regression on (video,
label) pairs, which predicts whether the pair is in the data set. Each number is measured without the video itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import expit, logit

from yt8m_core.labels.cooccurrence import count_pairs

Floats = NDArray[np.floating[Any]]

MIN_PROBABILITY = 1e-6  # about the precision of float32 near 1
NEGATIVES = 100  # absent labels per video in the regression; they stand for all absent labels of the video
RIDGE = 1e-8  # keeps the weights finite where the pairs are separable


@dataclass(frozen=True)
class Support:
    """The label of a video that makes another label most likely.

    Attributes:
        label: the listed label i.
        probability: P(j | i) in the other videos; NaN where no other video has i.
        videos: number of videos with both labels.
    """

    label: int
    probability: float
    videos: int


class LabelEvidence:
    """Largest P(j | i) over the labels i of a video, for each other label j, measured on the other videos.

    The other videos of label i count with one more video that has label j with probability P(j), so that a rare i says
    little.

    Args:
        labels: label matrix, sparse [N, C].

    Attributes:
        counts: float32 [C, C], number of videos with both labels; the diagonal has the number of each label's videos.
        base: float32 [C], share of the other videos that have a label which the video does not list.
        conditional: float32 [C, C], P(column | row) for a video that lists the row's label, but not the column's.
    """

    def __init__(self, labels: csr_array) -> None:
        self.counts: NDArray[np.float32] = count_pairs(labels).astype(np.float32).toarray()
        self.other_videos = max(labels.shape[0] - 1, 1)
        number = self.counts.diagonal()
        self.base = number / np.float32(self.other_videos)
        self.conditional = (self.counts + self.base) / np.maximum(number, 1)[:, None]

    def of_absent(self, listed: NDArray[np.integer[Any]], offsets: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Return the evidence for all labels of B videos, [B, C]; it is valid for the labels that are not listed.

        Args:
            listed: labels of the videos, [P].
            offsets: video boundaries [B + 1]; every video has a label.
        """
        rows: NDArray[np.float32] = np.maximum.reduceat(self.conditional[listed], offsets[:-1], axis=0)
        return rows

    def of_listed(self, listed: NDArray[np.integer[Any]]) -> tuple[Floats, Floats]:
        """Return the evidence for the labels that a video lists, each from the others, and their base rates, [L].

        Without another label the evidence is the base rate.
        """
        together = self.counts[np.ix_(listed, listed)]
        base = (together.diagonal() - 1) / self.other_videos
        conditional = (together - 1 + base) / together.diagonal()[:, None]
        np.fill_diagonal(conditional, 0)
        return (conditional.max(axis=0) if len(listed) > 1 else base), base

    def strongest(self, listed: NDArray[np.integer[Any]], label: int) -> Support:
        """Return the listed label that the evidence for a label comes from."""
        source = int(listed[self.conditional[listed, label].argmax()])
        both, others = int(self.counts[source, label]), int(self.counts[source, source]) - 1
        return Support(source, both / others if others else float("nan"), both)


def log_odds(probability: ArrayLike, evidence: ArrayLike, base: ArrayLike) -> NDArray[np.float64]:
    """Return the log-odds of the model's probability, the evidence and the base rate, [..., 3]."""
    stacked = np.stack(np.broadcast_arrays(probability, evidence, base), axis=-1).astype(np.float64)
    odds: NDArray[np.float64] = logit(np.clip(stacked, MIN_PROBABILITY, 1 - MIN_PROBABILITY))
    return odds


@dataclass(frozen=True)
class Combination:
    """Weights of the log-odds. The score estimates the probability that the data set lists the pair.

    >>> float(Combination(0.0, (1.0, 1.0, -1.0)).score(log_odds(0.5, 0.5, 0.5)))
    0.5
    """

    intercept: float
    weights: tuple[float, float, float]  # of the probability, the evidence and the base rate

    def score(self, odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the scores [...] of log-odds [..., 3]."""
        scores: NDArray[np.float64] = expit(self.intercept + odds @ np.array(self.weights))
        return scores


PROBABILITY_ONLY = Combination(0.0, (1.0, 0.0, 0.0))
EVIDENCE_ONLY = Combination(0.0, (0.0, 1.0, 0.0))


@dataclass(frozen=True)
class Pairs:
    """Pairs of a video and a label, to fit a ``Combination``."""

    odds: NDArray[np.float64]  # [P, 3]
    is_listed: NDArray[np.bool_]  # [P]
    weight: NDArray[np.float64]  # [P], number of pairs that each stands for


def sample_pairs(
    evidence: LabelEvidence, listed: NDArray[np.integer[Any]], probability: Floats, random: np.random.Generator
) -> Pairs:
    """Return all listed labels of a video, and a random sample of the others.

    Args:
        evidence: evidence of the data set.
        listed: labels of the video, [L].
        probability: probabilities of a model that was not trained on the video, [C].
        random: random generator.
    """
    is_absent = np.ones(len(probability), bool)
    is_absent[listed] = False
    absent = np.flatnonzero(is_absent)
    drawn = random.choice(absent, min(NEGATIVES, len(absent)), replace=False)
    present, base = evidence.of_listed(listed)
    odds = [
        log_odds(probability[listed], present, base),
        log_odds(probability[drawn], evidence.conditional[np.ix_(listed, drawn)].max(axis=0), evidence.base[drawn]),
    ]
    is_listed = np.arange(len(listed) + len(drawn)) < len(listed)
    return Pairs(np.concatenate(odds), is_listed, np.where(is_listed, 1.0, len(absent) / max(len(drawn), 1)))


def fit_combination(samples: Iterable[Pairs]) -> Combination:
    """Fit the weights by logistic regression on the pairs of a sample of videos."""
    parts = list(samples)
    odds, is_listed, weight = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("odds", "is_listed", "weight")
    )
    inputs = np.column_stack([np.ones(len(odds)), odds])
    sign, weight = np.where(is_listed, 1.0, -1.0), weight / weight.sum()

    def loss(parameters: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign * (inputs @ parameters)
        gradient = -(weight * sign * expit(-margin)) @ inputs + 2 * RIDGE * parameters
        return float(weight @ np.logaddexp(0, -margin) + RIDGE * parameters @ parameters), gradient

    fitted = minimize(loss, np.zeros(4), jac=True, method="L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-8})
    intercept, probability, evidence, base = fitted.x.tolist()
    return Combination(intercept, (probability, evidence, base))
