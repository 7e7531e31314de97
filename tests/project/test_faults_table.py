"""docs/faults.md lists every test with the marker ``fault`` once, and no other test."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def marked_tests() -> set[str]:
    """Return the node ids of the tests with the marker ``fault``."""
    node_ids = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and any(
                ast.unparse(decorator) == "pytest.mark.fault" for decorator in node.decorator_list
            ):
                node_ids.add(f"{path.relative_to(ROOT).as_posix()}::{node.name}")
    return node_ids


def test_faults_table_lists_every_marked_test_once() -> None:
    rows = [line for line in (ROOT / "docs" / "faults.md").read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in rows]
    cells = [row for row in cells if row != ["fault", "behavior", "test"]]
    assert all(len(row) == 3 and all(row) for row in cells)
    matches = [re.fullmatch(r"`(tests/(?:\w+/)?test_\w+\.py::test_\w+)`", row[2]) for row in cells]
    assert all(matches), cells
    tests = [match[1] for match in matches if match]
    assert sorted(tests) == sorted(marked_tests())
    assert len(tests) > 15
