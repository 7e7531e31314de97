"""Tests of the label issues page: where candidates come from, and the decisions about them."""

import os
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
    open_page,
    page_text,
    select_last,
    set_value,
    tables,
)
from tests.support.shards import Content, write
from yt8m_core.analysis.candidate_file import write_candidates
from yt8m_core.analysis.candidate_ranking import score_candidates
from yt8m_core.analysis.label_decisions import read_decisions
from yt8m_core.inference.evaluation import open_run_data
from yt8m_core.inference.score_cache import load_scores
from yt8m_core.runs.run import Run

PAGE = "label_issues"


@pytest.fixture
def home(demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new workspace with the demo world and its runs."""
    for name in ("runs", "smoke"):
        shutil.copytree(demo_home / name, tmp_path / "home" / name)
    for config in (tmp_path / "home" / "runs").glob("*/config.json"):
        config.write_text(config.read_text().replace(str(demo_home), str(tmp_path / "home")))
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def candidates_of(home: Path) -> pd.DataFrame:
    """Return the candidates of the validation data from the scores of the first run."""
    run = Run.open(home / "runs" / ATTENTION_RUN)
    videos = open_run_data(run, run.experiment.data.validation)
    return score_candidates(videos, load_scores(run, videos), run.vocabulary)


def press(at: AppTest, label: str) -> AppTest:
    """Press a button."""
    button = next(button for button in at.button if button.label == label)
    button.click().run()
    assert error_text(at) == ""
    return at


def decisions(home: Path) -> list[tuple[str, int, str]]:
    """Return video, label and decision of all stored decisions."""
    (file,) = (home / "label-decisions").glob("*.csv")
    return list(read_decisions(file)[["video", "label", "decision"]].itertuples(index=False, name=None))


def test_page_shows_the_best_candidate_with_its_evidence(home: Path) -> None:
    at = open_page(PAGE)
    assert error_text(at) == ""
    expected = candidates_of(home)
    first = expected.iloc[0]
    assert f"Is **{first['name']}** missing in video **{first['id']}**?" in page_text(at)
    assert [metric.value for metric in at.metric] == [f"{first['score']:.3f}", f"{first['probability']:.3f}"]
    assert f"Listed labels: {first['listed_labels']}." in page_text(at)
    assert f"Candidates from the scores of run **{ATTENTION_RUN}**, which was not trained on these videos" in page_text(
        at
    )
    table = tables(at)[0]
    pd.testing.assert_series_equal(table["score"], expected["score"])
    assert (table["decision"] == "").all()
    links = [link.proto for link in at.get("page_link")]
    assert f"video={first['id']}" in next(link for link in links if link.page == "predictions").query_string
    assert "label=" in next(link for link in links if link.page == "label").query_string


def test_decisions_are_stored_and_the_page_goes_on(home: Path) -> None:
    at = open_page(PAGE)
    rows = candidates_of(home)[:4]
    for button in ("Accept", "Reject", "Unsure"):
        press(at, button)
    stored = zip(rows["id"], rows["label"], ("accept", "reject", "unsure"), strict=False)
    assert decisions(home) == list(stored)[:3]
    assert at.selectbox(key="candidate").value == f"{rows['id'][3]} · {rows['name'][3]} · {rows['label'][3]}"
    assert "3 of 1,000 decided" in at.get("progress")[0].proto.text
    assert len(tables(at)[0]) == 997
    at.get_by_key("decided").set_value("reject").run()
    assert tables(at)[0]["id"].tolist() == [rows["id"][1]]
    again = open_page(PAGE)  # a new session goes on with the next one
    assert again.selectbox(key="candidate").value == at.selectbox(key="candidate").value
    press(at, "Undo")
    assert at.selectbox(key="candidate").value == f"{rows['id'][2]} · {rows['name'][2]} · {rows['label'][2]}"
    assert len(decisions(home)) == 2


def test_previous_and_next_visit_the_shown_candidates(home: Path) -> None:
    at = open_page(PAGE)
    options = at.selectbox(key="candidate").options
    press(at, "Accept")
    assert press(at, "Next").selectbox(key="candidate").value == options[2]
    assert press(at, "Previous").selectbox(key="candidate").value == options[1]
    assert press(at, "Previous").selectbox(key="candidate").value == options[-1]  # the first one is decided
    at.get_by_key("decided").set_value("all").run()
    assert press(at, "Next").selectbox(key="candidate").value == options[0]


def test_link_opens_its_candidate(home: Path) -> None:
    option = open_page(PAGE).selectbox(key="candidate").options[7]
    at = open_page(PAGE, candidate=option)
    assert at.selectbox(key="candidate").value == option
    assert f"**{option.split(' · ')[0]}**?" in page_text(at)


@pytest.mark.fault
def test_decisions_of_two_sessions_are_kept(home: Path) -> None:
    first, second = open_page(PAGE), open_page(PAGE)
    press(second, "Next")
    press(first, "Accept")
    press(second, "Reject")  # its page was drawn before the decision of the first session
    rows = candidates_of(home)
    assert decisions(home) == [(rows["id"][0], rows["label"][0], "accept"), (rows["id"][1], rows["label"][1], "reject")]
    first.run()
    assert "2 of 1,000 decided" in first.get("progress")[0].proto.text


@pytest.mark.fault
def test_broken_file_of_decisions_is_refused_and_never_overwritten(home: Path) -> None:
    at = open_page(PAGE)
    press(at, "Accept")
    (file,) = (home / "label-decisions").glob("*.csv")
    file.write_text("mine\n1\n")
    next(button for button in at.button if button.label == "Accept").click().run()
    assert "row 1: found 'mine'" in error_text(at).replace(str(file), "") or "'mine'" in error_text(at)
    assert file.read_text() == "mine\n1\n"
    assert not charts(at)
    assert str(file) in error_text(open_page(PAGE))


@pytest.mark.fault
def test_decision_that_cannot_be_stored_is_reported_and_the_candidate_stays(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(PAGE)
    before = at.selectbox(key="candidate").value
    (home / "label-decisions").write_text("a file in place of the folder")
    next(button for button in at.button if button.label == "Accept").click().run()
    assert str(home / "label-decisions") in error_text(at)
    (home / "label-decisions").unlink()
    at.run()
    assert error_text(at) == ""
    assert at.selectbox(key="candidate").value == before


@pytest.mark.fault
def test_training_videos_of_the_run_are_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = shutil.copytree(home / "smoke" / "train", tmp_path / "copied" / "videos")
    monkeypatch.setenv("YT8M_DATA", str(copied))  # the same videos at another path
    for data in ("smoke/train", "copied/videos"):
        at = open_page(PAGE, data=data)
        assert error_text(at) == ""
        assert f"Run {ATTENTION_RUN} was trained on 64 of these 64 videos" in page_text(at)
        assert "yt8m missing-labels --train" in at.code[0].value
        assert not charts(at)


def test_stored_candidates_take_precedence(home: Path) -> None:
    train = home / "smoke" / "train"
    fold = shutil.copytree(home / "runs" / MEAN_RUN, home / "missing-labels" / "abcd" / "fold-1-of-2")
    rows = candidates_of(home)[:3].assign(fold=2)
    write_candidates(rows, fold.parent / "candidates.csv")
    assert Run.open(fold).experiment.data.train == str(train)
    at = open_page(PAGE, data="smoke/train")
    assert error_text(at) == ""
    assert "each video is scored by a run that was not trained on it" in page_text(at)
    assert len(tables(at)[0]) == 3
    assert "This video is not in the data set any more." in page_text(at)  # it is one of the validation data
    (fold.parent / "candidates.csv").write_text("rank\n1\n")
    assert "candidates.csv, row 1" in error_text(open_page(PAGE, data="smoke/train"))


def test_data_sets_have_their_own_decisions(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    press(open_page(PAGE), "Accept")
    copied = shutil.copytree(home / "smoke" / "validation", home.parent / "copied" / "videos")
    monkeypatch.setenv("YT8M_DATA", str(copied))
    assert "0 of 1,000 decided" in open_page(PAGE, data="copied/videos").get("progress")[0].proto.text


def test_single_video_and_missing_training_data(
    demo_home: Path, copy_run: CopyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.pages import first_video

    config = copy_run("moved") / "config.json"
    config.write_text(config.read_text().replace("smoke/train", "smoke/gone"))
    _, frames, labels = first_video(demo_home)
    write(
        tmp_path / "one" / "a.tfrecord",
        Content("abcd", tuple(labels), {"rgb": frames[:, :1024], "audio": frames[:, 1024:]}),
    )
    monkeypatch.setenv("YT8M_DATA", os.pathsep.join([str(tmp_path / "one")]))
    at = open_page(PAGE, data=f"{tmp_path.name}/one", run="moved")
    assert error_text(at) == ""
    assert "may have been trained on these videos" in page_text(at)
    assert len(tables(at)[0]) == 120 - len(labels)
    assert "so its labels say nothing about this one" in page_text(at)


def test_step_visits_the_shown_candidates_in_turn() -> None:
    from views.label_issues.review import step

    random = np.random.default_rng(0)
    for _ in range(50):
        matches = random.random(8) < 0.4
        for current in range(8):
            for direction in (1, -1):
                expected = current
                for offset in range(1, 8):  # slowly, one candidate after the other
                    if matches[(current + direction * offset) % 8]:
                        expected = (current + direction * offset) % 8
                        break
                assert step(matches, current, direction) == expected


CONTROLS: Controls = {
    "run": select_last("run"),
    "data": select_last("data"),
    "candidate": select_last("candidate"),
    "decided": set_value("decided", "accept"),
}


@pytest.mark.parametrize("key", CONTROLS)
def test_every_control_changes_what_is_shown(key: str) -> None:
    assert changes_page(PAGE, CONTROLS[key])


def test_all_controls_are_tested() -> None:
    assert control_keys(open_page(PAGE)) <= set(CONTROLS)
