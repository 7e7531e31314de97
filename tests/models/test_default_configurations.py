"""Every registered method learns with its default options: none ends far below the plain model on a demo world."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from yt8m_core.demo.world import World, build
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.registry import SLOTS, default_options, takes_frames
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.label_processing import correlation
from yt8m_core.paper_tables.table import WIDTHS, divide_widths
from yt8m_core.training.loop import train

WIDTH_DIVISOR = 16  # as in the tables on the demo world
# Learning rates and epochs. Most methods learn at the first rate; a mixture has its best one at 0.03, NetVLAD at 0.001,
# and Many-to-Many needs more steps.
TRIALS = ((0.003, 3), (0.03, 3), (0.001, 5), (0.1, 5))
PLAIN = {"fusion": "concat", "pooling": "mean", "classification": "moe", "label_processing": "identity"}
PLAIN |= {"loss": "cross_entropy"}
# With its default options the correlation is the identity.
ALSO = {
    ("label_processing", "correlation"): [
        correlation(gamma=0.1),
        correlation(beta=0.1),
        Slot("correlation", {"gamma": 0.1, "space": "prob"}),
        Slot("correlation", {"gamma": 0.1, "space": "average"}),
    ]
}
CASES = [
    (slot, method)
    for slot, methods in SLOTS.items()
    for name in methods
    if name != PLAIN[slot]
    for method in ALSO.get((slot, name), [Slot(name)])
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    build(folder, World(train_videos=1200, validation_videos=200))
    return folder


def gaps(world: Path, folder: Path, changes: dict[str, Slot]) -> Iterator[float]:
    """Yield the GAP of an experiment in each of ``TRIALS``."""
    slots = {slot: Slot(name) for slot, name in PLAIN.items()} | changes
    for slot, method in slots.items():
        if slot == "fusion" or method.name == "none":  # the width of a fusion is that of the frames
            continue
        widths = {name: value for name, value in default_options(slot, method.name).items() if name in WIDTHS}
        options = {name: list(value) if isinstance(value, tuple) else value for name, value in widths.items() if value}
        slots[slot] = divide_widths(Slot(method.name, {**options, **method.options}), WIDTH_DIVISOR)
    for rate, epochs in TRIALS:
        training = Training(epochs=epochs, batch_size=16, learning_rate=rate)
        experiment = Experiment(Data(str(world / "train"), str(world / "validation")), training=training, **slots)
        yield train(experiment, folder / f"{rate}-{epochs}").metrics["validation"]["gap"]


@pytest.fixture(scope="module")
def plain_gap(world: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    return max(gaps(world, tmp_path_factory.mktemp("plain"), {}))


@pytest.mark.slow
@pytest.mark.parametrize(("slot", "method"), CASES, ids=[f"{slot}-{method}" for slot, method in CASES])
def test_no_method_ends_below_half_of_the_plain_model(
    slot: str, method: Slot, world: Path, plain_gap: float, tmp_path: Path
) -> None:
    changes = {slot: method}
    if slot == "classification" and takes_frames(method.name):
        changes["pooling"] = Slot("none")
    assert any(gap > plain_gap / 2 for gap in gaps(world, tmp_path, changes))  # stops at the first rate that passes
