"""Training in several processes of torchrun gives the result of one."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.support.tiny import tiny_experiment
from tests.support.torchrun import run_torchrun, start_torchrun, wait_for
from yt8m_core.data.loader import split_batch
from yt8m_core.experiment import Training
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train

REPOSITORY = Path(__file__).parents[2]
# 120 videos in batches of 17: the last batch has one video, so one of two processes has none.
TRAINING = Training(epochs=3, batch_size=17, learning_rate=0.02, ema=0.9)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    tiny_experiment(root)
    return root


@given(videos=st.integers(1, 40), world_size=st.integers(1, 5), accumulate=st.integers(1, 4))
def test_each_video_is_in_one_micro_batch_and_the_weights_sum_to_one(
    videos: int, world_size: int, accumulate: int
) -> None:
    batch = np.arange(100, 100 + videos)
    parts = [split_batch(batch, rank, world_size, accumulate) for rank in range(world_size)]
    assert {len(part) for part in parts} == {accumulate}
    weighted = [micro_batch for part in parts for micro_batch in part if micro_batch.weight]
    assert sorted(np.concatenate([micro_batch.videos for micro_batch in weighted])) == list(batch)
    assert sum(micro_batch.weight for micro_batch in weighted) == pytest.approx(1)
    assert all(len(micro_batch.videos) for part in parts for micro_batch in part)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross_entropy", "center(weight=0.1, loss='pseudo_huber')"])
def test_two_processes_give_the_weights_and_metrics_of_one(root: Path, tmp_path: Path, loss: str) -> None:
    experiment = tiny_experiment(
        root, training=TRAINING, loss=Slot.parse(loss), classification=Slot("mlp", {"hidden": [16]}),
        label_processing=Slot("correlation", {"beta": 0.05, "gamma": 0.05}),
    )  # fmt: skip
    one = train(experiment, tmp_path / "one")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone",
        "-m", "--", "yt8m_core", "train", "--experiment", one.path / "config.json", "--run", tmp_path / "two",
    ]  # fmt: skip
    process = subprocess.run(list(map(str, command)), cwd=REPOSITORY, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    two = Run.open(tmp_path / "two")
    assert two.metrics["processes"] == 2
    weights, expected = (load_file(run.path / "model.safetensors") for run in (two, one))
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-5, rtol=1e-5)
    # Every validation video once, in the order of the data.
    assert two.metrics["validation"]["num_videos"] == 40
    assert list(two.predictions["id"]) == list(one.predictions["id"])
    np.testing.assert_allclose(np.stack(two.predictions["scores"]), np.stack(one.predictions["scores"]), atol=1e-5)
    assert two.metrics["validation"]["gap"] == pytest.approx(one.metrics["validation"]["gap"], abs=1e-4)
    assert one.log["update_label_processing"].notna().any()
    assert two.metrics["validation"].keys() == one.metrics["validation"].keys()
    assert two.metrics["validation"]["ap_videos"] == 40
    pd.testing.assert_frame_equal(two.label_precision, one.label_precision, atol=1e-4, rtol=1e-4)
    pd.testing.assert_frame_equal(two.log, one.log, atol=1e-4, rtol=1e-4)


def test_gradient_accumulation_gives_the_same_weights(root: Path, tmp_path: Path) -> None:
    loss = Slot.parse("center(weight=0.1)")
    runs = [
        train(
            tiny_experiment(root, loss=loss, training=Training(epochs=2, batch_size=17, accumulate=parts)),
            tmp_path / str(parts),
        )
        for parts in (1, 3)
    ]
    full_batch, accumulated = (load_file(run.path / "model.safetensors") for run in runs)
    for name, tensor in full_batch.items():
        torch.testing.assert_close(accumulated[name], tensor, atol=1e-5, rtol=1e-5)
    pd.testing.assert_frame_equal(runs[0].log, runs[1].log, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.fault
def test_sigterm_to_torchrun_leaves_a_checkpoint_and_the_same_command_resumes(root: Path, tmp_path: Path) -> None:
    """A scheduler such as Slurm sends it before its time limit."""
    experiment = tiny_experiment(root, training=Training(epochs=60, batch_size=17, learning_rate=0.02))
    config, run = tmp_path / "experiment.json", tmp_path / "run"
    config.write_text(json.dumps(experiment.to_dict()))
    arguments = ("yt8m_core", "train", "--experiment", config, "--run", run)
    launchers = start_torchrun(*arguments)
    deadline = time.monotonic() + 60
    while not (run / "log.csv").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    launchers[0].send_signal(signal.SIGTERM)
    ((code, _, errors),) = wait_for(launchers, 60)
    assert code
    assert "stopped in epoch" in errors
    assert (run / "checkpoint.safetensors").is_file()
    assert not (run / "metrics.json").exists()
    ((code, _, errors),) = run_torchrun(*arguments)
    assert code == 0, errors
    assert list(Run.open(run).log["epoch"].dropna().astype(int))[-1] == 60
    assert not (run / "checkpoint.safetensors").exists()
