"""What one label, or the labels as frequent as it, come to, against loops; and γ against equation 12."""

import math
import statistics

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.stats import bootstrap

from yt8m_core.analysis import noise_strength as module
from yt8m_core.analysis.noise_strength import noise_strength
from yt8m_core.analysis.per_label import (
    by_frequency,
    gain_by_band,
    hardest_videos,
    nearest_labels,
    precision_by_band,
    top_false_positives,
    true_ranks,
    with_gain,
)
from yt8m_core.errors import UserError
from yt8m_core.inference.score_cache import Scored
from yt8m_core.labels.statistics import cooccurrence, label_matrix

CLASSES = 5
videos_of_labels = st.lists(st.lists(st.integers(0, CLASSES - 1), max_size=5), min_size=1, max_size=10)


def ragged(videos: list[list[int]]) -> csr_array:
    values = [label for video in videos for label in video]
    return label_matrix(np.array(values, np.int32), np.cumsum([0, *map(len, videos)]), CLASSES)


def measured(aps: list[float | None], counts: list[int] | None = None) -> pd.DataFrame:
    bands = [("head", "mid", "tail")[i % 3] for i in range(len(aps))]
    ap = np.array(aps, np.float64)
    return pd.DataFrame({"label": range(len(aps)), "count": counts or 1, "band": bands, "ap": ap})


# Frequency.


@given(st.lists(st.tuples(st.integers(0, 5000), st.none() | st.floats(0, 1)), max_size=30))
def test_every_measured_label_is_in_the_one_step_that_holds_its_count(labels: list[tuple[int, float | None]]) -> None:
    steps = by_frequency(measured([ap for _, ap in labels], [count for count, _ in labels]))
    known = [(count, ap) for count, ap in labels if count > 0 and ap is not None]
    assert steps["labels"].sum() == len(known)
    for step in steps.itertuples():
        assert math.log2(step.least).is_integer()
        assert step.most == 2 * step.least - 1
        assert step.least <= step.middle <= step.most
        inside = [ap for count, ap in known if step.least <= count <= step.most]
        assert len(inside) == step.labels > 0
        assert step.median == pytest.approx(statistics.median(inside))
        assert min(inside) <= step.low <= step.median <= step.high <= max(inside)


# Bands.


@given(st.lists(st.none() | st.floats(0, 1), max_size=20))
def test_precision_of_a_band_is_that_of_its_measured_labels(aps: list[float | None]) -> None:
    bands = precision_by_band(measured(aps)).set_index("band")
    for place, band in enumerate(("head", "mid", "tail")):
        inside = [ap for ap in aps[place::3] if ap is not None]
        assert (band in bands.index) == bool(inside)
        if inside:
            assert bands.loc[band, "labels"] == len(inside)
            assert bands.loc[band, "median"] == pytest.approx(statistics.median(inside))
            assert bands.loc[band, "mean"] == pytest.approx(statistics.fmean(inside))
    assert ("all" in bands.index) == any(ap is not None for ap in aps)


def test_gain_is_the_second_run_less_the_first_by_label_and_missing_where_either_is() -> None:
    other = pd.DataFrame({"label": [2, 0, 1], "ap": [0.5, 1.0, 0.75]})
    table = with_gain(measured([0.25, None, 0.75, 0.5]), other)
    assert table["gain"].fillna(9).tolist() == [0.75, 9, -0.25, 9]
    assert table["ap_b"].fillna(9).tolist() == [1.0, 0.75, 0.5, 9]
    assert table["label"].tolist() == [0, 1, 2, 3]


def test_interval_of_a_band_is_about_that_of_a_bootstrap_over_its_labels() -> None:
    gain = np.random.default_rng(0).normal(0.02, 0.1, 400)
    (band, both) = gain_by_band(pd.DataFrame({"band": "mid", "gain": gain})).to_dict("records")
    drawn = bootstrap((gain,), np.mean, n_resamples=2000, rng=np.random.default_rng(1)).confidence_interval
    assert band["gain"] == pytest.approx(gain.mean())
    assert (band["low"], band["high"]) == (pytest.approx(drawn.low, abs=1e-3), pytest.approx(drawn.high, abs=1e-3))
    assert (band["gained"], band["lost"]) == ((gain > 0).sum(), (gain < 0).sum())
    assert {**both, "band": "mid"} == band


def test_interval_holds_the_mean_of_a_band_of_few_labels_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(0.05, 0.1, (300, 4))
    inside = 0
    for gain in draws:
        row = gain_by_band(pd.DataFrame({"band": "head", "gain": gain})).iloc[0]
        inside += row["low"] <= 0.05 <= row["high"]
    assert 0.92 < inside / len(draws) < 0.98


def test_band_of_one_label_has_no_interval_and_one_without_is_left_out() -> None:
    table = pd.DataFrame({"band": ["head", "tail", "tail", "mid"], "gain": [0.5, 0.0, np.nan, np.nan]})
    bands = gain_by_band(table).set_index("band")
    assert bands.index.tolist() == ["head", "tail", "all"]
    assert bands["low"].isna().tolist() == [True, True, False]
    assert (bands.loc["tail", "gained"], bands.loc["tail", "lost"]) == (0, 0)


# One label.


