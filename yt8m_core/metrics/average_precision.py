"""Average precision with tied scores: top k labels per video and expected precision sums of ranked lists.

The sum Σ_i precision(i) · hit(i) depends on the order of tied entries. A metric that uses whatever order the sort
returns would change with the order in which videos are read. This module computes the expected value over all orders:
each video orders its own tied labels at random and keeps the first k, then the list orders its tied entries at random.

Only tie groups with a hit contribute to the sum. All they need from the other entries is how many rank higher. So the
entries are sorted in place as plain integers, and the hits look up their ranks; the sort carries no payload.

Shape letters: B videos of a batch, C classes, M entries, H hits, G tie groups, U boundary ties, L lists.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yt8m_core.metrics.score_keys import descending_keys, sortable_scores

Integers = NDArray[Any]  # of any width
Floats = NDArray[np.float64]

BLOCK = 1 << 14
"""Tie groups per step."""
HARMONIC = np.append(0, np.cumsum(1 / np.arange(1, 65)))
"""H(0)..H(64), with H(x) = 1 + 1/2 + … + 1/x. Above 64, three terms of its asymptotic series are exact in float64."""


class TopLabelsBatch(NamedTuple):
    """Top k labels of B videos, sorted by (−score, label id), and the boundary tie of each video.

    A boundary tie is a tie at the k-th place in which not all tied labels fit into the top k.
    """

    scores: Tensor  # [B, k] float32 or float64
    labels: Tensor  # [B, k] int32
    hits: Tensor  # [B, k] bool
    candidates: Tensor  # [B] int32, number of labels in the boundary tie; 0 without a boundary tie
    positives: Tensor  # [B] int32, number of true labels among the candidates


def top_labels(scores: Tensor, truth: Tensor, k: int) -> TopLabelsBatch:
    """Select the top k labels of each video. A boundary tie keeps the smaller label ids.

    Args:
        scores: [B, C] float32 or float64 without NaN.
        truth: [B, C] bool.
        k: At least 1; at most C labels are kept.

    >>> top_labels(torch.tensor([[0.1, 0.7, 0.7, 0.7]]), torch.tensor([[True, False, False, True]]), k=2)[1:]
    (tensor([[1, 2]], dtype=torch.int32), tensor([[False, False]]), tensor([3], dtype=torch.int32), tensor([1], \
dtype=torch.int32))
    """
    k = min(k, scores.shape[1])
    top, labels = scores.topk(min(k + 1, scores.shape[1]), dim=1)  # one extra, to detect a tie at the k-th place
    candidates = torch.zeros(len(scores), dtype=torch.int32, device=scores.device)
    positives = torch.zeros_like(candidates)
    # topk selects and orders tied labels arbitrarily. Where the k-th place is tied, read all scores of the video again.
    boundary = (top[:, k - 1 : k] == top[:, k:]).any(dim=1).nonzero()[:, 0]
    top, labels = top[:, :k], labels[:, :k]
    if len(boundary):
        at_boundary = top[boundary] == top[boundary, -1:]
        tied = scores[boundary] == top[boundary, -1:]
        # Take the first tied labels of each video, as many as fit. Listing all of them would dominate the run time when
        # a mixture clamps thousands of labels to one score.
        first = tied & (tied.cumsum(dim=1, dtype=torch.int32) <= at_boundary.sum(dim=1, keepdim=True))
        selected = labels[boundary]
        selected[at_boundary] = first.nonzero()[:, 1]  # label ids increase within a video
        labels[boundary] = selected
        candidates[boundary] = tied.sum(dim=1, dtype=torch.int32)
        positives[boundary] = (tied & truth[boundary]).sum(dim=1).int()
    unsorted = (top[:, 1:] == top[:, :-1]).any(dim=1).nonzero()[:, 0]
    if len(unsorted):
        by_id, place = labels[unsorted].sort(dim=1)
        order = top[unsorted].gather(1, place).sort(dim=1, descending=True, stable=True).indices
        labels[unsorted] = by_id.gather(1, order)
    return TopLabelsBatch(top.contiguous(), labels.int(), truth.gather(1, labels), candidates, positives)


def hit_probabilities(batch: TopLabelsBatch) -> Tensor:
    """Compute the probability [B, k], float64, that the label at each place is true: the hit rate of its tie group."""
    scores, hits = batch.scores, batch.hits.double()
    is_new_group = scores[:, 1:] != scores[:, :-1]
    if is_new_group.all() and not batch.candidates.any():
        return hits  # almost always: without ties, this avoids the slowest step of a batch
    group = torch.zeros_like(batch.labels, dtype=torch.int64)
    group[:, 1:] = is_new_group.cumsum(dim=1)
    empty = torch.zeros_like(hits)
    rate = empty.scatter_add(1, group, hits) / empty.scatter_add(1, group, torch.ones_like(hits)).clamp(min=1)
    at_boundary = (batch.candidates > 0)[:, None] & (scores == scores[:, -1:])
    boundary_rate = batch.positives.double() / batch.candidates.clamp(min=1)
    return torch.where(at_boundary, boundary_rate[:, None], rate.gather(1, group))


class TieGroups(NamedTuple):
    """The G tie groups with a hit, in descending order of score.

    A boundary tie distributes r places among m candidates of which q are true. Each place is a hit with probability
    q/m, and the number of hits is hypergeometric with variance r (q/m) (1 - q/m) (m - r) / (m - 1). There are U
    boundary ties with q > 0; all other hits are certain.
    """

    level: Integers  # [G] key shared by the entries of the group
    start: Integers  # [G] index of its first entry
    end: Integers  # [G] index after its last entry
    certain: Integers  # [G] number of certain hits
    group: Integers  # [U] group that contains the boundary tie
    mean: Floats  # [U] expected number of hits of the boundary tie
    variance: Floats  # [U]


class TieBoundaries(NamedTuple):
    """The U boundary ties with a true candidate; see ``TieGroups``."""

    level: Integers  # [U] key of the tied score
    video: Integers  # [U]
    mean: Floats  # [U] expected number of hits
    variance: Floats  # [U]


NO_BOUNDARIES = TieBoundaries(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0), np.empty(0))


def gap_numerator(batches: Sequence[TopLabelsBatch]) -> float:
    """Compute the expected Σ_i precision(i) · hit(i) of one list of all entries of all videos."""
    batches = sortable_batches(batches)
    keys = concatenate_into(np.empty(count_entries(batches), np.uint32), (descending_keys(b.scores) for b in batches))
    hits = np.concatenate([descending_keys(batch.scores)[certain_hits(batch)] for batch in batches])
    groups = group_ties(keys, hits, tie_boundaries(batches))
    del keys, hits
    return float(_precision_sums(groups, np.zeros(len(groups.level), np.int8), np.zeros(1, np.int64))[0])


def class_ap_numerators(batches: Sequence[TopLabelsBatch], num_classes: int) -> Floats:
    """Compute the same sum for the list of each class, [C]. A boundary tie keeps the labels that ``batches`` has."""
    batches = sortable_batches(batches)
    sums, size = np.zeros(num_classes), np.zeros(num_classes, np.int64)
    for batch in batches:
        size += np.bincount(batch.labels.cpu().numpy().ravel(), minlength=num_classes)
    # Process the classes in four parts of similar size, because keys take twice the memory of scores.
    part = (np.cumsum(size) - 1) * 4 // max(1, int(size.sum()))
    ends = np.append(np.flatnonzero(np.diff(part)) + 1, num_classes)
    for first, end in zip(np.append(0, ends[:-1]), ends, strict=True):
        keys, hits = [], []
        for batch in batches:
            label = batch.labels.cpu().numpy()
            selected = (label >= first) & (label < end)
            key = (label[selected] - first).astype(np.uint64) << 32 | descending_keys(batch.scores)[selected]
            keys.append(key)
            hits.append(key[batch.hits.cpu().numpy()[selected]])
        key = np.concatenate(keys)
        groups = group_ties(key, np.concatenate(hits), NO_BOUNDARIES)
        list_start = np.searchsorted(key, np.arange(end - first, dtype=np.uint64) << 32)
        sums[first:end] = _precision_sums(groups, (groups.level >> 32).astype(np.int64), list_start)
    return sums


def sortable_batches(batches: Sequence[TopLabelsBatch]) -> list[TopLabelsBatch]:
    """Replace the scores of all videos as ``sortable_scores`` does."""
    scores = sortable_scores([batch.scores for batch in batches])
    return [batch._replace(scores=rows) for batch, rows in zip(batches, scores, strict=True)]


def count_entries(batches: Sequence[TopLabelsBatch]) -> int:
    """Return the number M of entries of all videos."""
    return sum(batch.scores.numel() for batch in batches)


def concatenate_into(out: Integers, pieces: Iterable[Integers]) -> Integers:
    """Copy pieces, produced one at a time, one after the other into ``out`` and return it."""
    start = 0
    for piece in pieces:
        out[start : start + piece.size] = piece.ravel()
        start += piece.size
    return out


def certain_hits(batch: TopLabelsBatch) -> NDArray[np.bool_]:
    """Return the mask [B, k] of hits outside boundary ties."""
    at_boundary = (batch.candidates > 0)[:, None] & (batch.scores == batch.scores[:, -1:])
    return (batch.hits & ~at_boundary).cpu().numpy()


def tie_boundaries(batches: Sequence[TopLabelsBatch]) -> TieBoundaries:
    """Return the boundary ties of all videos that have a true candidate."""
    boundaries, num_videos = [NO_BOUNDARIES], 0
    for batch in batches:
        video = np.flatnonzero(batch.positives.cpu().numpy())
        key = descending_keys(batch.scores[video])
        m, q = batch.candidates.cpu().numpy()[video].astype(float), batch.positives.cpu().numpy()[video]
        r = (key == key[:, -1:]).sum(axis=1)
        variance = r * (q / m) * (1 - q / m) * (m - r) / (m - 1)
        boundaries.append(TieBoundaries(key[:, -1].astype(np.uint64), num_videos + video, r * q / m, variance))
        num_videos += len(batch.scores)
    return TieBoundaries(*(np.concatenate(field) for field in zip(*boundaries, strict=True)))


def group_ties(keys: Integers, hits: Integers, boundaries: TieBoundaries, *, shift: int = 0) -> TieGroups:
    """Find the tie groups with a hit.

    Args:
        keys: Keys of all entries [M]; sorted in place.
        hits: Keys of the certain hits [H]; sorted in place.
        boundaries: The boundary ties.
        shift: Number of low bits to ignore when comparing keys; the level of a group is its key without them.
    """
    keys.sort()
    hits.sort()
    boundary_level = boundaries.level.astype(keys.dtype)
    level, count = np.unique(np.concatenate([hits >> shift, boundary_level]), return_counts=True)
    group = np.searchsorted(level, boundary_level)
    return TieGroups(
        level=level,
        start=np.searchsorted(keys, level << shift),
        end=np.searchsorted(keys, (level + 1) << shift),
        certain=count - np.bincount(group, minlength=len(level)),
        group=group,
        mean=boundaries.mean,
        variance=boundaries.variance,
    )


def _precision_sums(groups: TieGroups, group_list: Integers, list_start: Integers) -> Floats:
    """Compute the sum of each list [L], from the list of each group [G] and the first entry of each list [L]."""
    size = len(groups.level)
    p: Floats = groups.certain + np.bincount(groups.group, groups.mean, minlength=size).astype(np.float64)
    variance: Floats = np.bincount(groups.group, groups.variance, minlength=size).astype(np.float64)
    p0 = np.append(0, np.cumsum(p))
    list_p0 = p0[np.searchsorted(group_list, np.arange(len(list_start)))]
    sums = np.zeros(len(list_start))
    for first in range(0, size, BLOCK):
        block = slice(first, first + BLOCK)
        index = group_list[block]
        start = groups.start[block]
        n, n0 = (groups.end[block] - start).astype(float), (start - list_start[index]).astype(float)
        terms = tie_sums(n, n0, p[block], variance[block], p0[:-1][block] - list_p0[index])
        sums += np.bincount(index, terms, minlength=len(sums))
    return sums


def tie_sums(n: Floats, n0: Floats, p: Floats, variance: Floats, p0: Floats) -> Floats:
    """Compute the expected Σ precision · hit of tie groups; the shapes broadcast.

    A tie group has n entries, of which p (random) are hits. n0 entries rank above it, of which p0 (random) are hits.
    In a random order of the group, its j-th entry (j = 1..n) is a hit with probability p/n, and two given entries are
    both hits with probability p(p-1) / (n(n-1)). If entry j is a hit, the hits up to it are p0, itself, and those among
    the j-1 entries before it in the group, so

        E[hit(j) · hits up to j] = E[p]/n · (E[p0] + 1) + (j-1) · E[p(p-1)] / (n(n-1)) = first + (j-1) · step,

    and the precision divides by the rank n0 + j. The sum over j is step · n + (first - step · (n0 + 1)) · D, where
    D = 1/(n0+1) + … + 1/(n0+n). p0 and p are independent: their randomness is which labels a video keeps at its k-th
    place, so each video affects one score only, and videos are independent.

    Args:
        n, n0: Integers; a group without entries (n = 0 and p = 0) contributes 0.
        p, p0: Expected values.
        variance: Variance of p.

    Two entries tie below a certain hit, and one of them is a hit. Its rank is 2 or 3, with precision 2/2 or 2/3:

    >>> round(float(tie_sums(np.array(2.0), np.array(1.0), np.array(1.0), np.array(0.0), np.array(1.0))), 6)
    0.833333
    """
    step = (variance + p * p - p) / np.maximum(n * (n - 1), 1)  # E[p(p-1)] = Var[p] + E[p]² - E[p]
    first = p * (p0 + 1) / np.maximum(n, 1)
    return step * n + (first - step * (n0 + 1)) * reciprocal_sum(n0, n)


def reciprocal_sum(n0: Floats, n: Floats) -> Floats:
    """Compute 1/(n0+1) + 1/(n0+2) + … + 1/(n0+n), accurate to a few units in the last place for any length.

    >>> round(float(reciprocal_sum(np.array(1.0), np.array(3.0))), 6)  # 1/2 + 1/3 + 1/4
    1.083333
    """
    # Around the midpoint m, Σ 1/(m+d) = Σ (1 + d²/m² + d⁴/m⁴ + …)/m; the truncation error is below (n/2m)⁶ / 7.
    m = n0 + (n + 1) / 2
    square, per_square = n * n, 1 / (m * m)
    size = (square - 1) * per_square / 12
    result = np.asarray(n / m * (1 + size * (1 + (square * 3 - 7) * per_square / 20)))
    if (long := (n > 1) & (n * 200 > m)).any():  # the series is exact for a single entry
        # H(x) = log(x + 1/2) + γ + correction(x + 1/2). Use the log of a ratio: a difference of logs loses digits.
        low, high = n0[long], (n0 + n)[long]
        low_place, high_place = (np.minimum(x, len(HARMONIC) - 1).astype(np.int64) for x in (low, high))
        x, y = (np.maximum(end, len(HARMONIC) - 1) + 0.5 for end in (low, high))
        result[long] = HARMONIC[high_place] - HARMONIC[low_place] + np.log1p((y - x) / x) + _tail(y) - _tail(x)
    return result


def _tail(x: Floats) -> Floats:
    square = 1 / (x * x)
    return square * (1 / 24 - square * (7 / 960 - square * 31 / 8064))
