"""Label co-occurrence: pair counts, association measures, strongest pairs, and cluster order (section 2.4).

Pair counts stay sparse, so the 5.7 million videos of the paper take seconds. Only an explicit selection of labels is
returned as a dense matrix.
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
from yt8m_core.labels.statistics import Floats, Integers, counts

CHUNK = 1 << 24
"""Number of labels and pairs of labels of the videos that are counted in one step, unless one video has more."""
MAX_PAIRS, PAIRS_PER_LABEL = 1 << 24, 64
"""Maximum number of pairs: a constant, or this many per label of a video, whichever is larger."""

MEASURES = {
    "count": "number of videos with both labels",
    "conditional": "P(column label | row label): share of the row label's videos that also have the column label",
    "lift": "P(both) / (P(row) P(column)); 1 if the labels are independent",
    "phi": "phi coefficient: correlation of the two label indicators, -1 to 1; 0 if the labels are independent",
    "jaccard": "number of videos with both labels / number with either, 0 to 1",
}


def count_pairs(labels: csr_array) -> csr_array:
    """Count the videos that have both labels of each pair (M_c of section 2.4).

    Args:
        labels: Label matrix, sparse [N, C].

    Returns:
        Counts, sparse int64 [C, C]. The diagonal holds the number of videos of each label.

    Raises:
        UserError: A video has so many labels that their pairs, which grow with the square, exceed any use.

    >>> from yt8m_core.labels.statistics import label_matrix
    >>> count_pairs(label_matrix([0, 2, 1, 2], [0, 2, 4], num_classes=3)).toarray()
    array([[1, 0, 1],
           [0, 1, 1],
           [1, 1, 2]])
    """
    if not labels.has_canonical_format:
        labels = labels.copy()
        labels.sum_duplicates()
    size, single = labels.shape[1], counts(labels)
    upper = csr_array((size, size), dtype=np.int64)
    work = np.append(0, np.cumsum(_checked_pairs(labels) + np.diff(labels.indptr)))  # before each video
    bounds = np.searchsorted(work, np.arange(0, work[-1], CHUNK), side="right") - 1
    for first, end in pairwise([*np.unique(bounds).tolist(), labels.shape[0]]):
        upper = upper + _upper_pairs(labels.indices, labels.indptr[first : end + 1], size)
    present = np.flatnonzero(single)
    return (upper + upper.T + csr_array((single[present], (present, present)), (size, size))).tocsr()


def _checked_pairs(labels: csr_array) -> Integers:
    """Return the number of pairs of labels of each video [N]. Raises UserError for too many in total."""
    size = np.diff(labels.indptr).astype(np.int64)
    number = size * (size - 1) // 2
    limit = max(MAX_PAIRS, PAIRS_PER_LABEL * labels.nnz)
    if (total := int(number.sum())) > limit:
        raise UserError(
            f"{total:,} pairs of labels, of videos with up to {size.max():,} labels",
            expected=f"at most {limit:,}",
            advice="Pairs of so many labels take too long to count: leave out videos with thousands of labels.",
        )
    return number


def _upper_pairs(labels: NDArray[Any], offsets: NDArray[Any], size: int) -> csr_array:
    """Count the pairs a < b of a chunk of videos, sparse [C, C].

    Sorting pairs encoded as integers takes half the time of a sparse matrix product, which reads a video's row once
    for each of its labels.

    Args:
        labels: Label ids, sorted within each video.
        offsets: Video boundaries in ``labels``.
        size: C.
    """
    ids: NDArray[Any] = labels[offsets[0] : offsets[-1]].astype(np.int32 if size * size < 1 << 31 else np.int64)
    position, end = np.arange(len(ids)), np.repeat(offsets[1:] - offsets[0], np.diff(offsets))
    keys = [ids[:0]]
    distance = 0
    while len(position):  # pair each label with the next one of its video, then with the one after that, …
        distance += 1
        inside = np.flatnonzero(position + distance < end)
        position, end = position[inside], end[inside]
        keys.append(ids[position] * size + ids[position + distance])
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
    """Compute an association measure for pairs of labels.

    Args:
        cooccurrence: Pair counts [C, C].
        num_videos: N, including videos without labels.
        name: A key of ``MEASURES``.
        labels: L selected label ids; default: all labels.

    Returns:
        With ``labels``, a dense matrix [L, L] with NaN where the measure is undefined (a label without videos; for phi
        also a label that every video has). Without ``labels``, a sparse matrix [C, C] that stores only pairs that
        co-occur. For a pair that never co-occurs the measure is 0, except phi, which is slightly below 0.

    Raises:
        UserError: Unknown measure, or ``num_videos`` smaller than a label's count.

    ``conditional`` is P(i|j) with i the column and j the row.

    >>> from yt8m_core.labels.statistics import label_matrix
    >>> pairs = count_pairs(label_matrix([0, 1, 1, 1], [0, 2, 3, 4, 4], num_classes=2))
    >>> measure(pairs, 4, "conditional", [0, 1]).round(3).tolist()
    [[1.0, 1.0], [0.333, 1.0]]
    """
    _check_measure(name)
    number = cooccurrence.diagonal()
    _check_num_videos(number, num_videos)
    if labels is not None:
        selected = np.asarray(labels, np.int64)
        both = cooccurrence[selected][:, selected].toarray().astype(np.float64)
        return _measures(both, number[selected, None], number[None, selected], num_videos)[name]
    pairs = cooccurrence.tocoo()
    values = _measures(pairs.data.astype(np.float64), number[pairs.row], number[pairs.col], num_videos)[name]
    return csr_array((values, (pairs.row, pairs.col)), pairs.shape)


def strongest_pairs(
    cooccurrence: csr_array, num_videos: int, measure: str, minimum_support: int, limit: int
) -> pd.DataFrame:
    """Return the most strongly associated pairs of labels, each pair once.

    label_a is the rarer label, so p_b_given_a >= p_a_given_b: read "a implies b". ``conditional`` ranks by
    p_b_given_a. Ties are broken by count, then by label ids.

    Args:
        cooccurrence: Pair counts [C, C].
        num_videos: N.
        measure: Measure to rank by, a key of ``MEASURES``.
        minimum_support: Minimum number of videos with both labels. Rare pairs have large lifts by chance.
        limit: Maximum number of rows.

    Returns:
        label_a, label_b, count, p_b_given_a, p_a_given_b, lift, phi, jaccard.

    Raises:
        UserError: Unknown measure, or ``num_videos`` smaller than a label's count.

    >>> from yt8m_core.labels.statistics import label_matrix
    >>> pairs = count_pairs(label_matrix([0, 1, 0, 1, 0, 2, 0], [0, 2, 4, 6, 7], num_classes=3))
    >>> strongest_pairs(pairs, 4, "jaccard", minimum_support=1, limit=1).iloc[0, :5].tolist()
    [1.0, 0.0, 2.0, 1.0, 0.5]
    """
    _check_measure(measure)
    number = cooccurrence.diagonal()
    _check_num_videos(number, num_videos)
    pairs = cooccurrence.tocoo()
    selected = (pairs.row < pairs.col) & (pairs.data >= minimum_support)
    first, second, both = pairs.row[selected], pairs.col[selected], pairs.data[selected].astype(np.int64)
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


def most_asymmetric_pairs(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs in which a implies b more than the reverse, sorted by P(b | a) - P(a | b), largest first.

    Args:
        pairs: Result of ``strongest_pairs``; label_a is the rarer label.

    >>> most_asymmetric_pairs(pd.DataFrame({"label_a": [1, 2], "label_b": 0, "count": 5, "p_b_given_a": [0.9, 0.8],
    ...                                     "p_a_given_b": [0.7, 0.1]}))["label_a"].tolist()
    [2, 1]
    """
    difference = (pairs["p_b_given_a"] - pairs["p_a_given_b"]).to_numpy()
    order = np.lexsort((pairs["label_b"], pairs["label_a"], -pairs["count"].to_numpy(), -difference))
    return pairs.iloc[order[difference[order] > 0]].reset_index(drop=True)


