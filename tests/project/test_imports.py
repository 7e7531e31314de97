"""Import order of the packages, and where the heavy libraries may be imported."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

# Each package of yt8m_core, from the ground up, with the packages that it imports. All of them stand above it in the
# table, so there is no cycle. The table is exact: an import that is missing here fails, and so does an unused entry.
ALLOWED = {
    "errors": "",
    "progress": "",
    "workspace": "",
    "metrics": "errors",
    "storage": "errors",
    "processes": "errors progress storage",
    "labels": "errors",
    "data": "errors progress storage processes workspace",
    "models": "errors labels data",
    "experiment": "errors storage data models",
    "explain": "errors progress data models",
    "figures": "errors labels explain",
    "paper_tables": "errors models experiment",
    "runs": "errors storage labels data models experiment paper_tables",
    "inference": "errors progress workspace metrics storage processes labels data models experiment runs",
    "export": "errors storage data models runs inference",
    "training": "errors progress storage processes labels data models experiment runs inference",
    "analysis": "errors progress metrics storage labels data models experiment runs inference training",
    "sharing": "errors storage labels data models experiment runs analysis",
    "demo": "errors progress workspace storage data models experiment runs training analysis",
    "ablation": (
        "errors progress workspace metrics storage data models experiment paper_tables runs inference training "
        "analysis demo"
    ),
    "inspection": "errors labels data demo explain models runs inference analysis",
    "cli": (
        "errors progress storage workspace processes labels data models experiment runs inference export training "
        "analysis sharing demo ablation"
    ),
}
# Modules that stand outside the order: the lazy exports of the public API, and `python -m yt8m_core`.
EXEMPT = ("yt8m_core/__init__.py", "yt8m_core/__main__.py")
ABOVE = ("app", "nb", "benchmarks", "docs", "supply", "tests", "streamlit")
HOMES = {
    "plotly": "yt8m_core/figures/",
    "lightning_fabric": "yt8m_core/training/",
    "tyro": "yt8m_core/cli/",
    "fsspec": "yt8m_core/storage/remote",
    "requests": "yt8m_core/data/download/http.py",
    "huggingface_hub": "yt8m_core/sharing/hub",
    "httpx2": "yt8m_core/sharing/hub",
    "onnxruntime": "yt8m_core/export/",
    "onnxscript": "yt8m_core/export/",
    "umap": "yt8m_core/analysis/projection.py",
}
SLOTS = ("pooling", "classification", "label_processing", "losses")


class Import(NamedTuple):
    file: str
    name: str  # dotted, with the imported name: yt8m_core.errors.UserError


def imports(root: Path, folder: str = "yt8m_core") -> list[Import]:
    """Every import below a folder, those inside functions included."""
    return [
        Import(file.relative_to(root).as_posix(), name)
        for file in sorted((root / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        for name in imported_names(node)
    ]


def imported_names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative import"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package_of(dotted: str) -> str:
    """Return the second part of a dotted name: ``models`` of ``yt8m_core.models.slot``."""
    return dotted.split(".")[1]


def order_faults(found: Iterable[Import], allowed: dict[str, str]) -> list[str]:
    """List imports between packages that the table does not allow, and table entries that nothing uses."""
    order, faults = list(allowed), []
    used: dict[str, set[str]] = {package: set() for package in allowed}
    for file, name in found:
        if not name.startswith("yt8m_core.") or file in EXEMPT:
            continue
        user, target = file.split("/")[1].removesuffix(".py"), package_of(name)
        if user == target:
            continue
        if user not in allowed or target not in allowed:
            faults.append(f"{file} imports {name}: not in the table")
        elif order.index(target) >= order.index(user):
            faults.append(f"{file} imports {name}: {target} is above {user}")
        elif target not in allowed[user].split():
            faults.append(f"{file} imports {name}: the table does not allow it")
        used.setdefault(user, set()).add(target)
    return faults + [
        f"nothing in {user} imports {target}: remove it from the table"
        for user, targets in allowed.items()
        for target in targets.split()
        if target not in used[user]
    ]


def test_packages_import_only_what_the_table_allows() -> None:
    found = imports(ROOT)
    assert len(found) > 500
    assert order_faults(found, ALLOWED) == []
    order = list(ALLOWED)
    for package, targets in ALLOWED.items():
        assert all(order.index(target) < order.index(package) for target in targets.split())


@pytest.mark.parametrize(
    ("file", "imported", "fault"),
    [
        ("low/a.py", "yt8m_core.high.b", "yt8m_core/low/a.py imports yt8m_core.high.b: high is above low"),
        (
            "high/a.py",
            "yt8m_core.other.b",
            "yt8m_core/high/a.py imports yt8m_core.other.b: the table does not allow it",
        ),
        ("high/a.py", "yt8m_core.new.b", "yt8m_core/high/a.py imports yt8m_core.new.b: not in the table"),
    ],
)
def test_forbidden_import_is_reported_with_both_modules(tmp_path: Path, file: str, imported: str, fault: str) -> None:
    allowed = {"low": "", "other": "", "high": "low"}
    path = tmp_path / "yt8m_core" / file
    path.parent.mkdir(parents=True)
    path.write_text(f"def f():\n    import {imported}\n")
    faults = order_faults(imports(tmp_path), allowed)
    assert faults == [fault, "nothing in high imports low: remove it from the table"]


def test_core_imports_nothing_that_is_built_on_it() -> None:
    assert [found for found in imports(ROOT) if found.name.split(".")[0] in ABOVE] == []


def test_heavy_libraries_are_imported_in_one_place_each() -> None:
    found = imports(ROOT)
    for library, home in HOMES.items():
        users = {file for file, name in found if name.split(".")[0] == library}
        assert users, library
        assert all(file.startswith(home) for file in users), (library, users)


@pytest.mark.parametrize("slot", SLOTS)
def test_methods_of_a_slot_import_neither_data_nor_training_nor_other_slots(slot: str) -> None:
    others = tuple(f"yt8m_core.models.{other}" for other in SLOTS if other != slot)
    forbidden = ("yt8m_core.data", "yt8m_core.training", "yt8m_core.models.classifier", "yt8m_core.models.registry")
    found = imports(ROOT, f"yt8m_core/models/{slot}")
    assert found
    assert [entry for entry in found if entry.name.startswith(forbidden + others)] == []


def test_top_level_of_the_core_has_at_most_six_modules() -> None:
    modules = [path.name for path in (ROOT / "yt8m_core").glob("*.py")]
    assert len(modules) <= 6, modules


def test_files_have_at_most_300_lines() -> None:
    folders = ("yt8m_core", "app", "nb", "benchmarks", "docs", "supply")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    lengths = {file.relative_to(ROOT).as_posix(): len(file.read_text().splitlines()) for file in files}
    assert len(lengths) > 150
    assert {file: length for file, length in lengths.items() if length > 300} == {}
