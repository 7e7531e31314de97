"""The overview page."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

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
    tables,
)
from yt8m_core.models import registry
from yt8m_core.runs.run import Run

PAGE = "overview"
CONTROLS: Controls = {"run": select_last("run"), "data": select_last("data"), "paper": select_last("paper")}


def links(at: AppTest) -> dict[str, dict[str, list[str]]]:
    """Return the query of the last link to each page."""
    return {link.proto.page: parse_qs(link.proto.query_string) for link in at.get("page_link")}


def test_metrics_are_those_of_the_run_and_have_a_help_text(demo_home: Path) -> None:
    at = open_page()
    score = Run.open(demo_home / "runs" / ATTENTION_RUN).metrics["validation"]
    shown = {metric.label: metric for metric in at.metric}
    for title, name in (("GAP@20", "gap"), ("Hit@1", "hit_at_1"), ("PERR", "perr"), ("mAP (top 20)", "map_present")):
        assert shown[title].value == f"{score[name]:.3f}"
    assert shown["GAP@20"].delta == f"95% CI [{score['gap_low']:.3f}, {score['gap_high']:.3f}]"
    assert all(metric.proto.help for metric in at.metric)
    bands = ", ".join(f"{band} **{score[f'ap_{band}']:.3f}**" for band in ("head", "mid", "tail", "all"))
    assert f"Mean AP over all scores, by label frequency: {bands}." in page_text(at)
    assert "**indirect_clustering** weights seconds by their similarity" in page_text(at)
    assert "(validation split of this run)" in page_text(at)
    assert "(training split of this run, so the run has seen its labels)" in page_text(open_page(data="smoke/train"))


def test_every_method_of_the_registry_is_described() -> None:
    from views.overview.slot_descriptions import METHOD_EFFECTS

    for slot, methods in registry.SLOTS.items():
        assert set(METHOD_EFFECTS[slot]) - {"none"} == set(methods)


def test_suggestions_link_to_what_they_name() -> None:
    at = open_page()
    queries = links(at)
    headings = [heading.value for heading in at.subheader]
    assert headings.index("Suggestions") < headings.index("Learning curves")
    assert set(queries) == {"predictions", "imbalance", "attention", "experiments", "data-checks"}
    video = queries["attention"]["video"][0]
    pattern = rf"Only (\d+) of the (\d+) true labels of video \*\*{video}\*\* are in the top 20"
    ((found, labels),) = re.findall(pattern, page_text(at))
    predictions = open_page("predictions", **{name: value[0] for name, value in queries["attention"].items()})
    assert f"**{found} of {labels}** true labels are in the top 20" in page_text(predictions)
    assert queries["experiments"] == {"run": [ATTENTION_RUN], "members": [ATTENTION_RUN, MEAN_RUN]}
    # The last link to predictions is the top false positive: its label is not a true one of its video.
    mistake = open_page("predictions", **{name: value[0] for name, value in queries["predictions"].items()})
    label = queries["predictions"]["label"][0]
    assert mistake.selectbox(key="label").value == label
    name = label.rsplit(" · ", 1)[0]
    (rows,) = (table.query("name == @name", local_dict={"name": name}) for table in tables(mistake) if "true" in table)
    assert not rows["true"].any()


def test_strongest_pair_is_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("views.overview.suggestions.SUPPORT", 2)
    at = open_page()
    (label,) = links(at)["correlation"]["label"]
    assert f"**{label.rsplit(' · ', 1)[0]}** and **" in page_text(at)
    pairs = tables(open_page("correlation", part="Pairs", support="2", label=label, measure="phi"))[0]
    assert f"{pairs['count'].iloc[0]} videos with both (φ {pairs['phi'].iloc[0]:.2f}" in page_text(at)


def test_run_is_compared_with_the_rows_of_the_paper() -> None:
    at = open_page(paper="Table 1: video pooling")
    assert "This run matches **Table 1: Indirect Clustering**" in page_text(at)
    assert "no longer available" in page_text(at)
    table = tables(at)[0]
    assert table[table["this"]]["row"].tolist() == ["Indirect Clustering"]
    assert table[table["this"]]["run"].tolist() == [ATTENTION_RUN]
    assert table["row"].iloc[0] == "LSTM-M-O"
    assert "there is no order to compare" in page_text(at)
    assert "No row of the paper has this architecture" in page_text(open_page(run=MEAN_RUN))


def test_unfinished_run_shows_its_learning_curves(copy_run: CopyRun) -> None:
    run = copy_run("in training", MEAN_RUN)
    (run / "metrics.json").unlink()
    at = open_page()
    assert "Run **in training** is in training, or was stopped" in page_text(at)
    assert len(charts(at)) == 4
    log = (run / "log.csv").read_text().splitlines()
    for content, message in (
        (log[0] + "\n", None),
        ("", "has no training log yet"),
        ("no,log\n1,2\n", "not a training log"),
        (None, "has no training log yet"),
    ):
        (run / "log.csv").unlink()
        if content is not None:
            (run / "log.csv").write_text(content)
        at.run()
        assert error_text(at) == ""
        assert len(charts(at)) == (3 if message is None else 2)  # two of the run that is open
        assert message is None or message in page_text(at)
    run.rename(run.with_name("another"))
    run = copy_run("in training", MEAN_RUN)
    (run / "metrics.json").unlink()
    assert changes_page(PAGE, select_last("unfinished"))


def test_update_to_weight_ratio_is_shown_where_the_log_has_it(copy_run: CopyRun) -> None:
    at = open_page(run=MEAN_RUN)
    curve, ratio = (json.loads(chart) for chart in charts(at))
    assert [trace["name"] for trace in curve["data"]] == ["training loss", "validation GAP@20"]
    assert [trace["name"] for trace in ratio["data"]] == ["classification"]
    assert [line["y0"] for line in ratio["layout"]["shapes"]] == [1]
    assert "Far above 1, a step replaces the parameter" in page_text(at)
    log = copy_run("old", MEAN_RUN) / "log.csv"  # of a version without ratios
    table = pd.read_csv(log)
    table.loc[:, ~table.columns.str.startswith("update_")].to_csv(log, index=False)
    at = open_page(run="old")
    assert error_text(at) == ""
    assert len(charts(at)) == 1
    assert "a step replaces the parameter" not in page_text(at)
    table.assign(update_pooling="much").to_csv(log, index=False)
    at = open_page(run="old")
    assert "not a training log" in page_text(at)


@pytest.mark.parametrize("content", [None, b"no parquet at all"])
def test_run_without_valid_predictions_reports_it(copy_run: CopyRun, content: Any) -> None:
    run = copy_run()
    (run / "predictions.parquet").unlink()
    if content is not None:
        (run / "predictions.parquet").write_bytes(content)
    at = open_page(run="mine")
    assert "predictions" in error_text(at)
    assert charts(at)
    assert at.metric


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_the_page(control: str) -> None:
    assert changes_page(PAGE, CONTROLS[control])


def test_every_control_is_tested() -> None:
    assert control_keys(open_page(PAGE)) == set(CONTROLS)
