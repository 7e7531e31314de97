"""Progress callbacks and a tqdm implementation."""

import os
import sys
from time import monotonic
from typing import Protocol

from tqdm import tqdm

LINE_SECONDS = 10.0  # between two lines of a log


class Progress(Protocol):
    """Callback that reports progress: the name of the task, items done, items in total, and a short note."""

    def __call__(self, task: str, done: int, total: int, note: str = "", /) -> None: ...  # noqa: D102


def silent(task: str, done: int, total: int, note: str = "") -> None:
    """Report nothing."""


class ProgressBars:
    """One tqdm bar per task, one after the other, for a terminal or a notebook."""

    def __init__(self) -> None:
        self._task = ""
        self._bar: tqdm | None = None  # type: ignore[type-arg]

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Update the bar of a task. A new task closes the previous bar."""
        if task != self._task or self._bar is None:
            self.close()
            # Without ``miniters`` tqdm skips updates after a slow step, and a note in between would not be drawn.
            self._task, self._bar = task, tqdm(total=total, desc=task, unit_scale=True, miniters=0)
            # tqdm's own clock may be set back, and the bar would stand still until it is as late again.
            self._bar._time = monotonic  # type: ignore[attr-defined]
            self._bar.start_t = self._bar.last_print_t = monotonic()
        self._bar.total = total
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Close the current bar."""
        if self._bar is not None:
            self._bar.close()
        self._task, self._bar = "", None


class ProgressLines:
    """Lines on standard error for log files: at most one every ten seconds, and one at the end of each task."""

    def __init__(self) -> None:
        self._last_line = monotonic()
        self._finished = ""  # the task that ended last

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Write a line if the task is done or the last line is ten seconds old."""
        now, is_done = monotonic(), done >= total
        ends = is_done and task != self._finished
        self._finished = task if is_done else ""
        if ends or now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            share = f" ({done / total:.0%})" if total else ""
            print(f"{task}: {done:,} of {total:,}{share}{note and f', {note}'}", file=sys.stderr, flush=True)


def console_progress() -> Progress:
    """Return progress bars in a terminal or a notebook, and plain lines elsewhere.

    ``YT8M_PROGRESS=lines`` in the environment selects lines, for a notebook whose output goes to a log.
    """
    if os.environ.get("YT8M_PROGRESS") == "lines":
        return ProgressLines()
    ipython = sys.modules.get("IPython")
    is_notebook = ipython is not None and ipython.get_ipython() is not None
    return ProgressBars() if is_notebook or sys.stderr.isatty() else ProgressLines()
