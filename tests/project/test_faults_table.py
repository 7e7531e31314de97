"""The table of faults names tests that exist and carry the marker, and every one of them."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def marked() -> set[str]:
    """The tests with the marker ``fault``, as pytest names them."""
    found = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any(
                ast.unparse(decorator) == "pytest.mark.fault" for decorator in node.decorator_list
            ):
                found.add(f"{path.relative_to(ROOT).as_posix()}::{node.name}")
    return found


def test_table_of_faults_has_every_marked_test_once_and_no_other() -> None:
    rows = [line for line in (ROOT / "docs" / "faults.md").read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows]
    cells = [row for row in cells if row != ["fault", "what we promise", "test"]]
    assert all(len(row) == 3 and all(row) for row in cells)
    named = [re.fullmatch(r"`(tests/\w+/test_\w+\.py::test_\w+)`", row[2]) for row in cells]
    assert all(named), cells
    tests = [match[1] for match in named if match]
    assert sorted(tests) == sorted(marked())
    assert len(tests) > 15
