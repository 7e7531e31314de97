"""The page of attention."""

import pytest

from tests.pages import ATTENDING, OTHER, Controls, changes, charts, controls, faults, opened, select_last, words

pytestmark = pytest.mark.usefixtures("demo_app")
PAGE = "attention"

CONTROLS: Controls = {
    "run": select_last("run"),
    "data": select_last("data"),
    "video": select_last("video"),
    "Previous": lambda at: at.button[0].click(),
    "Next": lambda at: at.button[1].click(),
}


def test_attention_is_laid_over_the_true_main_scene() -> None:
    at = opened("attention")
    assert "true main scene" in charts(at)[0]
    assert "effective frames of" in charts(at)[0]
    assert "known in the demo world alone" in words(at)


def test_attention_names_the_runs_that_attend_where_the_run_does_not() -> None:
    at = opened("attention", run=OTHER)
    assert "does not weigh the seconds" in words(at)
    assert not charts(at)
    at.button[0].click().run()
    assert at.selectbox(key="run").value == ATTENDING
    assert charts(at)


def test_video_is_chosen_by_buttons_and_by_typing_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    at = opened("attention")
    ids = at.selectbox(key="video").options
    at.button[1].click().run()
    assert at.selectbox(key="video").value == ids[1]
    at.button[0].click().run()
    at.button[0].click().run()
    assert at.selectbox(key="video").value == ids[-1]
    monkeypatch.setattr("random.randrange", lambda n: 5)
    at.button[2].click().run()
    assert at.selectbox(key="video").value == ids[5]

    monkeypatch.setattr("parts.MOST_LISTED", 5)
    at = opened("attention", video=ids[4])
    assert at.text_input(key="video").value == ids[4]
    at.text_input(key="video").set_value("nothing").run()
    assert "no video 'nothing'" in faults(at)


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes(PAGE, CONTROLS[control])


def test_every_control_is_among_those_tested() -> None:
    assert controls(opened(PAGE)) - set(CONTROLS) <= set()
