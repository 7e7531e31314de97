"""How sure a difference of two rows is, from each run's stored predictions: over videos and over seeds.

Videos are resampled, seeds are not. A bootstrap draws data sets of the same size from the validation videos, with
replacement, and the same draws serve every row and every seed, so that differences are paired by video. What three
seeds leave open cannot be had by drawing from the three: no draw goes beyond the best and the worst of them, and in
simulations the percentiles of a bootstrap over both held the truth in 70 to 89 % of cases where seeds matter as much
as videos or more. So the seeds' variance comes from their spread, and Student's t makes up for how few they are (92 to
94 % in the same simulations). Differences are taken seed by seed, since runs of one seed share the order of their
videos and, where their slots agree, their first weights.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import t as student

from yt8m_core.errors import UserError
from yt8m_core.metrics.average_precision import Best, Floats, Integers
from yt8m_core.metrics.bootstrap import DRAWS, Resampling

REPLICATES = 400  # draws; they only tell a standard error, which they do within 4 %


class Estimate(NamedTuple):
    """A value and the two ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """The GAP of one row, for each of its S seeds."""

    gaps: Floats  # [S]
    resampled: Floats  # [R, S], on R resampled sets of videos, the same for all rows

    def gap(self) -> Estimate:
        """The mean over seeds, with its interval over seeds and videos."""
        value, low, high = interval(self.gaps, self.resampled)
        return Estimate(value, max(low, 0), min(high, 1))

    def less(self, other: "Measured") -> Estimate:
        """The difference to another row, paired by video and by seed.

        Raises UserError for another number of seeds or draws.
        """
        if self.resampled.shape != other.resampled.shape:
            raise UserError(f"{self.resampled.shape} draws and seeds", expected=f"{other.resampled.shape}")
        return interval(self.gaps - other.gaps, self.resampled - other.resampled)


def interval(values: Floats, resampled: Floats) -> Estimate:
    """The mean of S values with its 95 % interval: of videos and seeds together.

    The variance is that of the mean over resampled sets of videos, plus that of the values over S; the quantile is
    Student's, with the degrees of freedom by Welch and Satterthwaite (those of the videos count as endless). What a
    seed does with some videos and another not is in both parts, which makes intervals a little too wide. With one seed
    the interval is over videos alone.

    Args:
        values: [S], one a seed.
        resampled: [R, S], the same on R resampled sets of videos.
    """
    seeds = len(values)
    of_videos = float(resampled.mean(axis=1).var(ddof=1))
    of_seeds = float(values.var(ddof=1)) / seeds if seeds > 1 else 0.0
    share = of_seeds / (of_videos + of_seeds) if of_seeds else 0.0
    freedom = max(seeds - 1, 1) / max(share, 1e-9) ** 2  # without a share of seeds 1e18, which is normal
    half = float(student.ppf(0.975, freedom)) * math.sqrt(of_videos + of_seeds)
    mean = float(values.mean())
    return Estimate(mean, mean - half, mean + half)


def measure(
    predictions: Mapping[str, Sequence[pd.DataFrame]], *, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, Measured]:
    """GAP@20 of the runs of several rows, on their videos and on resampled ones, the same for all.

    A run's entries are sorted once for all draws: a video drawn n times counts n times.

    Args:
        predictions: for each row, that of each seed: id, labels, scores, true_labels, of the same videos in the same
            order. Of labels that tie at a video's last place the stored ones count.
        replicates: R.
        seed: of the draws.

    Raises:
        UserError: runs of other videos, or videos without any label.
    """
    every = [frame for frames in predictions.values() for frame in frames]
    first = every[0]
    for frame in every[1:]:
        if not frame["id"].equals(first["id"]):
            raise UserError("predictions of other videos", expected="the same videos for every run")
    copies, positives = _draws(first["true_labels"].map(len).to_numpy(), replicates, seed)
    measured = {}
    for row, frames in predictions.items():
        sums = np.empty((replicates + 1, len(frames)))
        for number, frame in enumerate(frames):
            resampling = Resampling([_stored(frame)])
            for draws in range(0, replicates + 1, DRAWS):
                some = slice(draws, draws + DRAWS)
                sums[some, number] = resampling.gap_sums(copies[:, some])
        gaps = sums / positives[:, None]
        measured[row] = Measured(gaps[0], gaps[1:])
    return measured


def _draws(num_labels: Integers, replicates: int, seed: int) -> tuple[NDArray[np.float32], Integers]:
    """How often each video is drawn [N, R + 1], every video once in the first, and the labels of each draw [R + 1]."""
    if not num_labels.any():
        raise UserError(f"{len(num_labels)} videos without a label", advice="GAP divides by the number of labels.")
    videos, random = len(num_labels), np.random.default_rng(seed)
    copies = np.ones((videos, replicates + 1), np.int64)
    for draw in range(1, replicates + 1):
        copies[:, draw] = 0
        while not num_labels @ copies[:, draw]:  # a draw without any label has no GAP: draw again
            copies[:, draw] = np.bincount(random.integers(videos, size=videos), minlength=videos)
    return copies.astype(np.float32), num_labels @ copies


def _stored(frame: pd.DataFrame) -> Best:
    """What a run has stored, as the metrics want it."""
    labels = np.stack(frame["labels"].to_list())
    hits = np.stack([np.isin(best, true) for best, true in zip(labels, frame["true_labels"], strict=True)])
    none = torch.zeros(len(frame), dtype=torch.int32)
    scores = torch.from_numpy(np.stack(frame["scores"].to_list()))
    return Best(scores, torch.from_numpy(labels), torch.from_numpy(hits), none, none)
