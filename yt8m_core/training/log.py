"""Training log: a CSV file for the app and the notebooks, and the same values for TensorBoard."""

import contextlib
import csv
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from yt8m_core.errors import UserError
from yt8m_core.runs.log_file import read_log
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.training.checkpoint import TrainingProgress

METRICS = ("gap", "hit_at_1", "perr", "map_present")
UPDATE_RATIOS = ("update_pooling", "update_classification", "update_label_processing")  # update_ratio.update_ratios
COLUMNS = ("epoch", "step", "examples", "learning_rate", "loss", "gradient", *METRICS, *UPDATE_RATIOS)


class RunLog:
    """Writer of ``log.csv``: one line every few steps with loss, gradient norm and the update-to-weight ratio of
    each slot, one per epoch with metrics.

    ``tensorboard/`` has the same values over examples, and the terms of the loss. Both are written synchronously, so
    that a full disk raises an error where it occurs.
    """

    def __init__(self, folder: Path, progress: TrainingProgress, *, is_writer: bool = True) -> None:
        """Open the log of a training and delete lines after its progress, which an earlier attempt wrote.

        Args:
            folder: run folder.
            progress: progress of the training.
            is_writer: whether this process writes; exactly one of several does.
        """
        self.file = folder / "log.csv"
        self.board = None
        if is_writer:
            kept = _lines_until(self.file, progress)
            try:
                with atomic_write(self.file) as unfinished:
                    unfinished.write_text("\n".join([",".join(COLUMNS), *kept]) + "\n")
                (folder / "tensorboard").mkdir(exist_ok=True)
                self.board = EventsWriter(str(folder / "tensorboard" / "events"))
            except OSError as error:
                raise UserError(f"the log cannot be written ({error.strerror})", where=str(folder)) from None
            self.board.write_event(Event(step=progress.examples + 1, session_log=SessionLog(status=SessionLog.START)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.board is not None:
            with contextlib.suppress(OSError):  # ``add`` has already reported a full disk
                self.board.close()

    def add(self, progress: TrainingProgress, **values: float) -> None:
        """Append a line. Raises UserError where the disk is full."""
        if self.board is None:
            return
        row = {"epoch": progress.epoch, "step": progress.step, "examples": progress.examples, **values}
        summary = Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])
        try:
            with self.file.open("a", newline="") as file:
                csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore").writerow(row)
            self.board.write_event(Event(wall_time=time.time(), step=progress.examples, summary=summary))
            self.board.flush()
        except OSError as error:
            raise UserError(
                f"cannot be written ({error.strerror})",
                where=str(self.file),
                advice="Free disk space, then run the same command again to resume.",
            ) from None


def _lines_until(file: Path, progress: TrainingProgress) -> list[str]:
    """Return the lines of a log up to a progress. Raises UserError where the file is not the log of this training.

    The text after the last line end is incomplete: the process was killed, or the disk was full.
    """
    try:
        log = read_log(file)
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return []
    except UserError as error:
        raise UserError(str(error), advice="Move the file away to continue without its lines.") from None
    lines = file.read_text().split("\n")[1:-1]
    # Compares epoch and step: an epoch's metrics have the same number of examples as its last step.
    position = progress.epoch, progress.step
    kept = [row for row in zip(log["epoch"], log["step"], log["examples"], strict=True) if row[:2] <= position]
    examples = max((row[2] for row in kept), default=0)
    if tuple(log.columns) != COLUMNS[: len(log.columns)] or len(log) != len(lines) or examples > progress.examples:
        raise UserError(
            "columns, lines or numbers of examples of another training",
            where=str(file),
            advice="Move the file away to continue without its lines.",
        )
    return lines[: len(kept)]
