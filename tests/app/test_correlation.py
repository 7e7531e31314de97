"""The correlation page."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.support.pages import (
    MEAN_RUN,
    Controls,
    changes_page,
    charts,
    control_keys,
    error_text,
    open_page,
    output,
    page_text,
    select_last,
    set_value,
    tables,
)
from yt8m_core.data.dataset import open_videos
from yt8m_core.inference.score_cache import load_scores
from yt8m_core.labels.statistics import counts, label_matrix
from yt8m_core.metrics.sparse import sparse_gap
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run, build_model

PAGE = "correlation"
MATRIX_RUN = "with-matrix"  # its label processing has a trained matrix
MODEL_MATRIX = "model's M_c"


def move_slider(key: str, value: Any) -> Callable[[AppTest], Any]:
    return lambda at: at.slider(key=key).set_value(value)


CONTROLS: Controls = {
    "part": set_value("part", "Pairs"),
    "data": select_last("data"),
    "run": select_last("run"),
    "measure": set_value("measure", "lift"),
    "support": lambda at: at.number_input(key="support").set_value(4),
    "label": lambda at: at.selectbox(key="label").select("Pet · 16"),
    "window": set_value("window", "cluster"),
    "window_size": lambda at: at.number_input(key="window_size").set_value(12),
    "labels": lambda at: at.multiselect(key="labels").set_value(at.multiselect(key="labels").options[:3]),
    "cluster": select_last("cluster"),
    "place": move_slider("place", 40),
    "own_matrix": set_value("own_matrix", "counted"),
    "pairs_of": set_value("pairs_of", "window"),
    "alpha": move_slider("alpha", 0.5),
    "beta": move_slider("beta", 0.3),
    "gamma": move_slider("gamma", 0.4),
}

QUERIES: dict[str, dict[str, str]] = {
    "label": {"part": "Pairs"},
    "labels": {"window": "custom selection"},
    "cluster": {"window": "cluster"},
    "place": {"window": "position in cluster order"},
    "own_matrix": {"run": MATRIX_RUN, "measure": MODEL_MATRIX},
    "pairs_of": {"part": "Calibration"},
    "alpha": {"part": "Label processing", "beta": "0.3"},
    "beta": {"part": "Label processing"},
    "gamma": {"part": "Label processing", "run": MATRIX_RUN},
}
"""Query that shows a control, if the page does not show it at first."""


@pytest.fixture(scope="module")
def more_runs(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two runs: one with a trained matrix, and the same without its training data."""
    other = Run.open(demo_home / "runs" / MEAN_RUN)
    train = open_videos(other.experiment.data.train)
    labels = label_matrix(train.label_values, train.label_offsets, other.facts.num_classes)
    experiment = replace(other.experiment, label_processing=Slot("correlation", {"gamma": 0.1, "space": "prob"}))
    model = build_model(experiment, other.facts)
    model.load_state_dict(other.load_model().state_dict(), strict=False)
    model.label_processing.fit_label_prior(labels)
    trained = model.label_processing.trained
    trained.data[2, 16] += 0.25
    folder = tmp_path_factory.mktemp("more")
    for name, data in (
        (MATRIX_RUN, experiment.data),
        ("gone", replace(experiment.data, train=str(folder / "nowhere"))),
    ):
        run = Run.create(folder / name, replace(experiment, data=data), other.facts, other.vocabulary)
        run.finish(model, other.metrics, other.predictions, other.label_precision)
    return folder


