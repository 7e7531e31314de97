"""Label counts and class imbalance: the label priors that the paper builds on (sections 1, 2.4, and 2.5).

All functions start from the label matrix, sparse [N, C]: one row per video, one column per label.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from yt8m_core.errors import UserError

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

BANDS = ("head", "mid", "tail")
HEAD_SHARE, MID_SHARE = 0.5, 0.9
"""Cumulative share of all (video, label) pairs at which the head band ends (50%) and the mid band ends (90%)."""


def label_matrix(values: ArrayLike, offsets: ArrayLike, num_classes: int) -> csr_array:
    """Build the label matrix from the concatenated labels of all videos.

    Args:
        values: Label ids [P]. A label that a video lists twice counts once.
        offsets: Video boundaries [N + 1]; video i has ``values[offsets[i]:offsets[i + 1]]``.
        num_classes: C.

    Returns:
        Binary matrix, sparse int32 [N, C].

    Raises:
        UserError: A label outside 0..C-1, or offsets that do not partition ``values``.

    >>> label_matrix([0, 2, 2, 1], [0, 2, 2, 4], num_classes=3).toarray()
    array([[1, 0, 1],
           [0, 0, 0],
           [0, 1, 1]], dtype=int32)
    """
    labels, bounds = np.asarray(values), np.asarray(offsets)
    if len(bounds) == 0 or bounds[0] != 0 or bounds[-1] != len(labels) or (np.diff(bounds) < 0).any():
        raise UserError(
            "offsets that do not partition the labels", expected=f"non-decreasing offsets from 0 to {len(labels)}"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        wrong = int(labels[(labels < 0) | (labels >= num_classes)][0])
        raise UserError(f"label {wrong}", expected=f"0 to {num_classes - 1}")
    matrix = csr_array(
        (np.ones(len(labels), np.int32), labels.astype(np.int32), bounds), (len(bounds) - 1, num_classes)
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def counts(labels: csr_array) -> Integers:
    """Count the videos with each label [C], given the label matrix [N, C].

    >>> counts(label_matrix([0, 2, 1, 2], [0, 2, 4], num_classes=4))
    array([1, 1, 2, 0])
    """
    return np.bincount(labels.indices, minlength=labels.shape[1]).astype(np.int64)


def imbalance(counts: ArrayLike) -> dict[str, float]:
    """Measure how unequally the (video, label) pairs are distributed over the labels.

    Args:
        counts: Number of videos with each label [C].

    Returns:
        - labels: number of labels, C.
        - unseen_labels: number of labels without a video.
        - pairs: number of (video, label) pairs.
        - gini: Gini coefficient over all labels, including those without a video. 0 if all labels are equally
          frequent, approaching 1 if one label has all videos.
        - top_5_percent_share: share of the pairs held by the most frequent 5% of the labels, rounded up.
        - For each band (see ``bands``), the number of its labels and their share of the pairs.

    Raises:
        UserError: All counts are 0, or a count is negative.

    >>> distribution = imbalance([70, 20, 10, 0])
    >>> round(distribution["gini"], 3), distribution["top_5_percent_share"]
    (0.55, 0.7)
    >>> distribution["tail_labels"], distribution["tail_share"]
    (2, 0.1)
    """
    ascending = np.sort(_checked_counts(counts))
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
    for name in BANDS:
        result[f"{name}_labels"] = int((band == name).sum())
        result[f"{name}_share"] = float(ascending[band == name].sum() / total)
    return result


def bands(counts: ArrayLike) -> NDArray[np.str_]:
    """Assign each label [C] to a frequency band: "head", "mid", or "tail".

    Head labels are the smallest set of most frequent labels that holds 50% of all (video, label) pairs. Head and mid
    labels together are the smallest such set that holds 90%. All other labels, including those without a video, are
    tail labels. Because bands are defined by shares, they mean the same for 120 labels as for 4,716.

    >>> bands([10, 70, 20, 0])
    array(['tail', 'head', 'mid', 'tail'], dtype='<U4')
    """
    number = _checked_counts(counts)
    order = _by_frequency(number)
    before = np.cumsum(number[order]) - number[order]
    total = number.sum()
    band = np.empty(len(number), "<U4")
    band[order] = np.where(before < HEAD_SHARE * total, "head", np.where(before < MID_SHARE * total, "mid", "tail"))
    return band


def rank_frequency(counts: ArrayLike, vocabulary: pd.DataFrame) -> pd.DataFrame:
    """Return the labels in descending order of frequency.

    Args:
        counts: Number of videos with each label [C].
        vocabulary: One row per label: label, name, vertical (as ``Vocabulary.to_frame`` returns).

    Returns:
        label, name, vertical, count, rank (1 is the most frequent; ties are broken by label id), cumulative_share of
        the (video, label) pairs, band.

    Raises:
        UserError: The vocabulary does not name the labels 0..C-1.

    >>> vocabulary = pd.DataFrame({"label": [0, 1], "name": ["Car", "Game"], "vertical": ["Autos", "Games"]})
    >>> rank_frequency([1, 3], vocabulary)[["name", "count", "rank", "cumulative_share", "band"]].to_dict("records")[0]
    {'name': 'Game', 'count': 3, 'rank': 1, 'cumulative_share': 0.75, 'band': 'head'}
    """
    number = _checked_counts(counts)
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


def _by_frequency(counts: Integers) -> NDArray[np.intp]:
    return np.argsort(-counts, kind="stable")


def _checked_counts(counts: ArrayLike) -> Integers:
    number = np.asarray(counts).astype(np.int64)
    if number.ndim != 1 or (number < 0).any() or number.sum() == 0:
        raise UserError(
            "counts that are negative, all zero, or not one-dimensional",
            expected="the number of videos with each label [C]",
        )
    return number
