"""Tables of runs and their comparison with the paper."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from yt8m_core.runs.run import Run, find_runs
from yt8m_core.runs.table import COLUMNS, RankAgreement, join_paper_rows, paper_row_names, rank_agreement, run_table


@pytest.fixture
def runs(demo_home: Path) -> dict[str, Run]:
    return {path.name: Run.open(path) for path in find_runs(demo_home / "runs")}


def test_table_has_the_values_of_the_run_folders(runs: dict[str, Run], demo_home: Path) -> None:
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


def test_unfinished_run_has_no_metrics_and_no_runs_give_an_empty_table(runs: dict[str, Run], tmp_path: Path) -> None:
    name, run = next(iter(runs.items()))
    table = run_table({name: replace(run, path=tmp_path)})
    assert not table["finished"].iloc[0]
    assert table[["gap", "parameters"]].isna().all(axis=None)
    assert run_table({}).empty
    assert join_paper_rows("pooling", run_table({}))["run"].isna().all()


def evaluated(*lines: tuple[str, str, float]) -> pd.DataFrame:
    """Return finished runs of rows of Table 1, each with a GAP and a CI of ±0.01."""
    return pd.DataFrame(
        [
            {
                "run": run, "rows": (("loss", "L_CE"), ("pooling", row)), "finished": True,
                "gap": gap, "gap_low": gap - 0.01, "gap_high": gap + 0.01,
            }
            for run, row, gap in lines
        ]
    )  # fmt: skip


def test_rows_are_in_the_papers_order_with_their_runs() -> None:
    table = join_paper_rows("pooling", evaluated(("a", "LSTM", 0.3), ("b", "LSTM", 0.4), ("c", "CNN-64", 0.5)))
    assert table["paper_gap"].dropna().is_monotonic_decreasing
    assert table["row"].iloc[-1] == "CNN-1024"  # the paper gives it no GAP
    assert table[table["row"] == "LSTM"]["run"].tolist() == ["b", "a"]
    assert table["run"].notna().sum() == 3


def test_rank_agreement_counts_pairs_by_their_confidence_intervals() -> None:
    runs = evaluated(
        ("mine", "Indirect Clustering", 0.5),  # 0.801 in the paper
        ("better, as in the paper", "LSTM-M-O", 0.6),
        ("worse, as in the paper", "CNN-64", 0.4),
        ("disagrees", "CNN-256", 0.7),
        ("overlaps", "LSTM", 0.515),
        ("the same row", "Indirect Clustering", 0.9),
    )
    table = join_paper_rows("pooling", runs)
    assert rank_agreement(table, "mine") == RankAgreement(agree=2, disagree=1, inconclusive=1)
    assert rank_agreement(table, "none") == RankAgreement(0, 0, 0)
    table = join_paper_rows("pooling", evaluated(("x", "CNN-1024", 0.3)))
    assert rank_agreement(table, "x") == RankAgreement(0, 0, 0)
    assert paper_row_names([]) == []
