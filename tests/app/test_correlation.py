"""The page of label correlation."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.pages import OTHER, Controls, changes, charts, choose, controls, faults, opened, select_last, words
from yt8m_core.data.dataset import open_videos
from yt8m_core.inference.score_cache import scored_of
from yt8m_core.labels.statistics import counts, label_matrix
from yt8m_core.metrics.top_k import gap_of
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run, build_model

pytestmark = pytest.mark.usefixtures("demo_app")
PAGE = "correlation"
MATRIX = "with-matrix"  # a run whose label processing has a matrix of its own
OWN = "model's M_c"


def move(key: str, value: Any) -> Callable[[AppTest], Any]:
    return lambda at: at.slider(key=key).set_value(value)


CONTROLS: Controls = {
    "data": select_last("data"),
    "run": select_last("run"),
    "measure": choose("measure", "lift"),
    "support": lambda at: at.number_input(key="support").set_value(4),
    "label": lambda at: at.selectbox(key="label").select("Pet · 16"),
    "window": choose("window", "a cluster"),
    "window_size": move("window_size", 12),
    "labels": lambda at: at.multiselect(key="labels").set_value(at.multiselect(key="labels").options[:3]),
    "cluster": select_last("cluster"),
    "place": move("place", 40),
    "own_matrix": choose("own_matrix", "counted"),
    "pairs_of": choose("pairs_of", "those of a window"),
    "alpha": move("alpha", 0.5),
    "beta": move("beta", 0.3),
    "gamma": move("gamma", 0.4),
}

QUERIES: dict[str, dict[str, str]] = {
    "label": {"part": "Pairs"},
    "labels": {"window": "my choice"},
    "cluster": {"window": "a cluster"},
    "place": {"window": "a place in the order"},
    "own_matrix": {"run": MATRIX, "measure": OWN},
    "pairs_of": {"part": "Model against truth"},
    "alpha": {"part": "Other weights", "beta": "0.3"},
    "beta": {"part": "Other weights"},
    "gamma": {"part": "Other weights", "run": MATRIX},
}
"""Where a control is, if it is not there at first."""


@pytest.fixture(scope="module")
def more_runs(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: one with a trained matrix of its own, and the same without its training data."""
    other = Run.open(demo_home / "runs" / OTHER)
    train = open_videos(other.experiment.data.train)
    labels = label_matrix(train.label_values, train.label_offsets, other.facts.num_classes)
    experiment = replace(other.experiment, label_processing=Slot("correlation", {"gamma": 0.1}))
    model = build_model(experiment, other.facts)
    model.load_state_dict(other.load_model().state_dict(), strict=False)
    model.label_processing.fit_label_prior(labels)
    trained = model.label_processing.trained
    trained.data[2, 16] += 0.25
    folder = tmp_path_factory.mktemp("more")
    for name, data in (
        (MATRIX, experiment.data),
        ("gone", replace(experiment.data, train=str(folder / "nowhere"))),
    ):
        run = Run.create(folder / name, replace(experiment, data=data), other.facts, other.vocabulary)
        run.finish(model, other.metrics, other.predictions)
    return folder


