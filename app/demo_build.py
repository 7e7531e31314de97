"""Building the demo world from a page: in a thread of its own, so that a reload or a second window neither ends it nor
starts it twice."""

import threading

import streamlit as st

from yt8m_core.demo import runs as demo_runs


class DemoJob:
    """The work, and how far it is."""

    def __init__(self) -> None:
        self.step, self.done, self.total, self.note = "loading PyTorch", 0, 1, ""
        self.error: Exception | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin, unless it is under way; what an earlier try finished is kept."""
        with self._lock:
            if not self.running:
                self.error = None
                self._thread = threading.Thread(target=self._work, name="demo world", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        try:
            demo_runs.prepare(self._tell)
        except Exception as error:  # shown by the page, in whose thread it is raised again
            self.error = error

    def _tell(self, what: str, done: int, total: int, note: str = "") -> None:
        self.step, self.done, self.total, self.note = what, done, total, note


@st.cache_resource(show_spinner=False)
def demo_job() -> DemoJob:
    """The one of this server."""
    return DemoJob()
