"""Average precision by label and frequency band in an evaluation, compared with loops over all scores."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from tests.metrics.test_top_k import average_precision
from tests.support.tiny import CLASSES, tiny_experiment, write_tiny
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.experiment import Training
from yt8m_core.inference import band_precision as module
from yt8m_core.inference.band_precision import AP_METRICS, band_means
from yt8m_core.inference.evaluation import evaluate, evaluate_model, open_run_data
from yt8m_core.inference.sampling import sample_videos
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = tmp_path_factory.mktemp("tiny")
    return train(tiny_experiment(root, training=Training(epochs=1, batch_size=64)), root / "run")


def training_counts(run: Run) -> NDArray[np.int64]:
    """Count the training videos of each label with a loop."""
    videos = open_videos(run.experiment.data.train, streams=run.experiment.data.streams)
    counts = np.zeros(CLASSES, np.int64)
    for video in range(len(videos)):
        counts[videos.labels(video)] += 1
    return counts


def expected_bands(counts: list[int]) -> list[str]:
    """Take the most frequent labels first, until the head has 50% and head and mid have 90% of the pairs."""
    bands, share = [""] * len(counts), 0.0
    for label in sorted(range(len(counts)), key=lambda label: (-counts[label], label)):
        bands[label] = "head" if share < 0.5 else "mid" if share < 0.9 else "tail"
        share += counts[label] / sum(counts)
    return bands


def expected_ap(run: Run, videos: Videos, positions: list[int]) -> list[float]:
    """Compute the average precision of each label over some videos, scored one by one."""
    model, rows, truth = run.load_model(), [], np.zeros((len(positions), CLASSES), int)
    for row, video in enumerate(positions):
        frames = torch.from_numpy(videos.frames(video))[None]
        rows.append(model(frames, torch.tensor([frames.shape[1]]))[0].p[0].tolist())
        truth[row, videos.labels(video)] = 1
    ap = []
    for c in range(CLASSES):
        ranked = sorted(((row[c], int(hit)) for row, hit in zip(rows, truth[:, c], strict=True)), reverse=True)
        ap.append(average_precision(ranked, int(truth[:, c].sum())) if truth[:, c].any() else np.nan)
    return ap


def check_table(run: Run, table: pd.DataFrame, videos: Videos, positions: list[int]) -> None:
    counts = training_counts(run).tolist()
    assert list(table.columns) == ["label", "training_videos", "band", "positives", "ap"]
    assert table["label"].tolist() == list(range(CLASSES))
    assert table["training_videos"].tolist() == counts
    assert table["band"].tolist() == expected_bands(counts)
    positives = [sum(c in videos.labels(video) for video in positions) for c in range(CLASSES)]
    assert table["positives"].tolist() == positives
    assert table["ap"].tolist() == pytest.approx(expected_ap(run, videos, positions), abs=1e-9, nan_ok=True)


def check_metrics(metrics: dict[str, float], table: pd.DataFrame, num_videos: int) -> None:
    for band in ("head", "mid", "tail", "all"):
        measured = [ap for ap, own in zip(table["ap"], table["band"], strict=True) if band in (own, "all") and ap == ap]
        if measured:
            assert metrics[f"ap_{band}"] == pytest.approx(sum(measured) / len(measured), abs=1e-12)
        else:
            assert f"ap_{band}" not in metrics
    assert metrics["ap_videos"] == num_videos


def test_run_stores_the_ap_of_each_label_and_the_means_of_the_bands(run: Run) -> None:
    videos = open_run_data(run, run.experiment.data.validation)
    check_table(run, run.label_precision, videos, list(range(40)))
    check_metrics(run.metrics["validation"], run.label_precision, 40)
    assert run.metrics["validation"]["ap_all"] < 1  # there is something to measure


def test_evaluation_of_other_data_uses_the_bands_of_the_training_labels(run: Run, tmp_path: Path) -> None:
    write_tiny(tmp_path / "other", 25, seed=9)
    write_tiny(tmp_path / "other", 7, seed=10, labeled=False, shards=1)  # replaces a shard
    videos = open_run_data(run, tmp_path / "other")
    labeled = np.flatnonzero(videos.is_labeled).tolist()
    assert 0 < len(labeled) < len(videos)
    evaluation = evaluate(run, tmp_path / "other", unlabeled="skip")
    assert evaluation.label_precision is not None
    check_table(run, evaluation.label_precision, videos, labeled)
    check_metrics(evaluation.metrics, evaluation.label_precision, len(labeled))


def test_large_data_are_measured_on_a_fixed_sample(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SCORES", 15 * CLASSES + 3)
    monkeypatch.setattr("yt8m_core.inference.evaluation.BATCH_SIZE", 6)
    videos = open_run_data(run, run.experiment.data.validation)
    counts = training_counts(run)
    evaluation = evaluate_model(run.load_model(), videos, num_classes=CLASSES, training_counts=counts)
    assert evaluation.label_precision is not None
    sample = sample_videos(videos.is_labeled, 15).tolist()
    assert len(sample) == 15
    check_table(run, evaluation.label_precision, videos, sample)
    check_metrics(evaluation.metrics, evaluation.label_precision, 15)
    assert evaluation.metrics["num_videos"] == 40


def test_band_without_positives_has_no_metric() -> None:
    table = pd.DataFrame({"band": ["head", "mid", "tail"], "ap": [0.5, np.nan, 0.25]})
    assert band_means(table) == {"ap_head": 0.5, "ap_tail": 0.25, "ap_all": 0.375}
    assert AP_METRICS == ("ap_head", "ap_mid", "ap_tail", "ap_all")


def test_run_of_an_older_version_is_evaluated_without_bands(run: Run) -> None:
    file = run.path / "label_precision.parquet"
    content = file.read_bytes()
    file.unlink()
    try:
        evaluation = evaluate(run, run.experiment.data.validation)
    finally:
        file.write_bytes(content)
    stored = run.metrics["validation"]
    assert evaluation.label_precision is None
    expected = {name: value for name, value in stored.items() if not name.startswith("ap_")}
    assert evaluation.metrics == pytest.approx(expected)
