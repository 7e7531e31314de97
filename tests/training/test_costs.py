"""Work out of proportion is refused early: sizes that an option states are checked before they cost anything."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import yt8m
from tests.support.hostile_paths import time_limit
from tests.support.tiny import STREAMS, tiny_experiment
from yt8m_core.models import size
from yt8m_core.models.registry import MAX_SIZE, SLOTS, default_options
from yt8m_core.models.slot import Slot

HUGE = (10**9, MAX_SIZE)
MEMORY = 3 << 30  # bytes that a command may allocate


def huge_slots() -> Iterator[tuple[str, str]]:
    """Yield each slot with each of its numbers set to a huge value."""
    for slot, methods in SLOTS.items():
        for method in methods:
            for option, default in default_options(slot, method).items():
                if not isinstance(default, bool | str):
                    for number in HUGE:
                        value: Any = [number, number] if isinstance(default, tuple) else number
                        yield slot, str(Slot(method, {option: value}))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny")
    tiny_experiment(root)
    return root


def train(monkeypatch: pytest.MonkeyPatch, root: Path, run: Path, *options: str) -> str:
    """Train one epoch with at most ``MEMORY``; return the sentence, or an empty text if it succeeds."""
    streams = [f"{name}:{width}" for name, width in STREAMS]
    limits, pages = resource.getrlimit(resource.RLIMIT_AS), int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, limits[1]))
    try:
        yt8m(
            monkeypatch, "train", "--train", root / "train", "--validation", root / "validation", "--run", run,
            "--streams", *streams, "--max-frames", "4", "--batch-size", "64", "--epochs", "1", *options,
        )  # fmt: skip
    except SystemExit as ended:
        return str(ended.code)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    return ""


@pytest.mark.fault
@pytest.mark.parametrize(("slot", "text"), [*huge_slots()])
def test_huge_option_of_each_method_is_refused_or_harmless(
    slot: str, text: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size, "_machine_bytes", lambda: MEMORY)
    pooling = ["--pooling", "none"] if text.startswith("many_to_many") else []
    if slot != "classification":
        pooling += ["--classification", "logistic"]
    with time_limit(20):
        sentence = train(monkeypatch, root, tmp_path / "run", f"--{slot.replace('_', '-')}", text, *pooling)
    assert not sentence or sentence.startswith("yt8m: "), sentence
    assert "an error of this program" not in sentence


@pytest.mark.fault
@pytest.mark.parametrize("hidden", [10**8, 10**5])
def test_model_that_exceeds_the_memory_is_refused_before_it_is_built(
    hidden: int, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size, "_machine_bytes", lambda: 16 << 30)
    train(monkeypatch, root, tmp_path / "warm")  # imports, index
    started = time.monotonic()
    sentence = train(monkeypatch, root, tmp_path / "run", "--classification", f"mlp(hidden=[{hidden}, {hidden}])")
    assert time.monotonic() - started < 5
    assert "GiB; expected at most 4.0 GiB; a training holds 4 copies of them in memory" in sentence
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "option", ["--batch-size", "--max-frames", "--accumulate", "--decay-examples", "--l2", "--epsilon"]
)
def test_huge_setting_of_a_training_is_harmless(
    option: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with time_limit(20):
        sentence = train(monkeypatch, root, tmp_path / "run", option, str(10**9))
    assert not sentence or sentence.startswith("yt8m: ")
    assert "an error of this program" not in sentence
