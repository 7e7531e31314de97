import dataclasses
import math
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import yt8m_core.training.loop as training_module
import yt8m_core.training.setup as training_setup
import yt8m_core.training.step as step_module
from tests.support.tiny import CLASSES, STREAMS, tiny_experiment, write_tiny
from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard
from yt8m_core.data.vocabulary import unnamed_vocabulary, write_vocabulary
from yt8m_core.errors import UserError
from yt8m_core.experiment import Data, Training
from yt8m_core.models.registry import build
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.checkpoint import TrainingProgress
from yt8m_core.training.loop import train
from yt8m_core.training.step import clip_gradient, learning_rate


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


def test_finished_run_is_complete_and_has_learned(root: Path, tmp_path: Path) -> None:
    experiment = tiny_experiment(root, training=Training(epochs=8, batch_size=16, learning_rate=0.02))
    run = train(experiment, tmp_path / "run")
    assert run.is_finished
    assert run.experiment == experiment
    assert run.facts.num_classes == CLASSES
    assert (run.facts.train_videos, run.facts.validation_videos, run.facts.scale) == (120, 40, "sample")
    # Predicting the most frequent labels gives about 0.4.
    metrics = run.metrics["validation"]
    assert metrics["gap"] > 0.9
    assert metrics["gap_low"] <= metrics["gap"] <= metrics["gap_high"]
    log = run.log
    assert log["gap"].notna().sum() == 8
    losses = log["loss"].dropna()
    assert losses.iloc[-1] < losses.iloc[0] / 2
    assert list(run.predictions["id"]) == [f"02{n:04d}" for shard in range(2) for n in range(shard, 40, 2)]
    assert {file.name for file in run.path.iterdir()} == {
        "config.json", "label_precision.parquet", "log.csv", "metrics.json", "model.safetensors",
        "predictions.parquet", "tensorboard", "vocabulary.csv",
    }  # fmt: skip


# All state of a training besides the model's weights, and all of its randomness.
ALL_STATE = {
    "pooling": "adaptive_noise(scale=5.0, pooling='lstm(width=8, layer_norm=True, dropout=0.5)')",
    "label_processing": "correlation(beta=0.05, gamma=0.05)",
    "loss": "center(weight=0.1)",
    "training": "Training(epochs=2, batch_size=16, learning_rate=0.02, ema=0.9, accumulate=2)",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stop_at", "changes"),
    [(4, {}), (8, {}), (11, {}), (11, ALL_STATE)],  # within an epoch (8 steps each), at its end, in the second
    ids=["first-epoch", "its-end", "second-epoch", "second-epoch-with-all-state"],
)
def test_killed_and_resumed_training_gives_the_same_weights_and_log(
    root: Path, tmp_path: Path, stop_at: int, changes: dict[str, str]
) -> None:
    settings = ", ".join(f"{name}={text if name == 'training' else f'Slot.parse({text!r})'}"
                         for name, text in changes.items())  # fmt: skip
    setup = f"""
import os, signal, sys
from pathlib import Path
import yt8m_core.training.loop as training
from tests.support.tiny import tiny_experiment
from yt8m_core.experiment import Training
from yt8m_core.models.slot import Slot
training.LOG_STEPS, training.CHECKPOINT_STEPS = 1, 3
seen = 0
def progress(task, done, total, note=""):
    global seen
    seen += task.startswith("epoch")
    if seen == {stop_at} and len(sys.argv) > 2:
        os.kill(os.getpid(), signal.SIGKILL)
training.train(tiny_experiment(Path({str(root)!r}), {settings}), Path(sys.argv[1]), progress=progress)
"""

    def run(folder: Path, *arguments: str) -> int:
        repository = Path(__file__).parents[2]
        return subprocess.run([sys.executable, "-c", setup, str(folder), *arguments], cwd=repository).returncode

    tiny_experiment(root)
    assert run(tmp_path / "straight") == 0
    assert run(tmp_path / "killed", "kill") == -9
    assert not (tmp_path / "killed" / "metrics.json").exists()
    assert run(tmp_path / "killed") == 0
    straight, resumed = (load_file(tmp_path / name / "model.safetensors") for name in ("straight", "killed"))
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
    assert (tmp_path / "killed" / "log.csv").read_text() == (tmp_path / "straight" / "log.csv").read_text()


