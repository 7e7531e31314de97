"""Per-label analyses against loops, and γ against equation 12."""

import itertools
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
    add_gain,
    gain_by_band,
    hardest_videos,
    mean_interval,
    most_correlated_labels,
    precision_by_band,
    precision_by_frequency,
    random_precision,
    top_false_positives,
    true_ranks,
)
from yt8m_core.errors import UserError
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.labels.cooccurrence import count_pairs
from yt8m_core.labels.statistics import label_matrix

CLASSES = 5
videos_of_labels = st.lists(st.lists(st.integers(0, CLASSES - 1), max_size=5), min_size=1, max_size=10)


def ragged(videos: list[list[int]]) -> csr_array:
    values = [label for video in videos for label in video]
    return label_matrix(np.array(values, np.int32), np.cumsum([0, *map(len, videos)]), CLASSES)


def measured(aps: list[float | None], counts: list[int] | None = None) -> pd.DataFrame:
    bands = [("head", "mid", "tail")[i % 3] for i in range(len(aps))]
    ap = np.array(aps, np.float64)
    return pd.DataFrame({"label": range(len(aps)), "count": counts or 1, "band": bands, "ap": ap})


@given(st.lists(st.tuples(st.integers(0, 5000), st.none() | st.floats(0, 1)), max_size=30))
def test_each_measured_label_is_in_the_bin_of_its_count(labels: list[tuple[int, float | None]]) -> None:
    bins = precision_by_frequency(measured([ap for _, ap in labels], [count for count, _ in labels]))
    known = [(count, ap) for count, ap in labels if count > 0 and ap is not None]
    assert bins["labels"].sum() == len(known)
    for step in bins.itertuples():
        assert math.log2(step.min_count).is_integer()
        assert step.max_count == 2 * step.min_count - 1
        assert step.min_count <= step.center <= step.max_count
        inside = [ap for count, ap in known if step.min_count <= count <= step.max_count]
        assert len(inside) == step.labels > 0
        assert step.median == pytest.approx(statistics.median(inside))
        assert min(inside) <= step.low <= step.median <= step.high <= max(inside)


@given(st.lists(st.none() | st.floats(0, 1), max_size=20))
def test_precision_by_band_uses_measured_labels_only(aps: list[float | None]) -> None:
    bands = precision_by_band(measured(aps)).set_index("band")
    for place, band in enumerate(("head", "mid", "tail")):
        inside = [ap for ap in aps[place::3] if ap is not None]
        assert (band in bands.index) == bool(inside)
        if inside:
            assert bands.loc[band, "labels"] == len(inside)
            assert bands.loc[band, "median"] == pytest.approx(statistics.median(inside))
            assert bands.loc[band, "mean"] == pytest.approx(statistics.fmean(inside))
    assert ("all" in bands.index) == any(ap is not None for ap in aps)


def test_gain_is_second_minus_first_run_and_missing_if_either_is() -> None:
    other = pd.DataFrame({"label": [2, 0, 1], "ap": [0.5, 1.0, 0.75]})
    table = add_gain(measured([0.25, None, 0.75, 0.5]), other)
    assert table["gain"].fillna(9).tolist() == [0.75, 9, -0.25, 9]
    assert table["ap_b"].fillna(9).tolist() == [1.0, 0.75, 0.5, 9]
    assert table["label"].tolist() == [0, 1, 2, 3]


def test_band_interval_approximates_a_bootstrap_over_labels() -> None:
    gain = np.random.default_rng(0).normal(0.02, 0.1, 400)
    (band, overall) = gain_by_band(pd.DataFrame({"band": "mid", "gain": gain})).to_dict("records")
    drawn = bootstrap((gain,), np.mean, n_resamples=2000, rng=np.random.default_rng(1)).confidence_interval
    assert band["gain"] == pytest.approx(gain.mean())
    assert (band["low"], band["high"]) == (pytest.approx(drawn.low, abs=1e-3), pytest.approx(drawn.high, abs=1e-3))
    assert (band["gained"], band["lost"]) == ((gain > 0).sum(), (gain < 0).sum())
    assert {**overall, "band": "mid"} == band


def test_band_interval_of_few_labels_has_nominal_coverage() -> None:
    draws = np.random.default_rng(0).normal(0.05, 0.1, (300, 4))
    inside = 0
    for gain in draws:
        row = gain_by_band(pd.DataFrame({"band": "head", "gain": gain})).iloc[0]
        inside += row["low"] <= 0.05 <= row["high"]
    assert 0.92 < inside / len(draws) < 0.98


def test_band_of_one_label_has_no_interval_and_empty_bands_are_omitted() -> None:
    table = pd.DataFrame({"band": ["head", "tail", "tail", "mid"], "gain": [0.5, 0.0, np.nan, np.nan]})
    bands = gain_by_band(table).set_index("band")
    assert bands.index.tolist() == ["head", "tail", "all"]
    assert bands["low"].isna().tolist() == [True, True, False]
    assert (bands.loc["tail", "gained"], bands.loc["tail", "lost"]) == (0, 0)


