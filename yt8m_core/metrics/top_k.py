"""GAP@20, Hit@1, PERR and mAP from one state: the 20 best labels of each video (paper section 3.1).

    GAP = Σ_i precision(i) · hit(i) / P,

where i runs over the 20 best (score, label) pairs of every video, pooled in one list, best first, and P counts all
positives of the ground truth, also those that are not among their video's 20 best. (The "Google Average Precision" of
the paper is this global average precision.) https://github.com/google/youtube-8m computes the same but breaks ties by
chance; here a tie counts as its expected value over all orders (see ``average_precision``), so that the order of videos
and labels never matters.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from yt8m_core.errors import UserError
from yt8m_core.metrics.average_precision import (
    Best,
    Floats,
    Integers,
    best_labels,
    class_sums,
    gap_sum,
    hits_by_place,
)
from yt8m_core.metrics.bootstrap import DRAWS, Resampling

# Scores looked at in one step, so that a matrix of scores is never copied as a whole.
CHUNK = 1 << 22
# Batches are joined to pieces of at least so many videos, looked at every so many batches. Thousands of small tensors,
# with others freed in between, leave a heap of holes that is twice as large as its contents.
PIECE, BATCHES = 1 << 14, 64

Matrix = NDArray[Any] | Tensor


class Interval(NamedTuple):
    """The two ends of a 95 % interval."""

    low: float
    high: float


def global_average_precision(scores: Matrix, labels: Matrix, k: int = 20) -> float:
    """GAP@k of N videos and C classes.

    Scores are ranked in float32, sums are kept in float64. Tied scores count as their expected value over all orders
    of the tied entries, also where the tie decides which labels are among a video's k best.

    Args:
        scores: [N, C]; only their order matters.
        labels: [N, C], the ground truth, 0/1 or bool.
        k: labels kept of each video, at most C.

    Raises:
        UserError: Shapes that differ, no video, a NaN score, a label other than 0 and 1, no positive at all, k < 1.

    Source: paper section 3.1, SPEC section 8.

    The first video has its label at rank 1; the second has its label outside the two that are kept:

    >>> global_average_precision(np.array([[0.9, 0.5, 0.1], [0.8, 0.7, 0.6]]), np.array([[1, 0, 0], [0, 0, 1]]), k=2)
    0.5

    Two tied scores, one of them a hit: rank 1 or rank 2, each half the time.

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
    parts, positives = [], 0
    for first in range(0, shape[0], step):
        chunk = slice(first, first + step)
        truth = _truth(_tensor(labels[chunk]), first)
        positives += int(torch.count_nonzero(truth))
        parts.append(best_labels(_ranked(_tensor(scores[chunk]), first), truth, k))
    if positives == 0:
        raise UserError(f"{shape[0]} videos without a label", advice="GAP divides by the number of true labels.")
    return gap_sum(parts) / positives


