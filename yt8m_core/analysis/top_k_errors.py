"""What the 20 best labels of each validation video say, as a run keeps them: read at once, without a model or torch."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.labels.statistics import bands


class Missed(NamedTuple):
    """The video that a run does worst on."""

    id: str
    labels: int  # how many are true
    found: int  # of them, among the best


class Mistake(NamedTuple):
    """A label that a run is sure of and the data do not give."""

    id: str
    label: int
    probability: float


def hardest_video(predictions: pd.DataFrame) -> Missed | None:
    """The video of which most true labels are not among the best, the first of several; None where none is missed.

    Args:
        predictions: as ``Run.predictions``.

    >>> two = pd.DataFrame({"id": ["a", "b"], "labels": [[1, 2], [3, 4]], "true_labels": [[1], [2, 3]]})
    >>> hardest_video(two)
    Missed(id='b', labels=2, found=1)
    """
    rows, _, found = _true_pairs(predictions)
    labels, hits = (np.bincount(some, minlength=len(predictions)) for some in (rows, rows[found]))
    if not (labels - hits).any():
        return None
    worst = int(np.argmax(labels - hits))
    return Missed(str(predictions["id"].iloc[worst]), int(labels[worst]), int(hits[worst]))


def found_by_band(predictions: pd.DataFrame, num_classes: int) -> pd.DataFrame:
    """Of the labels that the data give to videos, how many are among the best: band, labels, given, found, share.

    The bands are those of ``label_statistics.bands``, of the labels in these videos; a band without a label is left
    out. ``share`` is the recall at 20 of all labels of a band together.
    """
    _, label, found = _true_pairs(predictions)
    given = np.bincount(label, minlength=num_classes)
    if not given.sum():
        return pd.DataFrame({"band": [], "labels": [], "given": [], "found": [], "share": []})
    hits = np.bincount(label[found], minlength=num_classes)
    table = pd.DataFrame({"band": bands(given), "labels": given > 0, "given": given, "found": hits})
    sums = table.groupby("band", as_index=False).sum().set_index("band")
    sums = sums.reindex([band for band in ("head", "mid", "tail") if band in sums.index and sums["given"][band]])
    return sums.assign(share=sums["found"] / sums["given"]).reset_index()


def most_confident_false_positive(predictions: pd.DataFrame) -> Mistake | None:
    """The most probable of all labels that are not true, the first of several; None where all are.

    >>> one = pd.DataFrame({"id": ["a"], "labels": [[1, 2]], "scores": [[0.9, 0.4]], "true_labels": [[1]]})
    >>> most_confident_false_positive(one)
    Mistake(id='a', label=2, probability=0.4)
    """
    rows, labels = _pairs(predictions["labels"])
    scores = _flat(predictions["scores"], np.float64)
    true = np.isin(_keys(rows, labels), _keys(*_pairs(predictions["true_labels"])))
    # A video without labels may have any: nothing that is said of it is known to be wrong.
    known = predictions["true_labels"].map(len).to_numpy()[rows] > 0
    wrong = np.where(~true & known, scores, -1)
    if not (wrong >= 0).any():
        return None
    surest = int(np.argmax(wrong))
    return Mistake(str(predictions["id"].iloc[rows[surest]]), int(labels[surest]), float(scores[surest]))


def _true_pairs(predictions: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Each true label of each video: the row of the video, the label, and whether it is among the best."""
    rows, labels = _pairs(predictions["true_labels"])
    return rows, labels, np.isin(_keys(rows, labels), _keys(*_pairs(predictions["labels"])))


def _pairs(lists: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.repeat(np.arange(len(lists)), lists.map(len).to_numpy(np.int64)), _flat(lists, np.int64)


def _keys(rows: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """One number for a row and a label."""
    return (rows << 32) + labels


def _flat(lists: pd.Series, kind: type[Any]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, kind), *lists]).astype(kind)