@given(videos=videos_of_labels, label=st.integers(0, CLASSES - 1), support=st.integers(1, 3), limit=st.integers(0, 5))
def test_nearest_labels_equal_a_loop_over_the_others(
    videos: list[list[int]], label: int, support: int, limit: int
) -> None:
    matrix = ragged(videos)
    dense = matrix.toarray()
    expected = []
    for other in set(range(CLASSES)) - {label}:
        both = int((dense[:, label] * dense[:, other]).sum())
        if both < support:
            continue
        flat = dense[:, label].all() or dense[:, other].all()
        phi = -math.inf if flat else round(float(np.corrcoef(dense[:, label], dense[:, other])[0, 1]), 9)
        expected.append((phi, both, round(both / dense[:, label].sum(), 9), other))
    table = nearest_labels(cooccurrence(matrix), len(videos), label, minimum_support=support, limit=limit)
    columns = (table["phi"].fillna(-math.inf).round(9), table["count"], table["share"].round(9), table["label"])
    found = list(zip(*columns, strict=True))
    assert set(found) <= set(expected)
    assert len(found) == min(limit, len(expected))
    assert [phi for phi, *_ in found] == sorted((phi for phi, *_ in expected), reverse=True)[:limit]


TRUTH = [[1, 0], [1, 1], [0, 0], [0, 1]]


def scored(truth: list[list[int]] = TRUTH) -> Scored:
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.6], [0.7, 0.3]], np.float32)
    return Scored("a", np.arange(4), 4, p, p, csr_array(np.array(truth, np.int32)))


def test_hardest_videos_are_those_whose_ranking_puts_the_label_last() -> None:
    ranks = true_ranks(scored())
    assert hardest_videos(ranks, 0)[["row", "rank"]].to_numpy().tolist() == [[1, 2], [0, 1]]
    assert hardest_videos(ranks, 1)[["row", "rank"]].to_numpy().tolist() == [[3, 2], [1, 1]]
    assert hardest_videos(ranks, 1, limit=1)["probability"].tolist() == [pytest.approx(0.3)]
    assert hardest_videos(ranks, 7).empty


def test_surest_videos_without_a_label_leave_out_those_with_it() -> None:
    assert top_false_positives(scored(), 0)["row"].tolist() == [2, 3]  # equally sure: in their order
    assert top_false_positives(scored(), 1)["row"].tolist() == [2, 0]
    assert top_false_positives(scored(), 1, limit=1)["probability"].tolist() == [pytest.approx(0.6)]
    assert top_false_positives(scored([[1, 0]] * 4), 0).empty


# Noise.


@given(
    training=videos_of_labels,
    looked_at=videos_of_labels.filter(any),
    norm=st.sampled_from(["none", "max"]),
    times=st.sampled_from([0.1, 1.0]),
)
def test_noise_is_that_of_equation_12(
    training: list[list[int]], looked_at: list[list[int]], norm: str, times: float
) -> None:
    count = [max(1, sum(c in video for video in training)) for c in range(CLASSES)]
    inverse = [1 / n for n in count]
    if norm == "max":
        inverse = [value / max(inverse) for value in inverse]
    inverse = [times * value for value in inverse]
    gamma = [statistics.fmean(inverse[c] for c in set(video)) for video in looked_at if video]
    noise = noise_strength(
        ragged(training), ragged(looked_at), width=7, options={"gamma_norm": norm, "pooling": "mean"}, times=times
    )
    assert noise.table["label"].tolist() == list(range(CLASSES))
    assert noise.table["alone"].tolist() == pytest.approx(inverse)
    assert noise.table["alone_length"].tolist() == pytest.approx([7**0.5 * value for value in inverse])
    labeled = [video for video in looked_at if video]
    for c, together in enumerate(noise.table["together"]):
        mine = [value for value, video in zip(gamma, labeled, strict=True) if c in video]
        assert together == pytest.approx(statistics.median(mine) if mine else math.nan, nan_ok=True)
    assert noise.videos == len(labeled)
    assert noise.median_length == pytest.approx(7**0.5 * statistics.median(gamma))
    assert noise.above_a_tenth == pytest.approx(statistics.fmean(7**0.5 * value > 0.1 for value in gamma))


def test_noise_in_chunks_is_the_same_and_of_a_large_data_set_that_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    videos = [[i % CLASSES, (i * i) % CLASSES] for i in range(50)]
    whole = noise_strength(ragged(videos), ragged(videos), width=4)
    monkeypatch.setattr(module, "CHUNK", 3 * CLASSES)
    pd.testing.assert_frame_equal(noise_strength(ragged(videos), ragged(videos), width=4).table, whole.table)
    monkeypatch.setattr(module, "CELLS", 20 * CLASSES)
    sample = noise_strength(ragged(videos), ragged(videos), width=4)
    assert (whole.videos, sample.videos) == (50, 20)
    assert sample.table["alone"].equals(whole.table["alone"])


def test_noise_says_what_is_wrong() -> None:
    with pytest.raises(UserError, match="no video has labels"):
        noise_strength(ragged([[0]]), ragged([[]]), width=4)
    with pytest.raises(UserError, match="gamma_norm"):
        noise_strength(ragged([[0]]), ragged([[0]]), width=4, options={"gamma_norm": "sum"})
