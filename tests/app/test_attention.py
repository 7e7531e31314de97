"""Tests of the attention page."""

import math
from pathlib import Path

import pandas as pd
import pytest

from tests.support.pages import (
    ATTENTION_RUN,
    FILTER_KEYS,
    MEAN_RUN,
    Controls,
    changes_page,
    charts,
    control_keys,
    open_page,
    output,
    page_text,
    select_last,
    set_value,
)
from views.attention.dataset_summary import open_selected_video, preference_verdict
from yt8m_core.data.dataset import open_videos
from yt8m_core.demo.world import read_truth
from yt8m_core.explain.attention_metrics import (
    MeanInterval,
    effective_frames,
    k_means,
    mask_from_intervals,
    mean_interval,
    roc_auc,
)
from yt8m_core.explain.attention_study import prepared_frames
from yt8m_core.inference.prediction import predict_video
from yt8m_core.runs.run import Run

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
    "width": set_value("width", "2 s"),
    "second": lambda at: at.number_input(key="second").set_value(7),
    "many": lambda at: at.toggle(key="many").set_value(True),
}


def test_attention_figure_shows_the_true_main_scene() -> None:
    at = open_page("attention")
    assert "true main scene" in charts(at)[0]
    assert "effective frames of" in charts(at)[0]
    assert "known only for demo data" in page_text(at)


def test_run_without_attention_offers_runs_with_attention() -> None:
    at = open_page("attention", run=MEAN_RUN)
    assert "has no attention weights" in page_text(at)
    assert not any("uniform, 1/T" in chart for chart in charts(at))
    assert "Occlusion over time" in page_text(at)  # needs no attention
    assert changes_page(PAGE, CONTROLS["width"], run=MEAN_RUN)
    assert changes_page(PAGE, CONTROLS["second"], run=MEAN_RUN)
    at.button[0].click().run()
    assert at.selectbox(key="run").value == ATTENTION_RUN
    assert charts(at)


def test_video_is_selected_by_buttons_and_by_id_in_a_large_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page("attention")
    ids = at.selectbox(key="video").options
    at.button[1].click().run()
    assert at.selectbox(key="video").value == ids[1]
    at.button[0].click().run()
    at.button[0].click().run()
    assert at.selectbox(key="video").value == ids[-1]
    monkeypatch.setattr("random.randrange", lambda n: 5)
    at.button[2].click().run()
    assert at.selectbox(key="video").value == ids[5]

    monkeypatch.setattr("components.selectors.MAX_LISTED_IDS", 5)
    at = open_page("attention", video=ids[4])
    assert at.text_input(key="video").value == ids[4]
    at.text_input(key="video").set_value("nothing").run()
    assert "Choose one of the 32 videos" in page_text(at)


def test_weight_is_compared_with_largest_cluster_and_true_main_scene(demo_home: Path) -> None:
    at = open_page(PAGE)
    run = Run.open(demo_home / "runs" / ATTENTION_RUN)
    videos = open_videos(demo_home / "smoke" / "validation")
    model, frames = run.load_model(), videos.frames(0)
    weights = predict_video(model, frames).attention
    assert weights is not None
    largest = k_means(prepared_frames(model, frames), 5) == 0
    assert f"receives **{weights[largest].sum():.0%} of the weight**" in page_text(at)
    main = mask_from_intervals(read_truth(demo_home / "smoke")["main_frames"][videos.id(0)], len(frames))
    assert f"{main[largest].mean():.0%} belongs to the true main scene" in page_text(at)
    assert f"**{roc_auc(weights, main):.2f}**" in page_text(at)
    assert f"{effective_frames(weights):.1f} of {len(frames)}" in [metric.value for metric in at.metric]


def test_sharpness_changes_predictions_until_reset() -> None:
    at = open_page(PAGE, sharpness="0")
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


def test_top_seconds_are_compared_with_random_ones() -> None:
    at = open_page(PAGE, share="50")
    table = next(table.value for table in at.dataframe if "without_random" in table.value)
    assert table["true"].any()
    assert not table["whole"].equals(table["without_top"])
    assert "random" in page_text(at)
    assert "range of 19 draws" in page_text(at)


def test_link_selects_a_second() -> None:
    at = open_page(PAGE, second="11")
    assert "Weight of second 11" in page_text(at)
    assert "without second 11" in "".join(charts(at))


def test_row_of_the_summary_table_opens_its_video(monkeypatch: pytest.MonkeyPatch) -> None:
    session = {"many_table": {"selection": {"rows": [1]}}, "video": "a"}
    monkeypatch.setattr("streamlit.session_state", session)
    open_selected_video(pd.DataFrame({"id": ["a", "b"]}))
    assert session["video"] == "b"
    session["many_table"] = {"selection": {"rows": []}}
    open_selected_video(pd.DataFrame({"id": ["a", "b"]}))
    assert session["video"] == "b"


def test_second_is_clamped_to_a_shorter_video(demo_home: Path) -> None:
    videos = open_videos(demo_home / "smoke" / "validation")
    longest, shortest = int(videos.num_frames.argmax()), int(videos.num_frames.argmin())
    at = open_page(PAGE, video=videos.id(longest), second=str(videos.num_frames[longest] - 1))
    assert at.number_input(key="second").value == videos.num_frames[longest] - 1
    at.selectbox(key="video").set_value(videos.id(shortest)).run()
    assert not at.exception
    assert at.number_input(key="second").value == videos.num_frames[shortest] - 1


def test_summary_covers_all_videos_and_verdicts_follow_the_intervals(demo_home: Path) -> None:
    at = open_page(PAGE, many="true")
    shown = output(at)
    table = next(table.value for table in at.dataframe if "cluster_excess" in table.value)
    assert len(table) == len(open_videos(demo_home / "smoke" / "validation"))
    for column, part in (("cluster_excess", "the largest cluster"), ("main_excess", "the main scene")):
        excess = mean_interval(table[column])
        interval = f"[{excess.low * 100:+.1f}, {excess.high * 100:+.1f}] (95% CI, {len(table)} videos)"
        assert f"**{excess.mean * 100:+.1f} points** {interval}" in shown
        assert preference_verdict(excess, part) in shown
    assert "random sample" not in shown


def test_verdict_follows_the_interval() -> None:
    assert "prefers it" in preference_verdict(MeanInterval(9, 0.2, 0.1, 0.3), "it")
    assert "avoids it" in preference_verdict(MeanInterval(9, -0.2, -0.3, -0.1), "it")
    assert "no significant preference for it" in preference_verdict(MeanInterval(9, 0.0, -0.1, 0.1), "it")
    assert "One video" in preference_verdict(MeanInterval(1, 0.0, math.nan, math.nan), "it")


def test_large_data_set_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yt8m_core.explain.attention_study.MAX_FRAMES", 300)
    at = open_page(PAGE, many="true", k="3")
    assert "A random sample of" in page_text(at)


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes_page(PAGE, CONTROLS[control])


def test_all_controls_are_tested() -> None:
    assert control_keys(open_page(PAGE)) <= set(CONTROLS) | FILTER_KEYS
