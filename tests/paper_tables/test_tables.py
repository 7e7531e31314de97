"""Rows of the paper: parameter counts at the paper's widths, and training at narrow widths and on real records."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from yt8m_core.data.schema import Schema
from yt8m_core.demo.runs import demo_folder
from yt8m_core.experiment import Data, Training
from yt8m_core.paper_tables import TABLES, Row
from yt8m_core.runs.run import Facts, Run, build_model
from yt8m_core.training.loop import train

ROWS = [(name, row) for name, table in TABLES.items() for row in table.rows]
IDS = [f"{name}-{row.name}" for name, row in ROWS]
PAPER = Facts(Schema("frame", (("rgb", 1024), ("audio", 128))), 4716, "paper", 6_308_488, 1)
SMOKE = Training(epochs=1, batch_size=16)
C, D = 4716, 1152


def assert_learns(run: Run) -> None:
    """Check what a few steps can show: finite losses, non-zero gradients and a valid GAP."""
    assert run.log["loss"].dropna().map(math.isfinite).all()
    assert run.log["gradient"].dropna().gt(0).all()
    assert 0 <= run.metrics["validation"]["gap"] < 1


def moe(d: int, experts: int) -> int:
    return C * (experts + 1) * d + C * experts * (d + 1)


LSTM, MLP = 4 * D * (2 * D + 2), 4096 * (D + 4096 + 4096)
PARAMETERS = {  # computed by hand from sections 2 and 3 of the paper
    "LSTM": LSTM + moe(2 * D, 2),
    "LSTM-M-O": LSTM + moe(4 * D, 2),
    "CNN-1024": 5 * D * 1024 + 1024 + moe(1024, 2),
    "Indirect Clustering": moe(D, 2),
    "L_CE": moe(D, 16),
    "Many-to-Many": LSTM + C * (D + 1),
    "2 Layer MoE-2": 2 * 2048 * (D + 1) + moe(2048, 2),
    "2 Layer MoE-16": 2 * 2048 * (D + 1) + moe(2048, 16),
    "3 Layer MLP-4096": MLP + 3 * 4096 + C * 4097,
    "3 Layer MLP-4096-LN": MLP + 6 * 4096 + C * 4097,
    "MoE - (1.0, 0.3, 0.0)": moe(D, 16),
    "MoE - (1.0, 0.0, 0.1)": moe(D, 16) + C * C,
}


@pytest.mark.parametrize(("table", "row"), ROWS, ids=IDS)
def test_row_builds_at_the_widths_of_the_paper(table: str, row: Row) -> None:
    with torch.device("meta"):
        model = build_model(row.experiment(Data("a", "b"), Training()), PAPER)
    parameters = sum(weight.numel() for weight in model.parameters())
    assert parameters == PARAMETERS.get(row.name, parameters)


def test_parameter_counts_agree_with_rounded_values() -> None:
    assert moe(D, 2) == pytest.approx(27e6, rel=0.02)
    assert moe(4 * D, 2) == pytest.approx(109e6, rel=0.01)
    for name, size in {"L_CE": 179e6, "2 Layer MoE-2": 53e6, "2 Layer MoE-16": 323e6}.items():
        assert PARAMETERS[name] == pytest.approx(size, rel=0.005), name
    assert PARAMETERS["3 Layer MLP-4096-LN"] == pytest.approx(57.6e6, rel=0.005)


@pytest.mark.parametrize("name", TABLES)
def test_table_has_its_baseline_and_unique_rows(name: str) -> None:
    table = TABLES[name]
    assert table.baseline in [row.name for row in table.rows]
    assert len({row.name for row in table.rows}) == len(table.rows)


@pytest.mark.parametrize(("table", "row"), ROWS, ids=IDS)
def test_row_trains_on_the_demo_world(
    table: str, row: Row, demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YT8M_HOME", str(demo_home))
    monkeypatch.setenv("YT8M_SCALE", "smoke")
    data = Data(str(demo_folder() / "train"), str(demo_folder() / "validation"), max_frames=40)
    run = train(row.experiment(data, SMOKE, width_divisor=64), tmp_path / "run")
    assert run.facts.scale == "demo"
    assert_learns(run)


@pytest.mark.real_data
@pytest.mark.parametrize("row", TABLES["pooling"].rows, ids=lambda row: row.name)
def test_pooling_row_trains_on_real_frames(row: Row, real_data: Path, tmp_path: Path) -> None:
    shards = real_data / "audioset"
    data = Data(str(shards / "bal_train-00.tfrecord"), str(shards / "bal_train-01.tfrecord"))
    run = train(row.experiment(data, replace(SMOKE, batch_size=128), width_divisor=64), tmp_path / "run")
    assert run.facts.schema.level == "frame"
    assert_learns(run)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(
    "row",
    [row for name in ("classification", "label_processing", "loss") for row in TABLES[name].rows],
    ids=lambda row: row.name,
)
def test_row_trains_on_real_videos(row: Row, real_data: Path, tmp_path: Path) -> None:
    first = [
        str(sorted((real_data / "yt8m-2018-video" / split).glob("*.tfrecord"))[0]) for split in ("train", "validate")
    ]
    vocabulary = str(real_data / "yt8m-2018-video" / "vocabulary.csv")
    training = Training(epochs=1, batch_size=512)
    run = train(row.experiment(Data(*first, vocabulary), training, width_divisor=64), tmp_path / "run")
    assert run.facts.num_classes == 3862
    assert_learns(run)
