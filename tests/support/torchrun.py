"""Start the processes of ``torchrun``, on one machine or on several that are simulated."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """Return a port that no program uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def start_torchrun(module: str, *arguments: object, processes: int = 2, nodes: int = 1) -> list[subprocess.Popen[str]]:
    """Start ``python -m MODULE`` in several processes, and return the launcher of each node."""
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}", "--rdzv-id", "test"]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nnodes", str(nodes), "--nproc-per-node", str(processes)),
        *(meeting if nodes > 1 else ["--standalone"]),
        *("-m", "--", module, *map(str, arguments)),
    ]
    return [
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for _ in range(nodes)
    ]


def run_torchrun(module: str, *arguments: object, processes: int = 2, nodes: int = 1) -> list[tuple[int, str, str]]:
    """Run ``python -m MODULE`` in several processes; return exit code, output and errors of each node."""
    return wait_for(start_torchrun(module, *arguments, processes=processes, nodes=nodes))


def wait_for(launchers: Sequence["subprocess.Popen[str]"], seconds: float = 120) -> list[tuple[int, str, str]]:
    """Wait until launchers have ended, and return exit code, output and errors of each."""
    ended = []
    try:
        for launcher in launchers:
            output, errors = launcher.communicate(timeout=seconds)
            ended.append((launcher.returncode, output, errors))
    finally:
        for launcher in launchers:
            launcher.kill()
            launcher.wait()
    return ended


def process_ids(folder: Path, ranks: int) -> list[int]:
    """Wait until the processes have written their ids."""
    deadline = time.monotonic() + 60
    files = [folder / f"pid{rank}" for rank in range(ranks)]
    while not all(file.is_file() and file.read_text() for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return [int(file.read_text()) for file in files]


def is_running(pid: int) -> bool:
    """Whether a process goes on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
