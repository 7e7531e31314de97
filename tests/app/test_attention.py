"""The page of attention."""

import math
from pathlib import Path

import pandas as pd
import pytest

from tests.support.pages import (
    ATTENDING,
    OTHER,
    Controls,
    changes,
    charts,
    choose,
    controls,
    faults,
    opened,
    output,
    select_last,
    words,
)
from views.attention.dataset_summary import go_to_video, verdict
from yt8m_core.data.dataset import open_videos
from yt8m_core.demo.world import read_truth
from yt8m_core.explain.attention_metrics import (
    Mean,
    detection,
    effective_frames,
    k_means,
    mask_from_intervals,
    mean_interval,
)
from yt8m_core.explain.attention_study import seen_frames
from yt8m_core.inference.prediction import predict_video
from yt8m_core.runs.run import Run

pytestmark = pytest.mark.usefixtures("demo_app")
PAGE = "attention"

CONTROLS: Controls = {
    "run": select_last("run"),
    "data": select_last("data"),
    "video": select_last("video"),
    "Previous": lambda at: at.button[0].click(),
    "Next": lambda at: at.button[1].click(),
    "k": lambda at: at.slider(key="k").set_value(2),
    "sharpness": lambda at: at.select_slider(key="sharpness").set_value("0"),
    "share": lambda at: at.slider(key="share").set_value(60),
    "width": choose("width", "2 s"),
    "second": lambda at: at.number_input(key="second").set_value(7),
    "many": lambda at: at.toggle(key="many").set_value(True),
}


def test_attention_is_laid_over_the_true_main_scene() -> None:
    at = opened("attention")
    assert "true main scene" in charts(at)[0]
    assert "effective frames of" in charts(at)[0]
    assert "known in the demo world alone" in words(at)


def test_attention_names_the_runs_that_attend_where_the_run_does_not() -> None:
    at = opened("attention", run=OTHER)
    assert "does not weigh the seconds" in words(at)
    assert not any("all alike" in chart for chart in charts(at))
    assert "How much each second matters" in words(at)  # what needs no attention is there all the same
    assert changes(PAGE, CONTROLS["width"], run=OTHER)
    assert changes(PAGE, CONTROLS["second"], run=OTHER)
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

    monkeypatch.setattr("components.selectors.MOST_LISTED", 5)
    at = opened("attention", video=ids[4])
    assert at.text_input(key="video").value == ids[4]
    at.text_input(key="video").set_value("nothing").run()
    assert "no video 'nothing'" in faults(at)


def test_weight_is_held_against_the_largest_cluster_and_the_true_main_scene(demo_home: Path) -> None:
    at = opened(PAGE)
    run = Run.open(demo_home / "runs" / ATTENDING)
    videos = open_videos(demo_home / "smoke" / "validation")
    model, frames = run.load_model(), videos.frames(0)
    weights = predict_video(model, frames).attention
    assert weights is not None
    largest = k_means(seen_frames(model, frames), 5) == 0
    assert f"gets **{weights[largest].sum():.0%} of the weight**" in words(at)
    main = mask_from_intervals(read_truth(demo_home / "smoke")["main_frames"][videos.id(0)], len(frames))
    assert f"{main[largest].mean():.0%} belongs to the true main scene" in words(at)
    assert f"**{detection(weights, main):.2f}**" in words(at)
    assert f"{effective_frames(weights):.1f} of {len(frames)}" in [metric.value for metric in at.metric]


def test_another_sharpness_predicts_anew_until_it_is_reset() -> None:
    at = opened(PAGE, sharpness="0")
    assert at.select_slider(key="sharpness").value == "0"
    flat = next(chart for chart in charts(at) if "as trained" in chart)
    assert "effective frames" in flat
    assert "u03b1 = 0" in flat  # as JSON writes α
    changed = next(table.value for table in at.dataframe if "change" in table.value)
    assert changed["change"].abs().max() > 0
    at.button(key="reset").click().run()
    assert at.select_slider(key="sharpness").value == "1"
    same = next(table.value for table in at.dataframe if "change" in table.value)
    assert same["change"].abs().max() == 0
    assert same["rank"].tolist() == same["new_rank"].tolist()


def test_seconds_are_removed_and_kept_alone_beside_random_ones() -> None:
    at = opened(PAGE, share="50")
    table = next(table.value for table in at.dataframe if "without_random" in table.value)
    assert table["true"].any()
    assert not table["whole"].equals(table["without_top"])
    assert "random" in words(at)
    assert "in 19 draws" in words(at)


def test_link_to_a_second_tells_of_it() -> None:
    at = opened(PAGE, second="11")
    assert "Second 11 has the weight" in words(at)
    assert "without second 11" in "".join(charts(at))


def test_row_of_the_many_videos_opens_its_video(monkeypatch: pytest.MonkeyPatch) -> None:
    session = {"many_table": {"selection": {"rows": [1]}}, "video": "a"}
    monkeypatch.setattr("streamlit.session_state", session)
    go_to_video(pd.DataFrame({"id": ["a", "b"]}))
    assert session["video"] == "b"
    session["many_table"] = {"selection": {"rows": []}}
    go_to_video(pd.DataFrame({"id": ["a", "b"]}))
    assert session["video"] == "b"


def test_second_of_a_longer_video_becomes_the_last_of_a_shorter_one(demo_home: Path) -> None:
    videos = open_videos(demo_home / "smoke" / "validation")
    longest, shortest = int(videos.num_frames.argmax()), int(videos.num_frames.argmin())
    at = opened(PAGE, video=videos.id(longest), second=str(videos.num_frames[longest] - 1))
    assert at.number_input(key="second").value == videos.num_frames[longest] - 1
    at.selectbox(key="video").set_value(videos.id(shortest)).run()
    assert not at.exception
    assert at.number_input(key="second").value == videos.num_frames[shortest] - 1


def test_hypothesis_is_tested_on_all_videos_and_the_verdict_follows_the_interval(demo_home: Path) -> None:
    at = opened(PAGE, many="true")
    told = output(at)
    table = next(table.value for table in at.dataframe if "cluster_excess" in table.value)
    assert len(table) == len(open_videos(demo_home / "smoke" / "validation"))
    for column, what in (("cluster_excess", "the largest cluster"), ("main_excess", "the main scene")):
        found = mean_interval(table[column])
        assert f"**{found.mean * 100:+.1f} points**" in told
        verdict = "does prefer" if found.low > 0 else "avoids" if found.high < 0 else "do not tell whether"
        assert f"{verdict} " in told
        assert what in told
    assert "random sample" not in told


def test_verdict_follows_the_interval() -> None:
    assert "does prefer" in verdict(Mean(9, 0.2, 0.1, 0.3), "it")
    assert "avoids" in verdict(Mean(9, -0.2, -0.3, -0.1), "it")
    assert "do not tell" in verdict(Mean(9, 0.0, -0.1, 0.1), "it")
    assert "One video" in verdict(Mean(1, 0.0, math.nan, math.nan), "it")


def test_large_data_are_sampled_and_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yt8m_core.explain.attention_study.MOST_FRAMES", 300)
    at = opened(PAGE, many="true", k="3")
    assert "A random sample of" in words(at)


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes(PAGE, CONTROLS[control])


def test_every_control_is_among_those_tested() -> None:
    assert controls(opened(PAGE)) - set(CONTROLS) <= set()
