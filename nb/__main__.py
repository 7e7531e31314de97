"""Execute the notebooks at ``YT8M_SCALE``, all or those named: ``python -m nb [NOTEBOOK …]``.

At the scale "demo" outputs and stamp are stored in a notebook that came to its end; at the others nothing is, since the
result files say what they came to. At "smoke" everything happens in a workspace of its own, in which nothing is found.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from nb.stamp import FOLDER, SCALE, notebooks, stamp
from yt8m_core.ablation.recipe import chosen_scale
from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write


class Client(NotebookClient):
    """Shows progress and warnings here, where somebody waits for them, and leaves them out of the outputs."""

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: Any) -> Any:
        if msg["header"]["msg_type"] == "stream" and msg["content"]["name"] == "stderr":
            sys.stderr.write(msg["content"]["text"])
            sys.stderr.flush()
            return None
        return super().output(outs, msg, display_id, cell_index)


def execute(file: Path, *, store: bool) -> None:
    """Run a notebook from its first cell to its last; what it held stays where that fails."""
    notebook = nbformat.read(file, 4)
    Client(notebook, timeout=None, record_timing=False, resources={"metadata": {"path": str(FOLDER)}}).execute()
    if store:
        notebook["metadata"]["yt8m"] = stamp(notebook)
        with atomic_write(file) as unfinished:
            nbformat.write(notebook, unfinished)


def main(named: list[str]) -> int:
    """Execute, and say how long each took; the exit status says whether all came to their end."""
    scale = chosen_scale()
    failed = []
    with tempfile.TemporaryDirectory() as home:
        if scale == "smoke":
            os.environ["YT8M_HOME"] = home
        for file in [Path(name) for name in named] or notebooks():
            started = time.perf_counter()
            try:
                execute(file, store=scale == SCALE)
            except (CellExecutionError, DeadKernelError) as error:
                failed.append(file.name)
                print(error)
            ended = "failed" if file.name in failed else "done"
            print(f"{file.name}: {ended} after {time.perf_counter() - started:.0f} s ({scale})", flush=True)
    return bool(failed)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"nb: {error}")
