"""Average precision when scores tie: each video's k best labels, and the expected precision sums of ranked lists.

The sum Σ_i precision(i) · hit(i) depends on the order of tied entries, so that a metric which takes whatever order the
sort returns changes when videos are read in another order. Here it is the expected value over all orders: each video
orders its own tied labels by chance and keeps the first k, then the list orders its tied entries by chance.

Only tie groups with a hit add to the sum, and of the other entries they need to know only how many are better. So the
entries are sorted in place as bare integers, and the hits look up their places: nothing is carried along with the sort.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Integers = NDArray[Any]  # of any width
Floats = NDArray[np.float64]

BLOCK = 1 << 14
"""Tie groups summed in one step."""
HARMONIC = np.append(0, np.cumsum(1 / np.arange(1, 65)))
"""H(0)..H(64), H(x) = 1 + 1/2 + … + 1/x; beyond, three terms of its asymptotic series are exact in float64."""


class Best(NamedTuple):
    """The k best labels of B videos, sorted by (−score, label id), and the tie that the k-th place may cut."""

    scores: Tensor  # [B, k] float32
    labels: Tensor  # [B, k] int32
    hits: Tensor  # [B, k] bool
    candidates: Tensor  # [B] int32, labels tied with the k-th score where not all of them found a place, else 0
    positives: Tensor  # [B] int32, the true ones among the candidates


def best_labels(scores: Tensor, truth: Tensor, k: int) -> Best:
    """The k best of C labels for each video; a tie at the k-th place keeps the smaller label ids.

    Args:
        scores: [B, C] float32 without NaN.
        truth: [B, C] bool.
        k: at least 1; at most C are kept.

    >>> best_labels(torch.tensor([[0.1, 0.7, 0.7, 0.7]]), torch.tensor([[True, False, False, True]]), k=2)[1:]
    (tensor([[1, 2]], dtype=torch.int32), tensor([[False, False]]), tensor([3], dtype=torch.int32), tensor([1], \
dtype=torch.int32))
    """
    k = min(k, scores.shape[1])
    top, labels = scores.topk(min(k + 1, scores.shape[1]), dim=1)  # one more, to see whether the k-th place is tied
    candidates = torch.zeros(len(scores), dtype=torch.int32, device=scores.device)
    positives = torch.zeros_like(candidates)
    # topk takes and orders tied labels anyhow. Where the k-th place is tied, read the video again in full.
    cut = (top[:, k - 1 : k] == top[:, k:]).any(dim=1).nonzero()[:, 0]
    top, labels = top[:, :k], labels[:, :k]
    if len(cut):
        at_last = top[cut] == top[cut, -1:]
        level = scores[cut] == top[cut, -1:]
        # The first tied labels of each video, as many as it has places: with thousands of labels at the clamp of a
        # mixture, listing all of them would take longer than everything else.
        first = level & (level.cumsum(dim=1, dtype=torch.int32) <= at_last.sum(dim=1, keepdim=True))
        chosen = labels[cut]
        chosen[at_last] = first.nonzero()[:, 1]  # label ids rise within a video
        labels[cut] = chosen
        candidates[cut] = level.sum(dim=1, dtype=torch.int32)
        positives[cut] = (level & truth[cut]).sum(dim=1).int()
    tied = (top[:, 1:] == top[:, :-1]).any(dim=1).nonzero()[:, 0]
    if len(tied):
        by_id, place = labels[tied].sort(dim=1)
        order = top[tied].gather(1, place).sort(dim=1, descending=True, stable=True).indices
        labels[tied] = by_id.gather(1, order)
    return Best(top.contiguous(), labels.int(), truth.gather(1, labels), candidates, positives)


def hits_by_place(best: Best) -> Tensor:
    """The probability [B, k], float64, that the label at each place of a video is true: its tie group's share."""
    scores, hits = best.scores, best.hits.double()
    new = scores[:, 1:] != scores[:, :-1]
    if new.all() and not best.candidates.any():
        return hits  # no tie, as nearly always: the rest takes longer than all other steps of a batch
    group = torch.zeros_like(best.labels, dtype=torch.int64)
    group[:, 1:] = new.cumsum(dim=1)
    empty = torch.zeros_like(hits)
    share = empty.scatter_add(1, group, hits) / empty.scatter_add(1, group, torch.ones_like(hits)).clamp(min=1)
    at_cut = (best.candidates > 0)[:, None] & (scores == scores[:, -1:])
    share_at_cut = best.positives.double() / best.candidates.clamp(min=1)
    return torch.where(at_cut, share_at_cut[:, None], share.gather(1, group))


