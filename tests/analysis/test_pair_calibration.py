"""Pair calibration, correlation matrices, and label mixing against slow references."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.sparse import csr_array

from yt8m_core.analysis import pair_calibration
from yt8m_core.analysis.label_mixing import mixing_terms
from yt8m_core.analysis.learned_correlation import (
    CHANGE,
    FIXED,
    TRAINED,
    correlation_matrices,
    correlation_weights,
    uses_correlation_matrix,
)
from yt8m_core.analysis.pair_calibration import compare_with_truth
from yt8m_core.analysis.thresholds import expected_cooccurrence
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.labels.statistics import label_matrix
from yt8m_core.models.label_processing.correlation import Correlation
from yt8m_core.models.label_processing.correlation_matrix import correlation_matrix
from yt8m_core.models.slot import Slot

LABELS = label_matrix([0, 1, 0, 1, 0, 2, 2, 3], [0, 2, 4, 6, 8], num_classes=4)


def scored(probabilities: np.ndarray, truth: np.ndarray) -> CachedScores:
    p = np.asarray(probabilities, np.float32)
    return CachedScores("a", np.arange(len(p)), len(p), p, p, csr_array(truth.astype(np.int32)))


class TestCompareWithTruth:
    @given(
        arrays.arrays(np.float32, (7, 4), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        arrays.arrays(np.bool_, (7, 4)),
    )
    def test_counts_match_loops(self, p: np.ndarray, truth: np.ndarray) -> None:
        first, second = (side.astype(np.int64) for side in np.triu_indices(4, 1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pair_calibration, "CHUNK", 20)  # several chunks
            table = compare_with_truth(scored(p, truth), first, second)
        whole = expected_cooccurrence(scored(p, truth), np.arange(4))
        for a, b, observed, expected, surprise in table.itertuples(index=False):
            assert observed == sum(bool(row[a] and row[b]) for row in truth)
            assert expected == pytest.approx(sum(float(row[a]) * float(row[b]) for row in p))
            assert expected == pytest.approx(whole[a, b])
            e = max(expected, 1e-12)
            deviance = 2 * ((observed * math.log(observed / e) if observed else 0) - (observed - e))
            assert surprise == pytest.approx(math.copysign(math.sqrt(max(deviance, 0)), observed - e), abs=1e-6)

    def test_surprise_approximates_standard_deviations_and_stays_finite(self) -> None:
        truth = np.zeros((1000, 3), bool)
        truth[:120] = True
        p = np.tile(np.sqrt([0.1, 0.1, 0.0]), (1000, 1))  # 100 expected of 0 and 1, none with 2
        table = compare_with_truth(scored(p, truth), np.array([0, 0]), np.array([1, 2]))
        assert table["surprise"][0] == pytest.approx(2, abs=0.1)  # 20 more than 100 ± 10
        assert np.isfinite(table["surprise"][1])
        assert table["surprise"][1] > 50


class TestCorrelationMatrices:
    def test_change_is_the_trained_minus_the_counted_matrix(self) -> None:
        processing = Correlation(4, beta=0.1, gamma=0.2)
        processing.fit_label_prior(LABELS)
        start = correlation_matrix(LABELS, "cond_row").numpy()
        assert processing.trained is not None
        processing.trained.data[2, 1] += 0.5
        matrices = correlation_matrices(processing, None)
        assert matrices.kinds == [FIXED, TRAINED, CHANGE]
        grid = np.ix_(range(4), range(4))
        np.testing.assert_array_equal(matrices.entries(FIXED, *grid), start)
        np.testing.assert_array_equal(matrices.entries(TRAINED, *grid), processing.trained.detach().numpy())
        change = matrices.entries(CHANGE, *grid)
        assert change[2, 1] == 0.5
        assert np.count_nonzero(change) == 1
        assert matrices.entries(CHANGE, [2, 1], [1, 2]).tolist() == [0.5, 0]

    def test_counted_matrix_without_beta_requires_training_labels(self) -> None:
        processing = Correlation(4, gamma=0.2)
        processing.fit_label_prior(LABELS)
        assert correlation_matrices(processing, None).kinds == [TRAINED]
        matrices = correlation_matrices(processing, LABELS)
        assert matrices.kinds == [FIXED, TRAINED, CHANGE]
        assert not matrices.entries(CHANGE, *np.ix_(range(4), range(4))).any()
        fixed = Correlation(4, beta=0.2)
        fixed.fit_label_prior(LABELS)
        assert correlation_matrices(fixed, LABELS).kinds == [FIXED]

    def test_matrix_of_the_authors_variant_is_transposed(self) -> None:
        processing = Correlation(4, gamma=0.2, variant="authors")
        processing.fit_label_prior(LABELS)
        matrices = correlation_matrices(processing, LABELS)
        counted = correlation_matrix(LABELS, "centered").numpy()
        assert not np.array_equal(counted, counted.T)
        np.testing.assert_array_equal(matrices.entries(TRAINED, *np.ix_(range(4), range(4))), counted.T)

    def test_rank_pairs_uses_the_stronger_direction(self) -> None:
        processing = Correlation(4, gamma=0.2)
        assert processing.trained is not None
        processing.trained.data[:] = 0
        processing.trained.data[0, 1], processing.trained.data[3, 2] = 0.25, -0.5
        pairs = pd.DataFrame({"label_a": [0, 0, 2], "label_b": [2, 1, 3]})
        ranked = correlation_matrices(processing, None).rank_pairs(TRAINED, pairs)
        assert ranked.to_dict("list") == {
            "label_a": [2, 0, 0],
            "label_b": [3, 1, 2],
            "b_to_a": [0, 0.25, 0],
            "a_to_b": [-0.5, 0, 0],
        }


@pytest.mark.parametrize(
    ("slot", "weights", "own"),
    [
        (Slot("identity"), (1.0, 0.0, 0.0), False),
        (Slot("correlation"), (1.0, 0.0, 0.0), False),
        (Slot("correlation", {"alpha": 0.9, "beta": 0.1, "gamma": 0.3, "space": "prob"}), (0.9, 0.1, 0.3), True),
        (Slot("correlation", {"alpha": 0.9}), None, False),
        (Slot("correlation", {"beta": 0.1}), None, True),
        (Slot("correlation", {"beta": 0.1, "space": "prob", "matrix_norm": "cond"}), None, True),
        (Slot("correlation", {"gamma": 0.1, "variant": "authors"}), None, True),
        (Slot("context_gating"), None, False),
    ],
)
def test_correlation_weights_are_known_only_for_equation_20(slot: Slot, weights: object, own: bool) -> None:
    assert correlation_weights(slot) == weights
    assert uses_correlation_matrix(slot) == own


def test_mixing_terms_reproduce_the_scores_of_the_slot(tmp_path: Path) -> None:
    import torch

    from yt8m_core.models.outputs import Scores

    slot = Slot("correlation", {"alpha": 0.9, "beta": 0.2, "space": "prob"})
    weights = correlation_weights(slot)
    assert weights is not None
    processing = Correlation(4, **slot.options)
    processing.fit_label_prior(LABELS)
    p = np.random.default_rng(0).random((5, 4)).astype(np.float32)
    logits = torch.from_numpy(np.log(p / (1 - p)))
    expected = processing(Scores.from_logits(logits, torch.zeros(5, 1))).p.numpy()
    matrix = correlation_matrix(LABELS, "cond_row").numpy()
    np.testing.assert_allclose(mixing_terms(scored(p, p > 0.5), matrix).scores(*weights), expected, atol=1e-5)
