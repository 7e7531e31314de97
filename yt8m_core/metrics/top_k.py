"""GAP@20, Hit@1, PERR and mAP, computed from the top 20 labels of each video (paper section 3.1).

    GAP = Σ_i precision(i) · hit(i) / P,

where i runs over the top 20 (score, label) pairs of all videos, pooled in one list and sorted by descending score, and
P is the number of all positives of the ground truth, including those outside their video's top 20. (The paper calls
GAP "Google Average Precision"; it is this global average precision.) https://github.com/google/youtube-8m computes the
same but orders tied scores at random. Here a tie counts as its expected value over all orders (see
``average_precision``), so the order of videos and labels never matters.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from yt8m_core.errors import UserError
from yt8m_core.metrics.average_precision import (
    Floats,
    Integers,
    TopLabelsBatch,
    class_ap_numerators,
    gap_numerator,
    hit_probabilities,
    top_labels,
)
from yt8m_core.metrics.bootstrap import DRAWS, RUN_REPLICATES, GapResampler
from yt8m_core.metrics.video_rows import Matrix, VideoRows, as_tensor, check_batch, check_labels, check_scores

CHUNK = 1 << 22
"""Scores per step, so that a score matrix is never copied as a whole."""
# Every BATCHES updates, recent batches are merged until each piece has at least PIECE videos. Without this, thousands
# of small tensors fragment the heap to twice its content.
PIECE, BATCHES = 1 << 14, 64


class Interval(NamedTuple):
    """Lower and upper bound of a 95% confidence interval."""

    low: float
    high: float


def global_average_precision(scores: Matrix, labels: Matrix, k: int = 20) -> float:
    """Compute GAP@k of N videos and C classes (paper section 3.1).

    Float64 scores are ranked in float64, all others in float32; sums use float64. Tied scores count as their expected
    value over all orders of the tied entries, including ties that decide which labels are in a video's top k.

    Args:
        scores: [N, C]; only their order matters.
        labels: Ground truth [N, C], 0/1 or bool.
        k: Number of labels kept per video, at most C.

    Returns:
        GAP, from 0 to 1.

    Raises:
        UserError: Different shapes, no video, a NaN score, a label other than 0 and 1, no positive, or k < 1.

    The first video has its label at rank 1. The label of the second is outside its top 2:

    >>> import numpy as np
    >>> global_average_precision(np.array([[0.9, 0.5, 0.1], [0.8, 0.7, 0.6]]), np.array([[1, 0, 0], [0, 0, 1]]), k=2)
    0.5

    Two scores tie and one is a hit, at rank 1 or 2 with equal probability:

    >>> global_average_precision(np.array([[0.5, 0.5]]), np.array([[1, 0]]))
    0.75
    """
    if k < 1:
        raise UserError(f"k={k}", expected="at least 1")
    shape = tuple(scores.shape)
    if len(shape) != 2 or shape != tuple(labels.shape):
        raise UserError(f"scores {shape} and labels {tuple(labels.shape)}", expected="two equal shapes [N, C]")
    if 0 in shape:
        raise UserError(f"scores {shape}", expected="at least one video and one class")
    step = max(1, CHUNK // shape[1])
    batches, positives = [], 0
    for first in range(0, shape[0], step):
        rows = slice(first, first + step)
        truth = check_labels(as_tensor(labels[rows]), first)
        positives += int(torch.count_nonzero(truth))
        batches.append(top_labels(check_scores(as_tensor(scores[rows]), first), truth, k))
    if positives == 0:
        raise UserError(f"{shape[0]} videos without labels", advice="GAP divides by the number of true labels.")
    return gap_numerator(batches) / positives


class TopLabels(VideoRows):
    """All metrics of a data set that arrives in batches, on one process or several.

    The state is the top k labels of each video (about 210 bytes per video), so the values are those of the full data
    set and not a mean over batches. ``compute`` returns

    - ``gap``: see ``global_average_precision``.
    - ``hit_at_1``: the share of videos whose top label is true.
    - ``perr``: precision in the top n labels of a video that has n labels, averaged over videos. Only scores above 0
      count, as in Google's evaluation, so scores must be probabilities.
    - ``map_present``: AP of each class over the pooled top k labels of all videos, averaged over the classes that have
      a positive; a positive outside its video's top k is missed. ``map_all`` counts the other classes as 0.
    - ``num_videos``: number of videos. ``num_unlabeled``: number of videos without labels, which ``hit_at_1`` and
      ``perr`` skip.

    Ties count as their expected value, with one exception: for mAP, a tie at a video's k-th place keeps the smaller
    label ids.

    >>> metric = TopLabels(num_classes=3)
    >>> metric.update(torch.tensor([[0.9, 0.5, 0.1], [0.2, 0.7, 0.6]]), torch.tensor([[1, 0, 0], [0, 0, 1]]))
    >>> {name: round(value, 3) for name, value in metric.compute().items()}  # doctest: +NORMALIZE_WHITESPACE
    {'gap': 0.833, 'hit_at_1': 0.5, 'perr': 0.5, 'map_present': 1.0, 'map_all': 0.667,
     'num_videos': 2, 'num_unlabeled': 0}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    num_labels: list[Tensor]  # per batch: [B] int32, number of true labels of each video
    hit_at_1: list[Tensor]  # per batch: [B] float64
    perr: list[Tensor]  # per batch: [B] float64
    class_positives: Tensor  # [C] int64

    def __init__(self, num_classes: int, *, k: int = 20) -> None:
        super().__init__()
        if num_classes < 1 or k < 1:
            raise UserError(f"num_classes={num_classes}, k={k}", expected="both at least 1")
        self.num_classes, self.k = num_classes, k
        for name in self.empty_rows():
            self.add_state(name, [], dist_reduce_fx="cat")
        self.add_state("class_positives", torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, scores: Tensor, targets: Tensor | tuple[Tensor, Tensor]) -> None:
        """Add a batch; ``scores`` are probabilities. Arguments and errors as of ``video_rows.check_batch``."""
        scores, truth = check_batch(scores, targets, self.num_classes)
        for name, rows in self._video_rows(scores, truth).items():
            getattr(self, name).append(rows)
        if self.update_count % BATCHES == 0:
            self._merge_recent()
        self.class_positives += torch.bincount(truth.nonzero()[:, 1], minlength=self.num_classes)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state by name."""
        return {**super().tensors(), "class_positives": self.class_positives}

    def add_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Add the videos of a state after those of this one."""
        super().add_tensors(tensors)
        self.class_positives += tensors["class_positives"].to(self.device)

    def empty_rows(self) -> dict[str, Tensor]:
        """Return the state of no videos."""
        scores = torch.empty(0, self.num_classes, device=self.device)
        return self._video_rows(scores, scores.bool())

    def _video_rows(self, scores: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """Compute the state of B videos, one row each."""
        batch = top_labels(scores, truth, self.k)
        num_labels = torch.bincount(truth.nonzero()[:, 0], minlength=len(truth))
        hits = hit_probabilities(batch)
        perr = _precision_at(num_labels, batch, hits)
        if len(more := (num_labels > self.k).nonzero()[:, 0]):
            deeper = top_labels(scores[more], truth[more], int(num_labels.max()))
            perr[more] = _precision_at(num_labels[more], deeper, hit_probabilities(deeper))
        # A view of the first column would keep the whole tensor in memory.
        return {**batch._asdict(), "num_labels": num_labels.int(), "hit_at_1": hits[:, 0].clone(), "perr": perr}

    def _merge_recent(self) -> None:
        """Merge the batches after the last full piece into one."""
        first = len(self.num_labels)
        while first and len(self.num_labels[first - 1]) < PIECE:
            first -= 1
        for name in self._defaults:
            if isinstance(rows := getattr(self, name), list):
                rows[first:] = [torch.cat(rows[first:])]

    def compute(self) -> dict[str, float]:
        """Return the metrics by name. Raises UserError if there is no video, or none with labels."""
        batches, num_labels = self._state()
        labeled, present = num_labels > 0, self.class_positives.cpu().numpy() > 0
        ap = self._class_ap(batches)
        return {
            "gap": gap_numerator(batches) / int(num_labels.sum()),
            "hit_at_1": float(dim_zero_cat(self.hit_at_1).cpu().numpy()[labeled].mean()),
            "perr": float(dim_zero_cat(self.perr).cpu().numpy()[labeled].mean()),
            "map_present": float(ap[present].mean()),
            "map_all": float(ap[present].sum() / self.num_classes),
            "num_videos": len(num_labels),
            "num_unlabeled": int((~labeled).sum()),
        }

    def per_class(self) -> pd.DataFrame:
        """Return one row per class: label, positives, ap (as in ``map_present``; NaN without a positive)."""
        with self.sync_context():
            positives, ap = self.class_positives.cpu().numpy(), self._class_ap(self._state()[0])
        return pd.DataFrame({"label": np.arange(self.num_classes), "positives": positives, "ap": ap})

    def bootstrap(self, seed: int, replicates: int = RUN_REPLICATES, videos: Integers | None = None) -> Interval:
        """Compute the 95% percentile bootstrap interval of GAP, resampling videos with replacement.

        A video drawn n times counts n times. All draws share one sort (see ``GapResampler``).

        Args:
            seed: seed of the draws.
            replicates: number of draws.
            videos: [N] number of the video, from 0, of which each row is a segment; default: each row is a video.
        """
        with self.sync_context():
            batches, num_labels = self._state()
        num_rows = len(num_labels)
        num_videos = num_rows if videos is None else int(videos.max()) + 1
        resampler, random = GapResampler(batches), np.random.default_rng(seed)
        gaps: list[float] = []
        while len(gaps) < replicates:
            copies = np.empty((num_rows, min(DRAWS, replicates - len(gaps))), np.float32)
            positives: list[int] = []
            while len(positives) < copies.shape[1]:
                draw = np.bincount(random.integers(num_videos, size=num_videos), minlength=num_videos)
                draw = draw if videos is None else draw[videos]
                if draw_positives := int(draw @ num_labels):  # GAP of a draw without labels is undefined: draw again
                    copies[:, len(positives)] = draw
                    positives.append(draw_positives)
            gaps.extend(resampler.gap_numerators(copies) / positives)
        low, high = np.quantile(gaps, [0.025, 0.975])
        return Interval(float(low), float(high))

    def top_labels(self) -> TopLabelsBatch:
        """Return the top k labels of all videos so far, in the order in which this process received them."""
        return TopLabelsBatch(*(dim_zero_cat(getattr(self, name)) for name in TopLabelsBatch._fields))

    def _state(self) -> tuple[list[TopLabelsBatch], Integers]:
        """Return all videos so far and their numbers of labels."""
        if len(self.num_labels) == 0 or len(num_labels := dim_zero_cat(self.num_labels).cpu().numpy()) == 0:
            raise UserError("no video", expected="an update before the metrics are read")
        if not num_labels.any():
            raise UserError(f"{len(num_labels)} videos without labels", advice="Metrics need the ground truth.")
        # Each state is a list of pieces, or one tensor after a gathering from several processes.
        states = (getattr(self, name) for name in TopLabelsBatch._fields)
        pieces = ((rows if isinstance(rows, list) else [rows]) for rows in states)
        return list(map(TopLabelsBatch, *pieces)), num_labels

    def _class_ap(self, batches: list[TopLabelsBatch]) -> Floats:
        positives, sums = self.class_positives.cpu().numpy(), class_ap_numerators(batches, self.num_classes)
        return np.where(positives > 0, sums / np.maximum(positives, 1), np.nan)


def _precision_at(n: Tensor, batch: TopLabelsBatch, hits: Tensor) -> Tensor:
    """Compute the expected precision [B], float64, in the top n [B] labels; only scores above 0 count.

    ``hits`` [B, k] are the ``hit_probabilities`` of ``batch``.
    """
    places = torch.arange(batch.scores.shape[1], device=n.device) < n[:, None]
    return (hits * (places & (batch.scores > 0))).sum(dim=1) / n.clamp(min=1)
