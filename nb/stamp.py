"""Stamps of executed notebooks: a record of what their outputs were made from, to detect outdated outputs.

Only the execution (``python -m nb``) writes a stamp, into the notebook's metadata. Prose does not affect outputs, so it
can be edited without executing the notebook again.
"""

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from yt8m_core.ablation import SWEEPS, correlation_readings, demo_sweeps
from yt8m_core.ablation.recipe import digest_of, table_source
from yt8m_core.ablation.results import digests, result_file
from yt8m_core.analysis.localization_study import EPOCHS, RATES, TUNING_FOLD
from yt8m_core.demo import segments
from yt8m_core.paper_tables import TABLES

FOLDER = Path(__file__).parent
SCALE = "demo"  # outputs are stored at this scale only


def notebooks() -> list[Path]:
    """Return the paths of the notebooks, in order."""
    return sorted(FOLDER.glob("[0-9]*.ipynb"))


def make_stamp(notebook: NotebookNode) -> dict[str, Any]:
    """Return the stamp of outputs that are made now. Raises UserError if a learning rate was not searched."""
    cells = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return {"scale": SCALE, "source": digest_of(cells), "experiments": _experiments("\n".join(cells))}


def find_problems(notebook: NotebookNode) -> list[str]:
    """Return one sentence per reason why the outputs are outdated; empty if they are current or absent."""
    stamp = notebook["metadata"].get("yt8m")
    if not any(cell.get("outputs") for cell in notebook["cells"]):
        return ["It has a stamp and no outputs."] if stamp else []
    if stamp is None:
        return ["Its outputs were not made by `make notebooks`."]
    current = make_stamp(notebook)
    reasons = {
        "scale": "at another scale",
        "source": "from other code",
        "experiments": "from other experiments or data",
    }
    return [f"Its outputs were made {reason}." for part, reason in reasons.items() if stamp.get(part) != current[part]]


def _experiments(code: str) -> dict[str, str]:
    """Return digests of the videos, of the tables and sweeps that the code trains, and of stored results it shows."""
    nodes = list(ast.walk(ast.parse(code)))
    called = {node.id for node in nodes if isinstance(node, ast.Name)}
    constants = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    experiments = {"videos": table_source("pooling", SCALE).identity}
    if "ablate" in called:
        experiments |= {name: digest_of(sorted(digests(name, SCALE).items())) for name in TABLES if name in constants}
    if "run_sweep" in called:
        experiments |= {name: demo_sweeps.digest(name) for name in SWEEPS if name in constants}
    if "sweep_readings" in called:
        experiments["readings"] = correlation_readings.digest(SCALE)
    if "stored_readings" in called:
        experiments["readings, sample"] = _digest(correlation_readings.readings_file("sample"))
    if "compare_localizers" in called:
        experiments["segments"] = digest_of([segments.FORMAT, segments.VIDEOS[SCALE], RATES, TUNING_FOLD, EPOCHS])
    if called & {"stored_result", "all_claims"}:
        shown = TABLES if "all_claims" in called else [name for name in TABLES if name in constants]
        files = {name: result_file(name, "sample") for name in shown}
        experiments |= {f"{name}, sample": _digest(file) for name, file in files.items() if file.is_file()}
    return experiments


def _digest(file: Path) -> str:
    values = json.loads(file.read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
