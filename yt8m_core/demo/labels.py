"""Random labels of demo videos, and the feature prototypes of the labels."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from yt8m_core.demo.hierarchy import DemoLabel

# Mean number of labels drawn after the first one; with parents, a video has 3.0 labels, as in 2018.
_MEAN_EXTRA_LABELS = 1.2


@dataclass(frozen=True)
class LabelWorld:
    """The labels and their popularity."""

    labels: tuple[DemoLabel, ...]
    tail_exponent: float

    @cached_property
    def popularity(self) -> NDArray[np.float64]:
        """Probability of drawing each label [C]; equal for partners, so that it does not distinguish them."""
        weights = (np.arange(len(self.labels)) + 7.0) ** -self.tail_exponent
        partners = [label if entry.partner is None else entry.partner for label, entry in enumerate(self.labels)]
        weights = (weights + weights[partners]) / 2
        return np.asarray(weights / weights.sum())

    @cached_property
    def topics(self) -> NDArray[np.int64]:
        """Topic number of each label [C]."""
        return np.unique([label.vertical for label in self.labels], return_inverse=True)[1]

    def add_ancestors(self, labels: Iterable[int]) -> set[int]:
        """Return the labels and all labels that they imply."""
        closure = set[int]()
        for label in labels:
            ancestor: int | None = label
            while ancestor is not None:
                closure.add(ancestor)
                ancestor = self.labels[ancestor].parent
        return closure

    def draw(self, rng: Generator, correlation: float) -> list[int]:
        """Draw the labels that a video shows, without their ancestors.

        Args:
            rng: random generator.
            correlation: probability that a further label comes from the topic of the first.
        """
        weights = self.popularity.copy()
        drawn: list[int] = []
        for _ in range(1 + rng.poisson(_MEAN_EXTRA_LABELS)):
            candidates = weights
            if drawn and rng.random() < correlation:
                same_topic = np.where(self.topics == self.topics[drawn[0]], weights, 0)
                candidates = same_topic if same_topic.any() else weights
            drawn.append(int(rng.choice(len(self.labels), p=candidates / candidates.sum())))
            # Exclude implied labels, which would add nothing, and partners, which would hide the order.
            weights[list(self.add_ancestors(drawn))] = 0
            if (partner := self.labels[drawn[-1]].partner) is not None:
                weights[partner] = 0
        return drawn

    def add_noise(self, rng: Generator, true_labels: set[int], noise: float) -> list[int]:
        """Return noisy labels: some missing, the most specific first, and sometimes a wrong one.

        Args:
            rng: random generator.
            true_labels: with their ancestors.
            noise: expected fraction of missing labels, and twice the probability of a wrong one.
        """
        noisy = set(true_labels)
        for _ in range(min(int(rng.binomial(len(true_labels), noise)), len(true_labels) - 1)):
            parents = {self.labels[label].parent for label in noisy}
            noisy.remove(int(rng.choice(sorted(noisy - parents))))
        if rng.random() < noise / 2:
            noisy |= self.add_ancestors([int(rng.choice(len(self.labels), p=self.popularity))])
        return sorted(noisy)

    def draw_prototypes(self, rng: Generator, dim: int, unlabeled: int, *, audio: bool) -> NDArray[np.float32]:
        """Draw feature prototypes of the labels: rows of unit variance [2C + unlabeled, dim].

        Row ``label`` is the label's own. Row ``C + label`` is what a label of an order pair shows first and its partner
        shows last. The ``unlabeled`` rows show no label. A label shares half of its variance with its parent. In rgb an
        audio-only label equals its parent; in audio all other labels equal theirs.
        """
        rows = rng.standard_normal((2 * len(self.labels) + unlabeled, dim), np.float32)
        for row, label in enumerate(self.labels * 2):
            if label.parent is not None:
                parent = rows[label.parent]
                rows[row] = (
                    (rows[row] + parent) * np.float32(math.sqrt(0.5)) if label.is_audio_only == audio else parent
                )
        return rows

    def draw_halves(self, rng: Generator, label: int, order_dependence: float) -> tuple[int, int]:
        """Return the prototypes that a label shows in the first and in the second half of a scene."""
        partner = self.labels[label].partner
        if partner is None or rng.random() >= order_dependence:
            return label, label
        return len(self.labels) + label, len(self.labels) + partner
