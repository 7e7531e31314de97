"""The log of a training: a CSV that the app and the notebooks read, and the same for TensorBoard."""

import contextlib
import csv
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.training.checkpoint import Position

COLUMNS = ("epoch", "step", "examples", "learning_rate", "loss", "gradient", "gap", "hit_at_1", "perr", "map_present")


class RunLog:
    """``log.csv``: a line every few steps with the loss and the norm of the gradient, and a line an epoch with metrics.

    ``tensorboard/`` holds the same over examples, and the parts of the loss. Both are written at once, and in this
    thread, so that a full disk is told where it is met.
    """

    def __init__(self, folder: Path, position: Position, *, writes: bool = True) -> None:
        """Open the log of a training that stands at ``position``: what an earlier try wrote past that is dropped.

        Of several processes one ``writes``.
        """
        self.file = folder / "log.csv"
        self.board = None
        if writes:
            # What follows the last end of a line was being written when the process was killed or the disk was full.
            lines = self.file.read_text().split("\n")[1:-1] if self.file.is_file() else []
            # By epoch and step: the line of an epoch's metrics is at as many examples as that of its last step.
            here = position.epoch, position.step
            kept = [line for line in lines if tuple(map(int, line.split(",")[:2])) <= here]
            with atomic_write(self.file) as unfinished:
                unfinished.write_text("\n".join([",".join(COLUMNS), *kept]) + "\n")
            (folder / "tensorboard").mkdir(exist_ok=True)
            self.board = EventsWriter(str(folder / "tensorboard" / "events"))
            self.board.write_event(Event(step=position.examples + 1, session_log=SessionLog(status=SessionLog.START)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.board is not None:
            with contextlib.suppress(OSError):  # a disk that is full was told of already
                self.board.close()

    def add(self, position: Position, **values: float) -> None:
        """Append a line. Raises UserError where the disk does not take it."""
        if self.board is None:
            return
        row = {"epoch": position.epoch, "step": position.step, "examples": position.examples, **values}
        summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        try:
            with self.file.open("a", newline="") as file:
                csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore").writerow(row)
            self.board.write_event(Event(wall_time=time.time(), step=position.examples, summary=summary))
            self.board.flush()
        except OSError as error:
            raise UserError(
                f"cannot be written ({error.strerror})",
                where=str(self.file),
                advice="Make room; then the same command goes on.",
            ) from None
