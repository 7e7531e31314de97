"""Runs side by side, and beside the rows of the paper."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from yt8m_core.runs.run import Run, find_runs
from yt8m_core.runs.table import COLUMNS, Order, in_the_paper, join_paper_rows, order, run_table


@pytest.fixture
def runs(demo_home: Path) -> dict[str, Run]:
    return {path.name: Run.open(path) for path in find_runs(demo_home / "runs")}


def test_table_says_what_the_run_folders_say(runs: dict[str, Run], demo_home: Path) -> None:
    table = run_table(runs)
    assert list(table.columns) == list(COLUMNS)
    assert table["run"].tolist() == sorted(path.name for path in (demo_home / "runs").iterdir())
    for row in table.itertuples():
        folder = demo_home / "runs" / str(row.run)
        config, metrics = (json.loads((folder / f"{name}.json").read_text()) for name in ("config", "metrics"))
        assert str(row.pooling).startswith(config["experiment"]["pooling"]["name"])
        assert row.data == config["experiment"]["data"]["validation"]
        assert row.learning_rate == config["experiment"]["training"]["learning_rate"]
        assert (row.gap, row.map) == (metrics["validation"]["gap"], metrics["validation"]["map_present"])
        assert row.parameters == metrics["parameters"]
        assert row.finished
    clustering, mlp = table["paper_row"]
    assert clustering == "Table 1: Indirect Clustering"
    assert table["paper_gap"].iloc[0] == 0.801
    assert mlp == ""
    assert pd.isna(table["paper_gap"].iloc[1])


def test_unfinished_run_has_no_metrics_and_no_run_no_row(runs: dict[str, Run], tmp_path: Path) -> None:
    name, run = next(iter(runs.items()))
    table = run_table({name: replace(run, path=tmp_path)})
    assert not table["finished"].iloc[0]
    assert table[["gap", "parameters"]].isna().all(axis=None)
    assert run_table({}).empty
    assert join_paper_rows("pooling", run_table({}))["run"].isna().all()


def measured(*lines: tuple[str, str, float]) -> pd.DataFrame:
    """Runs by name, row of Table 1 and GAP, each with an interval of ±0.01."""
    return pd.DataFrame(
        [
            {
                "run": run, "rows": (("loss", "L_CE"), ("pooling", row)), "finished": True,
                "gap": gap, "gap_low": gap - 0.01, "gap_high": gap + 0.01,
            }
            for run, row, gap in lines
        ]
    )  # fmt: skip


def test_rows_stand_in_the_papers_order_each_with_its_runs() -> None:
    table = join_paper_rows("pooling", measured(("a", "LSTM", 0.3), ("b", "LSTM", 0.4), ("c", "CNN-64", 0.5)))
    assert table["paper_gap"].dropna().is_monotonic_decreasing
    assert table["row"].iloc[-1] == "CNN-1024"  # the paper gives it no GAP
    assert table[table["row"] == "LSTM"]["run"].tolist() == ["b", "a"]
    assert table["run"].notna().sum() == 3


def test_order_counts_what_the_intervals_tell() -> None:
    runs = measured(
        ("mine", "Indirect Clustering", 0.5),  # 0.801 in the paper
        ("better as in the paper", "LSTM-M-O", 0.6),
        ("worse as in the paper", "CNN-64", 0.4),
        ("the other way round", "CNN-256", 0.7),
        ("not to be told", "LSTM", 0.515),
        ("the same row", "Indirect Clustering", 0.9),
    )
    assert order(join_paper_rows("pooling", runs), "mine") == Order(as_paper=2, other_way=1, open=1)
    assert order(join_paper_rows("pooling", runs), "none") == Order(0, 0, 0)
    assert order(join_paper_rows("pooling", measured(("x", "CNN-1024", 0.3), *[])), "x") == Order(0, 0, 0)
    assert in_the_paper([]) == []
