"""Reliability and ECE against plain loops, and their intervals against simulated data sets."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array

from yt8m_core.metrics import reliability as module
from yt8m_core.metrics.reliability import draw_copies, equal_mass_edges, reliability

VALUES = [0.0, 0.001, 0.01, 0.02, 0.1, 0.3, 0.5, 0.9, 1.0]
PROBABILITIES = arrays.arrays(np.float32, (5, 4), elements=st.sampled_from(VALUES))


def sparse(truth: np.ndarray) -> csr_array:
    return csr_array(truth.astype(np.int32))


def simulate(random: np.random.Generator, videos: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Return scores whose temperature is ``sharpness``, and labels, for labels that depend on their video."""
    z = random.normal(-4, 2, (videos, 20)) + random.normal(0, 0.5, (videos, 1))
    truth = random.random(z.shape) < 1 / (1 + np.exp(-z))
    return (1 / (1 + np.exp(-sharpness * z))).astype(np.float32), truth


@given(PROBABILITIES, st.integers(1, 6))
def test_bins_have_equal_mass_up_to_one_group_of_equal_scores(p: np.ndarray, bins: int) -> None:
    edges = equal_mass_edges(p, bins)
    assert len(edges) < bins or bins == 1
    assert (np.diff(edges) > 0).all()
    total = float(p.sum(dtype=np.float64))
    # Below the edge of bin i is at most i/bins of the mass, and with the scores equal to the edge at least that.
    for edge in edges:
        below, up_to = float(p[p < edge].sum(dtype=np.float64)), float(p[p <= edge].sum(dtype=np.float64))
        assert any(below <= share + 1e-6 <= up_to + 2e-6 for share in total * np.arange(1, bins) / bins)


@given(PROBABILITIES, arrays.arrays(np.bool_, (5, 4)), st.integers(1, 4))
def test_bins_and_ece_match_loops(p: np.ndarray, truth: np.ndarray, bins: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 8)  # two videos
        error, table = reliability(p, sparse(truth), draw_copies(5, replicates=20), bins)
    edges = [-1.0, *equal_mass_edges(p, bins).tolist(), 2.0]
    members = [[(i, j) for i in range(5) for j in range(4) if low <= p[i, j] < high] for low, high in pairwise(edges)]
    ece = 0.0
    for number, pairs in enumerate(members):
        assert table["pairs"][number] == len(pairs)
        confidence, frequency = (float(np.mean([float(m[pair]) for pair in pairs])) for m in (p, truth))
        assert table["confidence"][number] == pytest.approx(confidence, abs=1e-12)
        assert table["frequency"][number] == pytest.approx(frequency)
        ece += len(pairs) / p.size * abs(confidence - frequency)
    assert error.ece == pytest.approx(ece, abs=1e-9)
    assert 0 <= error.low <= error.ece + 1e-9 <= error.high + 2e-9


def test_bootstrap_of_a_bin_matches_resampled_data_sets() -> None:
    p, truth = simulate(np.random.default_rng(0), 60, 1.5)
    copies = draw_copies(60, seed=3, replicates=50)
    np.testing.assert_array_equal(copies.sum(axis=0), np.full(50, 60))
    error, table = reliability(p, sparse(truth), copies, bins=3)
    edges = equal_mass_edges(p, 3)
    eces, frequencies = [], []
    for draw in copies.T:
        rows = np.repeat(np.arange(60), draw.astype(int))
        index = np.searchsorted(edges, p[rows], side="right")
        gaps = [abs(float((p[rows] - truth[rows])[index == bin_].sum(dtype=np.float64))) for bin_ in range(3)]
        eces.append(sum(gaps) / index.size)
        frequencies.append([float(truth[rows][index == bin_].mean()) for bin_ in range(3)])
    lowest, highest = np.quantile(eces, [0.025, 0.975])
    assert (error.low, error.high) == pytest.approx(
        (max(0, 2 * error.ece - highest), max(error.ece, 2 * error.ece - lowest)), abs=1e-6
    )
    np.testing.assert_allclose(table[["low", "high"]].to_numpy().T, np.quantile(frequencies, [0.025, 0.975], axis=0))


def test_bin_with_only_true_or_no_true_pairs_has_a_binomial_bound() -> None:
    p = np.repeat(np.float32([[0.25, 0.75]]), 40, axis=0)
    _, table = reliability(p, sparse(p > 0.5), draw_copies(40, replicates=20), bins=2)
    assert table["frequency"].tolist() == [0, 1]
    assert table["low"].tolist() == pytest.approx([0, 0.025 ** (1 / 40)])
    assert table["high"].tolist() == pytest.approx([1 - 0.025 ** (1 / 40), 1])


def test_ece_of_a_calibrated_model_is_that_of_chance() -> None:
    random = np.random.default_rng(0)
    copies = draw_copies(300, replicates=100)
    samples = [simulate(random, 300, 1.0) for _ in range(40)]
    errors = [reliability(p, sparse(truth), copies)[0] for p, truth in samples]
    assert np.mean([error.ece for error in errors]) == pytest.approx(errors[0].if_calibrated, rel=0.1)
    assert np.mean([error.low < 0.5 * error.ece for error in errors]) > 0.9


def test_interval_covers_the_ece_of_the_population() -> None:
    random = np.random.default_rng(0)
    p, truth = simulate(random, 200_000, 1.4)
    population = reliability(p, sparse(truth), draw_copies(len(p), replicates=1))[0].ece
    copies = draw_copies(400, replicates=100)
    covered = []
    for _ in range(100):
        p, truth = simulate(random, 400, 1.4)
        error, _ = reliability(p, sparse(truth), copies)
        covered.append(error.low <= population <= error.high)
    assert np.mean(covered) >= 0.88
