"""What a table of the paper is."""

from dataclasses import dataclass, replace

from yt8m_core.experiment import Data, Experiment, Slot, Training

WIDTHS = ("width", "hidden", "channels")  # the options that say how wide a method is
NO_PROCESSING, CROSS_ENTROPY = Slot("identity"), Slot("cross_entropy")


@dataclass(frozen=True)
class Row:
    """A line of slots at the paper's widths, and its GAP@20 in the paper (None: not run there)."""

    name: str
    gap: float | None
    pooling: Slot
    classification: Slot
    label_processing: Slot = NO_PROCESSING
    loss: Slot = CROSS_ENTROPY

    def experiment(self, data: Data, training: Training, *, narrower: int = 1, seed: int = 0) -> Experiment:
        """The row as an experiment on some data, each width of its slots a ``narrower``-th of the paper's."""
        return Experiment(
            data=data,
            pooling=narrow(self.pooling, narrower),
            classification=narrow(self.classification, narrower),
            label_processing=self.label_processing,
            loss=self.loss,
            training=training,
            seed=seed,
        )


@dataclass(frozen=True)
class Table:
    """A table of the paper."""

    title: str  # with the number of its caption
    claim: str  # what the paper concludes
    baseline: str  # the row that the others are compared with
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """The row of a name. Raises KeyError."""
        return {row.name: row for row in self.rows}[name]


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