class Ranked(NamedTuple):
    """The tie groups with a hit of ranked entries, best first: G of them.

    A tie at a video's k-th place gives r places to m candidates of which q are true: each place is a hit with
    probability q/m, and the number of hits is hypergeometric with variance r (q/m) (1 - q/m) (m - r) / (m - 1). There
    are U such videos with q > 0; the hits of all others are sure.
    """

    level: Integers  # [G] what the keys of its entries share
    start: Integers  # [G] its first entry
    end: Integers  # [G] one past its last entry
    sure: Integers  # [G] its sure hits
    group: Integers  # [U] where the cut tie of a video stands
    mean: Floats  # [U] the expected number of its hits
    variance: Floats  # [U]


class Cuts(NamedTuple):
    """The U videos with a tie at the k-th place that has a true candidate; see ``Ranked``."""

    level: Integers  # [U] the key of the tied score
    video: Integers  # [U]
    mean: Floats  # [U]
    variance: Floats  # [U]


NO_CUTS = Cuts(np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0), np.empty(0))


def gap_sum(parts: Sequence[Best]) -> float:
    """The expected Σ_i precision(i) · hit(i) of one list of all entries of all videos."""
    keys = joined((falling(best.scores) for best in parts), np.empty(entries(parts), np.uint32))
    hits = np.concatenate([falling(best.scores)[sure_hits(best)] for best in parts])
    groups = rank(keys, hits, cuts(parts))
    del keys, hits
    return float(_precision_sums(groups, np.zeros(len(groups.level), np.int8), np.zeros(1, np.int64))[0])


def class_sums(parts: Sequence[Best], num_classes: int) -> Floats:
    """The same for the list of each class [C]. A list takes the labels of ``parts`` as they are, also at a cut tie."""
    sums, size = np.zeros(num_classes), np.zeros(num_classes, np.int64)
    for best in parts:
        size += np.bincount(best.labels.cpu().numpy().ravel(), minlength=num_classes)
    # Classes go in turns, each with about a quarter of the entries, for keys are twice as large as scores.
    turn = (np.cumsum(size) - 1) * 4 // max(1, int(size.sum()))
    ends = np.append(np.flatnonzero(np.diff(turn)) + 1, num_classes)
    for first, end in zip(np.append(0, ends[:-1]), ends, strict=True):
        keys, hits = [], []
        for best in parts:
            label = best.labels.cpu().numpy()
            chosen = (label >= first) & (label < end)
            key = (label[chosen] - first).astype(np.uint64) << 32 | falling(best.scores)[chosen]
            keys.append(key)
            hits.append(key[best.hits.cpu().numpy()[chosen]])
        key = np.concatenate(keys)
        groups = rank(key, np.concatenate(hits), NO_CUTS)
        lists = np.searchsorted(key, np.arange(end - first, dtype=np.uint64) << 32)
        sums[first:end] = _precision_sums(groups, (groups.level >> 32).astype(np.int64), lists)
    return sums


def entries(parts: Sequence[Best]) -> int:
    """The number M of entries of all videos."""
    return sum(best.scores.numel() for best in parts)


def joined(pieces: Iterable[Integers], whole: Integers) -> Integers:
    """Pieces that are made one at a time, one after the other in ``whole``."""
    at = 0
    for piece in pieces:
        whole[at : at + piece.size] = piece.ravel()
        at += piece.size
    return whole


def falling(scores: Tensor) -> NDArray[np.uint32]:
    """Integers that are equal where scores are and smaller where scores are larger."""
    bits = (scores.cpu().numpy() + np.float32(0)).view(np.int32)  # -0 + 0 is 0
    return (bits ^ (~(bits >> 31) & 0x7FFFFFFF)).view(np.uint32)


def sure_hits(best: Best) -> NDArray[np.bool_]:
    """The hits [B, k] that are not at a cut tie."""
    at_cut = (best.candidates > 0)[:, None] & (best.scores == best.scores[:, -1:])
    return (best.hits & ~at_cut).cpu().numpy()


def cuts(parts: Sequence[Best]) -> Cuts:
    """The cut ties of all videos with a true candidate."""
    found, videos = [NO_CUTS], 0
    for best in parts:
        cut = np.flatnonzero(best.positives.cpu().numpy())
        score = falling(best.scores[cut])
        m, q = best.candidates.cpu().numpy()[cut].astype(float), best.positives.cpu().numpy()[cut]
        r = (score == score[:, -1:]).sum(axis=1)
        variance = r * (q / m) * (1 - q / m) * (m - r) / (m - 1)
        found.append(Cuts(score[:, -1].astype(np.uint64), videos + cut, r * q / m, variance))
        videos += len(best.scores)
    return Cuts(*(np.concatenate(field) for field in zip(*found, strict=True)))


