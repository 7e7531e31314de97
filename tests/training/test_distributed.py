"""Several processes, as torchrun starts them, end where one does."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from tests.support.tiny import tiny_experiment
from yt8m_core.data.loader import split_batch
from yt8m_core.experiment import Training
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train

REPOSITORY = Path(__file__).parents[2]
# 120 videos in batches of 17: the last of an epoch has one video, so that one of two processes has none.
TRAINING = Training(epochs=3, batch_size=17, learning_rate=0.02, ema=0.9)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    tiny_experiment(root)
    return root


@given(videos=st.integers(1, 40), processes=st.integers(1, 5), parts=st.integers(1, 4))
def test_each_video_of_a_batch_has_one_share_and_the_weights_sum_to_one(
    videos: int, processes: int, parts: int
) -> None:
    batch = np.arange(100, 100 + videos)
    shares = [split_batch(batch, process, processes, parts) for process in range(processes)]
    assert {len(mine) for mine in shares} == {parts}
    real = [share for mine in shares for share in mine if share.weight]
    assert sorted(np.concatenate([share.videos for share in real])) == list(batch)
    assert sum(share.weight for share in real) == pytest.approx(1)
    assert all(len(share.videos) for mine in shares for share in mine)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross_entropy", "center(weight=0.1, loss='pseudo_huber')"])
def test_two_processes_end_with_the_weights_and_metrics_of_one(root: Path, tmp_path: Path, loss: str) -> None:
    experiment = tiny_experiment(
        root, training=TRAINING, loss=Slot.parse(loss), classification=Slot("mlp", {"hidden": [16]}),
        label_processing=Slot("correlation", {"beta": 0.05, "gamma": 0.05}),
    )  # fmt: skip
    one = train(experiment, tmp_path / "one")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone",
        "-m", "--", "yt8m_core", "train", "--experiment", one.path / "config.json", "--run", tmp_path / "two",
    ]  # fmt: skip
    done = subprocess.run(list(map(str, command)), cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
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
    pd.testing.assert_frame_equal(two.log, one.log, atol=1e-4, rtol=1e-4)


def test_a_batch_learned_from_in_parts_gives_the_weights_of_the_whole(root: Path, tmp_path: Path) -> None:
    loss = Slot.parse("center(weight=0.1)")
    runs = [
        train(
            tiny_experiment(root, loss=loss, training=Training(epochs=2, batch_size=17, accumulate=parts)),
            tmp_path / str(parts),
        )
        for parts in (1, 3)
    ]
    whole, in_parts = (load_file(run.path / "model.safetensors") for run in runs)
    for name, tensor in whole.items():
        torch.testing.assert_close(in_parts[name], tensor, atol=1e-5, rtol=1e-5)
    pd.testing.assert_frame_equal(runs[0].log, runs[1].log, atol=1e-4, rtol=1e-4)
