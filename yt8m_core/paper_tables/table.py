"""Data types of a paper table: a row with its slots, and the table with its claims."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.claims import Claim

WIDTHS = ("width", "hidden", "channels", "embedding")  # options that set the width of a layer
NO_PROCESSING, CROSS_ENTROPY, CONCAT = Slot("identity"), Slot("cross_entropy"), Slot("concat")


@dataclass(frozen=True)
class Row:
    """Slots at the paper's widths, and the GAP@20 that the paper reports (None: not reported)."""

    name: str
    gap: float | None
    pooling: Slot
    classification: Slot
    label_processing: Slot = NO_PROCESSING
    loss: Slot = CROSS_ENTROPY
    fusion: Slot = CONCAT
    normalization: str = "joint"
    rate_multiplier: float = 1.0  # factor on the learning rate
    training: Mapping[str, Any] = field(default_factory=dict)  # settings of ``Training`` that differ from the scale's
    reference: str = ""  # row to compare with; empty: the baseline of the table

    @property
    def architecture(self) -> str:
        """The slots at the paper's widths and the settings that differ from the defaults, as text.

        Tables may share an architecture. Learning rates are stored under this text (``ablation/rates.json``).
        """
        slots = (self.fusion, self.pooling, self.classification, self.label_processing, self.loss)
        settings = [f"{name}={value!r}" for name, value in self.training.items()]
        if self.normalization != Row.normalization:
            settings.insert(0, f"normalization={self.normalization!r}")
        return " → ".join([*map(str, slots), *settings])

    def experiment(self, data: Data, training: Training, *, width_divisor: int = 1, seed: int = 0) -> Experiment:
        """Return the row as an experiment, with each width of its slots divided by ``width_divisor``."""
        return Experiment(
            data=data,
            pooling=divide_widths(self.pooling, width_divisor),
            classification=divide_widths(self.classification, width_divisor),
            label_processing=self.label_processing,
            loss=self.loss,
            # Not divided: the fusion is compared with concatenation, whose width the features determine.
            fusion=self.fusion,
            normalization=self.normalization,
            training=replace(training, learning_rate=training.learning_rate * self.rate_multiplier, **self.training),
            seed=seed,
        )


@dataclass(frozen=True)
class Table:
    """A table of the paper, claims of its text that can be measured, or methods beyond the paper."""

    title: str  # includes the number of the caption
    conclusion: str  # of the paper; empty for methods that it does not have
    baseline: str  # default reference of the rows
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...] = ()  # the conclusion as testable claims
    ensembles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name → rows that it averages
    frames: bool = False  # whether the rows need frame-level features

    def row(self, name: str) -> Row:
        """Return the row with this name. Raises KeyError."""
        return {row.name: row for row in self.rows}[name]

    @property
    def names(self) -> list[str]:
        """Names of rows and ensembles, in order."""
        return [*(row.name for row in self.rows), *self.ensembles]

    def reference(self, name: str) -> str:
        """Return the reference of a row or an ensemble. The baseline is its own reference."""
        return next((row.reference for row in self.rows if row.name == name and row.reference), self.baseline)

    def gap(self, name: str) -> float | None:
        """Return the GAP@20 that the paper reports for a row; None for an ensemble."""
        return next((row.gap for row in self.rows if row.name == name), None)


def divide_widths(slot: Slot, divisor: int) -> Slot:
    """Return the slot with its widths divided; a width stays at least 1.

    >>> print(divide_widths(Slot("mlp", {"hidden": [4096, 4096], "layer_norm": False}), 16))
    mlp(hidden=[256, 256], layer_norm=False)
    """

    def divide(width: int) -> int:
        return max(1, width // divisor)

    divided = {
        option: [divide(width) for width in slot.options[option]]
        if isinstance(slot.options[option], list)
        else divide(slot.options[option])
        for option in WIDTHS
        if option in slot.options
    }
    return replace(slot, options={**slot.options, **divided})
