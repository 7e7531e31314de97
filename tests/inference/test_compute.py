"""The device and the precision of a model, its memory, and threads that compute batches."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.tiny import tiny_experiment, write_tiny
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.loader import ordered_batches
from yt8m_core.errors import UserError
from yt8m_core.inference.compute import Compute, choose_compute
from yt8m_core.inference.evaluation import evaluate, score_batches
from yt8m_core.inference.score_cache import load_scores
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Train a tiny run."""
    folder = tmp_path_factory.mktemp("compute")
    write_tiny(folder / "train", 60, seed=1)
    write_tiny(folder / "validation", 700, seed=2)
    return train(tiny_experiment(folder), folder / "run")


@pytest.fixture
def videos(run: Run) -> Videos:
    """Open the 700 validation videos: six batches."""
    data = run.experiment.data
    return open_videos(data.validation, streams=data.streams)


class SmallDevice:
    """A function with the memory for some videos at a time; it counts the videos of its passes."""

    def __init__(self, capacity: int, message: str = "CUDA out of memory. Tried to allocate 20.00 MiB") -> None:
        self.capacity, self.message = capacity, message
        self.passes: list[int] = []

    def __call__(self, frames: Tensor, num_frames: Tensor) -> tuple[Tensor, ...]:
        self.passes.append(len(frames))
        if len(frames) > self.capacity:
            raise torch.OutOfMemoryError(self.message)
        return frames.sum(dim=(1, 2)), num_frames


def test_scores_do_not_depend_on_the_number_of_threads(run: Run, videos: Videos) -> None:
    model = run.load_model()
    before = torch.get_num_threads()
    scores = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            scored = list(score_batches(model, videos))
            assert torch.get_num_threads() == threads
            assert [batch.videos.tolist() for batch, _ in scored] == [b.tolist() for b in ordered_batches(700, 128)]
            scores.append(torch.cat([p for _, p in scored]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*scores)
    with torch.no_grad():
        frames = torch.from_numpy(videos.frames(300))[None]
        expected = model(frames, torch.tensor([len(frames[0])]))[0].p[0]
    torch.testing.assert_close(scores[0][300], expected)


def test_abandoned_scoring_ends_its_threads(run: Run, videos: Videos) -> None:
    before = torch.get_num_threads()
    first = score_batches(run.load_model(), videos)
    second = score_batches(run.load_model(), videos)
    next(first), next(second)
    first.close()  # the threads of the second go on with one thread per operation
    assert torch.get_num_threads() == 1
    assert len(list(second)) == 5
    assert torch.get_num_threads() == before


@pytest.mark.fault
def test_too_little_memory_lowers_the_batch_with_one_warning(videos: Videos, caplog: pytest.LogCaptureFixture) -> None:
    compute, function = Compute(), SmallDevice(capacity=40)
    batches = ordered_batches(len(videos), 128)
    with caplog.at_level(logging.WARNING):
        sums = torch.cat([result[0] for _, result in compute.map(function, videos, batches)])
    expected = [videos.frames(video).astype(np.float64).sum() for video in range(len(videos))]
    np.testing.assert_allclose(sums.numpy(), expected, rtol=1e-6)
    assert compute.max_rows == 32
    assert [record.message for record in caplog.records] == [
        "Too little memory of cpu for 128 videos at a time: it computes 32."
    ]
    assert function.passes.count(128) <= torch.get_num_threads() + 1  # it does not try again for each batch


@pytest.mark.fault
@pytest.mark.parametrize("message", ["CUDA out of memory.", "DefaultCPUAllocator: can't allocate memory: 8 bytes"])
def test_too_little_memory_for_one_video_is_an_error(videos: Videos, message: str) -> None:
    function = SmallDevice(0, message)
    with pytest.raises(UserError, match=r"too little memory of cpu for one video of \d+ frames\. Use another"):
        list(Compute().map(function, videos, ordered_batches(len(videos), 128)))
    assert function.passes[-1] == 1


def test_other_errors_pass(videos: Videos) -> None:
    def fail(frames: Tensor, num_frames: Tensor) -> tuple[Tensor, ...]:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        list(Compute().map(fail, videos, ordered_batches(len(videos), 128)))


def test_precision_is_that_of_the_matrix_products(run: Run, videos: Videos) -> None:
    data = run.experiment.data.validation
    exact, rounded = (evaluate(run, data, accelerator="cpu", precision=p).metrics for p in ("float32", "bfloat16"))
    assert exact["gap"] == pytest.approx(run.metrics["validation"]["gap"], abs=1e-6)
    assert exact != rounded
    assert rounded["gap"] == pytest.approx(exact["gap"], abs=0.02)
    first, second = (load_scores(run, videos, precision=p).probabilities for p in ("float32", "bfloat16"))
    assert not np.array_equal(first, second)  # not from the cache of the other precision
    assert np.array_equal(load_scores(run, videos).probabilities, first)


def test_device_is_chosen_by_argument_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("YT8M_ACCELERATOR", "YT8M_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_compute() == Compute(torch.device("cpu"), "float32")
    with pytest.raises(UserError, match=r"no cuda device on this machine; expected auto or cpu"):
        choose_compute("cuda")
    monkeypatch.setenv("YT8M_ACCELERATOR", "gpu")
    with pytest.raises(UserError, match="unknown accelerator 'gpu'"):
        choose_compute()
    monkeypatch.setenv("YT8M_ACCELERATOR", "auto")
    monkeypatch.setenv("YT8M_PRECISION", "bfloat16")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_compute() == Compute(torch.device("cuda:1"), "bfloat16")
    assert choose_compute("cpu", "float32") == Compute(torch.device("cpu"), "float32")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UserError, match=r"process 2 of this machine; expected one process for each of its 2 GPUs"):
        choose_compute()


def test_commands_pass_the_device_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command sets the variables, which whatever it calls reads."""
    from yt8m_core.cli.runs import predict

    monkeypatch.setenv("YT8M_ACCELERATOR", "auto")
    monkeypatch.setenv("YT8M_PRECISION", "float32")
    outputs = [tmp_path / f"{precision}.csv" for precision in ("float32", "bfloat16")]
    for output in outputs:
        precision = output.stem
        predict(run.path, None, run.experiment.data.validation, output, accelerator="cpu", precision=precision)  # type: ignore[arg-type]
    first, second = (output.read_text() for output in outputs)
    assert first != second
    assert first.count("\n") == second.count("\n") == 701