@given(videos=videos_of_labels, label=st.integers(0, CLASSES - 1), support=st.integers(1, 3), limit=st.integers(0, 5))
def test_most_correlated_labels_match_a_loop(videos: list[list[int]], label: int, support: int, limit: int) -> None:
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
    table = most_correlated_labels(count_pairs(matrix), len(videos), label, minimum_support=support, limit=limit)
    columns = (table["phi"].fillna(-math.inf).round(9), table["count"], table["share"].round(9), table["label"])
    found = list(zip(*columns, strict=True))
    assert set(found) <= set(expected)
    assert len(found) == min(limit, len(expected))
    assert [phi for phi, *_ in found] == sorted((phi for phi, *_ in expected), reverse=True)[:limit]


TRUTH = [[1, 0], [1, 1], [0, 0], [0, 1]]


def scored(truth: list[list[int]] = TRUTH) -> CachedScores:
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.6], [0.7, 0.3]], np.float32)
    return CachedScores("a", np.arange(4), 4, p, p, csr_array(np.array(truth, np.int32)))


def test_hardest_videos_rank_the_label_lowest() -> None:
    ranks = true_ranks(scored())
    assert hardest_videos(ranks, 0)[["row", "rank"]].to_numpy().tolist() == [[1, 2], [0, 1]]
    assert hardest_videos(ranks, 1)[["row", "rank"]].to_numpy().tolist() == [[3, 2], [1, 1]]
    assert hardest_videos(ranks, 1, limit=1)["probability"].tolist() == [pytest.approx(0.3)]
    assert hardest_videos(ranks, 7).empty


def test_top_false_positives_exclude_videos_with_the_label() -> None:
    assert top_false_positives(scored(), 0)["row"].tolist() == [2, 3]  # ties keep their order
    assert top_false_positives(scored(), 1)["row"].tolist() == [2, 0]
    assert top_false_positives(scored(), 1, limit=1)["probability"].tolist() == [pytest.approx(0.6)]
    assert top_false_positives(scored([[1, 0]] * 4), 0).empty


@given(
    training=videos_of_labels,
    evaluated=videos_of_labels.filter(any),
    norm=st.sampled_from(["none", "max"]),
    factor=st.sampled_from([0.1, 1.0]),
)
def test_noise_strength_matches_equation_12(
    training: list[list[int]], evaluated: list[list[int]], norm: str, factor: float
) -> None:
    count = [max(1, sum(c in video for video in training)) for c in range(CLASSES)]
    inverse = [1 / n for n in count]
    if norm == "max":
        inverse = [value / max(inverse) for value in inverse]
    inverse = [factor * value for value in inverse]
    gamma = [statistics.fmean(inverse[c] for c in set(video)) for video in evaluated if video]
    noise = noise_strength(
        ragged(training), ragged(evaluated), width=7, options={"gamma_norm": norm, "pooling": "mean"}, factor=factor
    )
    assert noise.table["label"].tolist() == list(range(CLASSES))
    assert noise.table["alone"].tolist() == pytest.approx(inverse)
    assert noise.table["alone_length"].tolist() == pytest.approx([7**0.5 * value for value in inverse])
    labeled = [video for video in evaluated if video]
    for c, together in enumerate(noise.table["together"]):
        values = [value for value, video in zip(gamma, labeled, strict=True) if c in video]
        assert together == pytest.approx(statistics.median(values) if values else math.nan, nan_ok=True)
    assert noise.videos == len(labeled)
    assert noise.median_length == pytest.approx(7**0.5 * statistics.median(gamma))
    assert noise.above_a_tenth == pytest.approx(statistics.fmean(7**0.5 * value > 0.1 for value in gamma))


def test_noise_strength_supports_chunks_and_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    videos = [[i % CLASSES, (i * i) % CLASSES] for i in range(50)]
    whole = noise_strength(ragged(videos), ragged(videos), width=4)
    monkeypatch.setattr(module, "CHUNK", 3 * CLASSES)
    pd.testing.assert_frame_equal(noise_strength(ragged(videos), ragged(videos), width=4).table, whole.table)
    monkeypatch.setattr(module, "MAX_SCORES", 20 * CLASSES)
    sample = noise_strength(ragged(videos), ragged(videos), width=4)
    assert (whole.videos, sample.videos) == (50, 20)
    assert sample.table["alone"].equals(whole.table["alone"])


def test_noise_strength_rejects_unlabeled_videos_and_invalid_options() -> None:
    with pytest.raises(UserError, match="no video has labels"):
        noise_strength(ragged([[0]]), ragged([[]]), width=4)
    with pytest.raises(UserError, match="gamma_norm"):
        noise_strength(ragged([[0]]), ragged([[0]]), width=4, options={"gamma_norm": "sum"})


@pytest.mark.parametrize("num_videos", [1, 2, 3, 5, 6])
def test_random_precision_is_the_mean_over_all_orders(num_videos: int) -> None:
    for positives in range(1, num_videos + 1):
        precisions = []
        for hits in itertools.combinations(range(1, num_videos + 1), positives):
            precisions.append(np.mean([(number + 1) / rank for number, rank in enumerate(hits)]))
        found = random_precision(np.array([positives]), num_videos)
        assert found[0] == pytest.approx(np.mean(precisions), abs=1e-12)


def test_interval_of_a_mean_holds_it_in_95_percent_of_samples() -> None:
    random = np.random.default_rng(0)
    intervals = [mean_interval(random.normal(3, 2, 5)) for _ in range(2000)]
    assert np.mean([low <= 3 <= high for _, low, high in intervals]) == pytest.approx(0.95, abs=0.015)
    assert np.isnan(mean_interval(np.array([0.5]))[1:]).all()
