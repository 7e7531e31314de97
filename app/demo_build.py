"""Build the demo world in a background thread, so that a reload or a second window neither stops nor repeats it."""

import threading

import streamlit as st

from yt8m_core.demo import runs as demo_runs


class DemoBuild:
    """The build and its progress."""

    def __init__(self) -> None:
        self.step, self.done, self.total, self.note = "loading PyTorch", 0, 1, ""
        self.error: Exception | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether the build is in progress."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the build unless it is running. What an earlier attempt completed is kept."""
        with self._lock:
            if not self.is_running:
                self.error = None
                self._thread = threading.Thread(target=self._build, name="demo world", daemon=True)
                self._thread.start()

    def _build(self) -> None:
        try:
            demo_runs.prepare(self._report)
        except Exception as error:  # the page raises it again in its own thread
            self.error = error

    def _report(self, what: str, done: int, total: int, note: str = "") -> None:
        self.step, self.done, self.total, self.note = what, done, total, note


@st.cache_resource(show_spinner=False)
def demo_build() -> DemoBuild:
    """Return the one build of this server."""
    return DemoBuild()
