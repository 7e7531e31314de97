"""The page of all runs, and of what an average of some comes to."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.pages import (
    ATTENDING,
    OTHER,
    Controls,
    changes,
    charts,
    choose,
    controls,
    faults,
    opened,
    select_last,
    words,
)
from yt8m_core.ablation import results
from yt8m_core.analysis.ensembling import average_of
from yt8m_core.inference.evaluation import open_data_of
from yt8m_core.inference.score_cache import scored_of
from yt8m_core.runs.run import Run

pytestmark = pytest.mark.usefixtures("demo_app")
PAGE = "experiments"
BOTH = [ATTENDING, OTHER]

CONTROLS: Controls = {
    "run": select_last("run"),
    "data": select_last("data"),
    "table": select_last("table"),
    "methods": choose("methods", ["mean"]),  # type: ignore[arg-type]
    "members": choose("members", [ATTENDING]),  # type: ignore[arg-type]
    "average": choose("average", "logit"),
}


def test_all_runs_stand_in_the_table_best_first(demo_home: Path) -> None:
    at = opened(PAGE)
    table = at.dataframe[0].value
    assert set(table["run"]) == set(BOTH)
    assert table["gap"].is_monotonic_decreasing
    assert set(table["data"]) == {"smoke/validation"}
    row = table.set_index("run").loc[ATTENDING]
    assert row["pooling"] == "indirect_clustering"
    assert row["paper_row"] == "Table 1: Indirect Clustering"
    assert row["paper_gap"] == 0.801
    assert row["scale"] == "demo world"
    assert [line.split(":")[0] for line in json.loads(charts(at)[0])["layout"]["yaxis"]["ticktext"]] == list(
        table["run"]
    )


def test_filters_leave_what_they_say() -> None:
    assert opened(PAGE, methods="mean").dataframe[0].value["run"].tolist() == [OTHER]
    assert opened(PAGE, table="Table 1: video pooling").dataframe[0].value["run"].tolist() == [ATTENDING]
    none = opened(PAGE, methods=["mean", "indirect_clustering"])
    assert none.dataframe[0].value.empty
    assert "No finished run is left" in words(none)


def test_runs_of_different_videos_are_not_drawn_together(demo_home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    run = shutil.copytree(demo_home / "runs" / OTHER, tmp_path / "on training data")
    config = json.loads((run / "config.json").read_text())
    config["experiment"]["data"]["validation"] = config["experiment"]["data"]["train"]
    (run / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    assert len(opened(PAGE).dataframe[0].value) == 2
    at = opened(PAGE, on="any")
    assert len(at.dataframe[0].value) == 3
    assert not charts(at)
    assert "cannot be compared in one figure" in words(at)
    assert changes(PAGE, select_last("on"))


def test_unfinished_run_is_listed_and_no_member(demo_home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    run = shutil.copytree(demo_home / "runs" / OTHER, tmp_path / "on its way")
    (run / "metrics.json").unlink()
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    at = opened(PAGE)
    table = at.dataframe[0].value.set_index("run")
    assert table["finished"].to_dict() == {ATTENDING: True, OTHER: True, "on its way": False}
    assert pd.isna(table.loc["on its way", "gap"])
    assert at.multiselect(key="members").options == BOTH


@pytest.mark.parametrize("kind", ["probability", "logit"])
def test_average_is_what_the_library_says(demo_home: Path, kind: str) -> None:
    at = opened(PAGE, members=BOTH, average=kind)
    runs = {name: Run.open(demo_home / "runs" / name) for name in BOTH}
    scores = {
        name: scored_of(run, open_data_of(run, str(demo_home / "smoke" / "validation"))) for name, run in runs.items()
    }
    answer = average_of(scores, kind=kind)
    assert at.metric[0].value == f"{answer.gap:.4f}"
    assert at.metric[1].value == f"{answer.members['gap'].max():.4f}"
    _, members, pairs = (element.value for element in at.dataframe)
    assert members.set_index("member")["gap"].to_dict() == answer.members.set_index("member")["gap"].to_dict()
    assert pairs["overlap"].tolist() == answer.pairs["overlap"].tolist()


def test_members_that_do_not_fit_are_told(demo_home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    run = shutil.copytree(demo_home / "runs" / OTHER, tmp_path / "no weights")
    (run / "model.safetensors").unlink()
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    at = opened(PAGE, members=[*BOTH, "no weights"])
    (warning,) = at.warning
    assert "Run **no weights** is left out" in warning.value
    assert "no trained weights" in words(at)
    assert len(at.metric) == 2
    at = opened(PAGE, members=[OTHER, "no weights"])
    assert "Fewer than two of these runs" in words(at)
    assert not at.metric
    assert "Choose two runs or more" in words(opened(PAGE, members=[OTHER]))
    gone = opened(PAGE, members=["nonsense"])
    assert faults(gone) == ""
    assert gone.multiselect(key="members").value == []


def test_results_of_the_notebooks_are_shown_where_there_are_some(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path)
    assert "show" not in controls(opened(PAGE))
    row = {
        "row": "L_CE", "paper_gap": 0.798, "gap": 0.5, "gap_low": 0.4, "gap_high": 0.6, "against": "L_CE",
        "difference": 0.0, "difference_low": 0.0, "difference_high": 0.0, "reading": "the baseline", "hit_at_1": 0.6,
        "perr": 0.5, "map": 0.2, "parameters": 1, "videos_per_second": 2, "seeds": 3, "videos": 800,
        "scale": "demo world", "data": "demo world",
    }  # fmt: skip
    claim = {"claim": "A claim.", "where": "here", "verdict": "holds", "evidence": "", "table": "loss"}
    claim |= {"scale": "demo world", "data": "demo world"}
    values = {"format": 1, "table": "loss", "scale": "demo", "command": "yt8m ablate loss --scale demo", "data": ""}
    (tmp_path / "demo").mkdir()
    file = tmp_path / "demo" / "loss.json"
    file.write_text(json.dumps({**values, "experiments": {}, "rows": [row], "claims": [claim]}))
    assert "show" in controls(opened(PAGE))
    at = opened(PAGE, show="results of the notebooks")
    rows, claims = (element.value for element in at.dataframe)
    assert rows["row"].tolist() == ["L_CE"]
    assert claims["verdict"].tolist() == ["holds"]
    assert "yt8m ablate loss --scale demo" in words(at)
    file.with_stem("single").write_text("no JSON")
    at.run()
    select_last("result")(at).run()
    assert "Make it again: yt8m ablate single" in faults(at)


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes(PAGE, CONTROLS[control], members=BOTH)  # type: ignore[arg-type]


def test_every_control_is_among_those_tested() -> None:
    # The results of the notebooks, where there are any, are shown in a place of their own.
    assert controls(opened(PAGE)) - {"show"} == set(CONTROLS)
