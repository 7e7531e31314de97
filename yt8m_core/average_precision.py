"""Average precision when scores tie: each video's k best labels, and the expected precision sums of ranked lists.

The sum Σ_i precision(i) · hit(i) depends on the order of tied entries, so that a metric which takes whatever order the
sort returns changes when videos are read in another order. Here it is the expected value over all orders: each video
orders its own tied labels by chance and keeps the first k, then the list orders its tied entries by chance.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Integers = NDArray[np.integer]
Floats = NDArray[np.float64]


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
        video, label = level.nonzero().T  # label ids rise within a video
        found = torch.bincount(video, minlength=len(cut))
        place = torch.arange(len(video), device=scores.device) - (found.cumsum(dim=0) - found)[video]
        chosen = labels[cut]
        chosen[at_last] = label[place < at_last.sum(dim=1)[video]]
        labels[cut] = chosen
        candidates[cut] = found.int()
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
    group = torch.zeros_like(best.labels, dtype=torch.int64)
    group[:, 1:] = (scores[:, 1:] != scores[:, :-1]).cumsum(dim=1)
    empty = torch.zeros_like(hits)
    share = empty.scatter_add(1, group, hits) / empty.scatter_add(1, group, torch.ones_like(hits)).clamp(min=1)
    at_cut = (best.candidates > 0)[:, None] & (scores == scores[:, -1:])
    share_at_cut = best.positives.double() / best.candidates.clamp(min=1)
    return torch.where(at_cut, share_at_cut[:, None], share.gather(1, group))


class Pool(NamedTuple):
    """M entries in ranked lists. Only tie groups with a hit add to a precision sum, so only those are kept: G of them.

    Hits are entries with a probability above 0 to be one: H of them.
    """

    video: Integers  # [M], in the order of the lists
    group_start: Integers  # [G] first entry of the group
    group_end: Integers  # [G] one past its last entry
    group_list: Integers  # [G] its list: always 0 for GAP, the class for mAP
    list_start: Integers  # [G] first entry of that list
    list_group: Integers  # [G] first group of that list
    hit_video: Integers  # [H]
    hit_group: Integers  # [H]
    hit: Floats  # [H] the probability
    hit_variance: Floats  # [H] its part in the variance of the group's number of hits


def pool(best: Best, *, by_class: bool = False) -> Pool:
    """Put the entries of all videos into one list, or into one for each class, best first.

    A tie at a video's k-th place gives r places to m candidates of which q are true: each place is a hit with
    probability q/m, and the number of hits is hypergeometric with variance r (q/m) (1 - q/m) (m - r) / (m - 1). A list
    of one class takes the labels of ``best`` as they are.
    """
    score, hit, label = best.scores.cpu().numpy(), best.hits.double().cpu().numpy(), best.labels.cpu().numpy()
    variance = np.zeros_like(hit)
    cut = np.flatnonzero(best.candidates.cpu().numpy())
    if len(cut) and not by_class:
        m = best.candidates.double().cpu().numpy()[cut, None]
        q = best.positives.double().cpu().numpy()[cut, None]
        place = score[cut] == score[cut, -1:]
        r = place.sum(axis=1, keepdims=True)
        hit[cut] = np.where(place, q / m, hit[cut])
        variance[cut] = np.where(place, q / m * (1 - q / m) * (m - r) / (m - 1), 0)

    order = np.lexsort((-score.ravel(), label.ravel())) if by_class else np.argsort(-score.ravel())
    score, hit, variance = score.ravel()[order], hit.ravel()[order], variance.ravel()[order]
    lists = label.ravel()[order] if by_class else np.zeros(len(order), np.int32)
    video = (order // label.shape[1]).astype(np.int32)
    new_list = np.append(True, lists[1:] != lists[:-1])
    new_group = new_list | np.append(True, score[1:] != score[:-1])

    hits = np.flatnonzero(hit)
    groups, hit_group = np.unique(np.cumsum(new_group)[hits] - 1, return_inverse=True)
    start = np.flatnonzero(new_group)
    end = np.append(start[1:], len(order))
    start, end = start[groups], end[groups]
    return Pool(
        video=video,
        group_start=start,
        group_end=end,
        group_list=lists[start],
        list_start=np.flatnonzero(new_list)[np.cumsum(new_list)[start] - 1],
        list_group=np.searchsorted(lists[start], lists[start]),
        hit_video=video[hits],
        hit_group=hit_group,
        hit=hit[hits],
        hit_variance=variance[hits],
    )


def precision_sums(pool: Pool, lists: int = 1, copies: Integers | None = None) -> Floats:
    """The expected Σ_i precision(i) · hit(i) of each list.

    A tie group has n entries, of which p (random) are hits; N0 entries stand before it, of which P0 (random) are hits.
    In a random order of the group, its j-th entry (j = 1..n) is a hit with probability p/n, and it and another given
    entry of the group both are with probability p(p-1) / (n(n-1)). With a hit at j, the hits up to it are
    P0, itself, and those among the j-1 entries before it in the group, so that

        E[hit(j) · hits up to j] = E[p]/n · (E[P0] + 1) + (j-1) · E[p(p-1)] / (n(n-1)),

    and the precision divides by the place N0 + j. P0 and p are independent: what is random in them is which labels a
    video keeps at its k-th place, that is at one score only, and videos are independent.

    Args:
        pool: the ranked lists.
        lists: their number.
        copies: [N] how often each video enters; once by default. Copies of a video tie with each other.
    """
    if copies is None:
        entries = np.arange(len(pool.video) + 1)
        weight: Integers | int = 1
    else:
        entries = np.append(0, np.cumsum(copies[pool.video]))
        weight = copies[pool.hit_video]
    groups = len(pool.group_start)
    n = entries[pool.group_end] - entries[pool.group_start]
    n0 = entries[pool.group_start] - entries[pool.list_start]
    p = np.bincount(pool.hit_group, weight * pool.hit, minlength=groups)  # E[p]
    variance = np.bincount(pool.hit_group, weight * pool.hit_variance, minlength=groups)
    p0 = np.cumsum(p) - p
    p0 -= p0[pool.list_group]
    at_first = p * (p0 + 1) / np.maximum(n, 1)
    per_step = (variance + p * p - p) / np.maximum(n * (n - 1), 1)  # E[p(p-1)] = Var[p] + E[p]² - E[p]

    group = np.repeat(np.arange(groups), n)
    before = np.arange(len(group)) - np.repeat(np.cumsum(n) - n, n)  # j - 1
    terms = (at_first[group] + before * per_step[group]) / (n0[group] + before + 1)
    return np.asarray(np.bincount(pool.group_list[group], terms, minlength=lists), np.float64)