@pytest.fixture(autouse=True)
def _runs(more_runs: Path, demo_app: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_RUNS", str(more_runs / MATRIX))


def tables(at: AppTest) -> list[Any]:
    return [element.value for element in at.dataframe]


class TestWindow:
    def test_pair_of_labels_in_words_when_its_cell_is_clicked(self) -> None:
        at = opened(PAGE)
        chart = json.loads(charts(at)[0])
        names = chart["layout"]["xaxis"]["ticktext"]
        assert len(names) == 30
        row, column = names.index("Dog"), names.index("Pet")
        at.session_state["matrix"] = {"selection": {"points": [{"x": column, "y": row}]}}
        at.run()
        assert "videos with **Dog**, 100% have **Pet** too" in words(at)
        at.session_state["matrix"] = {"selection": {"points": [{"x": row, "y": row}]}}
        at.run()
        assert "**Dog** is in" in words(at)

    def test_labels_around_one(self) -> None:
        at = opened(PAGE, window="around a label", window_size="5")
        at.selectbox(key="label").select("Pet · 16").run()
        names = json.loads(charts(at)[0])["layout"]["xaxis"]["ticktext"]
        assert "Pet" in names
        assert 2 <= len(names) <= 5

    def test_label_is_asked_for_where_none_is_chosen(self) -> None:
        at = opened(PAGE, window="around a label")
        assert "Choose a label at the top" in words(at)
        assert not charts(at)

    def test_cells_with_too_few_videos_stay_empty(self) -> None:
        def cells(support: int) -> int:
            chart = json.loads(charts(opened(PAGE, support=str(support), measure="count"))[0])
            return sum("nan" not in text for text in chart["data"][1]["text"])

        assert 900 >= cells(1) > cells(2) > cells(31) >= 30  # a label with itself stays


class TestAllLabels:
    def test_one_image_tells_what_it_shows(self, demo_home: Path) -> None:
        at = opened(PAGE, part="All labels")
        (chart,) = charts(at)
        assert json.loads(chart)["data"][0]["source"].startswith("data:image/png;base64,")
        videos = open_videos(demo_home / "smoke" / "validation")
        seen = int((counts(label_matrix(videos.label_values, videos.label_offsets, 120)) > 0).sum())
        assert f"**{seen} labels** that occur" in words(at)
        assert f"{120 - seen} labels of the vocabulary occur in no video here" in words(at)
        (clusters,) = tables(at)
        assert f"**{len(clusters)} clusters** hold {clusters['size'].sum()} of them" in words(at)

    def test_nothing_together_is_told(self) -> None:
        at = opened(PAGE, part="All labels", support="33")
        assert "No pair of labels is in so many videos" in words(at)


class TestPairs:
    def test_strongest_and_most_one_sided_pairs_keep_to_the_support_and_the_label(self) -> None:
        at = opened(PAGE, part="Pairs", support="2")
        strongest, sided = tables(at)
        assert len(strongest) == len(sided) > 0
        assert (strongest["count"] >= 2).all()
        assert (sided["p_b_given_a"] - sided["p_a_given_b"]).is_monotonic_decreasing
        name = f"{strongest['a'].iloc[0]} · {strongest['label_a'].iloc[0]}"
        at.selectbox(key="label").select(name).run()
        fewer, _ = tables(at)
        assert 0 < len(fewer) < len(strongest)
        assert ((fewer["a"] == strongest["a"].iloc[0]) | (fewer["b"] == strongest["a"].iloc[0])).all()

    @pytest.mark.parametrize("key", ["strongest_pairs", "one_sided_pairs"])
    def test_chosen_row_is_told_in_words(self, key: str) -> None:
        at = opened(PAGE, part="Pairs", support="2")
        row = tables(at)[key == "one_sided_pairs"].iloc[1]
        at.session_state[key] = {"selection": {"rows": [1], "columns": [], "cells": []}}
        at.run()
        assert f"videos with **{row['a']}**, {row['p_b_given_a']:.0%} have **{row['b']}** too" in words(at)

    def test_none_is_told(self) -> None:
        at = opened(PAGE, part="Pairs", support="33")
        assert "Lower the minimum" in words(at)
        assert not tables(at)


class TestOwnMatrix:
    def test_run_with_one_shows_it_and_what_training_changed(self) -> None:
        at = opened(PAGE, run=MATRIX, measure=OWN, window="my choice")
        at.multiselect(key="labels").set_value(["Music · 2", "Pet · 16"]).run()
        chart = json.loads(charts(at)[0])
        assert chart["layout"]["title"]["text"] == "Labels together: M_c, change"
        at.number_input(key="support").set_value(1).run()
        assert "what training added" in words(at)
        at.session_state["part"] = "Pairs"
        at.run()
        assert {"b_to_a", "a_to_b"} <= set(tables(at)[0].columns)
        at.session_state["part"] = "All labels"
        at.run()
        assert "M_c, change" in charts(at)[0]

    def test_run_without_one_says_why_and_names_those_that_have(self) -> None:
        at = opened(PAGE, run=OTHER, measure=OWN)
        assert f"Run {OTHER} has no matrix M_c of its own: its label processing, identity" in words(at)
        assert not charts(at)
        next(button for button in at.button if button.label.replace("\\", "") == f"Use run {MATRIX}").click().run()
        assert charts(at)

    def test_without_the_training_data_the_trained_matrix_is_left(
        self, more_runs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("YT8M_RUNS", str(more_runs / "gone"))
        at = opened(PAGE, run="gone", measure=OWN, data="smoke/validation")
        assert faults(at) == ""
        assert at.get_by_key("own_matrix").options == ["trained"]
        assert "the labels that the run was trained with are gone" in words(at)


class TestAgainstTruth:
    def test_pairs_are_compared_and_expected_is_explained(self, demo_home: Path) -> None:
        at = opened(PAGE, part="Model against truth", run=OTHER)
        assert "**Expected** is what the run's probabilities add up to" in words(at)
        (chart,) = charts(at)
        assert "Labels together, and as smoke-mean-mlp expects" in chart
        under, over = tables(at)
        assert under["surprise"].is_monotonic_decreasing
        assert over["surprise"].is_monotonic_increasing
        run = Run.open(demo_home / "runs" / OTHER)
        scored = scored_of(run, open_videos(run.experiment.data.validation))
        row = under.iloc[0]
        p = np.asarray(scored.probabilities, np.float64)
        assert row["expected"] == pytest.approx((p[:, row["label_a"]] * p[:, row["label_b"]]).sum(), rel=1e-4)
        at.session_state["truth"] = {
            "selection": {"points": [{"customdata": [int(row["label_a"]), int(row["label_b"])]}]}
        }
        at.run()
        assert f"videos with **{row['a']}**" in words(at)

    def test_data_of_other_labels_are_refused_with_a_way_out(
        self, more_runs: Path, real_data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shard = real_data / "yt8m-2018-video" / "validate" / "shard0052.tfrecord"
        monkeypatch.setenv("YT8M_DATA", str(shard))
        for part in ("Model against truth", "Other weights"):
            at = opened(PAGE, part=part, data="validate/shard0052.tfrecord")
            assert faults(at)
            assert any("Use this run's own data set" in button.label for button in at.button)
        at = opened(PAGE, data="validate/shard0052.tfrecord", run=MATRIX, measure=OWN)
        assert "its matrix is of other labels" in words(at)


class TestOtherWeights:
    def test_gap_follows_the_sliders_and_returns(self, demo_home: Path) -> None:
        at = opened(PAGE, part="Other weights", run=OTHER)
        run = Run.open(demo_home / "runs" / OTHER)
        scored = scored_of(run, open_videos(run.experiment.data.validation))
        own = f"{gap_of(scored.probabilities, scored.truth):.4f}"
        assert [metric.value for metric in at.metric] == [own, own]
        at.slider(key="beta").set_value(0.3).run()
        assert at.metric[0].value != own
        assert at.metric[0].label == "GAP@20 at (1, 0.3, 0)"
        assert at.metric[0].delta
        (table,) = tables(at)
        assert f"{table['here'].iloc[1]:.4f}" == at.metric[0].value  # Table 3's first row of its own
        at.button(key="reset_weights").click().run()
        assert [metric.value for metric in at.metric] == [own, own]
        at.button(key="table_3_1").click().run()
        assert at.slider(key="beta").value == 0.3
        assert at.query_params["beta"] == "0.3"

    def test_run_with_a_matrix_goes_back_to_its_own_weights(self, more_runs: Path, demo_home: Path) -> None:
        at = opened(PAGE, part="Other weights", run=MATRIX)
        run = Run.open(more_runs / MATRIX)
        scored = scored_of(run, open_videos(run.experiment.data.validation))
        assert [at.slider(key=key).value for key in ("alpha", "beta", "gamma")] == [1, 0, 0]
        assert at.metric[1].label == "The run's own, at (1, 0, 0.1)"
        at.button(key="reset_weights").click().run()
        assert at.slider(key="gamma").value == 0.1
        assert at.metric[0].value == at.metric[1].value
        assert float(at.metric[1].value) == pytest.approx(gap_of(scored.probabilities, scored.truth), abs=2e-4)

    def test_training_data_that_are_gone_are_told(self, more_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("YT8M_RUNS", str(more_runs / "gone"))
        at = opened(PAGE, part="Other weights", run="gone", data="smoke/validation")
        assert "nowhere" in faults(at)


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes(PAGE, CONTROLS[control], **({"support": "2"} | QUERIES.get(control, {})))


def test_every_control_is_among_those_tested() -> None:
    found = set()
    for query in ({}, {"part": "All labels"}, {"part": "Pairs"}, *QUERIES.values()):
        found |= controls(opened(PAGE, **query))
    assert found == set(CONTROLS)


def test_models_are_asked_for_where_there_is_none(real_data: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path))
    monkeypatch.setenv("YT8M_RUNS", "")
    monkeypatch.setenv("YT8M_DATA", str(real_data / "yt8m-2018-video" / "validate" / "shard0052.tfrecord"))
    for query in ({"measure": OWN}, {"part": "Model against truth"}, {"part": "Other weights"}):
        at = opened(PAGE, **query)
        assert faults(at) == ""
        assert "no trained run yet" in words(at)
