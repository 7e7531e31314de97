"""Match an experiment to rows of the paper, whatever the widths of its layers.

Experiments on less data use narrower layers, so widths are ignored: only whether a layer exists and how many there are
counts. If rows differ only in width (the CNNs), an experiment matches all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yt8m_core.experiment import Experiment
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.table import WIDTHS, Row, Table

SLOTS = ("fusion", "pooling", "classification", "label_processing", "loss")

# Default options of the methods in the tables. The registry has them too but needs torch; a test compares both.
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
    "mlp": {
        "hidden": (4096, 4096, 4096), "layer_norm": True, "dropout": 0.0, "input_dropout": 0.0, "variant": "paper",
    },
    "many_to_many": {"width": 1152, "chunk": 16, "variant": "paper"},
    "identity": {},
    "correlation": {
        "alpha": 1.0, "beta": 0.0, "gamma": 0.0, "space": None, "matrix_norm": None, "relative_step": None,
        "variant": "paper",
    },
    "cross_entropy": {"eps": 0.0},
    "pseudo_huber": {"delta": 0.5, "level": "class", "eps": 0.0},
    "center": {
        "weight": 0.001, "rate": 0.05, "dims": None, "update": None, "loss": "cross_entropy", "variant": "paper",
    },
}  # fmt: skip
# What None means for the variant "paper".
READING: dict[str, dict[str, Any]] = {
    "correlation": {"space": "logit", "matrix_norm": "cond_row", "relative_step": 0.1}
}
# With one vector per video, mean pooling equals indirect clustering.
EQUAL_ON_VECTORS = Slot("mean"), Slot("indirect_clustering")


@dataclass(frozen=True)
class Match:
    """A row of the paper with the same slots as an experiment."""

    table: str  # key of ``TABLES``
    row: Row


def matching_rows(
    experiment: Experiment, tables: Mapping[str, Table], *, level: str = "frame", ignore_widths: bool = False
) -> tuple[Match, ...]:
    """Return the rows that an experiment matches, in the order of the tables.

    Args:
        experiment: Only its five slots count, not its data or training.
        tables: Tables to search.
        level: "video" if the data have one vector per video; mean pooling then counts as indirect clustering.
        ignore_widths: Whether widths were divided, as on the demo world: a CNN with 64 channels may then be any of the
            paper's CNNs. Otherwise a row with exactly the same widths is the only match.
    """
    slots = {name: getattr(experiment, name) for name in SLOTS}
    if level == "video" and slots["pooling"] == EQUAL_ON_VECTORS[0]:
        slots["pooling"] = EQUAL_ON_VECTORS[1]
    matches: list[Match] = []
    for key, table in tables.items():
        if not table.conclusion:  # methods that the paper does not have
            continue
        # A row with a multiple of the learning rate differs only in its training.
        rows = [row for row in table.rows if row.rate_multiplier == 1]
        exact = [row for row in rows if all(_options(slots[name]) == _options(getattr(row, name)) for name in SLOTS)]
        similar = [row for row in rows if all(_layers(slots[name]) == _layers(getattr(row, name)) for name in SLOTS)]
        matches += [Match(key, row) for row in (similar if ignore_widths else exact or similar)]
    return tuple(matches)


def _options(slot: Slot) -> tuple[str, dict[str, Any]]:
    """Return a method with all its options."""
    options = {**DEFAULTS.get(slot.name, {}), **slot.options}
    if options.get("variant") == "paper":
        options |= {name: value for name, value in READING.get(slot.name, {}).items() if options[name] is None}
    return slot.name, {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}


def _layers(slot: Slot) -> tuple[str, dict[str, Any]]:
    """Return a method with its options, where widths are replaced by the number of layers."""
    name, options = _options(slot)

    def count(width: Any) -> int:
        return len(width) if isinstance(width, tuple) else int(bool(width))

    return name, {option: count(value) if option in WIDTHS else value for option, value in options.items()}