def cluster_order(matrix: ArrayLike) -> NDArray[np.intp]:
    """Order L labels so that strongly associated labels are adjacent.

    Uses average linkage on 1 - similarity. The similarity is the given measure, symmetrized and scaled to 0..1 over
    the pairs. Leaves are in optimal order (minimum distance between neighbors), which takes O(L³) time: use it for a
    selection of labels.

    Args:
        matrix: Association matrix [L, L], larger is more similar. NaN counts as not similar. The diagonal is ignored.

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
    """Compute all measures from pair counts and label counts; the shapes broadcast."""
    row, column = row_count.astype(np.float64), column_count.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = np.sqrt(row * (num_videos - row)) * np.sqrt(column * (num_videos - column))
        return {
            "count": both,
            "conditional": both / row,
            "lift": both * num_videos / (row * column),
            "phi": (num_videos * both - row * column) / deviations,
            "jaccard": both / (row + column - both),
        }


def _check_measure(name: str) -> None:
    if name not in MEASURES:
        raise UserError(f"unknown measure '{name}'", expected=f"one of {', '.join(MEASURES)}")


def _check_num_videos(counts: Integers, num_videos: int) -> None:
    if len(counts) and counts.max() > num_videos:
        raise UserError(
            f"{num_videos} videos in total, but a label with {counts.max()}",
            expected="the number of videos that were counted",
        )
