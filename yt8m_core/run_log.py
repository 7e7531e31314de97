"""The log of a training: a CSV that the app and the notebooks read, and the same for TensorBoard."""

import csv
from pathlib import Path
from types import TracebackType
from typing import Self

from tensorboardX import SummaryWriter

from yt8m_core.checkpoint import Position
from yt8m_core.files import replacing

COLUMNS = ("epoch", "step", "examples", "learning_rate", "loss", "gradient", "gap", "hit_at_1", "perr", "map_present")


class RunLog:
    """``log.csv``: a line every few steps with the loss and the norm of the gradient, and a line an epoch with metrics.

    ``tensorboard/`` holds the same over examples, and the parts of the loss.
    """

    def __init__(self, folder: Path, examples: int, *, writes: bool = True) -> None:
        """Open the log of a training that stands at ``examples``: what an earlier try wrote past that is dropped.

        Of several processes one ``writes``.
        """
        self.file = folder / "log.csv"
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=examples + 1) if writes else None
        if writes:
            lines = self.file.read_text().splitlines()[1:] if self.file.is_file() else []
            kept = [line for line in lines if int(line.split(",")[2]) <= examples and examples > 0]
            with replacing(self.file) as unfinished:
                unfinished.write_text("\n".join([",".join(COLUMNS), *kept]) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.board is not None:
            self.board.close()

    def add(self, position: Position, **values: float) -> None:
        """Append a line."""
        if self.board is None:
            return
        row = {"epoch": position.epoch, "step": position.step, "examples": position.examples, **values}
        with self.file.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore").writerow(row)
        for name, value in values.items():
            self.board.add_scalar(name, value, position.examples)
