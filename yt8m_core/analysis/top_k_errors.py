"""Errors in the stored top-20 predictions of a run's validation videos; requires neither the model nor torch."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from yt8m_core.labels.statistics import bands


class HardestVideo(NamedTuple):
    """Video with the most true labels missing from the top 20."""

    id: str
    labels: int  # number of true labels
    found: int  # number of true labels in the top 20


class FalsePositive(NamedTuple):
    """Predicted label that is not a true label of its video."""

    id: str
    label: int
    probability: float


def hardest_video(predictions: pd.DataFrame) -> HardestVideo | None:
    """Return the video with the most true labels missing from the top 20, or None if no label is missing.

    The first video wins ties.

    Args:
        predictions: As ``Run.predictions``.

    >>> two = pd.DataFrame({"id": ["a", "b"], "labels": [[1, 2], [3, 4]], "true_labels": [[1], [2, 3]]})
    >>> hardest_video(two)
    HardestVideo(id='b', labels=2, found=1)
    """
    rows, _, found = _true_pairs(predictions)
    labels, hits = (np.bincount(index, minlength=len(predictions)) for index in (rows, rows[found]))
    if not (labels - hits).any():
        return None
    worst = int(np.argmax(labels - hits))
    return HardestVideo(str(predictions["id"].iloc[worst]), int(labels[worst]), int(hits[worst]))


def recall_by_band(predictions: pd.DataFrame, num_classes: int) -> pd.DataFrame:
    """Compute recall@20 by frequency band, micro-averaged over the labels of the band.

    Returns:
        band (see ``statistics.bands``, counted over these videos), labels (number of labels), positives (number of true
        (video, label) pairs), found (number of those in the top 20), recall. Bands without labels are omitted.
    """
    _, label, found = _true_pairs(predictions)
    positives = np.bincount(label, minlength=num_classes)
    if not positives.sum():
        return pd.DataFrame({"band": [], "labels": [], "positives": [], "found": [], "recall": []})
    hits = np.bincount(label[found], minlength=num_classes)
    table = pd.DataFrame({"band": bands(positives), "labels": positives > 0, "positives": positives, "found": hits})
    sums = table.groupby("band", as_index=False).sum().set_index("band")
    sums = sums.reindex([band for band in ("head", "mid", "tail") if band in sums.index and sums["positives"][band]])
    return sums.assign(recall=sums["found"] / sums["positives"]).reset_index()


def most_confident_false_positive(predictions: pd.DataFrame) -> FalsePositive | None:
    """Return the most probable false positive, or None if there is none. The first one wins ties.

    >>> one = pd.DataFrame({"id": ["a"], "labels": [[1, 2]], "scores": [[0.9, 0.4]], "true_labels": [[1]]})
    >>> most_confident_false_positive(one)
    FalsePositive(id='a', label=2, probability=0.4)
    """
    rows, labels = _pairs(predictions["labels"])
    scores = _flat(predictions["scores"], np.float64)
    true = np.isin(_keys(rows, labels), _keys(*_pairs(predictions["true_labels"])))
    # The labels of an unlabeled video are unknown, so none of its predictions is known to be wrong.
    known = predictions["true_labels"].map(len).to_numpy()[rows] > 0
    known &= scores > 0  # a label that was not rated in a segment has the score 0
    wrong = np.where(~true & known, scores, -1)
    if not (wrong >= 0).any():
        return None
    best = int(np.argmax(wrong))
    return FalsePositive(str(predictions["id"].iloc[rows[best]]), int(labels[best]), float(scores[best]))


def _true_pairs(predictions: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the video row, the label, and whether it is in the top 20, of each true label of each video."""
    rows, labels = _pairs(predictions["true_labels"])
    return rows, labels, np.isin(_keys(rows, labels), _keys(*_pairs(predictions["labels"])))


def _pairs(lists: pd.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.repeat(np.arange(len(lists)), lists.map(len).to_numpy(np.int64)), _flat(lists, np.int64)


def _keys(rows: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Encode (row, label) pairs as single integers."""
    return (rows << 32) + labels


def _flat(lists: pd.Series, kind: type[Any]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, kind), *lists]).astype(kind)
