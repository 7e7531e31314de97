"""Execute the notebooks at ``YT8M_SCALE``, all or the given ones: ``python -m nb [NOTEBOOK …]``.

At "demo", outputs and stamp are stored in each notebook that succeeds. At other scales only the result files are
written. At "smoke" everything runs in an empty temporary workspace.
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

from nb.stamp import FOLDER, SCALE, make_stamp, notebooks
from yt8m_core.ablation.recipe import chosen_scale
from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write


class Client(NotebookClient):
    """Notebook client that prints progress and warnings to stderr instead of storing them as outputs."""

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: Any) -> Any:
        if msg["header"]["msg_type"] == "stream" and msg["content"]["name"] == "stderr":
            sys.stderr.write(msg["content"]["text"])
            sys.stderr.flush()
            return None
        return super().output(outs, msg, display_id, cell_index)


def execute(file: Path, *, store: bool) -> None:
    """Run all cells of a notebook; if one fails, the file stays unchanged."""
    notebook = nbformat.read(file, 4)
    Client(notebook, timeout=None, record_timing=False, resources={"metadata": {"path": str(FOLDER)}}).execute()
    if store:
        notebook["metadata"]["yt8m"] = make_stamp(notebook)
        with atomic_write(file) as unfinished:
            nbformat.write(notebook, unfinished)


def main(names: list[str]) -> int:
    """Execute notebooks and print the duration of each. Returns 1 if one failed, else 0."""
    scale = chosen_scale()
    failed = []
    if not sys.stderr.isatty():
        os.environ["YT8M_PROGRESS"] = "lines"  # in the kernels
    with tempfile.TemporaryDirectory() as home:
        if scale == "smoke":
            os.environ["YT8M_HOME"] = home
        for file in [Path(name) for name in names] or notebooks():
            started = time.perf_counter()
            try:
                execute(file, store=scale == SCALE)
            except (CellExecutionError, DeadKernelError) as error:
                failed.append(file.name)
                print(error)
            status = "failed" if file.name in failed else "done"
            print(f"{file.name}: {status} after {time.perf_counter() - started:.0f} s ({scale})", flush=True)
    return bool(failed)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        sys.exit(f"nb: {error}")
