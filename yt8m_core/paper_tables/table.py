"""What a table of the paper is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.paper_tables.claims import Claim

WIDTHS = ("width", "hidden", "channels", "embedding")  # the options that say how wide a method is
NO_PROCESSING, CROSS_ENTROPY, CONCAT = Slot("identity"), Slot("cross_entropy"), Slot("concat")


@dataclass(frozen=True)
class Row:
    """A line of slots at the paper's widths, and its GAP@20 in the paper (None: not run there)."""

    name: str
    gap: float | None
    pooling: Slot
    classification: Slot
    label_processing: Slot = NO_PROCESSING
    loss: Slot = CROSS_ENTROPY
    fusion: Slot = CONCAT
    times_rate: float = 1.0  # the learning rate, of that of the other rows
    against: str = ""  # the row that it is compared with; empty: the baseline of its table

    @property
    def line(self) -> str:
        """Its slots in words, at the paper's widths; rows of several tables may share a line."""
        slots = (self.fusion, self.pooling, self.classification, self.label_processing, self.loss)
        return " → ".join(map(str, slots))

    def experiment(self, data: Data, training: Training, *, narrower: int = 1, seed: int = 0) -> Experiment:
        """The row as an experiment on some data, each width of its slots a ``narrower``-th of the paper's."""
        return Experiment(
            data=data,
            pooling=narrow(self.pooling, narrower),
            classification=narrow(self.classification, narrower),
            label_processing=self.label_processing,
            loss=self.loss,
            # Never narrowed: it is compared with the concatenation, whose width the features give.
            fusion=self.fusion,
            training=replace(training, learning_rate=training.learning_rate * self.times_rate),
            seed=seed,
        )


@dataclass(frozen=True)
class Table:
    """A table of the paper, or what else of its text can be measured."""

    title: str  # with the number of its caption
    claim: str  # what the paper concludes
    baseline: str  # the row that the others are compared with
    rows: tuple[Row, ...]
    ledger: tuple[Claim, ...] = ()  # the conclusion in parts that can be judged
    ensembles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name → the rows that it averages
    frames: bool = False  # whether its rows differ in what they make of a video's frames

    def row(self, name: str) -> Row:
        """The row of a name. Raises KeyError."""
        return {row.name: row for row in self.rows}[name]

    @property
    def names(self) -> list[str]:
        """Its rows and ensembles, in order."""
        return [*(row.name for row in self.rows), *self.ensembles]

    def against(self, name: str) -> str:
        """The row that a row or an ensemble is compared with; a baseline is compared with itself."""
        return next((row.against for row in self.rows if row.name == name and row.against), self.baseline)

    def gap(self, name: str) -> float | None:
        """The paper's GAP of a row; of an ensemble there is none."""
        return next((row.gap for row in self.rows if row.name == name), None)


def narrow(slot: Slot, times: int) -> Slot:
    """A method with its widths divided, at least 1.

    >>> print(narrow(Slot("mlp", {"hidden": [4096, 4096], "layer_norm": False}), 16))
    mlp(hidden=[256, 256], layer_norm=False)
    """

    def divide(width: int) -> int:
        return max(1, width // times)

    narrowed = {
        option: [divide(one) for one in slot.options[option]]
        if isinstance(slot.options[option], list)
        else divide(slot.options[option])
        for option in WIDTHS
        if option in slot.options
    }
    return replace(slot, options={**slot.options, **narrowed})