class TopLabels(Metric):
    """All metrics of a data set that arrives in batches, on one process or several.

    Its state is each video's k best labels (about 210 bytes a video), so that the values are those of the whole set and
    not a mean over batches. ``compute`` gives

    - ``gap``: see ``global_average_precision``.
    - ``hit_at_1``: the share of videos whose best label is true.
    - ``perr``: precision in the best n labels of a video that has n labels, mean over videos. Only scores above 0
      count, as in Google's evaluation, so scores must be probabilities here.
    - ``map_present``: AP of each class over the pooled k best of all videos, mean over the classes that have a
      positive; a positive that is not among its video's k best is missed. ``map_all`` counts the other classes as 0.
    - ``num_videos``, and ``num_unlabeled`` of them: those without a label, which ``hit_at_1`` and ``perr`` leave out.

    Ties count as their expected value, with one exception: in the two mAPs, a tie at a video's k-th place keeps the
    smaller label ids.

    >>> metric = TopLabels(num_classes=3)
    >>> metric.update(torch.tensor([[0.9, 0.5, 0.1], [0.2, 0.7, 0.6]]), torch.tensor([[1, 0, 0], [0, 0, 1]]))
    >>> {name: round(value, 3) for name, value in metric.compute().items()}  # doctest: +NORMALIZE_WHITESPACE
    {'gap': 0.833, 'hit_at_1': 0.5, 'perr': 0.5, 'map_present': 1.0, 'map_all': 0.667,
     'num_videos': 2, 'num_unlabeled': 0}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    num_labels: list[Tensor]  # [B] int32 of each batch: true labels of a video
    hit_at_1: list[Tensor]  # [B] float64
    perr: list[Tensor]  # [B] float64
    class_positives: Tensor  # [C] int64

    def __init__(self, num_classes: int, *, k: int = 20) -> None:
        super().__init__()
        if num_classes < 1 or k < 1:
            raise UserError(f"num_classes={num_classes}, k={k}", expected="both at least 1")
        self.num_classes, self.k = num_classes, k
        for name in self._rows(torch.empty(0, num_classes), torch.empty(0, num_classes, dtype=torch.bool)):
            self.add_state(name, [], dist_reduce_fx="cat")
        self.add_state("class_positives", torch.zeros(num_classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, scores: Tensor, targets: Tensor | tuple[Tensor, Tensor]) -> None:
        """Add a batch.

        Args:
            scores: [B, C] probabilities.
            targets: [B, C], 0/1 or bool; or only the true ones as a pair (video [P] in 0..B-1, label [P]).

        Raises:
            UserError: Another shape, a NaN score, a label other than 0 and 1, a pair outside [B, C].
        """
        if scores.ndim != 2 or scores.shape[1] != self.num_classes:
            raise UserError(f"scores {tuple(scores.shape)}", expected=f"[B, {self.num_classes}]")
        truth = _from_pairs(*targets, scores) if isinstance(targets, tuple) else _truth(targets.to(scores.device))
        if truth.shape != scores.shape:
            raise UserError(f"targets {tuple(truth.shape)}", expected=f"the shape of the scores {tuple(scores.shape)}")
        for name, rows in self._rows(_ranked(scores.detach()), truth).items():
            getattr(self, name).append(rows)
        if self.update_count % BATCHES == 0:
            self._join()
        self.class_positives += torch.bincount(truth.nonzero()[:, 1], minlength=self.num_classes)

    def _rows(self, scores: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """What is kept of B videos, one row each."""
        best = best_labels(scores, truth, self.k)
        num_labels = torch.bincount(truth.nonzero()[:, 0], minlength=len(truth))
        share = hits_by_place(best)
        perr = _precision_at(num_labels, best, share)
        if len(more := (num_labels > self.k).nonzero()[:, 0]):
            deeper = best_labels(scores[more], truth[more], int(num_labels.max()))
            perr[more] = _precision_at(num_labels[more], deeper, hits_by_place(deeper))
        # Cloned: a view would keep the shares of all places.
        return {**best._asdict(), "num_labels": num_labels.int(), "hit_at_1": share[:, 0].clone(), "perr": perr}

    def _join(self) -> None:
        """Make one piece of the last batches."""
        whole = len(self.num_labels)
        while whole and len(self.num_labels[whole - 1]) < PIECE:
            whole -= 1
        for name in self._defaults:
            if isinstance(rows := getattr(self, name), list):
                rows[whole:] = [torch.cat(rows[whole:])]

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Gather the state of all processes, also from one that saw no video (where torchmetrics loses the shapes)."""
        nothing = torch.empty(0, self.num_classes, device=self.device)
        for name, rows in self._rows(nothing, nothing.bool()).items():
            if len(getattr(self, name)) == 0:
                setattr(self, name, [rows])
        super().sync(*args, **kwargs)

    def compute(self) -> dict[str, float]:
        """The metrics by name. Raises UserError where there is no video, or none with a label."""
        parts, num_labels = self._state()
        labeled, present = num_labels > 0, self.class_positives.cpu().numpy() > 0
        ap = self._class_ap(parts)
        return {
            "gap": gap_sum(parts) / int(num_labels.sum()),
            "hit_at_1": float(dim_zero_cat(self.hit_at_1).cpu().numpy()[labeled].mean()),
            "perr": float(dim_zero_cat(self.perr).cpu().numpy()[labeled].mean()),
            "map_present": float(ap[present].mean()),
            "map_all": float(ap[present].sum() / self.num_classes),
            "num_videos": len(num_labels),
            "num_unlabeled": int((~labeled).sum()),
        }

    def per_class(self) -> pd.DataFrame:
        """One row a class: label, positives, ap (see ``map_present``; NaN without a positive)."""
        with self.sync_context():
            positives, ap = self.class_positives.cpu().numpy(), self._class_ap(self._state()[0])
        return pd.DataFrame({"label": np.arange(self.num_classes), "positives": positives, "ap": ap})

    def bootstrap(self, seed: int, replicates: int = 200) -> Interval:
        """The 95 % percentile interval of GAP over data sets whose videos are drawn from these with replacement.

        A video drawn n times counts n times, so that all draws share one sort (see ``Resampling``).
        """
        with self.sync_context():
            parts, num_labels = self._state()
        resampling, videos, random = Resampling(parts), len(num_labels), np.random.default_rng(seed)
        gaps: list[float] = []
        while len(gaps) < replicates:
            copies = np.empty((videos, min(DRAWS, replicates - len(gaps))), np.float32)
            positives: list[int] = []
            while len(positives) < copies.shape[1]:
                drawn = np.bincount(random.integers(videos, size=videos), minlength=videos)
                if labels := int(drawn @ num_labels):  # a draw without any label has no GAP: draw again
                    copies[:, len(positives)] = drawn
                    positives.append(labels)
            gaps.extend(resampling.gap_sums(copies) / positives)
        low, high = np.quantile(gaps, [0.025, 0.975])
        return Interval(float(low), float(high))

    def best(self) -> Best:
        """The k best labels of each video so far, in the order in which this process was given them."""
        return Best(*(dim_zero_cat(getattr(self, name)) for name in Best._fields))

    def _parts(self) -> list[Best]:
        """The same in the pieces of the state; it is one tensor after a gathering from several processes."""
        pieces = (getattr(self, name) for name in Best._fields)
        return list(map(Best, *((rows if isinstance(rows, list) else [rows]) for rows in pieces)))

    def _state(self) -> tuple[list[Best], Integers]:
        """All videos so far, and how many labels each has."""
        if len(self.num_labels) == 0 or len(num_labels := dim_zero_cat(self.num_labels).cpu().numpy()) == 0:
            raise UserError("no video", expected="an update before the metrics are read")
        if not num_labels.any():
            raise UserError(f"{len(num_labels)} videos without a label", advice="Metrics need the ground truth.")
        return self._parts(), num_labels

    def _class_ap(self, parts: list[Best]) -> Floats:
        positives, sums = self.class_positives.cpu().numpy(), class_sums(parts, self.num_classes)
        return np.where(positives > 0, sums / np.maximum(positives, 1), np.nan)


