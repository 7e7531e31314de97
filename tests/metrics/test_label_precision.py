"""Average precision of each label over all videos, compared with loops and with all orders of tied entries."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tests.metrics.test_top_k import average_precision, dense_doubles, enumerated_gap, random_data
from yt8m_core.errors import UserError
from yt8m_core.metrics import label_precision as module
from yt8m_core.metrics.label_precision import LabelPrecision
from yt8m_core.metrics.top_k import TopLabels


def fill_metric(scores: NDArray[Any], labels: NDArray[Any], batch: int = 1000) -> LabelPrecision:
    metric = LabelPrecision(scores.shape[1])
    for first in range(0, len(scores), batch):
        part = slice(first, first + batch)
        metric.update(torch.from_numpy(scores[part].copy()), torch.from_numpy(labels[part].copy()))
    return metric


def reference(scores: NDArray[Any], labels: NDArray[Any]) -> list[float]:
    """Compute the average precision of each label with a sort and a loop, for scores without ties."""
    columns = zip(scores.T.tolist(), labels.T.tolist(), strict=True)
    ranked = [sorted(zip(score, label, strict=True), reverse=True) for score, label in columns]
    positives = labels.sum(axis=0).tolist()
    return [average_precision(row, n) if n else np.nan for row, n in zip(ranked, positives, strict=True)]


@pytest.mark.parametrize("data", [random_data(200, 15), dense_doubles(200, 15)])
def test_ap_equals_the_loop_without_ties(data: tuple[NDArray[Any], NDArray[np.int64]]) -> None:
    scores, labels = data
    labels[:, 4] = 0
    table = fill_metric(scores, labels, batch=33).compute()
    assert table["label"].tolist() == list(range(15))
    assert table["positives"].tolist() == labels.sum(axis=0).tolist()
    assert table["ap"].tolist() == pytest.approx(reference(scores, labels), abs=1e-12, nan_ok=True)
    assert table["ap"].isna().tolist() == [label == 4 for label in range(15)]


@settings(max_examples=60)
@given(st.data())
def test_ap_is_the_mean_over_all_orders_of_ties(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 3)))
    scores = data.draw(arrays.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
    labels = data.draw(arrays.arrays(np.bool_, shape))
    ap = fill_metric(scores, labels, batch=2).compute()["ap"]
    for label in np.flatnonzero(labels.any(axis=0)):
        expected = enumerated_gap(scores[:, [label]], labels[:, [label]], 1)
        assert ap[label] == pytest.approx(expected, abs=1e-13)


def test_ap_counts_videos_outside_their_top_k() -> None:
    # The label is never the top one of a video, but ranks the videos perfectly.
    scores = np.array([[0.9, 0.4], [0.8, 0.3], [0.7, 0.1]], np.float32)
    labels = np.array([[1, 1], [1, 1], [1, 0]])
    assert fill_metric(scores, labels).compute()["ap"].tolist() == [1.0, 1.0]
    top = TopLabels(2, k=1)
    top.update(torch.from_numpy(scores), torch.from_numpy(labels))
    assert top.per_class()["ap"].tolist() == [1.0, 0.0]


def test_ap_does_not_depend_on_batches_or_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = random_data(90, 12, levels=9)
    expected = fill_metric(scores, labels).compute()
    monkeypatch.setattr(module, "CHUNK", 7 * 12)
    for batch in (1, 50, 90):
        assert fill_metric(scores, labels, batch).compute().equals(expected)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_targets_can_be_pairs_and_empty_batches_change_nothing() -> None:
    scores, labels = random_data(20, 6)
    expected = fill_metric(scores, labels).compute()
    metric = LabelPrecision(6)
    assert metric.compute()["ap"].isna().all()
    metric.reset()
    metric.update(torch.zeros(0, 6), torch.zeros(0, 6))
    videos, true = torch.from_numpy(labels).nonzero().T
    metric.update(torch.from_numpy(scores), (videos, true))
    assert metric.compute().equals(expected)


@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        (torch.zeros(2, 4), torch.zeros(2, 4), r"scores \(2, 4\); expected \[B, 3\]"),
        (torch.full((2, 3), torch.nan), torch.zeros(2, 3), "video 0, label 0 is NaN"),
        (torch.zeros(2, 3), torch.full((2, 3), 0.5), "0.5 as the target"),
    ],
)
def test_invalid_batches_are_errors(scores: Any, targets: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        LabelPrecision(3).update(scores, targets)
