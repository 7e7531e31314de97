"""Tests of the map page: methods, vectors and colors, and what cannot be shown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.app.test_predictions import run_scores
from tests.support.pages import (
    ATTENTION_RUN,
    MEAN_RUN,
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
)
from tests.support.shards import Content, write
from yt8m_core.analysis.projection import pca
from yt8m_core.analysis.vectors import score_vectors
from yt8m_core.errors import UserError

PAGE = "map"
LABEL = {"label": "Music · 2", "color": "outcome"}

CONTROLS: Controls = {
    "run": lambda at: at.selectbox(key="run").select(ATTENTION_RUN),
    "data": select_last("data"),
    "projection": set_value("projection", "UMAP"),
    "vectors": set_value("vectors", "scores"),
    "color": set_value("color", "outcome"),
}


def open_map(**query: str) -> AppTest:
    """Open the page. AppTest applies the value of a select box on the second run only."""
    at = open_page(PAGE, **{"run": MEAN_RUN, **query}).run()
    assert error_text(at) == ""
    return at


def traces(at: AppTest) -> list[dict[str, Any]]:
    """Return the traces of the map."""
    (chart,) = charts(at)
    return json.loads(chart)["data"]


def test_map_shows_every_video_by_pca_of_the_scores(demo_home: Path) -> None:
    at = open_map(vectors="scores")
    scores = run_scores(demo_home, MEAN_RUN)
    expected = pca(score_vectors(scores), scores.videos)
    assert expected.explained
    assert f"PCA: {sum(expected.explained):.1%} of the variance" in charts(at)[0]
    assert "32 videos" in charts(at)[0]
    assert "**0 videos selected**" in page_text(at)


def test_colors_are_the_outcomes_of_the_label(demo_home: Path) -> None:
    at = open_map(threshold="0.05", **LABEL)
    scores = run_scores(demo_home, MEAN_RUN)
    true = scores.truth.toarray()[:, 2] > 0
    predicted = scores.probabilities[:, 2] >= np.float32(0.05)
    counts = {
        "true positive": true & predicted, "missed": true & ~predicted,
        "false positive": ~true & predicted, "neither": ~true & ~predicted,
    }  # fmt: skip
    names = [trace["name"] for trace in traces(at)]
    assert sorted(names) == sorted(
        f"{name} ({count} video{'s' if count > 1 else ''})"
        for name, count in ((name, int(mask.sum())) for name, mask in counts.items())
        if count
    )


def test_outcome_without_label_asks_for_one() -> None:
    at = open_map(color="outcome")
    assert "Select a label" in page_text(at)
    assert "average precision" in charts(at)[0]


def test_pooling_with_weights_uses_the_scores() -> None:
    from cache import videos

    at = open_page(PAGE, run=ATTENTION_RUN)
    assert error_text(at) == ""
    page = at.session_state["page"]
    assert videos.has_pooled_vectors(page) == ("vectors" in control_keys(at))
    if not videos.has_pooled_vectors(page):
        assert "has trained weights" in page_text(at)


@pytest.mark.fault
def test_missing_umap_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: Any) -> None:
        raise UserError("umap-learn is not installed", advice="Install it: pip install 'yt8m[map]'.")

    st.cache_resource.clear()
    monkeypatch.setattr("yt8m_core.analysis.projection.umap", missing)
    at = open_map(projection="UMAP")
    assert "pip install 'yt8m[map]'" in page_text(at)
    assert not charts(at)
    set_value("projection", "PCA")(at).run()
    assert charts(at)


def test_selection_in_the_map_is_listed(demo_home: Path) -> None:
    def page(selected: list[int]) -> None:
        import numpy as np
        import streamlit as st

        from cache import videos
        from views.map.selection import show_selection

        context = st.session_state["page"]
        show_selection(context, videos.video_table(context), np.array(selected), "scores")

    at = AppTest.from_function(page, args=([4, 7],), default_timeout=60)
    at.session_state["page"] = open_map().session_state["page"]
    at.run()
    assert error_text(at) == ""
    assert "**2 videos selected**" in page_text(at)
    table = at.dataframe[0].value
    assert len(table) == 2
    assert table["ap"].is_monotonic_increasing
    assert at.button[0].label == "Open selection"


def test_data_set_without_labels_shows_pooled_frames(
    tmp_path: Path, demo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, frames, _ = first_video(demo_home)
    contents = [
        Content(f"abc{i}", None, {"rgb": frames[i : i + 3, :1024], "audio": frames[i : i + 3, 1024:]}) for i in range(4)
    ]
    write(tmp_path / "test" / "a.tfrecord", *contents)
    write(tmp_path / "one" / "a.tfrecord", contents[0])
    monkeypatch.setenv("YT8M_DATA", f"{tmp_path / 'test'}:{tmp_path / 'one'}")
    for name, count in (("test", "4 videos"), ("one", "1 video")):
        at = open_map(data=f"{tmp_path.name}/{name}")
        assert "There are no scores of videos without labels" in page_text(at)
        assert count in charts(at)[0]


@pytest.mark.parametrize("control", CONTROLS)
def test_every_control_changes_what_is_shown(control: str) -> None:
    assert changes_page(PAGE, CONTROLS[control], run=MEAN_RUN)


def test_label_and_threshold_change_the_map() -> None:
    at = open_map(threshold="0.05", **LABEL)
    before = charts(at)
    at.slider(key="threshold").set_value(0.9).run()
    assert charts(at) != before
    before = charts(at)
    select_last("label")(at).run()
    assert charts(at) != before


def test_all_controls_are_tested() -> None:
    assert control_keys(open_map(**LABEL)) <= {*CONTROLS, "label", "threshold"}