def rank(keys: Integers, hits: Integers, cuts: Cuts, *, shift: int = 0) -> Ranked:
    """The tie groups with a hit, of entries [M] and sure hits [H], which are sorted in place.

    Keys tie where they are equal but for their last ``shift`` bits; the level of a group is its key without them.
    """
    keys.sort()
    hits.sort()
    level, number = np.unique(np.concatenate([hits >> shift, cuts.level.astype(keys.dtype)]), return_counts=True)
    group = np.searchsorted(level, cuts.level.astype(keys.dtype))
    return Ranked(
        level=level,
        start=np.searchsorted(keys, level << shift),
        end=np.searchsorted(keys, (level + 1) << shift),
        sure=number - np.bincount(group, minlength=len(level)),
        group=group,
        mean=cuts.mean,
        variance=cuts.variance,
    )


def _precision_sums(groups: Ranked, group_list: Integers, list_start: Integers) -> Floats:
    """The sum of each list [L], from the list of each group [G] and the first entry of each list [L]."""
    size = len(groups.level)
    p: Floats = groups.sure + np.bincount(groups.group, groups.mean, minlength=size).astype(np.float64)
    variance: Floats = np.bincount(groups.group, groups.variance, minlength=size).astype(np.float64)
    p0 = np.append(0, np.cumsum(p))
    list_p0 = p0[np.searchsorted(group_list, np.arange(len(list_start)))]
    sums = np.zeros(len(list_start))
    for first in range(0, size, BLOCK):
        some = slice(first, first + BLOCK)
        of = group_list[some]
        start = groups.start[some]
        n, n0 = (groups.end[some] - start).astype(float), (start - list_start[of]).astype(float)
        terms = tie_sums(n, n0, p[some], variance[some], p0[:-1][some] - list_p0[of])
        sums += np.bincount(of, terms, minlength=len(sums))
    return sums


def tie_sums(n: Floats, n0: Floats, p: Floats, variance: Floats, p0: Floats) -> Floats:
    """The expected Σ precision · hit of tie groups; the shapes broadcast.

    A tie group has n entries, of which p (random) are hits; n0 entries stand before it, of which p0 (random) are hits.
    In a random order of the group, its j-th entry (j = 1..n) is a hit with probability p/n, and it and another given
    entry of the group both are with probability p(p-1) / (n(n-1)). With a hit at j, the hits up to it are p0, itself,
    and those among the j-1 entries before it in the group, so that

        E[hit(j) · hits up to j] = E[p]/n · (E[p0] + 1) + (j-1) · E[p(p-1)] / (n(n-1)) = first + (j-1) · step,

    and the precision divides by the place n0 + j. The sum over j is step · n + (first - step · (n0 + 1)) · D, where
    D = 1/(n0+1) + … + 1/(n0+n). p0 and p are independent: what is random in them is which labels a video keeps at its
    k-th place, that is at one score only, and videos are independent.

    Args:
        n, n0: whole numbers; a group without entries (n = 0, and p = 0) adds nothing.
        p, p0: expected values.
        variance: of p.

    Two entries tie below a sure hit, one of them a hit: it is second or third, with precision 2/2 or 2/3.

    >>> round(float(tie_sums(np.array(2.0), np.array(1.0), np.array(1.0), np.array(0.0), np.array(1.0))), 6)
    0.833333
    """
    step = (variance + p * p - p) / np.maximum(n * (n - 1), 1)  # E[p(p-1)] = Var[p] + E[p]² - E[p]
    first = p * (p0 + 1) / np.maximum(n, 1)
    return step * n + (first - step * (n0 + 1)) * reciprocals(n0, n)


def reciprocals(n0: Floats, n: Floats) -> Floats:
    """1/(n0+1) + 1/(n0+2) + … + 1/(n0+n), to a few units in the last place of the result, however long the sum is.

    >>> round(float(reciprocals(np.array(1.0), np.array(3.0))), 6)  # 1/2 + 1/3 + 1/4
    1.083333
    """
    # Around the middle m, Σ 1/(m+d) = Σ (1 + d²/m² + d⁴/m⁴ + …)/m; what is left out is below (n/2m)⁶ / 7.
    m = n0 + (n + 1) / 2
    square, per_square = n * n, 1 / (m * m)
    size = (square - 1) * per_square / 12
    result = np.asarray(n / m * (1 + size * (1 + (square * 3 - 7) * per_square / 20)))
    if (long := (n > 1) & (n * 200 > m)).any():  # a single entry is exact above
        # H(x) = log(x + 1/2) + γ + correction(x + 1/2); the logarithm of a ratio, for a difference keeps no digits.
        low, high = n0[long], (n0 + n)[long]
        low_place, high_place = (np.minimum(x, len(HARMONIC) - 1).astype(np.int64) for x in (low, high))
        x, y = (np.maximum(end, len(HARMONIC) - 1) + 0.5 for end in (low, high))
        result[long] = HARMONIC[high_place] - HARMONIC[low_place] + np.log1p((y - x) / x) + _tail(y) - _tail(x)
    return result


def _tail(x: Floats) -> Floats:
    square = 1 / (x * x)
    return square * (1 / 24 - square * (7 / 960 - square * 31 / 8064))
