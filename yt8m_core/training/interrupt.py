"""A training that is asked to stop, as schedulers and `kill` ask by SIGTERM, ends between two steps."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from yt8m_core.errors import Stopped
from yt8m_core.progress import Progress


class StopSignal:
    """Listens for SIGTERM while it is entered, and answers when asked; what it interrupts is never half done.

    Python hears signals in its main thread alone: a training in another one ends with its process.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        self.heard = threading.current_thread() is threading.main_thread()
        if self.heard:
            self.before = signal.signal(signal.SIGTERM, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.heard:
            signal.signal(signal.SIGTERM, self.before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def check(self) -> None:
        """Raise Stopped where a signal has come."""
        if self.asked:
            raise Stopped("asked to stop (SIGTERM)")

    def between(self, progress: Progress) -> Progress:
        """A progress that stops what tells it how far it is."""

        def told(what: str, done: int, total: int, note: str = "") -> None:
            self.check()
            progress(what, done, total, note)

        return told
