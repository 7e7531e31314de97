"""The sweep over readings of equation 20: what it trains, compares, ranks and stores."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from yt8m_core.ablation import correlation_readings as sweep
from yt8m_core.ablation.correlation_readings import (
    STEP,
    STEPS,
    rank_readings,
    readings,
    save_readings,
    stored_readings,
    sweep_readings,
)
from yt8m_core.ablation.recipe import SEARCH_SEED
from yt8m_core.errors import UserError
from yt8m_core.models.label_processing.correlation import SPACES
from yt8m_core.models.label_processing.correlation_matrix import MATRIX_NORMS
from yt8m_core.models.registry import build
from yt8m_core.paper_tables import label_processing
from yt8m_core.progress import silent


def test_each_reading_has_the_rows_of_table_3_and_can_be_built() -> None:
    trained = readings("sample")
    assert len({(reading, row.name) for reading, row in trained}) == len(trained)
    rows = label_processing.TABLE.rows[1:]
    for reading in {reading for reading, _ in trained}:
        names = [row.name for other, row in trained if other == reading]
        assert names == ([row.name for row in rows] if reading.relative_step == STEP else ["MoE - (1.0, 0.0, 0.1)"])
        assert reading.matrix_norm in MATRIX_NORMS
        assert reading.space in SPACES
        slot = reading.processing(rows[0])
        build("label_processing", slot.name, slot.options, num_classes=3, embedding_features=2)
    assert {reading.relative_step for reading, _ in trained} == set(STEPS)


def test_a_sweep_is_trained_on_the_videos_of_the_rate_search_and_is_paired_with_its_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path))
    table = sweep_readings(scale="smoke", progress=silent)
    assert len(table) == 2
    configs = [json.loads(file.read_text()) for file in (tmp_path / "ablations").glob("*/config.json")]
    assert len(configs) == 3
    assert {config["experiment"]["seed"] for config in configs} == {SEARCH_SEED}
    assert {Path(config["experiment"]["data"]["train"]).parent.name for config in configs} == {"smoke-rates"}
    gaps = {
        run.name: json.loads((run / "metrics.json").read_text())["validation"]["gap"]
        for run in (tmp_path / "ablations").iterdir()
        if (run / "metrics.json").is_file()
    }
    differences = table["gap"] - table["difference"]
    assert differences.nunique() == 1 or np.ptp(differences) < 1e-12
    assert min(abs(gap - differences[0]) for gap in gaps.values()) < 1e-6
    assert (table["difference_low"] <= table["difference"]).all()
    assert (table["difference"] <= table["difference_high"]).all()
    assert table["paper_difference"].tolist() == [-0.014, -0.011]
    assert save_readings(table, scale="smoke", folder=tmp_path / "results").exists() is False


def result(**values: object) -> pd.DataFrame:
    rows = {"matrix_norm": ["joint", "joint", "phi", "phi"], "space": "prob", "relative_step": STEP}
    rows |= {"paper_difference": [-0.01, -0.02, -0.01, -0.02], "difference": [-0.01, -0.03, -0.04, 0.02]}
    rows |= dict.fromkeys(("beta", "gamma", "gap", "difference_low", "difference_high"), 0.5)
    rows |= {"videos": 9, "scale": "demo world", "data": "demo world"}
    return pd.DataFrame({**rows, **values})[list(sweep.COLUMNS)]


def test_readings_are_ranked_by_their_distance_from_the_paper() -> None:
    ranked = rank_readings(result())
    assert ranked["matrix_norm"].tolist() == ["joint", "phi"]
    np.testing.assert_allclose(ranked["deviation"], [np.sqrt(0.01**2 / 2), np.sqrt((0.03**2 + 0.04**2) / 2)])
    np.testing.assert_allclose(ranked["largest"], [0.01, 0.04])
    other_steps = result(relative_step=[STEP, STEP, 1.0, 1.0])
    assert rank_readings(other_steps)["matrix_norm"].tolist() == ["joint"]


def test_a_stored_sweep_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = save_readings(result(), scale="demo", folder=tmp_path)
    assert json.loads(file.read_text())["command"] == "yt8m readings --scale demo"
    pd.testing.assert_frame_equal(stored_readings("demo", tmp_path), result())
    for text in ("{}", "[1]", "not JSON", '{"format": 0}'):
        file.write_text(text)
        with pytest.raises(UserError, match="yt8m readings --scale demo"):
            stored_readings("demo", tmp_path)
    file.unlink()
    with pytest.raises(UserError, match="not a result of a sweep"):
        stored_readings("demo", tmp_path)


def test_the_full_data_set_has_no_sweep() -> None:
    with pytest.raises(UserError, match="'paper'"):
        sweep_readings(scale="paper")
