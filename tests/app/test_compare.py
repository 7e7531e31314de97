"""Tests of the compare page: the answer, its three views, and what a missing second run is replaced by."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
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
    find_button,
    open_page,
    page_text,
    select_last,
    set_value,
    tables,
)
from tests.support.shards import Content, write

PAGE, LABEL = "compare", "Music · 2"
ONE = {"by": "one label", "label": LABEL}


def precision(run: str) -> pd.Series:
    """Return the AP of each label by a run."""
    return open_page("imbalance", look="precision", run=run).dataframe[-1].value.set_index("label")["ap"]


def test_answer_is_the_difference_in_gap_with_its_interval(demo_home: Path) -> None:
    at = open_page(PAGE)
    assert error_text(at) == ""
    gaps = [
        json.loads((demo_home / "runs" / run / "metrics.json").read_text())["validation"]["gap"]
        for run in (ATTENTION_RUN, MEAN_RUN)
    ]
    metric = at.metric[0]
    difference = number(metric.value)
    assert difference == pytest.approx(gaps[1] - gaps[0], abs=1e-3)
    low, high = map(number, re.findall(r"[+−][\d.]+", metric.delta))
    assert low < difference < high
    verdict = "No significant difference" if low <= 0 <= high else "is better" if low > 0 else "is worse"
    assert verdict in page_text(at)
    assert f"GAP {gaps[0]:.3f}" in page_text(at)
    assert "on the same 32 videos" in page_text(at)


def test_labels_are_listed_by_the_better_run_and_by_band() -> None:
    at = open_page(PAGE, at_least="2")
    first, second = tables(at)
    gain = (precision(MEAN_RUN) - precision(ATTENTION_RUN)).rename("gain")
    for table, sign in ((first, -1), (second, 1)):
        assert (np.sign(table["gain"]) == sign).all()
        assert table["gain"].abs().is_monotonic_decreasing
        assert (table["positives"] >= 2).all()
        pd.testing.assert_series_equal(table.set_index("label")["gain"], gain[table["label"]], check_dtype=False)
    for run, table in ((ATTENTION_RUN, first), (MEAN_RUN, second)):
        assert f"**{run}** is better: {len(table)} labels" in page_text(at)
    both = pd.concat([first, second])
    for band, gains in both.groupby("band")["gain"]:
        assert re.search(rf"\*\*{band}\*\*: {MEAN_RUN} is better on {(gains > 0).sum()} of \d+ labels", page_text(at))
    assert len(charts(at)) == 2


def test_selected_label_has_the_interval_of_its_difference() -> None:
    text = page_text(open_page(PAGE, label=LABEL))
    assert re.search(r"\*\*Music\*\*, \d+ videos: AP 0\.\d+ → [01]\.\d+, difference [+−]0\.\d+ ", text)


def test_videos_are_listed_by_the_better_run() -> None:
    at = open_page(PAGE, by="videos")
    first, second = tables(at)
    assert (first["gain"] < 0).all()
    assert (second["gain"] > 0).all()
    assert 0 < len(first) + len(second) <= 32
    hardest = open_page("predictions", run=MEAN_RUN, video=second["id"].iloc[0])
    assert f"Average precision of the video: **{second['ap_b'].iloc[0]:.2f}**" in page_text(hardest)


def test_videos_of_one_label_are_right_by_one_run_only() -> None:
    at = open_page(PAGE, **ONE, pair_threshold="0.3")
    first, second = tables(at)
    assert len(first) + len(second)
    for table, right, wrong in ((first, "probability", "probability_b"), (second, "probability_b", "probability")):
        assert ((table[right] >= 0.3) == table["true"]).all()
        assert ((table[wrong] >= 0.3) != table["true"]).all()
    for table in tables(open_page(PAGE, **ONE, right_if="top 20")):
        assert table["true"].all()
    assert "Choose a label" in page_text(open_page(PAGE, by="one label"))


def number(text: str) -> float:
    """Read a number with a true minus sign."""
    return float(text.replace("−", "-"))


def test_intervals_of_the_header_and_of_the_verdict_are_the_same(demo_home: Path) -> None:
    verdict = next(text for text in page_text(open_page(PAGE)).splitlines() if "on the same" in text)
    shown = re.findall(r"(0\.\d+) \[(0\.\d+), (0\.\d+)\]", verdict)
    for run, numbers in zip((ATTENTION_RUN, MEAN_RUN), shown, strict=True):
        metrics = json.loads((demo_home / "runs" / run / "metrics.json").read_text())["validation"]
        assert numbers == tuple(f"{metrics[name]:.3f}" for name in ("gap", "gap_low", "gap_high"))


def test_swap_exchanges_the_runs() -> None:
    at = open_page(PAGE)
    before = number(at.metric[0].value)
    find_button(at, "Swap").click().run()
    assert error_text(at) == ""
    assert at.selectbox(key="run").value == MEAN_RUN
    assert at.selectbox(key="run_b").value == ATTENTION_RUN
    assert number(at.metric[0].value) == pytest.approx(-before)


def test_swap_keeps_the_data_although_the_second_run_has_its_own(
    demo_home: Path, tmp_path: Path, copy_run: CopyRun
) -> None:
    folder = copy_run("elsewhere", MEAN_RUN)
    data = shutil.copytree(demo_home / "smoke", tmp_path / "own data")
    config = json.loads((folder / "config.json").read_text())
    config["experiment"]["data"]["validation"] = str(data / "validation")
    (folder / "config.json").write_text(json.dumps(config))
    at = open_page("compare", run=ATTENTION_RUN, run_b="elsewhere")
    find_button(at, "Swap").click().run()
    assert error_text(at) == ""
    assert (at.selectbox(key="run").value, at.selectbox(key="run_b").value) == ("elsewhere", ATTENTION_RUN)
    assert at.selectbox(key="data").value == "smoke/validation"


def test_second_run_that_is_selected_as_the_first_is_replaced() -> None:
    at = open_page(PAGE)
    at.selectbox(key="run").select(MEAN_RUN).run()
    assert at.selectbox(key="run_b").value == ATTENTION_RUN
    assert "is not here" not in page_text(at)


@pytest.mark.fault
def test_missing_second_run_is_explained_with_the_reason_for_each(copy_run: CopyRun) -> None:
    for name in ("named", "also named"):
        vocabulary = copy_run(name) / "vocabulary.csv"
        vocabulary.write_text(vocabulary.read_text().replace("Game", f"Chess of {name}"))
    at = open_page(PAGE, run="named")
    assert error_text(at) == ""
    assert not charts(at)
    assert "No second run scores these videos with the same labels as named" in page_text(at)
    for run in (ATTENTION_RUN, MEAN_RUN, "also named"):
        assert f"**{run}**: It has other labels." in page_text(at)


def test_single_video_has_no_interval(demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.pages import first_video

    _, frames, labels = first_video(demo_home)
    streams = {"rgb": frames[:, :1024], "audio": frames[:, 1024:]}
    write(tmp_path / "one" / "a.tfrecord", Content("abcd", tuple(labels), streams))
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "one"))
    for view in ("labels", "videos", "one label"):
        at = open_page(PAGE, data=f"{tmp_path.name}/one", by=view, at_least="1", label=LABEL)
        assert error_text(at) == ""
        assert at.metric[0].delta == "no interval: one video"


def test_link_of_an_older_version_opens_the_comparison() -> None:
    query = {"look": "two runs", "run_b": MEAN_RUN, "at_least": "2", "topics": ["Games", "Autos & Vehicles"]}
    at = open_page("imbalance", **query)
    assert error_text(at) == ""
    assert at.title[0].value == "Compare"
    assert at.number_input(key="at_least").value == 2
    assert at.multiselect(key="topics").value == ["Games", "Autos & Vehicles"]


def test_minimum_support_above_all_labels_is_explained() -> None:
    at = open_page(PAGE, at_least="1000")
    assert "No selected label has 1,000 scored videos" in page_text(at)
    assert error_text(at) == ""


# Control key → action, and the query that shows the control.
CONTROLS: Controls = {
    "run": select_last("run"),
    "data": select_last("data"),
    "run_b": select_last("run_b"),
    "by": set_value("by", "videos"),
    "at_least": lambda at: at.number_input(key="at_least").set_value(1),
    "topics": lambda at: at.multiselect(key="topics").select(at.multiselect(key="topics").options[0]),
    "pair_axes": set_value("pair_axes", "difference by frequency"),
    "label": select_last("label"),
    "right_if": set_value("right_if", "top 20"),
    "pair_threshold": lambda at: at.number_input(key="pair_threshold").set_value(0.02),
}


@pytest.mark.parametrize("key", sorted(set(CONTROLS) - {"run_b"}))
def test_every_control_changes_what_is_shown(key: str) -> None:
    query = {**ONE, "pair_threshold": "0.3"} if key in ("right_if", "pair_threshold") else {"at_least": "2"}
    assert changes_page(PAGE, CONTROLS[key], **query)


def test_second_run_changes_what_is_shown(copy_run: CopyRun) -> None:
    copy_run("copy", MEAN_RUN)

    def select(at: AppTest) -> None:
        at.selectbox(key="run_b").select(MEAN_RUN)

    assert changes_page(PAGE, select, run="copy")


@pytest.mark.parametrize("query", [{}, {"by": "videos"}, ONE])
def test_all_controls_are_tested(query: dict[str, str]) -> None:
    assert control_keys(open_page(PAGE, **query)) <= set(CONTROLS)
