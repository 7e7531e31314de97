"""The commands calibrate and predict --threshold."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.command import yt8m
from tests.support.shards import frames, small, write
from tests.support.tiny import CLASSES, STREAMS, tiny_experiment, write_tiny
from yt8m_core.cli.calibration import _advice
from yt8m_core.inference.evaluation import open_experiment_data, open_run_data
from yt8m_core.inference.score_cache import load_scores
from yt8m_core.models.slot import Slot
from yt8m_core.runs.calibration_file import F1, Calibration
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train


def tiny_frames(seed: int) -> dict[str, NDArray[np.uint8]]:
    return {name: frames(3, dim, seed) for name, dim in STREAMS}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    write_tiny(root / "other", 90, seed=7)
    return train(tiny_experiment(root), root / "run").path


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the run without a calibration."""
    return shutil.copytree(trained, tmp_path / "run")


def test_calibrate_prints_and_stores_temperature_errors_and_f1(
    run: Path,
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = trained.parent / "other"
    yt8m(monkeypatch, "calibrate", run, "--data", data)
    printed = capsys.readouterr().out
    calibration = Run.open(run).calibration
    assert (calibration.data, calibration.training_videos) == (str(data), 0)
    assert calibration.chosen_on + calibration.measured_on == 90
    assert calibration.description in printed
    assert f"Temperature: {calibration.temperatures[0].temperature:.4f} (scores)" in printed
    for row in calibration.errors:
        assert f"{row.ece:.2e} [{row.low:.2e}, {row.high:.2e}]" in printed
    for rate in calibration.f1:
        assert f"{rate.f1:.4f} [{rate.low:.4f}, {rate.high:.4f}]" in printed
    assert re.search(
        r"Thresholds per label against the global one: micro F1 .*, macro F1 .*\. Use yt8m predict", printed
    )
    assert f"Stored in {run / 'calibration.json'}" in printed
    assert not caplog.records
    yt8m(monkeypatch, "calibrate", run, "--data", data, "--target-precision", "0.8")
    assert Run.open(run).calibration.target_precision == 0.8
    assert "Compare the measured precision with the target" in capsys.readouterr().out
    yt8m(monkeypatch, "calibrate", run, "--data", data, "--json")
    stored = json.loads((run / "calibration.json").read_text())
    assert json.loads(capsys.readouterr().out) == {key: stored[key] for key in stored if key != "format"}


def test_label_processing_has_a_temperature_before_and_after_it(
    tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slot = Slot("correlation", {"alpha": 0.8, "beta": 0.3})
    run = train(tiny_experiment(trained.parent, label_processing=slot), tmp_path / "run")
    yt8m(monkeypatch, "calibrate", run.path, "--data", trained.parent / "other")
    first, second = run.calibration.temperatures
    assert (first.output, second.output) == ("scores", "classified")
    assert first.temperature != second.temperature
    expected = f"{first.temperature:.4f} (scores), {second.temperature:.4f} (before label processing)"
    assert f"Temperature: {expected}" in capsys.readouterr().out


def test_calibration_on_training_videos_is_a_warning(
    run: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Videos are compared by id, so that a copy of a shard is recognized."""
    copy = shutil.copytree(trained.parent / "other", tmp_path / "mixed")
    shutil.copy(trained.parent / "train" / "train0.tfrecord", copy)
    yt8m(monkeypatch, "calibrate", run, "--data", copy)
    assert "60 of 150 videos are training videos of run run" in caplog.text
    assert Run.open(run).calibration.training_videos == 60


def test_bands_follow_the_training_counts_also_of_an_older_run(
    run: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = trained.parent / "other"
    yt8m(monkeypatch, "calibrate", run, "--data", data)
    (run / "label_precision.parquet").unlink()
    newer = Run.open(run).calibration
    yt8m(monkeypatch, "calibrate", run, "--data", data)
    assert Run.open(run).calibration == newer


def test_training_data_that_are_gone_are_a_warning_and_for_an_older_run_an_error(
    run: Path, trained: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = json.loads((run / "config.json").read_text())
    config["experiment"]["data"]["train"] = "/nowhere"
    (run / "config.json").write_text(json.dumps(config))
    yt8m(monkeypatch, "calibrate", run, "--data", trained.parent / "other")
    assert "Cannot open /nowhere to check that the run was not trained on these videos" in caplog.text
    assert Run.open(run).calibration.training_videos == -1
    (run / "label_precision.parquet").unlink()
    with pytest.raises(SystemExit) as stopped:
        yt8m(monkeypatch, "calibrate", run, "--data", trained.parent / "other")
    assert re.search(r"yt8m: /nowhere: .*no label counts.*Restore the training data", str(stopped.value.code))


def test_videos_of_the_other_folds_are_training_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = tiny_experiment(tmp_path)
    folded = replace(experiment, data=replace(experiment.data, validation="", fold="1/4"))
    run = train(folded, tmp_path / "run")
    yt8m(monkeypatch, "calibrate", run.path, "--data", tmp_path / "train")
    assert run.calibration.training_videos == run.facts.train_videos < 120


def read_csv(file: Path) -> list[tuple[str, list[int]]]:
    rows = [line.split(",") for line in file.read_text().splitlines()[1:]]
    return [(video, [int(label) for label in pairs.split()[::2]]) for video, pairs in rows]


def test_predict_writes_the_labels_at_their_calibrated_thresholds(
    run: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = trained.parent / "other"
    monkeypatch.setattr("yt8m_core.metrics.f1.MIN_POSITIVES", 3)
    yt8m(monkeypatch, "calibrate", run, "--data", data)
    opened = Run.open(run)
    assert len(set(opened.calibration.thresholds)) > 2
    output = tmp_path / "p.csv"
    yt8m(monkeypatch, "predict", run, "--data", data, "--output", output, "--threshold", "calibrated")
    assert opened.calibration.description in capsys.readouterr().out
    videos = open_run_data(opened, data)
    p = load_scores(opened, videos).probabilities
    expected = [np.flatnonzero(scores >= opened.calibration.thresholds) for scores in p]
    assert [(video, sorted(labels)) for video, labels in read_csv(output)] == [
        (video, labels.tolist()) for video, labels in zip(videos.ids, expected, strict=True)
    ]
    yt8m(monkeypatch, "predict", run, "--data", data, "--output", output, "--threshold", "0.3")
    assert [len(labels) for _, labels in read_csv(output)] == (p >= np.float64(0.3)).sum(axis=1).tolist()
    assert "chosen on" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        ("calibrated", r"has no calibration\. Run `yt8m calibrate` on labeled videos that the run was not trained on"),
        ("1.5", r"threshold: found 1\.5; expected a number from 0 to 1, or calibrated"),
    ],
)
def test_invalid_threshold_is_one_sentence_and_writes_nothing(
    run: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threshold: str, message: str
) -> None:
    output = tmp_path / "p.csv"
    with pytest.raises(SystemExit) as stopped:
        yt8m(
            monkeypatch, "predict", run, "--data", trained.parent / "other", "--output", output,
            "--threshold", threshold,
        )  # fmt: skip
    assert re.search(message, str(stopped.value.code))
    assert not output.exists()


def test_damaged_calibration_is_one_sentence_that_names_the_file(
    run: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "calibration.json").write_text('{"format": 1, "thresholds": ')
    with pytest.raises(SystemExit) as stopped:
        yt8m(
            monkeypatch, "predict", run, "--data", trained.parent / "other", "--output", tmp_path / "p.csv",
            "--threshold", "calibrated",
        )  # fmt: skip
    assert re.match(r"yt8m: .*calibration\.json: .*invalid JSON", str(stopped.value.code))


@pytest.mark.parametrize(
    ("micro", "macro", "expected"),
    [
        ((0.01, 0.02), (-0.01, 0.02), "micro F1 better, macro F1 no significant difference. Use .* calibrated"),
        ((-0.03, -0.01), (0.01, 0.02), "micro F1 worse, macro F1 better. Use .* 0.2500"),
        ((-0.01, 0.02), (-0.01, 0.02), "macro F1 no significant difference. Use .* 0.2500"),
    ],
)
def test_thresholds_per_label_are_advised_only_if_they_are_better(
    micro: tuple[float, float], macro: tuple[float, float], expected: str
) -> None:
    rows = [
        F1("per label", average, 0.5, 0.5, 0.5, 0.4, 0.6, sum(gain) / 2, *gain)  # type: ignore[arg-type]
        for average, gain in (("micro", micro), ("macro", macro))
    ]
    calibration = Calibration("/data", 20, 22, 0, 0.0, [], [], [], rows, 0.25, 1, [0.25])
    assert re.search(expected, _advice(calibration))


def test_segments_of_training_videos_are_counted_and_stay_in_one_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    experiment = tiny_experiment(tmp_path)
    run = train(experiment, tmp_path / "run")
    names = open_experiment_data(experiment, experiment.data.train).ids
    segments = [
        replace(small(f"{i}"), id=names[i // 2], labels=(i % CLASSES,), start=float(i % 2), streams=tiny_frames(i))
        for i in range(160)
    ]
    write(tmp_path / "segments" / "a.tfrecord", *segments)
    yt8m(monkeypatch, "calibrate", run.path, "--data", tmp_path / "segments")
    calibration = run.calibration
    assert calibration.training_videos == 160
    assert calibration.chosen_on % 2 == 0
    assert "160 of 160 videos are training videos" in caplog.text


def test_unlabeled_videos_count_as_the_run_was_told(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        replace(small(f"{i}"), labels=(i % CLASSES,) if i % 2 else None, streams=tiny_frames(i)) for i in range(80)
    ]
    write(tmp_path / "mixed" / "a.tfrecord", *records)
    for policy, videos in (("skip", 40), ("negative", 80)):
        yt8m(monkeypatch, "calibrate", run, "--data", tmp_path / "mixed", "--unlabeled", policy)
        calibration = Run.open(run).calibration
        assert calibration.chosen_on + calibration.measured_on == videos
    with pytest.raises(SystemExit, match="40 of 80 videos have no labels"):
        yt8m(monkeypatch, "calibrate", run, "--data", tmp_path / "mixed")