def test_finished_run_is_returned_unchanged(root: Path, tmp_path: Path) -> None:
    run = train(tiny_experiment(root), tmp_path / "run")
    before = {file.name: file.stat().st_mtime_ns for file in run.path.iterdir()}
    train(tiny_experiment(root), tmp_path / "run")
    assert {file.name: file.stat().st_mtime_ns for file in run.path.iterdir()} == before


def test_folder_of_another_experiment_is_refused_and_unchanged(root: Path, tmp_path: Path) -> None:
    run = train(tiny_experiment(root), tmp_path / "run")
    weights = (run.path / "model.safetensors").read_bytes()
    other = tiny_experiment(root, seed=1, training=replace(run.experiment.training, epochs=8))
    message = (
        r"run: another experiment \(epochs: 2 in the run, 8 here; seed: 0 in the run, 1 here\)\. Choose another run "
        r"folder\. To train on from its weights: --init .*run --run NEW\.$"
    )
    with pytest.raises(UserError, match=message):
        train(other, tmp_path / "run")
    assert (run.path / "model.safetensors").read_bytes() == weights


def test_weights_depend_only_on_the_seed(root: Path, tmp_path: Path) -> None:
    runs = [train(tiny_experiment(root, seed=seed), tmp_path / name) for name, seed in (("a", 5), ("b", 5), ("c", 6))]
    weights = [(run.path / "model.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_infinite_loss_stops_the_training_and_keeps_the_checkpoint(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = build("loss", "center", {}, num_classes=CLASSES, embedding_features=32)
    forward, steps = broken.forward, 0

    def fail_in_the_second_epoch(*arguments: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        nonlocal steps
        steps += 1
        loss, parts = forward(*arguments)
        if steps < 10:
            return loss, parts
        return loss * float("nan"), {**parts, "center_distance": parts["center_distance"] * float("inf")}

    broken.forward = fail_in_the_second_epoch
    monkeypatch.setattr(training_setup, "build", lambda *args, **facts: broken)
    message = r"epoch 2 of 2, step 2 of 8 \(its 16 videos: '01\d+', '01\d+', '01\d+', …\): the center distance is inf"
    with pytest.raises(UserError, match=message):
        train(tiny_experiment(root), tmp_path / "run")
    checkpoint = load_file(tmp_path / "run" / "checkpoint.safetensors")
    assert all(tensor.isfinite().all() for tensor in checkpoint.values())
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("label_processing", "clamped"),
    [
        ("correlation(alpha=-1.0, space='prob')", ", 100.0% of the scores clamped"),  # below 0, in both micro-batches
        ("correlation(alpha=0.5, space='prob')", ""),
        ("correlation(alpha=-1.0)", ""),  # logits cannot leave 0 to 1
        ("identity", ""),
    ],
)
def test_progress_reports_the_fraction_of_clamped_scores(
    root: Path, tmp_path: Path, label_processing: str, clamped: str
) -> None:
    notes = []
    experiment = tiny_experiment(
        root, label_processing=Slot.parse(label_processing), training=Training(epochs=1, batch_size=16, accumulate=2)
    )
    train(experiment, tmp_path / "run", progress=lambda task, done, total, note="": notes.append((task, note)))
    (epoch_note,) = [note for task, note in notes if task.startswith("epoch")]
    assert re.fullmatch(rf"loss [\d.]+{re.escape(clamped)}", epoch_note)


def test_damaged_checkpoint_is_an_error_on_resume(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(tiny_experiment(root), folder)
    (folder / "metrics.json").unlink()
    (folder / "checkpoint.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(UserError, match=r"checkpoint\.safetensors: cannot read the checkpoint"):
        train(tiny_experiment(root), folder)


def test_gradients_are_clipped_per_tensor_and_only_classification_weights_have_l2(root: Path, tmp_path: Path) -> None:
    seen: list[torch.optim.Adam] = []
    norms: list[float] = []

    class Spy(torch.optim.Adam):
        def step(self, closure: None = None) -> None:  # type: ignore[override]
            norms.extend(float(p.grad.norm()) for group in self.param_groups for p in group["params"])
            super().step()

    def spying(*arguments: object) -> torch.optim.Adam:
        seen.append(adam(*arguments))
        seen[-1].__class__ = Spy
        return seen[-1]

    adam = step_module.adam
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step_module, "adam", spying)
        train(tiny_experiment(root, training=Training(epochs=1, clip_norm=0.05)), tmp_path / "run")
    assert max(norms) == pytest.approx(0.05, rel=1e-3)
    assert sum(norm > 0.049 for norm in norms) > 1  # per tensor; a global norm would be 0.05 in total
    decayed, others = seen[0].param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (1e-8, 0)
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in others["params"]} == {1}
    assert (decayed["betas"], decayed["eps"]) == ((0.9, 0.999), 1e-8)


def test_learning_rate_decays_21_times_in_the_papers_run() -> None:
    examples = 5 * 6_308_488
    rates = {learning_rate(Training(), seen, examples) for seen in range(0, examples, 1000)}
    assert len(rates) == 22
    assert max(rates) == 6e-4
    assert min(rates) == pytest.approx(2.04e-4, rel=0.01)


@pytest.mark.parametrize(("seconds", "expected"), [(0, [1, 2, 3]), (2000, [1])])
def test_slow_checkpoints_are_not_written_after_every_epoch(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, expected: list[int]
) -> None:
    """The clock moves only here: by 100 s in each validation, and by ``seconds`` in each checkpoint."""
    saved: list[int] = []
    now = [time.monotonic()]
    evaluate_model = training_module.evaluate_model

    def evaluate(*args: Any, **options: Any) -> Any:
        now[0] += 100
        return evaluate_model(*args, **options)

    def save(file: Path, state: object, position: TrainingProgress) -> None:
        saved.append(position.epoch)
        now[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: now[0], perf_counter=time.perf_counter)
    monkeypatch.setattr(training_module, "time", clock)
    monkeypatch.setattr(training_module, "evaluate_model", evaluate)
    monkeypatch.setattr(training_module, "save_checkpoint", save)
    train(tiny_experiment(root, training=Training(epochs=3, batch_size=60)), tmp_path / "run")
    assert saved == expected


def test_cosine_schedule_ends_near_zero_at_the_last_step(root: Path, tmp_path: Path) -> None:
    training = Training(epochs=2, batch_size=20, learning_rate=0.01, schedule="cosine")
    rates = train(tiny_experiment(root, training=training), tmp_path / "run").log["learning_rate"].dropna()
    # 2 epochs of 120 videos: the last step of each epoch follows 100 and 220 of 240 videos.
    assert [rates.iloc[0], rates.iloc[-1]] == pytest.approx(
        [0.005 * (1 + math.cos(math.pi * seen / 240)) for seen in (100, 220)]
    )


@pytest.mark.parametrize(
    ("slot", "value", "message"),
    [
        ("pooling", Slot("men"), "unknown pooling 'men'.*Did you mean 'mean'"),
        ("classification", Slot("moe", {"expert": 2}), "'expert'.*Did you mean 'experts'"),
        ("loss", Slot("crossentropy"), "Did you mean 'cross_entropy'"),
        ("normalization", "joynt", "joint"),
    ],
)
def test_unknown_method_names_the_nearest_one_and_leaves_no_folder(
    root: Path, tmp_path: Path, slot: str, value: object, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(tiny_experiment(root, **{slot: value}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unusable_training_data_are_refused(root: Path, tmp_path: Path) -> None:
    tiny_experiment(root)
    unlabeled = write_tiny(tmp_path / "test", 5, seed=3, labeled=False)
    both = Data(str(unlabeled), str(root / "validation"), streams=STREAMS)
    with pytest.raises(UserError, match=r"test0\.tfrecord, record 0: no video has labels"):
        train(tiny_experiment(root, data=both), tmp_path / "run")

    both = Data(str(root / "train"), str(unlabeled), streams=STREAMS)
    with pytest.raises(UserError, match=r"test0\.tfrecord, record 0: no video has labels"):
        train(tiny_experiment(root, data=both), tmp_path / "run")

    write_vocabulary(tmp_path / "three.csv", unnamed_vocabulary(3))
    small = Data(str(root / "train"), str(root / "validation"), str(tmp_path / "three.csv"), STREAMS)
    with pytest.raises(UserError, match=r"record \d+, context 'labels': found label \d.*expected 0 to 2"):
        train(tiny_experiment(root, data=small), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_loss_of_the_first_step_is_that_of_the_untrained_model(root: Path, tmp_path: Path) -> None:
    """Zero logits give p = 1/3 for each class of the mixture: two experts at 1/2 and one dummy (section 2.3.2)."""
    experiment = tiny_experiment(root, training=Training(epochs=1, batch_size=120, learning_rate=0.0))
    run = train(dataclasses.replace(experiment, classification=Slot("moe")), tmp_path / "run")
    labels = np.mean([len(row) for row in run.predictions["true_labels"]])
    expected = labels * np.log(3) + (CLASSES - labels) * np.log(1.5)
    assert run.log["loss"].iloc[0] == pytest.approx(expected, rel=0.2)


def test_without_vocabulary_the_classes_are_those_of_both_splits(root: Path, tmp_path: Path) -> None:
    for name, label in (("train", 2), ("validation", 7)):
        frames = {"rgb": np.arange(24, dtype=np.uint8)[None] * label, "audio": np.arange(8, dtype=np.uint8)[None]}
        payload = encode_sequence_example({"id": name.encode(), "labels": [label]}, frames)
        write_shard(tmp_path / name / "a.tfrecord", [payload])
    data = Data(str(tmp_path / "train"), str(tmp_path / "validation"), streams=STREAMS)
    run = train(tiny_experiment(root, data=data), tmp_path / "run")
    assert run.facts.num_classes == 8


def test_run_is_not_resumed_after_its_data_changed(tmp_path: Path) -> None:
    experiment = tiny_experiment(tmp_path)
    run = train(experiment, tmp_path / "run")
    (run.path / "metrics.json").unlink()
    write_tiny(tmp_path / "train", 100, seed=1)
    with pytest.raises(UserError, match=r"the data have changed since the run started"):
        train(experiment, tmp_path / "run")


def test_center_loss_changes_the_layers_before_the_embedding(root: Path, tmp_path: Path) -> None:
    """After a pooling without weights there is none, unless the mixture of experts has an embedding layer."""

    def weights(name: str, classification: str, loss: str) -> dict[str, torch.Tensor]:
        experiment = tiny_experiment(root, classification=Slot.parse(classification), loss=Slot.parse(loss))
        return load_file(train(experiment, tmp_path / name).path / "model.safetensors")

    plain, centered = (weights(f"plain-{loss[:5]}", "moe", loss) for loss in ("cross_entropy", "center(weight=1.0)"))
    assert all(torch.equal(plain[name], centered[name]) for name in plain)
    deep, pulled = (
        weights(f"deep-{loss[:5]}", "moe(embedding=8)", loss) for loss in ("cross_entropy", "center(weight=1.0)")
    )
    assert not torch.equal(deep["classification.embed.0.weight"], pulled["classification.embed.0.weight"])


def test_correlation_of_expert_logits_is_trained_in_the_mixture(root: Path, tmp_path: Path) -> None:
    slot = Slot("correlation", {"variant": "authors", "gamma": 0.1})
    training = Training(epochs=8, batch_size=16, learning_rate=0.02)
    run = train(tiny_experiment(root, label_processing=slot, training=training), tmp_path / "run")
    assert run.metrics["validation"]["gap"] > 0.9
    fresh = tiny_experiment(root, label_processing=slot, training=replace(training, learning_rate=1e-9))
    start = load_file(train(fresh, tmp_path / "fresh").path / "model.safetensors")["label_processing.trained"]
    assert not torch.allclose(load_file(run.path / "model.safetensors")["label_processing.trained"], start, atol=1e-3)
    with pytest.raises(UserError, match="expected a mixture of experts"):
        train(tiny_experiment(root, label_processing=slot, classification=Slot("logistic")), tmp_path / "refused")


@pytest.mark.parametrize("pooling", ["indirect_clustering", "lstm(width=8)"])
def test_compiled_training_gives_the_same_weights(
    pooling: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.compiler.reset()
    compile_model = torch.compile
    # Inductor takes half a minute; this backend runs the same graphs.
    monkeypatch.setattr(
        torch, "compile", lambda model, **options: compile_model(model, **{**options, "backend": "aot_eager"})
    )
    runs = []
    for compiled in (False, True):
        training = Training(epochs=2, batch_size=16, pool_once="no", compile=compiled, epsilon=1e-2)
        experiment = tiny_experiment(root, pooling=Slot.parse(pooling), training=training)
        runs.append(train(experiment, tmp_path / str(compiled)))
    plain, compiled_weights = (load_file(run.path / "model.safetensors") for run in runs)
    assert list(plain) == list(compiled_weights)
    for name, tensor in plain.items():
        torch.testing.assert_close(compiled_weights[name], tensor, atol=1e-5, rtol=1e-5)
    assert Run.open(tmp_path / "True").load_model() is not None


@pytest.mark.parametrize("size", [0.0, 0.3, 1.0, 7.0, math.inf, math.nan])
def test_clip_gradient_equals_torch(size: float) -> None:
    direction = torch.nn.functional.normalize(torch.randn(50, generator=torch.Generator().manual_seed(0)), dim=0)
    ours, theirs = (torch.nn.Parameter(torch.zeros(50)) for _ in range(2))
    for parameter in (ours, theirs):
        parameter.grad = size * direction
    norm = clip_gradient(ours.grad, 1.0)  # type: ignore[arg-type]
    torch.testing.assert_close(norm, torch.nn.utils.clip_grad_norm_(theirs, 1.0), equal_nan=True)
    torch.testing.assert_close(ours.grad, theirs.grad, equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize(("setup", "nonzero"), [("step.configure_training_process()", 0), ("", 2**20)])
def test_only_a_training_process_flushes_denormals_on_all_threads(setup: str, nonzero: int) -> None:
    code = f"""
import torch
from yt8m_core.training import step
torch.set_num_threads(2)
{setup}
print((torch.full((2**20,), 1e-30) * 1e-10).count_nonzero().item())
"""
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert process.stdout.split() == [str(nonzero)], process.stderr


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [False, True])
def test_a_training_process_multiplies_in_float32_whatever_the_processor_rounds_to(rounds: bool) -> None:
    """With ``rounds``, the products of the probe are those of a processor that uses bfloat16 where it may."""
    code = f"""
import torch
from yt8m_core.training import step
product = torch.Tensor.__matmul__
if {rounds}:
    torch.Tensor.__matmul__ = lambda a, b: product(a.bfloat16(), b.bfloat16()).float()
step.configure_training_process()
torch.Tensor.__matmul__ = product
print(torch.backends.mkldnn.matmul.fp32_precision)
values = torch.linspace(1, 2, 300 * 300).reshape(300, 300)
print(torch.allclose((values @ values).double(), values.double() @ values.double(), rtol=1e-5))
"""
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    precision, is_exact = process.stdout.split()
    assert is_exact == "True", process.stderr
    if rounds:
        assert precision == "ieee"
