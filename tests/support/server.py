"""Serve the app for browser tests and for the gallery."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
STREAMLIT = (sys.executable, "-m", "streamlit", "run", "app/main.py", "--server.port")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@contextmanager
def served(
    environment: Mapping[str, str], command: Sequence[str | Path] = STREAMLIT, folder: Path = ROOT
) -> Iterator[str]:
    """Serve the app and yield its address.

    Args:
        environment: Variables to set for the server, on top of those of this process.
        command: What starts the server; the port is appended.
        folder: Working directory of the server.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [*command, str(port)],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).close()  # noqa: S310 - http, as above
                break
            except OSError:
                assert server.poll() is None, "the server ended"
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(20)


def smoke_environment(home: Path) -> dict[str, str]:
    """Return the variables of an app that uses this workspace at the smallest scale, and nothing else."""
    return {"YT8M_HOME": str(home), "YT8M_SCALE": "smoke", "YT8M_RUNS": "", "YT8M_DATA": ""}
