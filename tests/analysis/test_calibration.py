"""Calibration: no video decides a setting that is measured on it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from yt8m_core.analysis.calibration import calibrate, in_first_half
from yt8m_core.errors import UserError
from yt8m_core.inference.score_cache import CachedScores
from yt8m_core.labels.statistics import bands
from yt8m_core.metrics.f1 import best_threshold
from yt8m_core.metrics.reliability import draw_copies, reliability
from yt8m_core.metrics.temperature import fit_temperature, scale_probabilities
from yt8m_core.runs.calibration_file import Calibration

VIDEOS, CLASSES = 240, 8
IDS = [f"v{number:03d}" for number in range(VIDEOS)]
COUNTS = np.array([400, 300, 200, 100, 50, 20, 10, 5])
CHOOSING = in_first_half(IDS)


def scores(seed: int = 0) -> CachedScores:
    """Return scores with a temperature of 1.5, of labels as frequent as ``COUNTS``."""
    random = np.random.default_rng(seed)
    z = np.log(COUNTS / 800) + random.normal(0, 2, (VIDEOS, CLASSES))
    truth = random.random(z.shape) < 1 / (1 + np.exp(-z))
    p = (1 / (1 + np.exp(-1.5 * z))).astype(np.float32)
    return CachedScores("a", np.arange(VIDEOS), VIDEOS, p, p, csr_array(truth.astype(np.int32)))


def replace_half(scored: CachedScores, half: np.ndarray) -> CachedScores:
    """Return the scores with other scores and labels of one half."""
    other = scores(seed=1)
    p, truth = scored.probabilities.copy(), scored.truth.toarray()
    p[half], truth[half] = other.probabilities[half], other.truth.toarray()[half]
    return replace(scored, probabilities=p, classified=p, truth=csr_array(truth))


def run(scored: CachedScores, **options: float) -> Calibration:
    return calibrate(scored, IDS, COUNTS, "/data", **options)  # type: ignore[arg-type]


def test_settings_depend_only_on_the_choosing_half() -> None:
    whole, changed = run(scores()), run(replace_half(scores(), ~CHOOSING))
    assert whole.temperatures == changed.temperatures
    assert (whole.thresholds, whole.global_threshold) == (changed.thresholds, changed.global_threshold)
    assert (whole.chosen_on, whole.measured_on) == (CHOOSING.sum(), VIDEOS - CHOOSING.sum())
    assert whole.f1 != changed.f1
    assert whole.errors != changed.errors


def test_measurements_depend_on_the_other_half_and_on_the_settings() -> None:
    whole, changed = run(scores()), run(replace_half(scores(), CHOOSING))
    assert whole.temperatures != changed.temperatures
    assert whole.thresholds != changed.thresholds
    for before, after in zip(whole.errors, changed.errors, strict=True):
        assert (before == after) == (before.stage == "before")
    fixed = [[row for row in calibration.f1 if row.rule == "0.5"] for calibration in (whole, changed)]
    assert [(row.f1, row.low, row.high) for row in fixed[0]] == [(row.f1, row.low, row.high) for row in fixed[1]]


def test_half_of_a_video_depends_only_on_its_id() -> None:
    assert in_first_half(IDS[::-1]).tolist() == CHOOSING.tolist()[::-1]
    assert in_first_half(IDS[7:9]).tolist() == CHOOSING[7:9].tolist()
    many = in_first_half([f"{number:011x}" for number in range(4000)])
    assert abs(many.mean() - 0.5) < 0.03


def test_errors_and_bins_are_those_of_each_band_before_and_after_scaling() -> None:
    scored, calibration = scores(), run(scores())
    temperature = fit_temperature(scored.probabilities[CHOOSING], scored.truth[CHOOSING])
    assert calibration.temperatures[0].temperature == temperature == pytest.approx(1.5, rel=0.2)
    errors, bins = calibration.table("errors"), calibration.table("bins")
    copies = draw_copies(int((~CHOOSING).sum()))
    measured = scored.probabilities[~CHOOSING]
    for stage, p in (("before", measured), ("after", scale_probabilities(measured, temperature))):
        for band in ("head", "mid", "tail", "all"):
            labels = np.flatnonzero((bands(COUNTS) == band) | (band == "all"))
            truth = scored.truth[~CHOOSING][:, labels]
            error, table = reliability(p[:, labels], truth, copies)
            row = errors[(errors["stage"] == stage) & (errors["band"] == band)].iloc[0]
            assert (row["labels"], row["positives"]) == (len(labels), truth.sum())
            assert row["base_rate"] == truth.sum() / (len(labels) * len(measured))
            assert row[list(error._fields)].tolist() == list(error)
            of_band = bins[(bins["stage"] == stage) & (bins["band"] == band)]
            np.testing.assert_array_equal(of_band[list(table)].to_numpy(), table.to_numpy())
    total = errors[errors["band"] == "all"].set_index("stage")["ece"]
    assert total["after"] < total["before"]


def test_classified_scores_have_their_own_temperature_where_label_processing_changes_them() -> None:
    scored = scores()
    assert [row.output for row in run(scored).temperatures] == ["scores"]
    both = run(replace(scored, classified=scale_probabilities(scored.probabilities, 0.5)))
    assert [row.output for row in both.temperatures] == ["scores", "classified"]
    # Scaled by 1/2 before, they need twice the temperature.
    assert both.temperatures[1].temperature == pytest.approx(2 * both.temperatures[0].temperature, rel=1e-3)
    assert {row.output for row in both.errors} == {row.output for row in both.bins} == {"scores", "classified"}


def test_thresholds_of_frequent_labels_are_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yt8m_core.metrics.f1.MIN_POSITIVES", 10)
    monkeypatch.setattr("yt8m_core.analysis.calibration.MIN_POSITIVES", 10)
    scored, calibration = scores(), run(scores(), target_precision=0.8)
    p, truth = scored.probabilities[CHOOSING], scored.truth[CHOOSING].toarray() > 0
    assert calibration.target_precision == 0.8
    assert calibration.global_threshold == best_threshold(p.ravel(), p[truth], 0.8)
    positives = truth.sum(axis=0)
    assert calibration.own_thresholds == (positives >= 10).sum() > 2
    assert (positives < 10).any()
    for label, threshold in enumerate(calibration.thresholds):
        own = positives[label] >= 10
        expected = best_threshold(p[:, label], p[truth[:, label], label], 0.8) if own else calibration.global_threshold
        assert threshold == expected


def test_half_without_labels_and_invalid_precision_are_errors() -> None:
    scored = scores()
    truth = scored.truth.toarray()
    truth[CHOOSING] = 0
    with pytest.raises(UserError, match=r"/data: found 240 videos, of which one half has no labels.*Use more videos"):
        run(replace(scored, truth=csr_array(truth)))
    with pytest.raises(UserError, match="target precision: found 2; expected a number from 0 to 1"):
        run(scored, target_precision=2)
