"""Update-to-weight ratios: equal to the difference of two copies of the parameters, and stored in the log."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboardX.proto.event_pb2 import Event
from torch import Tensor, nn

from tests.support.tiny import tiny_experiment
from yt8m_core.data.tfrecord.records import iter_payloads
from yt8m_core.experiment import Experiment, Training
from yt8m_core.models import registry
from yt8m_core.models.outputs import Scores
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training import loop, update_ratio
from yt8m_core.training.step import Learner
from yt8m_core.training.update_ratio import update_ratios

TWO_STEPS = Training(epochs=1, batch_size=60, learning_rate=0.02)
PLANTED = 1e-4  # entries of the planted parameter


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiny")


def differences(before: Mapping[str, Tensor], model: nn.Module) -> dict[str, float]:
    """Return the largest RMS(after - before) / RMS(before) of each slot."""
    ratios: dict[str, float] = {}
    for name, parameter in model.named_parameters():
        old, new = before[name].double(), parameter.detach().double()
        size = float(old.square().mean().sqrt())
        ratio = float((new - old).square().mean().sqrt()) / size if size else 0.0
        column = f"update_{name.split('.')[0]}"
        ratios[column] = max(ratio, ratios.get(column, 0.0))
    return ratios


@pytest.mark.parametrize(
    ("slots", "training"),
    [
        ({"pooling": "lstm(width=6, layer_norm=True)", "classification": "moe"}, TWO_STEPS),
        ({"pooling": "netvlad(clusters=3)", "classification": "mlp(hidden=[8])"}, TWO_STEPS),
        ({"pooling": "attention", "label_processing": "context_gating"}, Training(1, 60, 0.02, l2=0.01)),
        ({"label_processing": "correlation(gamma=0.1)"}, Training(1, 60, 0.02, l2=0.01, ema=0.9, accumulate=2)),
    ],
    ids=["lstm-moe", "netvlad-mlp", "gating-l2", "step-scale-l2"],
)
@pytest.mark.parametrize("chunk", [update_ratio.CHUNK, 300], ids=["whole", "chunks"])
def test_ratios_are_those_of_the_parameters_before_and_after_each_step(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    slots: dict[str, str],
    training: Training,
    chunk: int,
) -> None:
    before: dict[str, Tensor] = {}
    compared: list[dict[str, float]] = []

    def step(learner: Learner, *arguments: Any, **options: Any) -> dict[str, Tensor]:
        before.update({name: value.detach().clone() for name, value in learner.state.model.named_parameters()})
        return original_step(learner, *arguments, **options)

    def compare(model: nn.Module, optimizer: torch.optim.Adam) -> dict[str, float]:
        ratios = update_ratios(model, optimizer)
        assert ratios == pytest.approx(differences(before, model), rel=1e-3)
        compared.append(ratios)
        return ratios

    original_step = Learner.step
    monkeypatch.setattr(Learner, "step", step)
    monkeypatch.setattr(loop, "update_ratios", compare)
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    monkeypatch.setattr(update_ratio, "CHUNK", chunk)
    experiment = tiny_experiment(
        root, training=training, **{slot: Slot.parse(method) for slot, method in slots.items()}
    )
    run = loop.train(experiment, tmp_path / "run")
    assert len(compared) == 2
    trained = {f"update_{slot}" for slot in slots} | {"update_classification"}
    assert all(set(ratios) == trained and min(ratios.values()) > 0 for ratios in compared)
    logged = run.log.loc[run.log["loss"].notna(), sorted(trained)]
    np.testing.assert_allclose(logged, [[ratios[name] for name in sorted(trained)] for ratios in compared])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slot", "method"),
    [(slot, name) for slot in ("pooling", "classification", "label_processing") for name in registry.SLOTS[slot]],
)
def test_no_registered_method_has_a_parameter_that_a_step_replaces(
    root: Path, tmp_path: Path, slot: str, method: str
) -> None:
    slots = {slot: Slot(method, {"gamma": 0.1} if method == "correlation" else {})}
    if slot == "classification" and registry.takes_frames(method):
        slots["pooling"] = Slot("none")
    training = Training(epochs=1, batch_size=16, learning_rate=0.03)
    log = loop.train(tiny_experiment(root, training=training, **slots), tmp_path / "run").log
    # Up to 2 in the first step at this rate; the planted parameter below has 300.
    assert log.filter(regex="^update_").max(axis=None) < 3


class Planted(nn.Module):
    """Label processing that adds a bias with small entries to the logits."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.full((num_classes,), PLANTED))

    def forward(self, scores: Scores) -> Scores:
        return Scores.from_logits(scores.log_p - scores.log_not_p + self.bias, scores.embedding)


