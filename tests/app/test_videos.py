"""Tests of the videos page: the table, its filters, and what opens a selection."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_predictions import find_button, label_option, run_scores
from tests.support.pages import (
    ATTENTION_RUN,
    MEAN_RUN,
    Controls,
    changes_page,
    control_keys,
    error_text,
    first_video,
    open_page,
    page_text,
    select_last,
    set_value,
    video_id_at,
)
from tests.support.shards import Content, write
from yt8m_core.analysis.per_label import true_ranks
from yt8m_core.analysis.per_video import video_difficulty, video_outcomes
from yt8m_core.data.dataset import open_videos

PAGE = "videos"
LABEL = {"label": "Music · 2"}

CONTROLS: Controls = {
    "run": select_last("run"),
    "data": select_last("data"),
    "find": lambda at: at.text_input(key="find").set_value("zz"),
    "label": select_last("label"),
    "order": set_value("order", "hardest first"),
    "only": set_value("only", ["false negative"]),
    "band": set_value("band", ["tail"]),
    "ap": lambda at: at.slider(key="ap").set_value((0.3, 0.8)),
    "seconds": lambda at: at.slider(key="seconds").set_value((100, 200)),
    "threshold": set_value("threshold", 0.05),
    "run_b": select_last("run_b"),
}
LABEL_CONTROLS: Controls = {
    "has": set_value("has", "missed"),
    "score": lambda at: at.slider(key="score").set_value((0.0, 0.02)),
}


def video_table(at: AppTest) -> pd.DataFrame:
    """Return the table of videos, which is the only one of the page."""
    (table,) = at.main.dataframe
    return table.value


def open_videos_page(**query: Any) -> AppTest:
    """Open the page. AppTest applies the value of a select box on the second run only."""
    at = open_page(PAGE, **query).run()
    assert error_text(at) == ""
    return at


def chosen(at: AppTest) -> set[str]:
    """Return the ids in the table, whose number must be the one that the page states."""
    ids = set(video_table(at)["id"])
    assert f"**{len(ids):,} of 32 videos**" in page_text(at)
    return ids


def expected_ids(home: Path, keep: Any) -> set[str]:
    """Return the ids of the validation videos for which a mask is true."""
    return {video_id_at(home, video) for video in np.flatnonzero(keep).tolist()}


def test_all_videos_are_listed_with_their_quality(demo_home: Path) -> None:
    at = open_videos_page(threshold="0.03")
    scores = run_scores(demo_home)
    outcomes = video_outcomes(scores, true_ranks(scores), video_difficulty(scores), 0.03)
    table = video_table(at)
    assert chosen(at) == expected_ids(demo_home, np.ones(32))
    for column in ("ap", "false_negatives", "false_positives"):
        np.testing.assert_allclose(table[column], outcomes[column])
    videos = open_videos(demo_home / "smoke" / "validation")
    assert table["num_frames"].tolist() == videos.num_frames.tolist()
    names = [label_option(demo_home, label).split(" · ")[0] for label in videos.labels(0).tolist()]
    assert table["true_names"].iloc[0] == ", ".join(names)


@pytest.mark.fault
def test_each_filter_of_a_link_selects_what_it_says(demo_home: Path) -> None:
    scores, other = run_scores(demo_home), run_scores(demo_home, MEAN_RUN)
    outcomes = video_outcomes(scores, true_ranks(scores), video_difficulty(scores), 0.05)
    label, videos = 2, open_videos(demo_home / "smoke" / "validation")
    p, difference = scores.probabilities[:, label], np.abs(scores.probabilities - other.probabilities).max(axis=1)
    true, predicted = scores.truth.toarray()[:, label] > 0, p >= np.float32(0.05)
    middle, far = round(float(np.median(p)), 2), round(float(np.median(difference)), 2)
    assert 0 < true.sum() < 32
    for query, expected in (
        ({"only": ["false negative"]}, outcomes["false_negatives"] > 0),
        (
            {"only": ["false negative", "false positive"]},
            (outcomes[["false_negatives", "false_positives"]] > 0).all(axis=1),
        ),
        ({"ap": ["0.2", "0.6"]}, outcomes["ap"].between(0.2, 0.6)),
        ({"seconds": ["100", "200"]}, (videos.num_frames >= 100) & (videos.num_frames <= 200)),
        ({**LABEL, "has": "true"}, true),
        ({**LABEL, "has": "predicted"}, predicted),
        ({**LABEL, "has": "missed"}, true & ~predicted),
        ({**LABEL, "has": "true positive"}, true & predicted),
        ({**LABEL, "has": "false positive"}, ~true & predicted),
        ({**LABEL, "score": ["0.0", str(middle)]}, p <= np.float32(middle)),
        ({"run_b": MEAN_RUN, "disagrees": str(far)}, difference >= far),
        ({"find": videos.id(5)[:2].lower()}, [videos.id(5)[:2].lower() in name.lower() for name in videos.ids]),
        ({**LABEL, "has": "true", "only": ["false negative"]}, true & (outcomes["false_negatives"] > 0)),
    ):
        at = open_videos_page(**query, threshold="0.05")
        assert chosen(at) == expected_ids(demo_home, expected), query
        assert "is not here" not in page_text(at), query


def test_band_filter_selects_videos_with_such_a_label(demo_home: Path) -> None:
    at = open_page("imbalance")
    labels = at.dataframe[0].value
    tail = set(labels["label"][labels["band"] == "tail"])
    videos = open_videos(demo_home / "smoke" / "validation")
    expected = [bool(tail & set(videos.labels(video).tolist())) for video in range(32)]
    assert 0 < sum(expected) < 32
    assert chosen(open_videos_page(band=["tail"])) == expected_ids(demo_home, expected)


@pytest.mark.parametrize(
    ("order", "column", "ascending"),
    [
        ("hardest first", "ap", True),
        ("easiest first", "ap", False),
        ("longest", "num_frames", False),
        ("highest score", "score", False),
        ("lowest score", "score", True),
        ("largest disagreement", "disagreement", False),
    ],
)
def test_table_is_sorted(order: str, column: str, ascending: bool) -> None:
    table = video_table(open_videos_page(order=order, run_b=MEAN_RUN, **LABEL))
    values = table[column]
    assert values.nunique() > 5
    assert values.is_monotonic_increasing if ascending else values.is_monotonic_decreasing


def test_orders_without_label_or_second_run_say_so() -> None:
    at = open_videos_page(order="highest score")
    assert "No label is selected" in page_text(at)
    assert "No second run is selected" in page_text(open_videos_page(order="largest disagreement"))


@pytest.mark.parametrize("page", ["predictions", "attention"])
def test_selection_is_visited_by_previous_and_next(demo_home: Path, page: str) -> None:
    at = open_videos_page(only=["false negative"], order="hardest first")
    ids = video_table(at)["id"].tolist()
    assert 1 < len(ids) < 32
    find_button(at, "Use this selection").click().run()
    assert at.title[0].value == "Predictions"
    assert error_text(at) == ""
    at.switch_page(f"views/{page}/page.py").run()
    assert f"Video 1 of {len(ids)} selected by the filters" in page_text(at)
    seen = [at.selectbox(key="video").value]
    for _ in range(len(ids)):
        find_button(at, "Next").click().run()
        seen.append(at.selectbox(key="video").value)
    assert seen == [*ids, ids[0]]


def select_in_chart(at: AppTest, home: Path, positions: list[int], data: str = "smoke/validation") -> None:
    """Do what a chart does when videos are selected in it."""
    from cache.loaders import DataSet
    from components.video_selection import ChartSelection

    key = DataSet(str(home / data)).cache_key
    at.session_state["chart selection"] = ChartSelection(key, np.array(positions), "selected in a test")


@pytest.mark.fault
def test_selection_of_a_chart_is_shown_visited_and_cleared(demo_home: Path) -> None:
    at = open_videos_page()
    select_in_chart(at, demo_home, [3, 8, 9])
    at.run()
    assert "**3 videos** selected in a test" in page_text(at)
    assert chosen(at) == {video_id_at(demo_home, video) for video in (3, 8, 9)}
    at.switch_page("views/predictions/page.py").run()
    assert "**3 videos** selected in a test" in page_text(at)
    find_button(at, "Next").click().run()
    assert at.selectbox(key="video").value in {video_id_at(demo_home, video) for video in (3, 8, 9)}
    at.button(key="clear selection").click().run()
    assert "selected in a test" not in page_text(at)
    at.switch_page("views/videos/page.py").run()
    assert len(chosen(at)) == 32


@pytest.mark.fault
def test_selection_of_a_chart_ends_with_its_data_set(demo_home: Path) -> None:
    at = open_videos_page()
    select_in_chart(at, demo_home, [3, 8, 9], "smoke/train")
    at.run()
    assert "selected in a test were selected in another data set: the selection is cleared" in page_text(at)
    assert len(chosen(at)) == 32
    assert "selected in a test" not in page_text(at.run())


def test_labels_open_their_videos(demo_home: Path) -> None:
    videos = open_videos(demo_home / "smoke" / "validation")
    has = [set(videos.labels(video).tolist()) for video in range(32)]
    pair = next(sorted(labels)[:2] for labels in has if len(labels) > 1)

    def page(labels: list[int], require_all: bool) -> None:
        import streamlit as st

        from components.video_selection import offer_label_videos

        offer_label_videos(st.session_state["page"], labels, require_all=require_all)

    for require_all, count in ((True, sum(set(pair) <= labels for labels in has)), (False, None)):
        count = sum(bool(set(pair) & labels) for labels in has) if count is None else count
        at = AppTest.from_function(page, args=(pair, require_all), default_timeout=60)
        at.session_state["page"] = open_page().session_state["page"]
        at.run()
        assert error_text(at) == ""
        assert at.button[0].label.startswith(f"Open {count:,} video")
        assert (" and " if require_all else " or ") in at.button[0].label


def test_data_set_without_labels_lists_ids_and_lengths(
    tmp_path: Path, demo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, frames, _ = first_video(demo_home)
    streams = {"rgb": frames[:, :1024], "audio": frames[:, 1024:]}
    write(tmp_path / "test" / "a.tfrecord", *(Content(name, None, streams) for name in ("abcd", "efgh")))
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "test"))
    at = open_videos_page(data=f"{tmp_path.name}/test", order="longest")
    assert "No video has labels" in page_text(at)
    assert video_table(at)["id"].tolist() == ["abcd", "efgh"]
    assert open_videos_page(data=f"{tmp_path.name}/test", find="EF").main.dataframe[0].value["id"].tolist() == ["efgh"]


def test_single_video_and_single_run(tmp_path: Path, demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    _, frames, labels = first_video(demo_home)
    streams = {"rgb": frames[:, :1024], "audio": frames[:, 1024:]}
    write(tmp_path / "one" / "a.tfrecord", Content("abcd", tuple(labels), streams))
    shutil.copytree(demo_home / "runs" / ATTENTION_RUN, tmp_path / "home" / "runs" / ATTENTION_RUN)
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "one"))
    at = open_videos_page(data=f"{tmp_path.name}/one")
    assert video_table(at)["id"].tolist() == ["abcd"]
    assert "run_b" not in control_keys(at)


def test_rows_that_are_sent_are_limited(tmp_path: Path, demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, frames, labels = first_video(demo_home)
    streams = {"rgb": frames[:1, :1024], "audio": frames[:1, 1024:]}
    write(tmp_path / "many" / "a.tfrecord", *(Content(f"{i:04}", tuple(labels), streams) for i in range(520)))
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "many"))
    at = open_videos_page(data=f"{tmp_path.name}/many")
    assert len(video_table(at)) == 500
    assert "**520 of 520 videos**" in page_text(at)
    assert "The first 500 are shown; the file has all." in page_text(at)


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes_page(PAGE, CONTROLS[control])


@pytest.mark.parametrize("control", LABEL_CONTROLS)
def test_every_control_of_a_label_changes_what_is_shown(control: str) -> None:
    at = open_videos_page(**LABEL)
    before = video_table(at)
    LABEL_CONTROLS[control](at).run()
    assert not video_table(at).equals(before)


def test_all_controls_are_tested() -> None:
    assert control_keys(open_page(PAGE)) <= {*CONTROLS, *LABEL_CONTROLS}
