"""How often labels occur, and how often together: the label priors that the paper builds on (sections 1, 2.4 and 2.5).

Everything starts from the label matrix, sparse [N, C]: one row a video, one column a label. It and the counts of pairs
stay sparse, so the 5.7 million videos of the paper take seconds; dense is only what a person chose to look at.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.cluster import hierarchy
from scipy.sparse import csr_array
from scipy.spatial.distance import squareform

from yt8m_core.errors import UserError

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

HEAD_SHARE, MID_SHARE = 0.5, 0.9
"""Head labels hold the first half of all (video, label) pairs, mid labels the next 40 %, tail labels the last 10 %."""

CHUNK = 1 << 22
"""Labels of videos whose pairs are counted in one step."""

MEASURES = {
    "count": "videos with both labels",
    "conditional": "P(column label | row label), share of the row label's videos that have the column label too",
    "lift": "P(both) / (P(row) P(column)), 1 where the labels are independent",
    "phi": "correlation of the two indicators, -1 to 1, 0 where the labels are independent",
    "jaccard": "videos with both / videos with either, 0 to 1",
}


def label_matrix(values: ArrayLike, offsets: ArrayLike, num_classes: int) -> csr_array:
    """The label matrix [N, C] of ones, int32, from the labels of all videos one after the other.

    Args:
        values: [P] label ids; a label that a video lists twice counts once.
        offsets: [N + 1]; video i has ``values[offsets[i]:offsets[i + 1]]``.
        num_classes: C.

    Raises:
        UserError: A label outside 0..C-1, or offsets that do not cut ``values`` into videos.

    >>> label_matrix([0, 2, 2, 1], [0, 2, 2, 4], num_classes=3).toarray()
    array([[1, 0, 1],
           [0, 0, 0],
           [0, 1, 1]], dtype=int32)
    """
    labels, cuts = np.asarray(values), np.asarray(offsets)
    if len(cuts) == 0 or cuts[0] != 0 or cuts[-1] != len(labels) or (np.diff(cuts) < 0).any():
        raise UserError("offsets that do not cut the labels into videos", expected=f"0 rising to {len(labels)}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        wrong = int(labels[(labels < 0) | (labels >= num_classes)][0])
        raise UserError(f"label {wrong}", expected=f"0 to {num_classes - 1}")
    matrix = csr_array((np.ones(len(labels), np.int32), labels.astype(np.int32), cuts), (len(cuts) - 1, num_classes))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def counts(labels: csr_array) -> Integers:
    """Videos with each label [C], from the label matrix [N, C].

    >>> counts(label_matrix([0, 2, 1, 2], [0, 2, 4], num_classes=4))
    array([1, 1, 2, 0])
    """
    return np.bincount(labels.indices, minlength=labels.shape[1]).astype(np.int64)


def imbalance(counts: ArrayLike) -> dict[str, float]:
    """How unequally the pairs (video, label) are spread over the labels.

    Returns:
        labels, unseen_labels (those without a video), pairs; gini: 0 where all labels are equally frequent, toward 1
        where one label has all videos (labels without a video included); top_5_percent_share: share of the pairs that
        the most frequent 5 % of the labels hold, their number rounded up; and for each band (see ``bands``) its
        number of labels and its share of the pairs.

    Raises:
        UserError: No pair at all, or a negative count.

    >>> spread = imbalance([70, 20, 10, 0])
    >>> round(spread["gini"], 3), spread["top_5_percent_share"], spread["tail_labels"], spread["tail_share"]
    (0.55, 0.7, 2, 0.1)
    """
    ascending = np.sort(_checked(counts))
    size, total = len(ascending), int(ascending.sum())
    ranks = np.arange(1, size + 1)
    result: dict[str, float] = {
        "labels": size,
        "unseen_labels": int((ascending == 0).sum()),
        "pairs": total,
        # Twice the area between the Lorenz curve and the diagonal.
        "gini": float((2 * ranks - size - 1) @ ascending / (size * total)),
        "top_5_percent_share": float(ascending[-int(np.ceil(0.05 * size)) :].sum() / total),
    }
    band = bands(ascending)
    for name in ("head", "mid", "tail"):
        result[f"{name}_labels"] = int((band == name).sum())
        result[f"{name}_share"] = float(ascending[band == name].sum() / total)
    return result


def bands(counts: ArrayLike) -> NDArray[np.str_]:
    """The band of each label [C]: "head", "mid" or "tail".

    Labels are taken from the most frequent down. Head labels are the fewest that hold half of all (video, label) pairs,
    head and mid labels together the fewest that hold 90 %; the tail is the rest, labels without a video included. The
    bands are shares, so they mean the same for 120 labels as for 4,716.

    >>> bands([10, 70, 20, 0])
    array(['tail', 'head', 'mid', 'tail'], dtype='<U4')
    """
    number = _checked(counts)
    order = _by_frequency(number)
    before = np.cumsum(number[order]) - number[order]
    total = number.sum()
    band = np.empty(len(number), "<U4")
    band[order] = np.where(before < HEAD_SHARE * total, "head", np.where(before < MID_SHARE * total, "mid", "tail"))
    return band


def rank_frequency(counts: ArrayLike, vocabulary: pd.DataFrame) -> pd.DataFrame:
    """The labels from the most to the least frequent.

    Args:
        counts: [C] videos with each label.
        vocabulary: One row a label: label, name, vertical (as ``Vocabulary.frame`` returns).

    Returns:
        label, name, vertical, count, rank (1 is the most frequent; equal counts by label id), cumulative_share of the
        pairs down to this rank, band.

    Raises:
        UserError: A vocabulary that does not name the labels 0..C-1.

    >>> vocabulary = pd.DataFrame({"label": [0, 1], "name": ["Car", "Game"], "vertical": ["Autos", "Games"]})
    >>> rank_frequency([1, 3], vocabulary)[["name", "count", "rank", "cumulative_share", "band"]].to_dict("records")[0]
    {'name': 'Game', 'count': 3, 'rank': 1, 'cumulative_share': 0.75, 'band': 'head'}
    """
    number = _checked(counts)
    names = vocabulary.set_index("label").sort_index()
    if list(names.index) != list(range(len(number))):
        raise UserError(
            f"a vocabulary of {len(names)} labels", expected=f"the labels 0 to {len(number) - 1}, each once"
        )
    order = _by_frequency(number)
    return pd.DataFrame(
        {
            "label": order,
            "name": names["name"].to_numpy()[order],
            "vertical": names["vertical"].to_numpy()[order],
            "count": number[order],
            "rank": np.arange(1, len(number) + 1),
            "cumulative_share": np.cumsum(number[order]) / number.sum(),
            "band": bands(number)[order],
        }
    )


def cooccurrence(labels: csr_array) -> csr_array:
    """Videos with both labels of each pair, sparse int64 [C, C]; the diagonal holds the counts (M_c of section 2.4).

    >>> cooccurrence(label_matrix([0, 2, 1, 2], [0, 2, 4], num_classes=3)).toarray()
    array([[1, 0, 1],
           [0, 1, 1],
           [1, 1, 2]])
    """
    if not labels.has_canonical_format:
        labels = labels.copy()
        labels.sum_duplicates()
    size, single = labels.shape[1], counts(labels)
    upper = csr_array((size, size), dtype=np.int64)
    cuts = np.searchsorted(labels.indptr, np.arange(0, labels.nnz, CHUNK), side="right") - 1
    for first, end in pairwise([*cuts.tolist(), labels.shape[0]]):
        upper = upper + _upper_pairs(labels.indices, labels.indptr[first : end + 1], size)
    present = np.flatnonzero(single)
    return (upper + upper.T + csr_array((single[present], (present, present)), (size, size))).tocsr()


def _upper_pairs(labels: NDArray[Any], cuts: NDArray[Any], size: int) -> csr_array:
    """Videos with both labels of each pair a < b, sparse [C, C], of the videos whose sorted labels lie between cuts.

    Sorting pairs as integers takes half the time of a sparse product, which reads a video's row at each of its labels.
    """
    ids: NDArray[Any] = labels[cuts[0] : cuts[-1]].astype(np.int32 if size * size < 1 << 31 else np.int64)
    at, end, keys = np.arange(len(ids)), np.repeat(cuts[1:] - cuts[0], np.diff(cuts)), [ids[:0]]
    step = 0
    while len(at):  # each label with the next of its video, then with the one after it, …
        step += 1
        inside = np.flatnonzero(at + step < end)
        at, end = at[inside], end[inside]
        keys.append(ids[at] * size + ids[at + step])
    key = np.concatenate(keys)
    key.sort()
    new = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
    rows = np.searchsorted(key[new], np.arange(size + 1) * size)
    return csr_array((np.diff(np.append(new, len(key))), key[new] % size, rows), (size, size))


@overload
def measure(cooccurrence: csr_array, num_videos: int, name: str, labels: None = None) -> csr_array: ...
@overload
def measure(cooccurrence: csr_array, num_videos: int, name: str, labels: Sequence[int] | Integers) -> Floats: ...
def measure(
    cooccurrence: csr_array, num_videos: int, name: str, labels: Sequence[int] | Integers | None = None
) -> csr_array | Floats:
    """A measure of how labels go together; ``MEASURES`` says what each one is.

    Args:
        cooccurrence: [C, C] counts.
        num_videos: N, those without a label included.
        name: One of ``MEASURES``.
        labels: L chosen label ids; all by default.

    Returns:
        For chosen labels the dense matrix [L, L], NaN where it would divide by zero (a label that no video has; for
        phi also one that every video has). By default sparse [C, C] with the pairs that occur together; what is left
        out is 0, for phi slightly below 0.

    Raises:
        UserError: An unknown name, or fewer videos than a label has.

    Source: SPEC section 4; ``conditional`` is its P(i|j) with i the column and j the row.

    >>> pairs = cooccurrence(label_matrix([0, 1, 1, 1], [0, 2, 3, 4, 4], num_classes=2))
    >>> measure(pairs, 4, "conditional", [0, 1]).round(3).tolist()
    [[1.0, 1.0], [0.333, 1.0]]
    """
    if name not in MEASURES:
        raise UserError(f"unknown measure '{name}'", expected=f"one of {', '.join(MEASURES)}")
    number = cooccurrence.diagonal()
    _check_videos(number, num_videos)
    if labels is not None:
        chosen = np.asarray(labels, np.int64)
        both = cooccurrence[chosen][:, chosen].toarray().astype(np.float64)
        return _measures(both, number[chosen, None], number[None, chosen], num_videos)[name]
    pairs = cooccurrence.tocoo()
    values = _measures(pairs.data.astype(np.float64), number[pairs.row], number[pairs.col], num_videos)[name]
    return csr_array((values, (pairs.row, pairs.col)), pairs.shape)


def strongest_pairs(
    cooccurrence: csr_array, num_videos: int, measure: str, minimum_support: int, limit: int
) -> pd.DataFrame:
    """The pairs of labels that go together most, each pair once.

    label_a is the rarer of the two, hence p_b_given_a >= p_a_given_b: read "a implies b". ``conditional`` ranks by that
    larger one. Equal values rank by count, then by label ids.

    Args:
        cooccurrence: [C, C] counts.
        num_videos: N.
        measure: One of ``MEASURES``, to rank by.
        minimum_support: Videos that a pair needs; rare pairs have large lifts by chance.
        limit: Rows at most.

    Returns:
        label_a, label_b, count, p_b_given_a, p_a_given_b, lift, phi, jaccard.

    Raises:
        UserError: An unknown measure, or fewer videos than a label has.

    >>> pairs = cooccurrence(label_matrix([0, 1, 0, 1, 0, 2, 0], [0, 2, 4, 6, 7], num_classes=3))
    >>> strongest_pairs(pairs, 4, "jaccard", minimum_support=1, limit=1).iloc[0, :5].tolist()
    [1.0, 0.0, 2.0, 1.0, 0.5]
    """
    if measure not in MEASURES:
        raise UserError(f"unknown measure '{measure}'", expected=f"one of {', '.join(MEASURES)}")
    number = cooccurrence.diagonal()
    _check_videos(number, num_videos)
    pairs = cooccurrence.tocoo()
    chosen = (pairs.row < pairs.col) & (pairs.data >= minimum_support)
    first, second, both = pairs.row[chosen], pairs.col[chosen], pairs.data[chosen].astype(np.int64)
    swap = number[first] > number[second]
    label_a, label_b = np.where(swap, second, first), np.where(swap, first, second)
    values = _measures(both.astype(np.float64), number[label_a], number[label_b], num_videos)
    # NaN (phi of a label that every video has) ranks last.
    order = np.lexsort((label_b, label_a, -both, -np.nan_to_num(values[measure], nan=-np.inf)))[: max(limit, 0)]
    table = {
        "label_a": label_a,
        "label_b": label_b,
        "count": both,
        "p_b_given_a": values["conditional"],
        "p_a_given_b": both / number[label_b],
        **{name: values[name] for name in ("lift", "phi", "jaccard")},
    }
    return pd.DataFrame({name: column[order] for name, column in table.items()})


def cluster_order(matrix: ArrayLike) -> NDArray[np.intp]:
    """An order of L labels that puts those next to each other that go together.

    Average linkage on 1 - similarity, where the similarity is the measure, made symmetric and scaled to 0..1 over the
    pairs; leaves in the order of least distance between neighbors. Meant for a chosen set: time grows with L³.

    Args:
        matrix: [L, L], larger is more alike; NaN is taken as not alike; the diagonal is not read.

    >>> cluster_order([[1, 0, 0.9], [0, 1, 0.1], [0.9, 0.1, 1]]).tolist() in ([0, 2, 1], [1, 2, 0])
    True
    """
    similarity = np.array(matrix, np.float64)
    if len(similarity) < 3:
        return np.arange(len(similarity))
    pairs = squareform((similarity + similarity.T) / 2, checks=False)
    low, high = (np.nanmin(pairs), np.nanmax(pairs)) if np.isfinite(pairs).any() else (0.0, 0.0)
    scaled = (np.nan_to_num(pairs, nan=low) - low) / ((high - low) or 1.0)
    return hierarchy.leaves_list(hierarchy.linkage(1 - scaled, "average", optimal_ordering=True)).astype(np.intp)


def _measures(both: Floats, row_count: NDArray[Any], column_count: NDArray[Any], num_videos: int) -> dict[str, Floats]:
    """Every measure of pairs with these counts; the shapes broadcast."""
    row, column = row_count.astype(np.float64), column_count.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(row * (num_videos - row)) * np.sqrt(column * (num_videos - column))
        return {
            "count": both,
            "conditional": both / row,
            "lift": both * num_videos / (row * column),
            "phi": (num_videos * both - row * column) / spread,
            "jaccard": both / (row + column - both),
        }


def _by_frequency(counts: Integers) -> NDArray[np.intp]:
    return np.argsort(-counts, kind="stable")


def _checked(counts: ArrayLike) -> Integers:
    number = np.asarray(counts).astype(np.int64)
    if number.ndim != 1 or (number < 0).any() or number.sum() == 0:
        raise UserError("counts without any video, or negative ones", expected="the videos of each label [C]")
    return number


def _check_videos(counts: Integers, num_videos: int) -> None:
    if len(counts) and counts.max() > num_videos:
        raise UserError(f"{num_videos} videos in all, but a label with {counts.max()}", expected="the N of the counts")


def most_one_sided(pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs in which A implies B and not the other way round, those with the largest difference first.

    Args:
        pairs: as ``label_statistics.strongest_pairs``: label_a is the rarer label of the two.

    >>> most_one_sided(pd.DataFrame({"label_a": [1, 2], "label_b": 0, "count": 5, "p_b_given_a": [0.9, 0.8],
    ...                              "p_a_given_b": [0.7, 0.1]}))["label_a"].tolist()
    [2, 1]
    """
    difference = (pairs["p_b_given_a"] - pairs["p_a_given_b"]).to_numpy()
    order = np.lexsort((pairs["label_b"], pairs["label_a"], -pairs["count"].to_numpy(), -difference))
    return pairs.iloc[order].reset_index(drop=True)