class Scaled(Planted):
    step_scales = {"bias": PLANTED}  # noqa: RUF012


class Zero(Planted):
    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        nn.init.zeros_(self.bias)


def planted_experiment(
    root: Path, monkeypatch: pytest.MonkeyPatch, method: type[nn.Module], **training: Any
) -> Experiment:
    """Return a tiny experiment whose label processing is ``method``."""
    monkeypatch.setitem(registry.SLOTS["label_processing"], "planted", method)  # type: ignore[arg-type]
    settings = Training(batch_size=16, learning_rate=0.03, **training)
    return tiny_experiment(root, label_processing=Slot("planted"), training=settings)


def test_log_shows_a_parameter_that_the_learning_rate_destroys(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = loop.train(planted_experiment(root, monkeypatch, Planted, epochs=2), tmp_path / "run").log
    ratio = log["update_label_processing"].dropna()
    assert len(ratio) == 2  # a line at the end of each epoch
    assert ratio.iloc[0] == pytest.approx(0.03 / PLANTED, rel=0.01)  # Adam's first step has the size of the rate
    assert log["update_classification"].dropna().max() < 1
    assert "update_pooling" in log
    assert log["update_pooling"].isna().all()  # the mean has no parameters


def test_declared_step_scale_keeps_the_ratio_below_1(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = loop.train(planted_experiment(root, monkeypatch, Scaled, epochs=2), tmp_path / "run").log
    ratio = log["update_label_processing"].dropna()
    assert ratio.iloc[0] == pytest.approx(0.03, rel=0.01)
    assert ratio.max() < 1


def test_parameters_that_start_at_zero_have_no_ratio_in_the_first_step(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    run = loop.train(planted_experiment(root, monkeypatch, Zero, epochs=1), tmp_path / "run")
    ratio = run.log["update_label_processing"].dropna()
    assert ratio.iloc[0] == 0
    assert ratio.iloc[1:].gt(0).all()
    assert np.isfinite(ratio).all()


def read_scalars(run: Run) -> dict[tuple[int, str], float]:
    """Return the scalars of a run's TensorBoard file by number of examples and tag."""
    (file,) = (run.path / "tensorboard").iterdir()
    data = memoryview(file.read_bytes())
    events = [Event.FromString(bytes(data[start:end])) for start, end in iter_payloads(data, file)]
    return {(event.step, value.tag): value.simple_value for event in events for value in event.summary.value}


def test_tensorboard_has_the_ratios_of_the_log(root: Path, tmp_path: Path) -> None:
    experiment = tiny_experiment(root, pooling=Slot("attention"), label_processing=Slot("context_gating"))
    run = loop.train(experiment, tmp_path / "run")
    scalars = read_scalars(run)
    columns = ["update_pooling", "update_classification", "update_label_processing"]
    lines = run.log[run.log["loss"].notna()]
    assert len(lines) == 2
    for column in [*columns, "loss", "learning_rate"]:
        expected = dict(zip(lines["examples"], lines[column], strict=True))
        shown = {step: value for (step, tag), value in scalars.items() if tag == column}
        assert shown == pytest.approx(expected, rel=1e-6)