@pytest.fixture(autouse=True)
def _list_matrix_run(more_runs: Path, demo_app: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_RUNS", str(more_runs / MATRIX_RUN))


class TestWindow:
    def test_clicked_cell_describes_its_pair(self) -> None:
        at = open_page(PAGE)
        chart = json.loads(charts(at)[0])
        names = chart["layout"]["xaxis"]["ticktext"]
        assert len(names) == 30
        row, column = names.index("Dog"), names.index("Pet")
        at.session_state["matrix"] = {"selection": {"points": [{"x": column, "y": row}]}}
        at.run()
        assert "videos with **Dog**, 100% have **Pet** too" in page_text(at)
        at.session_state["matrix"] = {"selection": {"points": [{"x": row, "y": row}]}}
        at.run()
        assert "**Dog** is in" in page_text(at)

    def test_labels_around_the_selected_one(self) -> None:
        at = open_page(PAGE, window="around a label", window_size="5")
        at.selectbox(key="label").select("Pet · 16").run()
        names = json.loads(charts(at)[0])["layout"]["xaxis"]["ticktext"]
        assert "Pet" in names
        assert 2 <= len(names) <= 5

    def test_missing_label_is_requested(self) -> None:
        at = open_page(PAGE, window="around a label")
        assert "Select a label at the top" in page_text(at)
        assert not charts(at)

    def test_cells_below_the_minimum_support_are_empty(self) -> None:
        def cells(support: int) -> int:
            chart = json.loads(charts(open_page(PAGE, support=str(support), measure="count"))[0])
            return sum("nan" not in text for text in chart["data"][1]["text"])

        assert 900 >= cells(1) > cells(2) > cells(31) >= 30  # the diagonal is shown


class TestAllLabels:
    def test_image_shows_all_labels_and_their_clusters(self, demo_home: Path) -> None:
        at = open_page(PAGE, part="All labels")
        (chart,) = charts(at)
        assert json.loads(chart)["data"][0]["source"].startswith("data:image/png;base64,")
        videos = open_videos(demo_home / "smoke" / "validation")
        seen = int((counts(label_matrix(videos.label_values, videos.label_offsets, 120)) > 0).sum())
        assert f"**{seen} labels** in cluster order" in page_text(at)
        assert f"Labels of the vocabulary without a video: {120 - seen}." in page_text(at)
        (clusters,) = tables(at)
        assert f"**{len(clusters)} clusters**: {clusters['size'].sum()}" in page_text(at)

    def test_too_high_support_is_reported(self) -> None:
        at = open_page(PAGE, part="All labels", support="33")
        assert "No pair has the minimum support" in page_text(at)


class TestPairs:
    def test_pairs_have_the_minimum_support_and_the_selected_label(self) -> None:
        at = open_page(PAGE, part="Pairs", support="2")
        strongest, sided = tables(at)
        assert len(strongest) >= len(sided) > 0
        assert (strongest["count"] >= 2).all()
        assert (strongest["phi"] > 0).all()
        assert (sided["p_b_given_a"] > sided["p_a_given_b"]).all()
        assert (sided["p_b_given_a"] - sided["p_a_given_b"]).is_monotonic_decreasing
        name = f"{strongest['a'].iloc[0]} · {strongest['label_a'].iloc[0]}"
        at.selectbox(key="label").select(name).run()
        fewer, _ = tables(at)
        assert 0 < len(fewer) < len(strongest)
        assert ((fewer["a"] == strongest["a"].iloc[0]) | (fewer["b"] == strongest["a"].iloc[0])).all()

    @pytest.mark.parametrize("key", ["strongest_pairs", "one_sided_pairs"])
    def test_clicked_row_describes_its_pair(self, key: str) -> None:
        at = open_page(PAGE, part="Pairs", support="2")
        row = tables(at)[key == "one_sided_pairs"].iloc[1]
        at.session_state[key] = {"selection": {"rows": [1], "columns": [], "cells": []}}
        at.run()
        assert f"videos with **{row['a']}**, {row['p_b_given_a']:.0%} have **{row['b']}** too" in page_text(at)

    def test_too_high_support_is_reported(self) -> None:
        at = open_page(PAGE, part="Pairs", support="33")
        assert "No correlated pair has the minimum support" in page_text(at)
        assert not tables(at)


class TestModelMatrix:
    def test_matrix_and_its_change_by_training_are_shown(self) -> None:
        at = open_page(PAGE, run=MATRIX_RUN, measure=MODEL_MATRIX, window="custom selection")
        at.multiselect(key="labels").set_value(["Music · 2", "Pet · 16"]).run()
        chart = json.loads(charts(at)[0])
        assert chart["layout"]["title"]["text"] == "Label association: M_c, change"
        at.number_input(key="support").set_value(1).run()
        assert "the change due to training" in page_text(at)
        at.session_state["part"] = "Pairs"
        at.run()
        assert {"b_to_a", "a_to_b"} <= set(tables(at)[0].columns)
        at.session_state["part"] = "All labels"
        at.run()
        assert "M_c, change" in charts(at)[0]

    def test_run_without_a_matrix_says_why_and_offers_runs_with_one(self) -> None:
        at = open_page(PAGE, run=MEAN_RUN, measure=MODEL_MATRIX)
        assert f"Run {MEAN_RUN} has no matrix M_c: its label processing is identity" in page_text(at)
        assert not charts(at)
        next(button for button in at.button if button.label.replace("\\", "") == f"Use run {MATRIX_RUN}").click().run()
        assert charts(at)

    def test_trained_matrix_remains_without_the_training_data(
        self, more_runs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("YT8M_RUNS", str(more_runs / "gone"))
        at = open_page(PAGE, run="gone", measure=MODEL_MATRIX, data="smoke/validation")
        assert error_text(at) == ""
        assert at.get_by_key("own_matrix").options == ["trained"]
        assert "the training labels of the run are gone" in page_text(at)


class TestCalibration:
    def test_observed_and_expected_pairs_are_compared(self, demo_home: Path) -> None:
        at = open_page(PAGE, part="Calibration", run=MEAN_RUN)
        assert "**Expected** is the sum over videos" in page_text(at)
        (chart,) = charts(at)
        assert "Observed and expected pairs,<br>smoke-mean-mlp" in json.loads(chart)["layout"]["title"]["text"]
        (under,) = tables(at)
        assert under["surprise"].is_monotonic_decreasing
        assert (under["surprise"] > 0).all()
        assert "No pair is overestimated." in page_text(at)
        more, over = tables(open_page(PAGE, part="Calibration", run=MEAN_RUN, pairs_of="window"))
        assert (more["surprise"] > 0).all()
        assert (over["surprise"] < 0).all()
        assert over["surprise"].is_monotonic_increasing
        run = Run.open(demo_home / "runs" / MEAN_RUN)
        scored = load_scores(run, open_videos(run.experiment.data.validation))
        row = under.iloc[0]
        p = np.asarray(scored.probabilities, np.float64)
        assert row["expected"] == pytest.approx((p[:, row["label_a"]] * p[:, row["label_b"]]).sum(), rel=1e-4)
        at.session_state["truth"] = {
            "selection": {"points": [{"customdata": [int(row["label_a"]), int(row["label_b"])]}]}
        }
        at.run()
        assert f"videos with **{row['a']}**" in page_text(at)

    def test_data_with_other_labels_are_refused_with_an_alternative(self, more_runs: Path, real_shard: Path) -> None:
        for part in ("Calibration", "Label processing"):
            at = open_page(PAGE, part=part, data="validate/shard0052.tfrecord")
            assert error_text(at)
            assert any("of this run" in button.label for button in at.button)
        at = open_page(PAGE, data="validate/shard0052.tfrecord", run=MATRIX_RUN, measure=MODEL_MATRIX)
        assert "Choose the run's own data set" in page_text(at)


class TestLabelProcessing:
    def test_gap_follows_the_sliders_and_the_reset(self, demo_home: Path) -> None:
        at = open_page(PAGE, part="Label processing", run=MEAN_RUN)
        run = Run.open(demo_home / "runs" / MEAN_RUN)
        scored = load_scores(run, open_videos(run.experiment.data.validation))
        own = f"{sparse_gap(scored.probabilities, scored.truth):.4f}"
        assert [metric.value for metric in at.metric] == [own, own]
        at.slider(key="beta").set_value(0.3).run()
        assert at.metric[0].value != own
        assert at.metric[0].label == "GAP@20 at (1, 0.3, 0)"
        assert at.metric[0].delta
        (table,) = tables(at)
        assert f"{table['here'].iloc[1]:.4f}" == at.metric[0].value  # the same weights in Table 3
        at.button(key="reset_weights").click().run()
        assert [metric.value for metric in at.metric] == [own, own]
        at.button(key="table_3_1").click().run()
        assert at.slider(key="beta").value == 0.3
        assert at.query_params["beta"] == "0.3"

    def test_reset_restores_the_weights_of_a_run_with_a_matrix(self, more_runs: Path, demo_home: Path) -> None:
        at = open_page(PAGE, part="Label processing", run=MATRIX_RUN)
        run = Run.open(more_runs / MATRIX_RUN)
        scored = load_scores(run, open_videos(run.experiment.data.validation))
        assert [at.slider(key=key).value for key in ("alpha", "beta", "gamma")] == [1, 0, 0]
        assert at.metric[1].label == "Weights of the run: (1, 0, 0.1)"
        at.button(key="reset_weights").click().run()
        assert at.slider(key="gamma").value == 0.1
        assert at.metric[0].value == at.metric[1].value
        assert float(at.metric[1].value) == pytest.approx(sparse_gap(scored.probabilities, scored.truth), abs=2e-4)

    def test_missing_training_data_are_reported(self, more_runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("YT8M_RUNS", str(more_runs / "gone"))
        at = open_page(PAGE, part="Label processing", run="gone", data="smoke/validation")
        assert "nowhere" in error_text(at)


@pytest.mark.parametrize(
    ("key", "old", "new", "query"),
    [
        ("part", "Model against truth", "Calibration", {}),
        ("part", "Other weights", "Label processing", {}),
        ("window", "a cluster", "cluster", {}),
        ("window", "a place in the order", "position in cluster order", {}),
        ("window", "my choice", "custom selection", {}),
        ("pairs_of", "the strongest", "strongest", {"part": "Calibration"}),
        ("pairs_of", "those of a window", "window", {"part": "Calibration"}),
    ],
)
def test_link_of_an_older_version_selects_the_renamed_option(
    key: str, old: str, new: str, query: dict[str, str]
) -> None:
    at = open_page(PAGE, **{key: old}, **query)
    assert error_text(at) == ""
    assert at.session_state[key] == new
    assert output(at) == output(open_page(PAGE, **{key: new}, **query))


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_the_page(control: str) -> None:
    assert changes_page(PAGE, CONTROLS[control], **({"support": "2"} | QUERIES.get(control, {})))


def test_every_control_is_tested() -> None:
    found = set()
    for query in ({}, {"part": "All labels"}, {"part": "Pairs"}, *QUERIES.values()):
        found |= control_keys(open_page(PAGE, **query))
    assert found == set(CONTROLS)


def test_missing_run_is_reported(real_shard: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path))
    monkeypatch.setenv("YT8M_RUNS", "")
    for query in ({"measure": MODEL_MATRIX}, {"part": "Calibration"}, {"part": "Label processing"}):
        at = open_page(PAGE, **query)
        assert error_text(at) == ""
        assert "needs a trained run" in page_text(at)


class TestPartners:
    def test_chosen_label_opens_its_neighborhood_with_the_verdict_of_the_run(self) -> None:
        at = open_page(PAGE, label="Music · 2", support="2")
        assert at.selectbox(key="window").value == "around a label"
        (partners,) = tables(at)
        assert partners["phi"].is_monotonic_decreasing
        assert (partners["phi"] > 0).all()
        assert (partners["count"] >= 2).all()
        assert "Music" not in partners["partner"].tolist()
        for row in partners.itertuples():
            verdict = "underestimated" if row.surprise > 3 else "overestimated" if row.surprise < -3 else "as expected"
            assert row.verdict == verdict
        at.selectbox(key="label").select("Pet · 16").run()
        assert "Partners of Pet" in page_text(at)
        at.selectbox(key="label").set_value(None).run()
        assert at.selectbox(key="window").value == "most frequent"

    def test_partners_stand_in_one_column_seen_from_the_chosen_label(self) -> None:
        pairs = tables(open_page(PAGE, part="Pairs", support="2", label="Music · 2"))[0]
        assert pairs["phi"].is_monotonic_decreasing
        for row in pairs.itertuples():
            is_first = row.label_a == 2
            assert row.partner == (row.b if is_first else row.a)
            assert row.share == (row.p_b_given_a if is_first else row.p_a_given_b)

    def test_link_keeps_another_window(self) -> None:
        at = open_page(PAGE, label="Music · 2", window="most frequent")
        assert at.selectbox(key="window").value == "most frequent"

    @pytest.mark.usefixtures("_no_runs")
    def test_partners_are_listed_without_a_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("YT8M_RUNS", "")
        (partners,) = tables(open_page(PAGE, label="Music · 2", support="2"))
        assert "verdict" not in partners
