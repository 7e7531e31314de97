"""Data checks on the overview, and data sets with streams of their own."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.pages import error_text, open_page, page_text
from tests.support.shards import small, write
from tests.support.tiny import STREAMS, tiny_experiment, write_tiny
from yt8m_core.data.checks import SHARED_VIDEOS
from yt8m_core.runs.run import Run
from yt8m_core.storage.json_file import read_json, write_json
from yt8m_core.training.loop import train


@pytest.fixture
def leaking_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    experiment = tiny_experiment(tmp_path)
    leaking = replace(experiment, data=replace(experiment.data, validation=experiment.data.train))
    run = train(leaking, tmp_path / "runs" / "leaking", allow=[SHARED_VIDEOS])
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path / "runs"))
    return run


@pytest.mark.fault
def test_overview_tells_whether_validation_videos_were_learned_from(demo_home: Path, leaking_run: Run) -> None:
    assert "None of them is a training video, by id and by features." in page_text(open_page())
    assert "**120 of them are also training videos**" in page_text(open_page(run="leaking"))
    metrics = read_json(leaking_run.path / "metrics.json", missing="")
    config = read_json(leaking_run.path / "config.json", missing="")
    config["experiment"]["init"] = "/nowhere/base"
    write_json(leaking_run.path / "config.json", config)
    for changes, expected in (
        ({}, "Whether the run that it started from has learned from them could not be compared."),
        ({"init_shared_videos": 0}, "The run that it started from has not learned from any of them either."),
        ({"init_shared_videos": 8}, "**The run that it started from has learned from 8 of them**."),
    ):
        write_json(leaking_run.path / "metrics.json", {**metrics, **changes})
        assert f"**120 of them are also training videos**, so the numbers are too good. {expected}" in page_text(
            open_page(run="leaking")
        )
    del metrics["shared_videos"]  # as an older version wrote them
    write_json(leaking_run.path / "metrics.json", metrics)
    text = page_text(open_page(run="leaking"))
    assert "Whether training videos are among them was not compared" in text


@pytest.mark.fault
def test_findings_of_the_open_data_are_shown(
    demo_home: Path, leaking_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No findings in data set smoke/validation" in page_text(open_page(data="smoke/validation"))
    write(tmp_path / "own" / "a.tfrecord", small("a", (1, 1)), small("b"))
    bright = write_tiny(tmp_path / "bright", 20, seed=5)
    monkeypatch.setenv("YT8M_DATA", f"{tmp_path / 'own'}:{bright}")
    monkeypatch.setenv("YT8M_STREAMS", "x:7 y:200")
    text = page_text(open_page(data=f"{tmp_path.name}/own"))
    assert "1 of 2 videos have a label more than once. The first: 'a'" in text


def test_data_are_opened_with_the_streams_of_the_run(
    demo_home: Path, leaking_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_tiny(tmp_path / "own", 30, seed=5)
    monkeypatch.setenv("YT8M_DATA", str(own))
    key = f"{tmp_path.name}/own"
    for page in ("overview", "imbalance", "correlation", "predictions"):
        at = open_page(page, run="leaking", data=key)
        assert error_text(at) == ""
        assert f"Data set **{key}**" in page_text(at)
    assert "found" in error_text(open_page("imbalance", data=key))  # the demo run has other streams
    monkeypatch.setenv("YT8M_STREAMS", " ".join(f"{name}:{width}" for name, width in STREAMS))
    assert error_text(open_page("imbalance", data=key)) == ""


def test_page_describes_the_data_and_offers_names(leaking_run: Run) -> None:
    at = open_page("data_checks", run="leaking")
    assert error_text(at) == ""
    facts = at.dataframe[0].value.set_index("Property")["Value"]
    assert facts["Videos"] == "120"
    assert facts["Videos without known labels"] == "0"
    assert facts["Labels without a name"] == facts["Labels in the vocabulary"] == "6"
    assert "**120 of them are also training videos**" in page_text(at)
    assert "6 labels of run leaking without a name" in page_text(at)
    assert at.code[0].value == f"yt8m relocate {leaking_run.path} --vocabulary VOCABULARY.csv"


def test_page_works_without_a_run_or_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "own" / "a.tfrecord", small("a", None), small("b", None))
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "own"))
    monkeypatch.setenv("YT8M_STREAMS", "x:7 y:200")
    at = open_page("data_checks")
    assert error_text(at) == ""
    assert at.dataframe[0].value.set_index("Property")["Value"]["Videos without known labels"] == "2"
