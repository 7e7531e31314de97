"""Numbers and texts of the app."""

import ast

import pytest

from components.text import metric_change, signed
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(-0.0691, 4, "−0.0691"), (0.0691, 4, "+0.0691"), (-1e-6, 3, "+0.000"), (0.0, 1, "+0.0"), (-12.0, 0, "−12")],
)
def test_signed_numbers_have_a_true_minus_sign(value: float, digits: int, text: str) -> None:
    assert signed(value, digits) == text


def test_metric_of_a_decrease_points_down() -> None:
    assert metric_change(-0.25, 2) == {"delta": "−0.25", "delta_color": "red", "delta_arrow": "down"}
    assert metric_change(0.25, 2) == {"delta": "+0.25"}


def test_no_text_formats_a_sign_with_a_hyphen() -> None:
    found = []
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FormattedValue) and node.format_spec and "+" in ast.unparse(node.format_spec):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert [place.partition(":")[0] for place in found] == ["app/components/text.py"]
