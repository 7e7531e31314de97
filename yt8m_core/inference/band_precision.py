"""Average precision of each label, and its mean over the frequency bands of the training labels (section 1)."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.data.dataset import Videos
from yt8m_core.inference.sampling import MAX_SCORES, sample_videos
from yt8m_core.labels.statistics import BANDS, bands
from yt8m_core.metrics.label_precision import LabelPrecision

AP_METRICS = (*(f"ap_{band}" for band in BANDS), "ap_all")


class BandPrecision:
    """Average precision (AP) of each label on a data set that is scored in batches, on one process or several.

    It needs all scores, so it is computed on all labeled videos, or on a fixed sample of them where there are more than
    ``MAX_SCORES`` scores.
    """

    def __init__(self, videos: Videos, training_counts: NDArray[np.int64], device: torch.device | str = "cpu") -> None:
        """Choose the videos.

        Args:
            videos: the data set.
            training_counts: number of training videos of each label [C].
            device: device of the scores.
        """
        self.training_counts = training_counts
        self.is_sampled = np.zeros(len(videos), bool)
        self.is_sampled[sample_videos(videos.is_labeled, MAX_SCORES // len(training_counts))] = True
        self.precision = LabelPrecision(len(training_counts)).to(device)

    def update(self, videos: NDArray[np.int64], p: Tensor, truth: Tensor) -> None:
        """Add videos [B] of the data set, with their probabilities [B, C] and labels, bool [B, C]."""
        sampled = self.is_sampled[videos]
        if not sampled.all():
            rows = torch.from_numpy(sampled).to(p.device)
            p, truth = p[rows], truth[rows]
        self.precision.update(p, truth)

    def compute(self) -> tuple[pd.DataFrame, dict[str, float]]:
        """Return one row per label, and metrics by name.

        The rows have label, training_videos, band, positives and ap (NaN without positives). The metrics are
        ``band_means``, and ``ap_videos``, the number of videos.
        """
        table = self.precision.compute().assign(training_videos=self.training_counts, band=bands(self.training_counts))
        metrics = {**band_means(table), "ap_videos": int(self.is_sampled.sum())}
        return table[["label", "training_videos", "band", "positives", "ap"]], metrics


def band_means(table: pd.DataFrame) -> dict[str, float]:
    """Return the mean AP of the labels of each band and of all labels (``AP_METRICS``), over labels with positives.

    A band without positives has no mean.

    >>> table = pd.DataFrame({"band": ["head", "tail", "tail", "mid"], "ap": [0.75, 0.5, 0.25, np.nan]})
    >>> band_means(table)
    {'ap_head': 0.75, 'ap_tail': 0.375, 'ap_all': 0.5}
    """
    ap = table["ap"].dropna()
    means = {**ap.groupby(table["band"]).mean(), "all": ap.mean()}
    return {name: float(means[band]) for name in AP_METRICS if (band := name.removeprefix("ap_")) in means}
