"""Temperature scaling against a search with plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array

from yt8m_core.metrics import temperature as module
from yt8m_core.metrics.temperature import HIGHEST, LOWEST, fit_temperature, logits, scale_probabilities
from yt8m_core.metrics.top_k import global_average_precision


def cross_entropy(p: np.ndarray, truth: np.ndarray, temperature: float) -> float:
    """Sum the cross entropy of σ(z / T) over all pairs, one at a time."""
    total = 0.0
    for probability, is_true in zip(p.ravel().tolist(), truth.ravel().tolist(), strict=True):
        probability = min(max(probability, 2.0**-126), 1 - 2.0**-24)
        z = math.log(probability / (1 - probability)) / temperature
        total += math.log1p(math.exp(-abs(z))) + max(z, 0) - (z if is_true else 0)
    return total


def fit(p: np.ndarray, truth: np.ndarray) -> float:
    return fit_temperature(np.asarray(p, np.float32), csr_array(truth.astype(np.int32)))


@given(
    arrays.arrays(np.float32, (4, 3), elements=st.sampled_from([0.0, 1e-5, 0.1, 0.3, 0.5, 0.9, 0.999, 1.0])),
    arrays.arrays(np.bool_, (4, 3)),
)
def test_no_other_temperature_has_a_lower_cross_entropy(p: np.ndarray, truth: np.ndarray) -> None:
    fitted = fit(p, truth)
    assert LOWEST * (1 - 1e-9) <= fitted <= HIGHEST * (1 + 1e-9)
    least = cross_entropy(p, truth, fitted)
    for other in np.geomspace(LOWEST, HIGHEST, 60):
        assert least <= cross_entropy(p, truth, other) + 1e-6


def test_temperature_of_overconfident_scores_is_recovered_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    z = random.normal(-2, 2, (3000, 10))
    truth = random.random(z.shape) < 1 / (1 + np.exp(-z))
    whole = fit(1 / (1 + np.exp(-1.7 * z)), truth)
    assert whole == pytest.approx(1.7, rel=0.03)
    monkeypatch.setattr(module, "CHUNK", 170)
    assert fit(1 / (1 + np.exp(-1.7 * z)), truth) == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize(
    ("p", "truth", "low", "high"),
    [
        ([[0.9, 0.1]], [[1, 0]], LOWEST, 0.1),  # separated: the sharper, the better, until σ rounds to 0 and 1
        ([[0.9, 0.1]], [[0, 1]], 0.999 * HIGHEST, 1.001 * HIGHEST),  # the wrong way round: the flatter, the better
        ([[0.1, 0.2]], [[0, 0]], LOWEST, 0.1),
        ([[0.5, 0.5]], [[1, 0]], 1, 1),  # every T is as good
    ],
)
def test_temperature_without_a_minimum_is_within_its_range(p: object, truth: object, low: float, high: float) -> None:
    assert low <= fit(np.array(p), np.array(truth)) <= high


@pytest.mark.parametrize("temperature", [0.5, 0.9, 1.1, 3.0])
def test_scaling_keeps_the_order_of_scores_and_gap(temperature: float) -> None:
    random = np.random.default_rng(1)
    p = random.permutation(np.linspace(0.001, 0.999, 600)).reshape(20, 30).astype(np.float32)
    truth = random.random(p.shape) < p
    scaled = scale_probabilities(p, temperature)
    np.testing.assert_array_equal(np.argsort(scaled, axis=None), np.argsort(p, axis=None))
    assert global_average_precision(scaled, truth) == pytest.approx(global_average_precision(p, truth), abs=1e-12)
    np.testing.assert_allclose(logits(scaled), logits(p) / temperature, rtol=1e-3, atol=1e-5)
