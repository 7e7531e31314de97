"""Evaluation, prediction and ensembles in several processes of torchrun, and after a kill."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.support.tiny import tiny_experiment, write_tiny
from tests.support.torchrun import is_running, process_ids, run_torchrun, start_torchrun, wait_for
from yt8m_core.inference.evaluation import evaluate_model, open_run_data, score_batches
from yt8m_core.inference.prediction_files import write_predictions
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train
from yt8m_core.workspace import workspace

WORKER = "tests.inference.worker"
FILES = ("scores.csv", "scores.parquet", "ensemble.csv", "predictions.json")
VIDEOS = 3000  # six parts of 512


@pytest.fixture(autouse=True)
def own_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests leave parts in theirs: those of commands that they interrupt."""
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Train two tiny runs."""
    folder = tmp_path_factory.mktemp("processes")
    write_tiny(folder / "train", 60, seed=1)
    write_tiny(folder / "validation", VIDEOS, seed=2)
    experiments = (tiny_experiment(folder, classification=Slot(name)) for name in ("moe", "logistic"))
    first, second = (train(experiment, folder / experiment.classification.name) for experiment in experiments)
    return first, second


@pytest.fixture(scope="module")
def expected(runs: tuple[Run, Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the results of one process."""
    folder = tmp_path_factory.mktemp("one")
    ((code, _, errors),) = run_torchrun(WORKER, *arguments(runs, folder), processes=1)
    assert code == 0, errors
    return folder


def arguments(runs: tuple[Run, Run], output: Path, seconds: float = 0.0) -> tuple[object, ...]:
    """Return the arguments of the worker."""
    return runs[0].path, runs[1].path, runs[0].experiment.data.validation, output, seconds


def assert_equal(folder: Path, expected: Path) -> None:
    """Compare the results of two folders: files byte for byte, metrics to 1e-12."""
    for name in FILES:
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    for found, wanted in zip(
        *(json.loads((path / "metrics.json").read_text()) for path in (folder, expected)), strict=True
    ):
        pd.testing.assert_frame_equal(frame(found), frame(wanted), rtol=1e-12, atol=1e-12)
    assert not list(folder.glob(".*"))
    assert not list((workspace() / "parts").glob("*"))


def frame(values: dict[str, Any]) -> pd.DataFrame:
    """Return metrics as a table."""
    return pd.DataFrame({name: np.atleast_1d(value) for name, value in values.items()})


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 4])
def test_results_do_not_depend_on_the_number_of_processes(
    runs: tuple[Run, Run], expected: Path, tmp_path: Path, processes: int
) -> None:
    ((code, _, errors),) = run_torchrun(WORKER, *arguments(runs, tmp_path), processes=processes)
    assert code == 0, errors
    assert_equal(tmp_path, expected)


@pytest.mark.slow
def test_results_in_parts_are_those_of_one_pass(runs: tuple[Run, Run], expected: Path, tmp_path: Path) -> None:
    videos, model = open_run_data(runs[0], runs[0].experiment.data.validation), runs[0].load_model()
    for name in ("scores.csv", "scores.parquet"):
        write_predictions(score_batches(model, videos), videos, tmp_path / name, vocabulary=runs[0].vocabulary)
    assert (tmp_path / "scores.csv").read_bytes() == (expected / "scores.csv").read_bytes()
    whole, joined = (pq.ParquetFile(folder / "scores.parquet") for folder in (tmp_path, expected))
    assert joined.read().equals(whole.read(), check_metadata=True)
    assert joined.num_row_groups == whole.num_row_groups
    evaluation = evaluate_model(model, videos, num_classes=6, training_counts=runs[0].training_counts)
    assert evaluation.metrics == json.loads((expected / "metrics.json").read_text())[0]


@pytest.mark.slow
@pytest.mark.fault
def test_killed_process_ends_the_others_and_the_same_command_goes_on(
    runs: tuple[Run, Run], expected: Path, tmp_path: Path
) -> None:
    launchers = start_torchrun(WORKER, *arguments(runs, tmp_path, seconds=3), processes=3)
    ids = process_ids(tmp_path, 3)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob(".scores.csv.*.parts/000*"))) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(ids[1], signal.SIGKILL)
    started = time.monotonic()
    ((code, _, errors),) = wait_for(launchers)
    assert code
    assert time.monotonic() - started < 60
    assert "rank      : 1" in errors
    assert not any(map(is_running, ids))
    assert not (tmp_path / "scores.csv").exists()
    ((code, _, errors),) = run_torchrun(WORKER, *arguments(runs, tmp_path), processes=2)
    assert code == 0, errors
    assert_equal(tmp_path, expected)
