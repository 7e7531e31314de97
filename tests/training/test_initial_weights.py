"""Trainings that start from the weights of a finished run."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import yt8m_core.training.loop as training_module
from tests.support.tiny import CLASSES, STREAMS, tiny_experiment, write_tiny
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.vocabulary import Vocabulary, unnamed_vocabulary, write_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train
from yt8m_core.training.splits import check_origins


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="module")
def origin(root: Path) -> Run:
    return train(tiny_experiment(root), root / "origin")


def started(origin: Run, **changes: object) -> Experiment:
    return replace(origin.experiment, init=str(origin.path), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_training_starts_from_the_weights_of_the_run(origin: Run, tmp_path: Path, ema: float) -> None:
    still = Training(epochs=1, batch_size=16, learning_rate=0, ema=ema)  # no step changes a weight
    run = train(started(origin, training=still, seed=5), tmp_path / "run")
    weights, of_origin = load_file(run.weights_file), load_file(origin.weights_file)
    assert weights.keys() == of_origin.keys()
    assert all(torch.equal(weights[name], of_origin[name]) for name in weights)
    assert run.metrics["validation"] == origin.metrics["validation"]


def test_optimizer_starts_fresh(origin: Run, root: Path, tmp_path: Path) -> None:
    """One step of Adam without a history moves each weight by the learning rate or not at all."""
    videos = Data(str(write_tiny(tmp_path / "few", 16, seed=1)), str(root / "validation"), streams=STREAMS)
    step = Training(epochs=1, batch_size=16, learning_rate=0.001)
    run = train(started(origin, training=step, data=videos), tmp_path / "run")
    weights, of_origin = load_file(run.weights_file), load_file(origin.weights_file)
    moved = torch.cat([(weights[name] - of_origin[name]).abs().flatten() for name in weights])
    assert moved.max() == pytest.approx(0.001, rel=0.02)
    assert (moved > 0.0009).float().mean() > 0.5


def test_origin_is_recorded_with_the_digest_of_its_weights(origin: Run, tmp_path: Path) -> None:
    run = train(started(origin), tmp_path / "run")
    assert Run.open(run.path).experiment.init == str(origin.path)
    digest = hashlib.sha256(origin.weights_file.read_bytes()).hexdigest()[:16]
    assert Run.open(run.path).facts.init_weights == digest
    assert json.loads((run.path / "config.json").read_text())["facts"]["init_weights"] == digest
    train(started(origin), run.path)  # finished: returned unchanged
    shutil.copytree(origin.path, tmp_path / "origin of a chain")
    chained = train(started(run), tmp_path / "chained")
    assert chained.facts.init_weights not in ("", digest)


def test_runs_without_an_origin_are_stored_as_before(origin: Run) -> None:
    config = json.loads((origin.path / "config.json").read_text())
    assert "init" not in config["experiment"]
    assert "init_weights" not in config["facts"]
    experiment = Experiment(Data("train", "validation"), pooling=Slot("lstm"))
    assert experiment.digest == "9327912c20f6e306"  # of versions without --init
    assert replace(experiment, init="run").digest != experiment.digest


class Interruption(Exception):
    pass


def interrupt(experiment: Experiment, folder: Path, at: int) -> None:
    """Train until a number of log lines and stop as by a crash, without saving."""
    seen = 0

    def progress(task: str, done: int, total: int, note: str = "") -> None:
        nonlocal seen
        seen += task.startswith("epoch")
        if seen == at:
            raise Interruption

    with pytest.raises(Interruption):
        train(experiment, folder, progress=progress)


@pytest.mark.fault
def test_interrupted_training_resumes_to_the_same_weights_without_its_origin(
    origin: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_module, "LOG_STEPS", 1)
    monkeypatch.setattr(training_module, "CHECKPOINT_STEPS", 3)
    copy = replace(origin, path=shutil.copytree(origin.path, tmp_path / "origin"))
    straight = train(started(copy), tmp_path / "straight")
    for name, at in (("first epoch", 5), ("second epoch", 12)):
        interrupt(started(copy), tmp_path / name, at)
        assert (tmp_path / name / "checkpoint.safetensors").is_file()
    shutil.rmtree(copy.path)
    for name in ("first epoch", "second epoch"):
        resumed = train(started(copy), tmp_path / name)
        assert resumed.weights_file.read_bytes() == straight.weights_file.read_bytes()
        assert Run.open(resumed.path).facts == Run.open(straight.path).facts
        assert resumed.log.equals(straight.log)


@pytest.mark.fault
def test_origin_that_changes_before_the_first_checkpoint_is_reported(
    origin: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_module, "LOG_STEPS", 1)
    copy = replace(origin, path=shutil.copytree(origin.path, tmp_path / "origin"))
    interrupt(started(copy), tmp_path / "run", 2)
    other = train(replace(origin.experiment, seed=9), tmp_path / "other")
    shutil.copy(other.weights_file, copy.weights_file)
    with pytest.raises(UserError, match=r"run: the weights of .*origin have changed since the run started"):
        train(started(copy), tmp_path / "run")
    shutil.copy(origin.weights_file, copy.weights_file)
    assert train(started(copy), tmp_path / "run").is_finished


@pytest.mark.fault
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"classification": Slot("moe", {"experts": 3})},
            r"model\.safetensors: found weights that do not fit the experiment: 'classification\.\S+' \[.*\] F32; "
            r"expected \[",
        ),
        ({"classification": Slot("logistic")}, r"'classification\.\S+' .*; expected no such tensor"),
        ({"label_processing": Slot("context_gating")}, r"'label_processing\.\S+' missing; expected \["),
    ],
)
def test_weights_that_do_not_fit_are_refused_with_the_first_tensor(
    origin: Run, tmp_path: Path, changes: dict[str, Slot], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(started(origin, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.fault
def test_origin_of_other_data_is_refused(origin: Run, root: Path, tmp_path: Path) -> None:
    data = origin.experiment.data
    write_vocabulary(tmp_path / "more.csv", unnamed_vocabulary(CLASSES + 1))
    names = [f"label {number}" for number in range(CLASSES)]
    for number, file in enumerate(("a.csv", "b.csv")):
        names[3] = f"name {number}"
        write_vocabulary(tmp_path / file, Vocabulary(tuple(names), ("",) * CLASSES))
    named = train(
        replace(origin.experiment, data=replace(data, vocabulary=str(tmp_path / "a.csv"))), tmp_path / "named"
    )
    for run, vocabulary in ((origin, "more.csv"), (named, "b.csv")):
        other = started(run, data=replace(data, vocabulary=str(tmp_path / vocabulary)))
        with pytest.raises(UserError, match=r"--init: found other labels, 6 of them; expected the \d labels of"):
            train(other, tmp_path / "run")
    assert train(started(named), tmp_path / "unnamed").is_finished  # labels without a name fit
    rgb = started(origin, data=replace(data, streams=STREAMS[:1]))
    with pytest.raises(UserError, match=r"found .* rgb \(24\) \+ audio \(8\); expected .* rgb \(24\),"):
        train(rgb, tmp_path / "run")
    with pytest.raises(UserError, match="nowhere is not a run folder"):
        train(replace(origin.experiment, init=str(tmp_path / "nowhere")), tmp_path / "run")
    unfinished = shutil.copytree(origin.path, tmp_path / "unfinished")
    (unfinished / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"unfinished has no trained weights\. Finish its training"):
        train(replace(origin.experiment, init=str(unfinished)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_path_and_digest_are_validated(origin: Run, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"experiment, init: found .*; expected a path in Unicode"):
        replace(origin.experiment, init="a\0")
    with pytest.raises(UserError, match="facts, init_weights: found 'zz'; expected 16 hex digits"):
        replace(origin.facts, init_weights="zz")


@pytest.mark.fault
def test_validation_videos_that_the_origin_has_learned_from_stop_the_training(
    origin: Run, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = str(write_tiny(tmp_path / "other", 40, seed=9))
    leaking = Data(other, str(root / "train"), streams=STREAMS)
    with pytest.raises(UserError, match=r"Run .*origin, whose weights .*: 120 of 120 validation.*--allow shared"):
        train(started(origin, data=leaking), tmp_path / "run")
    metrics = train(started(origin, data=leaking), tmp_path / "run", allow=["shared-videos"]).metrics
    assert (metrics["shared_videos"], metrics["init_shared_videos"]) == (0, 120)

    # Through the run that the origin started from, and where its training data are gone.
    middle = train(started(origin, data=Data(other, str(root / "validation"), streams=STREAMS)), tmp_path / "middle")
    assert middle.metrics["init_shared_videos"] == 0
    with pytest.raises(UserError, match="origin, whose weights"):
        train(replace(origin.experiment, init=str(middle.path), data=leaking), tmp_path / "run 2")
    moved = shutil.copytree(middle.path, tmp_path / "moved")
    config = json.loads((moved / "config.json").read_text())
    config["experiment"]["data"]["train"] = str(tmp_path / "nowhere")
    (moved / "config.json").write_text(json.dumps(config))
    leaking_itself = replace(leaking, train=leaking.validation)
    started_from_moved = replace(origin.experiment, init=str(moved), data=leaking_itself)
    run = train(started_from_moved, tmp_path / "run 3", allow=["shared-videos"])
    assert run.metrics["shared_videos"] == 120  # what is known
    assert "init_shared_videos" not in run.metrics
    assert "moved has learned from validation videos was not compared: no file matches" in caplog.text


@pytest.mark.fault
def test_replaced_training_data_and_weights_of_an_origin_are_not_compared(origin: Run, root: Path) -> None:
    validation = open_videos(root / "validation", streams=STREAMS)
    copy = Path(shutil.copytree(origin.path, root / "copy"))
    config = json.loads((copy / "config.json").read_text())
    config["facts"]["train_videos"] = 7  # as many as were there at the time
    (copy / "config.json").write_text(json.dumps(config))
    (check,), count = check_origins(str(copy), validation)
    assert count is None
    assert "was not compared: " in check.message
    assert "found 120 videos; expected the 7 training videos" in check.message

    middle = train(started(origin), root / "middle")
    weights = origin.weights_file.read_bytes()
    try:
        origin.weights_file.write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
        (check,), count = check_origins(str(middle.path), validation)
    finally:
        origin.weights_file.write_bytes(weights)
    assert count is None
    assert "its weights are no longer those that the training started from" in check.message


@pytest.mark.fault
def test_runs_that_start_from_each_other_end_the_comparison(origin: Run, root: Path, tmp_path: Path) -> None:
    still = Training(epochs=1, batch_size=16, learning_rate=0)  # all weights are equal
    first = train(started(origin, training=still), tmp_path / "first")
    second = train(replace(first.experiment, init=str(first.path)), tmp_path / "second")
    config = json.loads((first.path / "config.json").read_text())
    config["experiment"]["init"] = str(second.path)
    (first.path / "config.json").write_text(json.dumps(config))
    _, count = check_origins(str(second.path), open_videos(root / "validation", streams=STREAMS))
    assert count == 0
