"""The page that says where one is."""

import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.pages import (
    ATTENDING,
    OTHER,
    Controls,
    changes,
    charts,
    controls,
    faults,
    opened,
    select_last,
    words,
)
from yt8m_core.models import registry
from yt8m_core.runs.run import Run

pytestmark = pytest.mark.usefixtures("demo_app")
PAGE = "overview"

CONTROLS: Controls = {"run": select_last("run"), "data": select_last("data"), "paper": select_last("paper")}


def links(at: AppTest) -> dict[str, dict[str, list[str]]]:
    """The links of the page: the page that each leads to, and what it sets there."""
    return {link.proto.page: parse_qs(link.proto.query_string) for link in at.get("page_link")}


def unfinished_copy(home: Path, folder: Path) -> Path:
    run = shutil.copytree(home / "runs" / OTHER, folder / "on its way")
    (run / "metrics.json").unlink()
    return run


def test_key_figures_are_those_of_the_run_each_with_its_meaning(demo_home: Path) -> None:
    at = opened()
    score = Run.open(demo_home / "runs" / ATTENDING).metrics["validation"]
    shown = {metric.label: metric for metric in at.metric}
    for title, name in (("GAP@20", "gap"), ("Hit@1", "hit_at_1"), ("PERR", "perr"), ("mAP", "map_present")):
        assert shown[title].value == f"{score[name]:.3f}"
    assert shown["GAP@20"].delta == f"95 %: {score['gap_low']:.3f} to {score['gap_high']:.3f}"
    assert all(metric.proto.help for metric in at.metric)
    assert "**indirect_clustering** counts those seconds most" in words(at)
    assert "(the validation split of this run)" in words(at)
    assert "(the training split of this run, which knows its labels)" in words(opened(data="smoke/train"))


def test_every_method_of_the_registry_has_words() -> None:
    from views.overview.slot_descriptions import METHOD_WORDS

    for slot, methods in registry.SLOTS.items():
        assert set(METHOD_WORDS[slot]) - {"none"} == set(methods)


def test_hints_lead_to_what_they_tell_of(demo_home: Path) -> None:
    at = opened()
    told = links(at)
    assert set(told) == {"predictions", "imbalance", "attention", "experiments"}
    video = told["attention"]["video"][0]
    (sentence,) = re.findall(rf"Of the (\d+) true labels of video \*\*{video}\*\* only (\d+) are", words(at))
    there = opened("predictions", **{name: value[0] for name, value in told["attention"].items()})
    assert f"**{sentence[1]} of {sentence[0]}** true labels are among the best 20" in words(there)
    assert told["experiments"] == {"run": [ATTENDING], "members": [ATTENDING, OTHER]}
    # The last link to a page stands for it: the surest mistake. Its label is not a true one of its video.
    wrong = opened("predictions", **{name: value[0] for name, value in told["predictions"].items()})
    assert wrong.selectbox(key="label").value == told["predictions"]["label"][0]
    assert not wrong.dataframe[-1].value.query("name == @name", local_dict={
        "name": told["predictions"]["label"][0].rsplit(" · ", 1)[0]})["true"].any()  # fmt: skip


def test_strongest_pair_is_told_of_a_data_set_that_has_one(monkeypatch: Any) -> None:
    monkeypatch.setattr("views.overview.suggestions.SUPPORT", 2)
    at = opened()
    (label,) = links(at)["correlation"]["label"]
    assert f"**{label.rsplit(' · ', 1)[0]}** and **" in words(at)
    pairs = opened("correlation", part="Pairs", support="2", label=label, measure="phi").dataframe[0].value
    assert f"{pairs['count'].iloc[0]} videos have both (φ {pairs['phi'].iloc[0]:.2f}" in words(at)


def test_run_stands_beside_the_rows_of_the_paper() -> None:
    at = opened(paper="Table 1: video pooling")
    assert "This run is **Table 1: Indirect Clustering**" in words(at)
    assert "never made public" in words(at)
    table = at.dataframe[0].value
    assert table[table["this"]]["row"].tolist() == ["Indirect Clustering"]
    assert table[table["this"]]["run"].tolist() == [ATTENDING]
    assert table["row"].iloc[0] == "LSTM-M-O"
    assert "There is no order to compare" in words(at).replace("there is no", "There is no")
    assert "The paper has no row with this line of slots" in words(opened(run=OTHER))


def test_run_that_is_not_finished_shows_how_far_it_is(demo_home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    run = unfinished_copy(demo_home, tmp_path)
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    at = opened()
    assert "Run **on its way** is in training, or was stopped" in words(at)
    assert len(charts(at)) == 2
    log = (run / "log.csv").read_text().splitlines()
    for content, sentence in (
        (log[0] + "\n", None),
        ("", "has no log of its training yet"),
        ("no,log\n1,2\n", "no log of a training"),
        (None, "has no log of its training yet"),
    ):
        (run / "log.csv").unlink()
        if content is not None:
            (run / "log.csv").write_text(content)
        at.run()
        assert faults(at) == ""
        assert len(charts(at)) == (2 if sentence is None else 1)
        assert sentence is None or sentence in words(at)
    run.rename(tmp_path / "another")
    unfinished_copy(demo_home, tmp_path)
    assert changes(PAGE, select_last("unfinished"))


@pytest.mark.parametrize("content", [None, b"no parquet at all"])
def test_run_without_its_predictions_is_told(
    demo_home: Path, tmp_path: Path, monkeypatch: Any, content: bytes | None
) -> None:
    run = shutil.copytree(demo_home / "runs" / ATTENDING, tmp_path / "mine")
    (run / "predictions.parquet").unlink()
    if content is not None:
        (run / "predictions.parquet").write_bytes(content)
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    at = opened(run="mine")
    assert "predictions" in faults(at)
    assert charts(at)
    assert at.metric


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes(PAGE, CONTROLS[control])


def test_every_control_is_among_those_tested() -> None:
    assert controls(opened(PAGE)) == set(CONTROLS)
