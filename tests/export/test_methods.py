"""Every method of the registry in an exported file, compared with the model for other sizes than the traced one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.exported import random_run
from tests.support.slot_cases import OPTIONS
from yt8m_core.errors import UserError
from yt8m_core.export.exporter import FORMATS, SIMPLE, export_run
from yt8m_core.export.graph import EXAMPLE_SHAPE, trace
from yt8m_core.export.metadata import describe_run
from yt8m_core.export.parity import LIMITS, SHAPES, build_batches, largest_difference, random_videos
from yt8m_core.models.classifier import NO_POOLING
from yt8m_core.models.normalization import NORMALIZATIONS
from yt8m_core.models.outputs import Pooled
from yt8m_core.models.registry import SLOTS, takes_frames
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run


def method(slot: str, number: int) -> Slot:
    """Return the ``number``-th method of a slot with most of its options set; a simple one after the last."""
    names = [name for name in SLOTS[slot] if slot != "classification" or not takes_frames(name)]
    if number >= len(names):
        return SIMPLE[slot]
    return Slot(names[number], max(OPTIONS.get(names[number], [{}]), key=len))


def experiments() -> list[dict[str, Any]]:
    """Return slots of experiments that contain each method of the registry."""
    longest = max(len(methods) for slot, methods in SLOTS.items() if slot != "loss")
    chosen = [
        {slot: method(slot, number) for slot in SIMPLE}
        | {"normalization": list(NORMALIZATIONS)[number % len(NORMALIZATIONS)]}
        for number in range(longest)
    ]
    of_frames = [name for name in SLOTS["classification"] if takes_frames(name)]
    chosen += [{"pooling": Slot(*NO_POOLING), "classification": Slot(name, OPTIONS[name][-1])} for name in of_frames]
    return [*chosen, {"pooling": Slot("lstm", {"width": 5, "use_input_sum": True, "layer_norm": True})}]


def differences(run: Run, folder: Path, precision: str = "float32", input_type: str = "uint8") -> dict[str, float]:
    """Return the largest difference of the outputs of each format."""
    model, found = run.load_model(), {}
    program = trace(model, width=run.facts.schema.width, max_frames=9, input_type=input_type, precision=precision)
    metadata = describe_run(run, program, input_type=input_type, precision=precision)
    for suffix, module in FORMATS.items():
        module.write(program, folder / f"model{suffix}", metadata)
        session = module.Session(folder / f"model{suffix}")
        batches = build_batches(random_videos(run), run.facts.schema.level, input_type)
        found[suffix] = largest_difference(model, session, batches)
    return found


def test_experiments_contain_every_method_of_the_registry() -> None:
    assert EXAMPLE_SHAPE not in SHAPES
    for slot in SLOTS:
        if slot != "loss":
            names = {experiment[slot].name for experiment in experiments() if slot in experiment}
            assert names - {NO_POOLING[0]} == set(SLOTS[slot])
    assert {experiment.get("normalization") for experiment in experiments()} >= set(NORMALIZATIONS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "slots", experiments(), ids=lambda slots: "-".join(s.name for s in slots.values() if isinstance(s, Slot))
)
def test_outputs_are_those_of_the_model(slots: dict[str, Any], tmp_path: Path) -> None:
    level = "video" if slots["pooling"].name == "mean" else "frame"
    input_type = "float" if slots["pooling"].name in ("mean", "lstm") else "uint8"
    run = random_run(tmp_path, level=level, **slots)
    assert max(differences(run, tmp_path, input_type=input_type).values()) <= LIMITS["float32"]


@pytest.mark.slow
def test_large_logits_keep_their_digits(tmp_path: Path) -> None:
    """A label processing acts on logits, which log(σ(x)) would clip where σ(x) rounds to 0 or 1."""
    slots = {"classification": Slot("moe", {"experts": 3}), "label_processing": Slot("correlation", {"beta": 0.3})}
    run = random_run(tmp_path, scale=40.0, **slots)
    assert max(differences(run, tmp_path).values()) <= LIMITS["float32"]


@pytest.mark.slow
def test_float16_halves_the_file_and_stays_within_its_limit(tmp_path: Path) -> None:
    slots = {
        "pooling": Slot("lstm", {"width": 64, "layer_norm": True}),
        "classification": Slot("mlp", {"hidden": [512, 256]}),
    }
    run = random_run(tmp_path, **slots)
    assert all(0 < difference <= LIMITS["float16"] for difference in differences(run, tmp_path, "float16").values())
    weights = (tmp_path / "model.safetensors").stat().st_size
    assert all((tmp_path / f"model{suffix}").stat().st_size < 0.5 * weights + 150_000 for suffix in FORMATS)


def test_float16_rounds_no_product_where_a_method_turns_autocast_off(tmp_path: Path) -> None:
    run = random_run(tmp_path, pooling=Slot("indirect_clustering", {"scale": 3.0}))
    model, batch = run.load_model(), list(build_batches(random_videos(run), "frame", "uint8"))[1]
    program = trace(model, width=run.facts.schema.width, max_frames=9, input_type="uint8", precision="float16")
    outputs = program.module()(*map(torch.from_numpy, batch))
    scores, expected = model(*map(torch.from_numpy, batch))
    assert torch.equal(outputs[1], expected.attention)
    assert not torch.equal(outputs[0], scores.p)


class LoopPooling(nn.Module):
    """Depends on the values of the mask, so torch.export refuses it."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.out_features = in_features

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        return Pooled(frames.sum(dim=1) * float(mask.sum()))


class BesselPooling(LoopPooling):
    """Has an operator without an equivalent in ONNX."""

    def forward(self, frames: Tensor, mask: Tensor, labels: Tensor | None = None) -> Pooled:
        return Pooled(torch.special.bessel_j0(frames.sum(dim=1)))


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize(
    ("pooling", "suffix", "message"),
    [
        (LoopPooling, ".pt2", "pooling 'new' cannot be exported to torch.export: "),
        (BesselPooling, ".onnx", "pooling 'new' cannot be exported to ONNX: .*bessel_j0.* Export to .pt2"),
    ],
)
def test_method_that_cannot_be_exported_is_named(
    pooling: type[nn.Module], suffix: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SLOTS["pooling"], "new", pooling)  # type: ignore[misc]
    run = random_run(tmp_path / "run", pooling=Slot("new"))
    with pytest.raises(UserError, match=message):
        export_run(run, tmp_path / f"model{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
