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
    find_button,
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
    find_button(at, label).click().run()
    assert error_text(at) == ""
    return at


def progress(at: AppTest) -> str:
    """Return how many candidates are decided and listed."""
    text: str = at.get("progress")[0].proto.text
    return text


def downloads(at: AppTest) -> list[str]:
    """Return the labels of the download buttons for decisions."""
    labels = [button.proto.label for button in at.get("download_button")]
    return [label for label in labels if "decision" in label]


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
    assert progress(at) == "3 of 1,000 decided. Listed: 997 undecided"
    assert len(tables(at)[0]) == 997
    again = open_page(PAGE)  # a new session goes on with the next one
    assert again.selectbox(key="candidate").value == at.selectbox(key="candidate").value


def test_undo_takes_back_each_decision_and_restores_what_it_replaced(home: Path) -> None:
    at = open_page(PAGE)
    first = at.selectbox(key="candidate").value
    assert find_button(at, "Undo").disabled
    steps: list[list[tuple[str, int, str]]] = [[]]
    for button in ("Accept", "Reject"):
        press(at, button)
        steps.append(decisions(home))
    at.selectbox(key="candidate").select(first).run()
    assert "Stored decision: accept, " in page_text(at)
    press(at, "Unsure")
    assert decisions(home)[-1][2] == "unsure"
    assert sorted(decisions(home)) != sorted(steps[2])
    for before in reversed(steps):
        press(at, "Undo")
        assert sorted(decisions(home)) == sorted(before)
    assert at.selectbox(key="candidate").value == first
    assert find_button(at, "Undo").disabled
    assert progress(at) == "0 of 1,000 decided. Listed: 1,000 undecided"


def test_number_of_decisions_that_can_be_undone_is_bounded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("views.label_issues.buttons.MAX_UNDO", 2)
    at = open_page(PAGE)
    for _ in range(3):
        press(at, "Accept")
    press(press(at, "Undo"), "Undo")
    assert len(decisions(home)) == 1
    assert find_button(at, "Undo").disabled


def test_filter_opens_its_first_candidate_and_decisions_stay_in_it(home: Path) -> None:
    at = open_page(PAGE)
    options = at.selectbox(key="candidate").options
    for _ in range(3):
        press(at, "Accept")
    at.get_by_key("decided").set_value("rejected").run()  # empty
    assert at.selectbox(key="candidate").value == options[3]
    assert "No candidate is rejected." in page_text(at)
    at.get_by_key("decided").set_value("accepted").run()
    assert at.selectbox(key="candidate").value == options[0]
    assert press(at, "Next").selectbox(key="candidate").value == options[1]
    assert press(at, "Reject").selectbox(key="candidate").value == options[2]
    assert press(at, "Unsure").selectbox(key="candidate").value == options[0]
    assert progress(at) == "3 of 1,000 decided. Listed: 1 accepted"
    at.get_by_key("decided").set_value("all").run()
    assert progress(at) == "3 of 1,000 decided. Listed: all 1,000"
    assert at.selectbox(key="candidate").value == options[0]  # it is one of them
    press(at, "Undo")
    assert at.selectbox(key="candidate").value == options[2]
    assert open_page(PAGE, decided="accepted").selectbox(key="candidate").value == options[0]
    at = open_page(PAGE, decided="reject")  # a link of an older version
    assert at.get_by_key("decided").value == "rejected"
    assert at.selectbox(key="candidate").value == options[1]
    assert not at.warning


@pytest.mark.fault
def test_several_presses_in_one_rerun_store_the_first_only(home: Path) -> None:
    """Streamlit calls back the latest press first; AppTest calls back buttons in their order."""
    at = open_page(PAGE)
    options = at.selectbox(key="candidate").options
    for button in ("Accept", "Unsure", "Next"):
        find_button(at, button).click()
    at.run()
    assert at.selectbox(key="candidate").value == options[1]
    assert not (home / "label-decisions").exists()  # Next was the first
    for button in ("Unsure", "Accept", "Reject"):
        find_button(at, button).click()
    at.run()
    assert error_text(at) == ""
    assert [row[2] for row in decisions(home)] == ["unsure"]
    assert at.selectbox(key="candidate").value == options[2]


@pytest.mark.fault
def test_press_for_another_candidate_is_ignored(home: Path) -> None:
    """The browser may send a press after the session has gone on to the next candidate."""
    at = open_page(PAGE)
    option = at.selectbox(key="candidate").options[5]
    find_button(at, "Accept").click()
    at.session_state["candidate"] = option
    at.run()
    assert error_text(at) == ""
    assert at.selectbox(key="candidate").value == option
    assert not (home / "label-decisions").exists()


@pytest.mark.fault
def test_decision_of_another_session_is_shown_and_not_replaced(home: Path) -> None:
    first, second = open_page(PAGE), open_page(PAGE)
    option = first.selectbox(key="candidate").value
    press(first, "Reject")
    find_button(second, "Accept").click().run()
    assert "another session has decided: reject, " in error_text(second)
    assert "Nothing was stored." in error_text(second)
    assert second.selectbox(key="candidate").value == option
    assert "Stored decision: reject, " in page_text(second)
    assert [row[2] for row in decisions(home)] == ["reject"]
    press(second, "Accept")  # now it is known
    assert [row[2] for row in decisions(home)] == ["accept"]
    find_button(first, "Undo").click().run()
    assert "another session has decided: accept, " in error_text(first)
    assert first.selectbox(key="candidate").value == option
    assert [row[2] for row in decisions(home)] == ["accept"]
    assert find_button(first.run(), "Undo").disabled
    press(second, "Undo")
    assert [row[2] for row in decisions(home)] == ["reject"]


def test_download_counts_decisions_that_are_not_in_the_list(home: Path) -> None:
    at = open_page(PAGE)
    press(at, "Accept")
    assert downloads(at) == ["Download 1 decision for this data set as CSV"]
    (file,) = (home / "label-decisions").glob("*.csv")
    with file.open("a") as lines:
        lines.write("another,3,Car,accept,2026-01-31T09:00:00Z\n")
    assert downloads(at.run()) == ["Download all 2 decisions for this data set as CSV (1 is not in this list)"]


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
    find_button(at, "Accept").click().run()
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
    find_button(at, "Accept").click().run()
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
    "decided": set_value("decided", "accepted"),
}


@pytest.mark.parametrize("key", CONTROLS)
def test_every_control_changes_what_is_shown(key: str) -> None:
    assert changes_page(PAGE, CONTROLS[key])


def test_all_controls_are_tested() -> None:
    assert control_keys(open_page(PAGE)) <= set(CONTROLS)
