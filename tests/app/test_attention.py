"""Tests of the attention page."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st

from tests.support.pages import (
    ATTENTION_RUN,
    FILTER_KEYS,
    MEAN_RUN,
    Controls,
    changes_page,
    charts,
    control_keys,
    find_button,
    first_video,
    open_page,
    output,
    page_text,
    select_last,
    set_value,
)
from views.attention.dataset_summary import open_video, preference_verdict
from views.attention.occlusion import removal_verdict, window_verdict
from views.attention.weights import share_text
from yt8m_core.data.dataset import open_videos
from yt8m_core.demo.world import read_truth
from yt8m_core.explain.attention_metrics import (
    AttentionMass,
    MeanInterval,
    effective_frames,
    k_means,
    mask_from_intervals,
    mean_interval,
    roc_auc,
)
from yt8m_core.explain.attention_study import prepared_frames
from yt8m_core.inference.prediction import predict_video
from yt8m_core.progress import Progress
from yt8m_core.runs.run import Run

PAGE = "attention"
EFFECT, SECOND, ALL_VIDEOS = "Does it matter", "One second", "All videos"

CONTROLS: dict[str, Controls] = {
    "Where": {
        "run": select_last("run"),
        "data": select_last("data"),
        "video": select_last("video"),
        "Previous": lambda at: at.button[0].click(),
        "Next": lambda at: at.button[1].click(),
        "see": set_value("see", SECOND),
        "k": set_value("k", "2"),
    },
    EFFECT: {"share": lambda at: at.number_input(key="share").set_value(60), "width": set_value("width", "2 s")},
    SECOND: {"second": lambda at: at.number_input(key="second").set_value(7)},
    ALL_VIDEOS: {"k": set_value("k", "2")},
}


def test_attention_figure_shows_the_true_main_scene() -> None:
    at = open_page("attention")
    assert "true main scene" in charts(at)[0]
    assert "effective frames of" in charts(at)[0]
    assert "known only for demo data" in page_text(at)


def test_run_without_attention_opens_what_needs_none_and_offers_runs_with_attention() -> None:
    at = open_page("attention", run=MEAN_RUN)
    assert at.query_params["see"] == EFFECT
    assert "How much each second matters" in page_text(at)
    assert "Top seconds" not in page_text(at)
    assert len(charts(at)) == 1
    assert changes_page(PAGE, CONTROLS[EFFECT]["width"], run=MEAN_RUN)
    assert changes_page(PAGE, CONTROLS[SECOND]["second"], run=MEAN_RUN, see=SECOND)
    for view in ("Where", ALL_VIDEOS):
        at = open_page("attention", run=MEAN_RUN, see=view)
        assert "has no attention weights" in page_text(at)
        assert not charts(at)
        find_button(at, f"Use run {ATTENTION_RUN}").click().run()
        assert at.selectbox(key="run").value == ATTENTION_RUN
        assert charts(at)


@pytest.mark.fault
@pytest.mark.parametrize(
    ("old", "view", "control"),
    [
        ({"k": "3"}, "Where", "3"),
        ({"second": "7", "k": "3"}, SECOND, 7),
        ({"share": "60"}, EFFECT, 60),
        ({"width": "10 s"}, EFFECT, "10 s"),
        ({"sharpness": "5"}, "Where", "5"),
        ({"many": "true", "share": "60"}, ALL_VIDEOS, None),
    ],
)
def test_links_of_older_versions_open_the_view_of_their_control(
    old: dict[str, str], view: str, control: int | str | None
) -> None:
    at = open_page(PAGE, **old)
    assert at.query_params["see"] == view
    if control is not None:
        assert at.get_by_key(next(iter(old))).value == control
    assert "is not here" not in page_text(at)
    at = open_page(PAGE, **old, see="Where")  # a view in the link comes first
    assert at.query_params["see"] == "Where"


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
    share = largest.mean()
    word = "more" if weights[largest].sum() > share else "less"
    shown = f"**{word} than its share**: {weights[largest].sum():.0%} of the weight for {share:.0%} of the time"
    assert f"The largest of 5 clusters receives {shown}" in page_text(at)
    main = mask_from_intervals(read_truth(demo_home / "smoke")["main_frames"][videos.id(0)], len(frames))
    assert f"{main[largest].mean():.0%} of the largest cluster belongs to it" in page_text(at)
    assert f"**{roc_auc(weights, main):.2f}**" in page_text(at)
    assert f"{effective_frames(weights):.1f} of {len(frames)}" in [metric.value for metric in at.metric]


@pytest.mark.parametrize(
    ("weight", "share", "text"),
    [
        (0.3, 0.2, "**more than its share**: 30% of the weight for 20% of the time (+10 points)"),
        (0.2, 0.3, "**less than its share**: 20% of the weight for 30% of the time (−10 points)"),
        (0.302, 0.3, "**its share**: 30% of the weight for 30% of the time (0 points)"),
        (0.298, 0.3, "**its share**: 30% of the weight for 30% of the time (0 points)"),
    ],
)
def test_weight_is_compared_with_the_share_of_the_time(weight: float, share: float, text: str) -> None:
    assert share_text("It", AttentionMass(weight, share)) == f"It receives {text}"


def test_sharpness_changes_predictions_until_reset() -> None:
    assert not any("as trained" in chart for chart in charts(open_page(PAGE)))  # computed only where it is open
    at = open_page(PAGE, sharpness="0")
    flat = next(chart for chart in charts(at) if "as trained" in chart)
    assert "effective frames" in flat
    assert "u03b1 = 0" in flat  # as JSON writes α
    changed = next(table.value for table in at.dataframe if "change" in table.value)
    assert changed["change"].abs().max() > 0
    at.get_by_key("sharpness").set_value("1").run()
    same = next(table.value for table in at.dataframe if "change" in table.value)
    assert same["change"].abs().max() == 0
    assert same["rank"].tolist() == same["new_rank"].tolist()


def test_top_seconds_are_compared_with_random_ones() -> None:
    at = open_page(PAGE, see=EFFECT, share="50")
    table = next(table.value for table in at.dataframe if "without_random" in table.value)
    assert table["true"].any()
    assert not table["whole"].equals(table["without_top"])
    assert "on average without" in page_text(at)
    assert "range of 19 draws" in page_text(at)


def windows(*drops: float) -> pd.DataFrame:
    starts = np.arange(len(drops)) * 5
    return pd.DataFrame({"start": starts, "end": starts + 5, "drop": drops})


@pytest.mark.parametrize(
    ("drops", "verdict"),
    [
        ((0.0004, -0.0004), "**No second matters**: without any window of 5 s"),
        ((0.015, -0.02), "**No second matters more than random ones.**"),
        ((0.3, 0.015), "**Seconds 0 to 4 matter most.**"),
        ((0.015, -0.1), "**Seconds 5 to 9 count against it; no others matter more than random ones.**"),
        ((-0.1, -0.2), "**Seconds 5 to 9 count against it; no others matter more than random ones.**"),
        ((0.3, -0.1), "**Seconds 0 to 4 matter most; seconds 5 to 9 count against it.**"),
    ],
)
def test_windows_matter_where_they_change_more_than_random_seconds(drops: tuple[float, float], verdict: str) -> None:
    text = window_verdict(windows(*drops), np.linspace(-0.03, 0.02, 19), 5, "it")
    assert text.startswith(verdict)
    if max(map(abs, drops)) > 0.001:
        signs = [f"{'−' if drop > 0 else '+'}{abs(drop):.3f}" for drop in drops]
        assert f"{signs[0]} without seconds 0 to 4; {signs[1]} without seconds 5 to 9;" in text
        assert "−0.020 to +0.030 without 5 random seconds (19 draws)" in text


def test_a_window_of_one_second_is_named() -> None:
    table = pd.DataFrame({"start": [0, 1], "end": [1, 2], "drop": [0.0, 0.5]})
    assert window_verdict(table, np.zeros(19), 1, "it").startswith("**Second 1 matter")


@pytest.mark.parametrize(
    ("drop", "verdict"),
    [
        (0.3, "**The attended seconds matter more than random ones.**"),
        (0.0, "**No significant difference from random seconds.**"),
        (-0.3, "**The attended seconds count against it, more than random ones.**"),
    ],
)
def test_top_seconds_matter_where_they_change_more_than_random_ones(drop: float, verdict: str) -> None:
    text = removal_verdict(drop, np.linspace(-0.01, 0.02, 19), 7, "it")
    assert text.startswith(verdict)
    assert "−0.005 on average without 7 random ones (range of 19 draws: −0.020 to +0.010)" in text


def test_no_second_matters_where_no_change_is_shown() -> None:
    assert "less than random ones" in removal_verdict(0.01, np.linspace(0.02, 0.05, 19), 7, "it")
    for drop in (0.0004, -0.0004):
        text = removal_verdict(drop, np.full(19, 0.0001), 7, "it")
        assert text.startswith("**No second matters**: without the 7 seconds")
        assert "0.000" not in text


def test_link_selects_a_second() -> None:
    at = open_page(PAGE, see=SECOND, second="11")
    assert "Weight of second 11" in page_text(at)
    assert "without second 11" in "".join(charts(at))


def test_second_of_highest_weight_is_selected_first_and_opens_from_the_weights(demo_home: Path) -> None:
    run = Run.open(demo_home / "runs" / ATTENTION_RUN)
    weights = predict_video(run.load_model(), first_video(demo_home)[1]).weights
    at = open_page(PAGE, see=SECOND)
    assert at.query_params["second"] == str(weights.argmax())
    assert f"Weight of second {weights.argmax()}: {weights.max():.4f}, rank 1 of" in page_text(at)
    at = open_page(PAGE)
    assert "Weight of second" not in page_text(at)
    at.session_state["second"] = 7  # as a click on the chart does
    at.run()
    assert "Weight of second 7" in page_text(at)
    find_button(at, "Effect of second 7").click().run()
    assert at.query_params["see"] == SECOND
    assert at.number_input(key="second").value == 7


def test_row_of_the_summary_table_opens_its_video(monkeypatch: pytest.MonkeyPatch) -> None:
    session: dict[str, Any] = {"video": "a"}
    monkeypatch.setattr("streamlit.session_state", session)
    open_video("b")
    assert (session["video"], session["see"]) == ("b", "Where")


def test_second_is_clamped_to_a_shorter_video(demo_home: Path) -> None:
    videos = open_videos(demo_home / "smoke" / "validation")
    longest, shortest = int(videos.num_frames.argmax()), int(videos.num_frames.argmin())
    at = open_page(PAGE, see=SECOND, video=videos.id(longest), second=str(videos.num_frames[longest] - 1))
    assert at.number_input(key="second").value == videos.num_frames[longest] - 1
    at.selectbox(key="video").set_value(videos.id(shortest)).run()
    assert not at.exception
    assert at.number_input(key="second").value == videos.num_frames[shortest] - 1


def test_summary_covers_all_videos_and_verdicts_follow_the_intervals(demo_home: Path) -> None:
    at = open_page(PAGE, see=ALL_VIDEOS)
    shown = output(at)
    table = next(table.value for table in at.dataframe if "cluster_excess" in table.value)
    assert len(table) == len(open_videos(demo_home / "smoke" / "validation"))
    for column, part in (("cluster_excess", "the largest cluster"), ("main_excess", "the main scene")):
        excess = mean_interval(table[column])
        mean, low, high = (f"{value * 100:+.1f}".replace("-", "−") for value in (excess.mean, excess.low, excess.high))
        assert f"**{mean} points** [{low}, {high}] (95% CI, {len(table)} videos)" in shown
        assert preference_verdict(excess, part) in shown
    assert f"All {len(table)} videos, 5 clusters per video" in shown


def test_verdict_follows_the_interval() -> None:
    assert "Attention prefers it" in preference_verdict(MeanInterval(9, 0.2, 0.1, 0.3), "it")
    assert "avoids it" in preference_verdict(MeanInterval(9, -0.2, -0.3, -0.1), "it")
    assert "No significant preference for it" in preference_verdict(MeanInterval(9, 0.0, -0.1, 0.1), "it")
    assert "one video" in preference_verdict(MeanInterval(1, 0.0, math.nan, math.nan), "it")


def test_large_data_set_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yt8m_core.explain.attention_study.MAX_FRAMES", 300)
    st.cache_resource.clear()
    at = open_page(PAGE, see=ALL_VIDEOS, k="3")
    assert "A random sample of" in page_text(at)
    st.cache_resource.clear()


def test_study_is_computed_once_with_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    from yt8m_core.explain import attention_study

    calls, reports = [], []
    real = attention_study.study_attention

    def study(*arguments: Any, progress: Progress, **options: Any) -> pd.DataFrame:
        def report(task: str, done: int, total: int, note: str = "") -> None:
            reports.append((done, total))
            progress(task, done, total, note)

        calls.append(arguments)
        return real(*arguments, progress=report, **options)

    monkeypatch.setattr(attention_study, "study_attention", study)
    st.cache_resource.clear()
    open_page(PAGE)
    assert not calls  # only its view computes it
    assert output(open_page(PAGE, see=ALL_VIDEOS)) == output(open_page(PAGE, see=ALL_VIDEOS))
    assert len(calls) == 1
    assert reports[-1][0] == reports[-1][1] == 32


@pytest.mark.parametrize(("view", "control"), [(view, control) for view, own in CONTROLS.items() for control in own])
def test_every_control_changes_what_is_shown(view: str, control: str) -> None:
    assert changes_page(PAGE, CONTROLS[view][control], see=view)


def test_all_controls_are_tested() -> None:
    for view, own in CONTROLS.items():
        keys = control_keys(open_page(PAGE, see=view))
        assert keys <= set(own) | set(CONTROLS["Where"]) - {"k"} | FILTER_KEYS
