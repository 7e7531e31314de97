"""Which row of the paper a run's line of slots is, where its widths may be others.

Whoever trains on less data or on a laptop takes narrower layers, so widths do not count, only whether a layer is there
at all and how many there are. Where rows differ in their widths alone (the paper's CNNs), a run may be any of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yt8m_core.experiment import Experiment
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.table import WIDTHS, Row, Table

SLOTS = ("fusion", "pooling", "classification", "label_processing", "loss")

# What the methods of the tables are where a slot says nothing of an option: as the registry, which needs torch to be
# asked; a test holds the two together.
DEFAULTS: dict[str, dict[str, Any]] = {
    "concat": {},
    "compact_bilinear": {"width": 2048},
    "none": {},
    "sum": {"post": "l2"},
    "lstm": {
        "width": 1152, "layers": 1, "use_input_sum": False, "use_output_sum": False, "layer_norm": False,
        "dropout": 0.2, "sum_norm": "l2",
    },
    "cnn": {"channels": 256, "kernel": 5, "post": "l2", "variant": "paper"},
    "position_encoding": {"post": "l2", "fixed_length": 0, "variant": "paper"},
    "indirect_clustering": {"scale": 1.0, "length_exponent": 0.0, "post": None, "variant": "paper"},
    "adaptive_noise": {"scale": 1.0, "gamma_norm": "none", "pooling": "sum"},
    "moe": {"experts": 2, "dummy": True, "embedding": 0},
    "two_layer_moe": {"experts": 2, "hidden": 2048, "dummy": True, "variant": "paper"},
    "mlp": {"hidden": (4096, 4096, 4096), "layer_norm": True, "variant": "paper"},
    "many_to_many": {"width": 1152, "chunk": 16, "variant": "paper"},
    "identity": {},
    "correlation": {
        "alpha": 1.0, "beta": 0.0, "gamma": 0.0, "space": None, "matrix_norm": None, "variant": "paper",
    },
    "cross_entropy": {"eps": 0.0},
    "pseudo_huber": {"delta": 0.5, "level": "class", "eps": 0.0},
    "center": {
        "weight": 0.001, "rate": 0.05, "dims": None, "update": None, "loss": "cross_entropy", "variant": "paper",
    },
}  # fmt: skip
# A video of one vector leaves nothing to weigh: the mean of it is what indirect clustering makes of it.
WEIGHED_MEAN = Slot("mean"), Slot("indirect_clustering")


@dataclass(frozen=True)
class Match:
    """A row of the paper whose line of slots a run has."""

    table: str  # a key of ``TABLES``
    row: Row


def rows_of(
    experiment: Experiment, tables: Mapping[str, Table], *, level: str = "frame", narrower: bool = False
) -> tuple[Match, ...]:
    """The rows that an experiment is, in the order of the tables.

    Args:
        experiment: its five slots count, and neither its data nor its training.
        tables: where to look.
        level: "video" where the data hold one vector a video: its mean is then indirect clustering, too.
        narrower: whether widths were divided, as on the demo world, so that the same width says nothing: a CNN of 64
            channels may be the paper's of 1,024. Otherwise a row of just the same widths is meant, and it alone.
    """
    slots = {name: getattr(experiment, name) for name in SLOTS}
    if level == "video" and slots["pooling"] == WEIGHED_MEAN[0]:
        slots["pooling"] = WEIGHED_MEAN[1]
    found: list[Match] = []
    for key, table in tables.items():
        # A row at a multiple of the rate is told by its training alone.
        rows = [row for row in table.rows if row.times_rate == 1]
        same = [row for row in rows if all(_whole(slots[name]) == _whole(getattr(row, name)) for name in SLOTS)]
        alike = [row for row in rows if all(_shape(slots[name]) == _shape(getattr(row, name)) for name in SLOTS)]
        found += [Match(key, row) for row in (alike if narrower else same or alike)]
    return tuple(found)


def _whole(slot: Slot) -> tuple[str, dict[str, Any]]:
    """A method with all its options."""
    options = {**DEFAULTS.get(slot.name, {}), **slot.options}
    return slot.name, {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def _shape(slot: Slot) -> tuple[str, dict[str, Any]]:
    """A method with its options, of its widths only how many there are."""
    name, options = _whole(slot)

    def layers(width: Any) -> int:
        return len(width) if isinstance(width, tuple) else int(bool(width))

    return name, {option: layers(value) if option in WIDTHS else value for option, value in options.items()}