def _precision_at(n: Tensor, best: Best, share: Tensor) -> Tensor:
    """Expected precision [B], float64, in the best n [B] labels of each video; only scores above 0 count.

    ``share`` [B, k] is what ``hits_by_place`` says of ``best``.
    """
    places = torch.arange(best.scores.shape[1], device=n.device) < n[:, None]
    return (share * (places & (best.scores > 0))).sum(dim=1) / n.clamp(min=1)


def _tensor(part: Matrix) -> Tensor:
    """A chunk as a tensor, without a copy where numpy's memory allows it."""
    if isinstance(part, Tensor):
        return part.detach()
    return torch.from_numpy(part if part.flags.writeable and part.flags.c_contiguous else part.copy())


def _ranked(scores: Tensor, first: int = 0) -> Tensor:
    """Scores as float32; a NaN is an error that names its place."""
    scores = scores.float()
    if scores.amax(dim=1).isnan().any():  # the maximum of a row with a NaN is NaN
        row, column = scores.isnan().nonzero()[0].tolist()
        raise UserError(f"the score of video {first + row}, label {column} is NaN", expected="a number")
    return scores


def _truth(labels: Tensor, first: int = 0) -> Tensor:
    """Labels as bool; anything but 0 and 1 is an error that names its place."""
    if labels.dtype == torch.bool:
        return labels
    truth = labels != 0
    if not torch.equal(truth.to(labels.dtype), labels):
        row, column = (truth.to(labels.dtype) != labels).nonzero()[0].tolist()
        value = labels[row, column].item()
        raise UserError(f"{value} as the target of video {first + row}, label {column}", expected="0 or 1")
    return truth


def _from_pairs(videos: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
    truth = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    for name, index, end in (("video", videos, len(scores)), ("label", labels, scores.shape[1])):
        if index.shape != videos.shape or ((index < 0) | (index >= end)).any():
            raise UserError(f"a true {name} outside 0..{end - 1}, or not one {name} a pair")
    truth[videos.to(scores.device).long(), labels.to(scores.device).long()] = True
    return truth


Probabilities = NDArray[np.float32]


def gap_of(probabilities: Probabilities, truth: csr_array, k: int = 20) -> float:
    """GAP@k of scores [N, C] against sparse truth [N, C], as ``global_average_precision`` without a dense truth."""
    parts = [
        best_labels(torch.from_numpy(chunk), torch.from_numpy(dense.astype(bool)), k)
        for chunk, dense in _chunks(probabilities, truth)
    ]
    return gap_sum(parts) / int(truth.sum())


def _chunks(values: Probabilities, truth: csr_array) -> Iterator[tuple[Probabilities, NDArray[np.int32]]]:
    step = max(1, (1 << 22) // values.shape[1])
    for first in range(0, len(values), step):
        chunk = slice(first, first + step)
        yield np.array(values[chunk]), truth[chunk].toarray()  # a copy: torch wants memory that may be written to
