"""The benchmarks run on a CPU with small models; these tests check their logic, not their numbers."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import gpu, pool_once
from benchmarks.step import matrix_products
from yt8m_core.demo.runs import demo_experiments

SIZE = gpu.Size(batch=4, frames=6, classes=5, narrower=64)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_gpu_benchmark_measures_every_row_against_its_limit(precision: str) -> None:
    rows = gpu.rows(torch.device("cpu"), SIZE, steps=1, precisions=[precision])
    assert len(rows) == len({row["row"] for row in rows}) == 26
    assert sum(row["row"].startswith("scoring, ") for row in rows) == 13
    for row in rows:
        assert set(row) == set(gpu.COLUMNS)
        assert row["videos_per_second"] > 0
        assert math.isfinite(row["limit"])
        assert row["share_of_limit"] == pytest.approx(row["videos_per_second"] / row["limit"])
        assert row["most_time_in"].count("%") == 3


def test_limits_match_a_calculation_by_hand() -> None:
    """Limits of indirect clustering and LSTM with MoE-2 at the paper's widths, with all rates 1."""
    rows = dict(gpu.paper_rows())
    size, rates = gpu.Size(batch=2, frames=3), gpu.Rates(1, 1, 1, 1)
    with torch.device("meta"):
        clustering, lstm = (
            gpu.limits(gpu.row_model(rows[f"Table 1: {name}"], size), size, rates)
            for name in ("Indirect Clustering", "LSTM")
        )
    moe = 4716 * 3 * 1152 + 4716 * 2 * 1152
    assert clustering == {
        "copying": 0, "weights": 28 * (moe + 4716 * 2), "products": 2 * 4 * moe, "waiting": 0
    }  # fmt: skip
    cell = 4 * 1152 * 2 * 1152
    assert lstm["copying"] == 2 * 3 * 1152
    assert lstm["products"] == 4 * (2 * 3 * cell + 2 * 2 * moe)
    assert lstm["waiting"] == 9


def test_precisions_are_compared_by_gap(demo_home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(demo_home))
    monkeypatch.setenv("YT8M_SCALE", "smoke")
    gaps = gpu.gaps_of_precisions(next(iter(demo_experiments().values())), "cpu")
    assert set(gaps) == {"float32", "bfloat16"}
    assert all(0 <= gap <= 1 for gap in gaps.values())


def test_matrix_products_are_those_of_a_step() -> None:
    with FlopCounterMode(display=False) as counter:
        matrix_products([torch.randn(5, 3)], rows=7)()
    assert counter.get_total_flops() == 2 * (2 * 7 * 5 * 3)


def test_pool_once_benchmark_trains_table_4() -> None:
    (row,) = pool_once.rows("smoke")
    assert row["ours"] > 0
    assert row["peer"] > 0
    assert row["what"].startswith("Table 4: its 6 rows")
