"""The stamp of an executed notebook: what its outputs were made of, so that older ones are told from those that stand.

It is written by the execution alone (``python -m nb``), into the metadata of the notebook. Prose makes no output, so
that a word in it may be mended without an hour of training.
"""

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from yt8m_core.ablation import DIALS, demo_sweeps
from yt8m_core.ablation.recipe import digest_of, source
from yt8m_core.ablation.results import digests, result_file
from yt8m_core.paper_tables import TABLES

FOLDER = Path(__file__).parent
SCALE = "demo"  # the only one whose outputs are kept


def notebooks() -> list[Path]:
    """The notebooks, in order."""
    return sorted(FOLDER.glob("[0-9]*.ipynb"))


def stamp(notebook: NotebookNode) -> dict[str, Any]:
    """What outputs of a notebook would be made of now. Raises UserError where learning rates are still to be found."""
    cells = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return {"scale": SCALE, "source": digest_of(cells), "experiments": _experiments("\n".join(cells))}


def faults(notebook: NotebookNode) -> list[str]:
    """What is wrong with the outputs of a notebook: a sentence each, none where they stand or there are none."""
    stamped = notebook["metadata"].get("yt8m")
    if not any(cell.get("outputs") for cell in notebook["cells"]):
        return ["It has a stamp and no outputs."] if stamped else []
    if stamped is None:
        return ["Its outputs were not made by `make notebooks`."]
    now = stamp(notebook)
    words = {"scale": "at another scale", "source": "from other code", "experiments": "from other experiments or data"}
    return [f"Its outputs were made {word}." for part, word in words.items() if stamped.get(part) != now[part]]


def _experiments(code: str) -> dict[str, str]:
    """Digests of the videos, of the tables and dials that some code trains, and of the stored results that it shows."""
    nodes = list(ast.walk(ast.parse(code)))
    called = {node.id for node in nodes if isinstance(node, ast.Name)}
    named = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    found = {"videos": source("pooling", SCALE).identity}
    if "ablate" in called:
        found |= {name: digest_of(sorted(digests(name, SCALE).items())) for name in TABLES if name in named}
    if "turn" in called:
        found |= {name: demo_sweeps.digest(name) for name in DIALS if name in named}
    if called & {"stored", "ledger_of"}:  # the latter shows the claims of all
        shown = TABLES if "ledger_of" in called else [name for name in TABLES if name in named]
        files = {name: result_file(name, "sample") for name in shown}
        found |= {f"{name}, sample": _digest(file) for name, file in files.items() if file.is_file()}
    return found


def _digest(file: Path) -> str:
    values = json.loads(file.read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
