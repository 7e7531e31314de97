"""Confidence intervals for GAP and for paired differences of GAP, over validation videos and random seeds.

Videos are resampled, seeds are not. The bootstrap draws data sets of the same size from the validation videos with
replacement and uses the same draws for every row and seed, so differences are paired by video. Resampling three seeds
cannot represent the spread between seeds: no draw exceeds the best or worst of the three, and in simulations percentile
intervals of a bootstrap over both covered the truth in only 70% to 89% of cases when seeds vary as much as videos or
more. The variance over seeds is therefore estimated from their spread, and Student's t accounts for the small number
(92% to 94% coverage in the same simulations). Differences are taken seed by seed because runs with the same seed share
the order of videos and, where their slots agree, the initial weights.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import t as student

from yt8m_core.errors import UserError
from yt8m_core.metrics.average_precision import Floats, TopLabelsBatch
from yt8m_core.metrics.bootstrap import REPLICATES, Estimate, draw_videos, resample_gap


@dataclass(frozen=True)
class RowGaps:
    """GAP of one row for each of its S seeds."""

    gaps: Floats  # [S]
    resampled: Floats  # [R, S], on R resampled sets of videos, the same for all rows

    def gap(self) -> Estimate:
        """Return the mean over seeds with its interval over seeds and videos."""
        value, low, high = confidence_interval(self.gaps, self.resampled)
        return Estimate(value, max(low, 0), min(high, 1))

    def minus(self, other: "RowGaps") -> Estimate:
        """Return the difference to another row, paired by video and seed.

        Raises UserError if the numbers of seeds or draws differ.
        """
        if self.resampled.shape != other.resampled.shape:
            raise UserError(f"draws and seeds {self.resampled.shape}", expected=f"{other.resampled.shape}")
        return confidence_interval(self.gaps - other.gaps, self.resampled - other.resampled)


def confidence_interval(values: Floats, resampled: Floats) -> Estimate:
    """Return the mean of S values with its 95% confidence interval over videos and seeds.

    The variance is that of the mean over resampled sets of videos, plus the variance of the values divided by S. The
    quantile is Student's t with Welch-Satterthwaite degrees of freedom (infinite for videos). Interactions of seeds and
    videos are in both terms, which makes intervals slightly too wide. With one seed the interval covers videos only.

    Args:
        values: [S], one per seed.
        resampled: [R, S], the same on R resampled sets of videos.
    """
    seeds = len(values)
    video_variance = float(resampled.mean(axis=1).var(ddof=1))
    seed_variance = float(values.var(ddof=1)) / seeds if seeds > 1 else 0.0
    seed_share = seed_variance / (video_variance + seed_variance) if seed_variance else 0.0
    freedom = max(seeds - 1, 1) / max(seed_share, 1e-9) ** 2  # 1e18 without seed variance: the normal distribution
    half_width = float(student.ppf(0.975, freedom)) * math.sqrt(video_variance + seed_variance)
    mean = float(values.mean())
    return Estimate(mean, mean - half_width, mean + half_width)


def bootstrap_gaps(
    predictions: Mapping[str, Sequence[pd.DataFrame]], *, replicates: int = REPLICATES, seed: int = 0
) -> dict[str, RowGaps]:
    """Compute GAP@20 for the runs of several rows, on all videos and on resampled videos, the same for all rows.

    The entries of a run are sorted once for all draws: a video that is drawn n times counts n times.

    Args:
        predictions: For each row, one frame per seed: id, labels, scores, true_labels, for the same videos in the same
            order. If labels tie at a video's last rank, the stored ones count.
        replicates: R.
        seed: Random seed of the draws.

    Raises:
        UserError: The runs have different videos, or no video has a label.
    """
    frames = [frame for row_frames in predictions.values() for frame in row_frames]
    first = frames[0]
    for frame in frames[1:]:
        if not frame["id"].equals(first["id"]):
            raise UserError("predictions for different videos", expected="the same videos for every run")
    copies, positives = draw_videos(first["true_labels"].map(len).to_numpy(), replicates, seed)
    row_gaps = {}
    for row, row_frames in predictions.items():
        gaps = np.stack([resample_gap([_best_labels(frame)], copies, positives) for frame in row_frames], axis=1)
        row_gaps[row] = RowGaps(gaps[0], gaps[1:])
    return row_gaps


def _best_labels(frame: pd.DataFrame) -> TopLabelsBatch:
    """Return the stored predictions of a run in the form that the metrics take."""
    labels = np.stack(frame["labels"].to_list())
    hits = np.stack([np.isin(best, true) for best, true in zip(labels, frame["true_labels"], strict=True)])
    zeros = torch.zeros(len(frame), dtype=torch.int32)
    scores = torch.from_numpy(np.stack(frame["scores"].to_list()))
    return TopLabelsBatch(scores, torch.from_numpy(labels), torch.from_numpy(hits), zeros, zeros)
