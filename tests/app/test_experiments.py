"""The experiments page: all runs, ensembles and the stored results."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.app.conftest import CopyRun
from tests.support.pages import (
    ATTENTION_RUN,
    MEAN_RUN,
    Controls,
    changes_page,
    charts,
    control_keys,
    error_text,
    open_page,
    page_text,
    select_last,
    set_value,
    tables,
)
from yt8m_core.ablation import results
from yt8m_core.analysis.ensembling import average_runs
from yt8m_core.inference.evaluation import open_run_data
from yt8m_core.inference.score_cache import load_scores
from yt8m_core.runs.run import Run

PAGE = "experiments"
BOTH = [ATTENTION_RUN, MEAN_RUN]
CONTROLS: Controls = {
    "run": select_last("run"),
    "data": select_last("data"),
    "table": select_last("table"),
    "methods": set_value("methods", ["mean"]),  # type: ignore[arg-type]
    "members": set_value("members", [ATTENTION_RUN]),  # type: ignore[arg-type]
    "average": set_value("average", "logit"),
}


def test_table_lists_all_runs_best_first() -> None:
    at = open_page(PAGE)
    table = tables(at)[0]
    assert set(table["run"]) == set(BOTH)
    assert table["gap"].is_monotonic_decreasing
    assert set(table["data"]) == {"smoke/validation"}
    row = table.set_index("run").loc[ATTENTION_RUN]
    assert row["pooling"] == "indirect_clustering"
    assert row["paper_row"] == "Table 1: Indirect Clustering"
    assert row["paper_gap"] == 0.801
    assert row["scale"] == "demo world"
    ticks = json.loads(charts(at)[0])["layout"]["yaxis"]["ticktext"]
    assert [text.split(":")[0] for text in ticks] == list(table["run"])


def test_filters_select_matching_runs() -> None:
    assert tables(open_page(PAGE, methods="mean"))[0]["run"].tolist() == [MEAN_RUN]
    assert tables(open_page(PAGE, table="Table 1: video pooling"))[0]["run"].tolist() == [ATTENTION_RUN]
    none = open_page(PAGE, methods=["mean", "indirect_clustering"])
    assert tables(none)[0].empty
    assert "No finished run matches" in page_text(none)


def test_runs_on_different_videos_are_not_compared_in_a_figure(copy_run: CopyRun) -> None:
    run = copy_run("on training data", MEAN_RUN)
    config = json.loads((run / "config.json").read_text())
    config["experiment"]["data"]["validation"] = config["experiment"]["data"]["train"]
    (run / "config.json").write_text(json.dumps(config))
    assert len(tables(open_page(PAGE))[0]) == 2
    at = open_page(PAGE, on="any")
    assert len(tables(at)[0]) == 3
    assert not charts(at)
    assert "cannot be compared" in page_text(at)
    assert changes_page(PAGE, select_last("on"))


def test_unfinished_run_is_listed_and_cannot_be_a_member(copy_run: CopyRun) -> None:
    (copy_run("in training", MEAN_RUN) / "metrics.json").unlink()
    at = open_page(PAGE)
    table = tables(at)[0].set_index("run")
    assert table["finished"].to_dict() == {ATTENTION_RUN: True, MEAN_RUN: True, "in training": False}
    assert pd.isna(table.loc["in training", "gap"])
    assert at.multiselect(key="members").options == BOTH


@pytest.mark.parametrize("kind", ["probability", "logit"])
def test_ensemble_equals_that_of_the_library(demo_home: Path, kind: str) -> None:
    at = open_page(PAGE, members=BOTH, average=kind)
    data = str(demo_home / "smoke" / "validation")
    runs = {name: Run.open(demo_home / "runs" / name) for name in BOTH}
    expected = average_runs({name: load_scores(run, open_run_data(run, data)) for name, run in runs.items()}, kind=kind)
    assert at.metric[0].value == f"{expected.gap:.4f}"
    assert at.metric[1].value == f"{expected.members['gap'].max():.4f}"
    _, members, pairs = tables(at)
    gaps = expected.members.set_index("member")["gap"]
    assert members.set_index("member")["gap"].to_dict() == gaps.to_dict()
    assert pairs["overlap"].tolist() == expected.pairs["overlap"].tolist()


def test_members_that_do_not_fit_are_left_out(copy_run: CopyRun) -> None:
    (copy_run("no weights", MEAN_RUN) / "model.safetensors").unlink()
    at = open_page(PAGE, members=[*BOTH, "no weights"])
    (warning,) = at.warning
    assert "Run **no weights** is left out" in warning.value
    assert "no trained weights" in page_text(at)
    assert len(at.metric) == 2
    at = open_page(PAGE, members=[MEAN_RUN, "no weights"])
    assert "Fewer than two of these runs" in page_text(at)
    assert not at.metric
    assert "Choose at least two runs" in page_text(open_page(PAGE, members=[MEAN_RUN]))
    unknown = open_page(PAGE, members=["nonsense"])
    assert error_text(unknown) == ""
    assert unknown.multiselect(key="members").value == []


@pytest.fixture
def stored_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of stored results."""
    monkeypatch.setattr(results, "results_folder", lambda: tmp_path / "results")
    return tmp_path / "results"


def write_result(folder: Path) -> Path:
    row = {
        "row": "L_CE", "paper_gap": 0.798, "gap": 0.5, "gap_low": 0.4, "gap_high": 0.6, "reference": "L_CE",
        "difference": 0.0, "difference_low": 0.0, "difference_high": 0.0, "verdict": "baseline", "hit_at_1": 0.6,
        "perr": 0.5, "map": 0.2, "parameters": 1, "videos_per_second": 2, "seeds": 3, "videos": 800,
        "scale": "demo world", "data": "demo world",
    }  # fmt: skip
    claim = {"claim": "A claim.", "source": "section 3.2", "verdict": "supported", "evidence": [], "table": "loss"}
    claim |= {"scale": "demo world", "data": "demo world"}
    values = {"format": results.FORMAT, "table": "loss", "scale": "demo", "command": "yt8m ablate loss --scale demo"}
    (folder / "demo").mkdir(parents=True)
    file = folder / "demo" / "loss.json"
    file.write_text(json.dumps({**values, "data": "", "experiments": {}, "rows": [row], "claims": [claim]}))
    return file


def test_stored_results_are_shown_where_there_are_any(stored_results: Path) -> None:
    assert "show" not in control_keys(open_page(PAGE))
    file = write_result(stored_results)
    assert "show" in control_keys(open_page(PAGE))
    at = open_page(PAGE, show="notebook results")
    rows, claims = tables(at)
    assert rows["row"].tolist() == ["L_CE"]
    assert claims["verdict"].tolist() == ["supported"]
    assert "yt8m ablate loss --scale demo" in page_text(at)
    file.with_stem("single").write_text("no JSON")
    at.run()
    select_last("result")(at).run()
    assert "yt8m ablate single" in error_text(at)


def test_links_of_older_versions_open_the_stored_results(stored_results: Path) -> None:
    write_result(stored_results)
    at = open_page(PAGE, show="results of the notebooks")
    assert at.get_by_key("show").value == "notebook results"
    assert "yt8m ablate loss --scale demo" in page_text(at)
    at = open_page(PAGE, show="runs found here")
    assert at.get_by_key("show").value == "runs"


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_the_page(control: str) -> None:
    assert changes_page(PAGE, CONTROLS[control], members=BOTH)  # type: ignore[arg-type]


def test_every_control_is_tested() -> None:
    # "show" selects between runs and stored results, where there are any.
    assert control_keys(open_page(PAGE)) - {"show"} == set(CONTROLS)
