"""What measures on a GPU runs on a CPU too, narrow and short: its numbers there mean nothing, its logic is the same."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import gpu, pool_once
from benchmarks.step import products
from yt8m_core.demo.runs import demo_experiments

SIZE = gpu.Size(batch=4, frames=6, classes=5, narrower=64)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_row_of_the_gpu_benchmark_is_measured_against_what_bounds_it(precision: str) -> None:
    rows = gpu.rows(torch.device("cpu"), SIZE, steps=1, precisions=[precision])
    assert len(rows) == 13
    assert len({row["row"] for row in rows}) == 13
    for row in rows:
        assert set(row) == set(gpu.COLUMNS)
        assert row["videos_per_second"] > 0
        assert math.isfinite(row["limit"])
        assert row["share_of_limit"] == pytest.approx(row["videos_per_second"] / row["limit"])
        assert row["most_time_in"].count("%") == 3


def test_limits_are_those_of_the_arithmetic() -> None:
    """Mean and LSTM with MoE-2, at the paper's widths and rates of 1: bytes, moved bytes, flops, and turns."""
    rows = dict(gpu.rows_of_the_paper())
    size, rates = gpu.Size(batch=2, frames=3), gpu.Rates(1, 1, 1, 1)
    with torch.device("meta"):
        clustering, lstm = (
            gpu.limits(gpu.model_of(rows[f"Table 1: {name}"], size), size, rates)
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


def test_gap_is_compared_between_precisions(demo_home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(demo_home))
    monkeypatch.setenv("YT8M_SCALE", "smoke")
    gaps = gpu.gaps_of_precisions(next(iter(demo_experiments().values())), "cpu")
    assert set(gaps) == {"float32", "bfloat16"}
    assert all(0 <= gap <= 1 for gap in gaps.values())


def test_products_are_those_of_a_step() -> None:
    with FlopCounterMode(display=False) as counter:
        products([torch.randn(5, 3)], rows=7)()
    assert counter.get_total_flops() == 2 * (2 * 7 * 5 * 3)


def test_table_4_is_trained_on_frames_and_from_what_is_pooled_once() -> None:
    (row,) = pool_once.rows("smoke")
    assert row["ours"] > 0
    assert row["peer"] > 0
    assert row["what"].startswith("Table 4: its 6 rows")
