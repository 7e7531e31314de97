"""Stop a training between two steps on SIGTERM, which schedulers and ``kill`` send."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from yt8m_core.errors import TrainingStoppedError
from yt8m_core.progress import Progress


class StopSignal:
    """Context manager that records SIGTERM, so that the training can stop where its state is consistent.

    Python delivers signals to the main thread only. In another thread SIGTERM keeps its previous handler.
    """

    def __init__(self) -> None:
        self.is_set = False

    def __enter__(self) -> Self:
        self._is_installed = threading.current_thread() is threading.main_thread()
        if self._is_installed:
            self._previous = signal.signal(signal.SIGTERM, self._set)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_installed:
            signal.signal(signal.SIGTERM, self._previous)

    def _set(self, number: int, frame: FrameType | None) -> None:
        self.is_set = True

    def check(self) -> None:
        """Raise TrainingStoppedError if the signal has arrived."""
        if self.is_set:
            raise TrainingStoppedError("stopped by SIGTERM")

    def wrap_progress(self, progress: Progress) -> Progress:
        """Return a progress callback that checks for the signal before each report."""

        def checked_progress(task: str, done: int, total: int, note: str = "") -> None:
            self.check()
            progress(task, done, total, note)

        return checked_progress
