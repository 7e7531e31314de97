"""Tests of the calibration page: reliability, the pairs in a bin, and thresholds per label."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.app.conftest import CopyRun
from tests.support.pages import (
    ATTENTION_RUN,
    Controls,
    changes_page,
    charts,
    control_keys,
    error_text,
    first_video,
    open_page,
    page_text,
    select_last,
    set_value,
    tables,
)
from tests.support.shards import Content, write
from yt8m_core.analysis.calibration import calibrate
from yt8m_core.inference.evaluation import open_run_data
from yt8m_core.inference.score_cache import CachedScores, load_scores
from yt8m_core.runs.calibration_file import write_calibration
from yt8m_core.runs.run import Run

PAGE, LABEL = "calibration", "Music · 2"
THRESHOLDS = {"judge": "thresholds"}


def scored_by(run: Run) -> CachedScores:
    return load_scores(run, open_run_data(run, run.experiment.data.validation))


def test_reliability_has_the_expected_and_the_true_pairs(demo_home: Path) -> None:
    scored = scored_by(Run.open(demo_home / "runs" / ATTENTION_RUN))
    p, truth = np.array(scored.probabilities, np.float64), scored.truth.toarray()
    vocabulary = Run.open(demo_home / "runs" / ATTENTION_RUN).vocabulary
    table = open_page("imbalance").dataframe[0].value
    for scope, labels in (
        ("all", np.arange(120)),
        ("head", table.loc[table["band"] == "head", "label"].to_numpy()),
        ("label", np.array([2])),
    ):
        at = open_page(PAGE, scope=scope, label=LABEL)
        assert error_text(at) == ""
        expected, true = p[:, labels].sum(), truth[:, labels].sum()
        totals = f"**{expected:,.0f}** true pairs of a video and a label, and there are **{true:,.0f}**"
        assert totals in page_text(at)
        assert at.metric[0].delta.startswith("95% CI [")
        name = {"all": "all labels", "head": "band head", "label": vocabulary.name(2)}[scope]
        assert at.metric[0].label == f"Calibration error, {name}"


def test_bin_lists_its_pairs_by_their_truth(demo_home: Path) -> None:
    at = open_page(PAGE)
    at.selectbox(key="bin").select(at.selectbox(key="bin").options[-1]).run()
    assert error_text(at) == ""
    true, false = tables(at)
    low = float(at.selectbox(key="bin").value.split(" ")[1])
    for table in (true, false):
        assert (table["probability"] >= low * 0.99).all()
    assert true["true"].all()
    assert not false["true"].any()
    assert f"The {len(true) + len(false):,} with the largest errors" in page_text(at)
    row = true.iloc[0]
    assert f"**{row['name']}**: rank" in page_text(
        open_page("predictions", video=row["id"], label=f"{row['name']} · {row['label']}")
    )
    at.get_by_key("scope").set_value("head").run()  # it has other bins
    assert at.selectbox(key="bin").value is None
    assert "is not here" not in page_text(at)


def test_thresholds_are_measured_on_the_other_half(demo_home: Path) -> None:
    from yt8m_core.analysis.calibration import in_first_half
    from yt8m_core.data.dataset import open_videos

    scored = scored_by(Run.open(demo_home / "runs" / ATTENTION_RUN))
    measured = ~in_first_half(open_videos(demo_home / "smoke" / "validation").ids)
    at = open_page(PAGE, **THRESHOLDS)
    assert error_text(at) == ""
    assert f"measured on the other {measured.sum()}" in page_text(at)
    table = tables(at)[0]
    assert table["positives"].is_monotonic_decreasing
    for row in table.head(10).to_dict("records"):
        predicted = scored.probabilities[measured, row["label"]] >= row["threshold"]
        true = scored.truth.toarray()[measured, row["label"]] > 0
        assert (row["predicted"], row["positives"]) == (predicted.sum(), true.sum())
        assert row["recall"] == pytest.approx((predicted & true).sum() / true.sum())
    one = tables(open_page(PAGE, **THRESHOLDS, scope="label", label=LABEL))[0]
    assert one["label"].tolist() == [2]


def test_stored_calibration_is_used_or_explained(copy_run: CopyRun) -> None:
    folder = copy_run("mine")
    at = open_page(PAGE, run="mine", rule="calibration.json", **THRESHOLDS)
    assert error_text(at) == ""
    assert "has no calibration" in page_text(at)
    assert f"yt8m calibrate '{folder}'" in at.code[0].value
    run = Run.open(folder)
    videos = open_run_data(run, run.experiment.data.validation)
    calibration = calibrate(
        load_scores(run, videos), videos.ids, np.arange(120)[::-1].copy(), run.experiment.data.validation
    )
    write_calibration(folder, calibration)
    at = open_page(PAGE, run="mine", rule="calibration.json", **THRESHOLDS)
    assert "Temperatures and thresholds chosen on" in page_text(at)
    assert f"measured here on {calibration.measured_on} videos" in page_text(at)
    table = tables(at)[0]
    assert table["threshold"].tolist() == [calibration.thresholds[label] for label in table["label"]]
    write_calibration(folder, calibrate(
        load_scores(run, videos), videos.ids, np.arange(120)[::-1].copy(), "others", target_precision=0.9
    ))  # fmt: skip
    at = open_page(PAGE, run="mine", rule="calibration.json", **THRESHOLDS)
    assert "measured here on 32 videos" in page_text(at)  # a file that has changed is read again
    (folder / "calibration.json").write_text("{")
    assert "No threshold per label" in page_text(open_page(PAGE, run="mine", rule="calibration.json", **THRESHOLDS))


def test_single_video_and_empty_bands_are_explained(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, frames, labels = first_video(demo_home)
    write(
        tmp_path / "one" / "a.tfrecord",
        Content("abcd", tuple(labels), {"rgb": frames[:, :1024], "audio": frames[:, 1024:]}),
    )
    monkeypatch.setenv("YT8M_DATA", os.pathsep.join([str(tmp_path / "one")]))
    data = f"{tmp_path.name}/one"
    at = open_page(PAGE, data=data)
    assert error_text(at) == ""
    assert charts(at)
    for scope in ("head", "mid", "tail", "label"):
        for view in ("reliability", "thresholds"):
            assert error_text(open_page(PAGE, data=data, scope=scope, judge=view)) == ""


CONTROLS: Controls = {
    "run": select_last("run"),
    "data": select_last("data"),
    "judge": set_value("judge", "thresholds"),
    "scope": set_value("scope", "head"),
    "label": select_last("label"),
    "bin": select_last("bin"),
    "rule": set_value("rule", "target precision"),
    "precision": lambda at: at.number_input(key="precision").set_value(0.2),
}
QUERIES = {
    "label": {"scope": "label", "label": LABEL},
    "rule": THRESHOLDS,
    "precision": {**THRESHOLDS, "rule": "target precision"},
}


@pytest.mark.parametrize("key", CONTROLS)
def test_every_control_changes_what_is_shown(key: str) -> None:
    assert changes_page(PAGE, CONTROLS[key], **QUERIES.get(key, {}))


@pytest.mark.parametrize("query", [{}, *QUERIES.values()])
def test_all_controls_are_tested(query: dict[str, str]) -> None:
    assert control_keys(open_page(PAGE, **query)) <= set(CONTROLS)
