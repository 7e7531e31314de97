"""Tests of the imbalance page: its three views and the label card."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from playwright.sync_api import Browser, expect
from streamlit.testing.v1 import AppTest

from tests.app.conftest import CopyRun
from tests.support.browser import open_browser_page, wait_for_page
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
from tests.support.server import served, smoke_environment
from tests.support.shards import vector, write

PAGE = "imbalance"
LABEL = "Music · 2"


def set_number(key: str, number: float) -> Callable[[AppTest], Any]:
    return lambda at: at.number_input(key=key).set_value(number)


def select_first(key: str) -> Callable[[AppTest], Any]:
    return lambda at: at.multiselect(key=key).select(at.multiselect(key=key).options[0])


# Control key, action, and the query that shows the control.
CASES: dict[str, tuple[str, Callable[[AppTest], Any], dict[str, str]]] = {
    "data": ("data", select_last("data"), {}),
    "label": ("label", select_last("label"), {}),
    "look": ("look", set_value("look", "adaptive noise"), {}),
    "draw": ("draw", set_value("draw", "cumulative share"), {}),
    "run": ("run", select_last("run"), {"look": "precision"}),
    "run, in a card": ("run", select_last("run"), {"label": LABEL}),
    "positives": ("positives", set_number("positives", 2), {"look": "precision"}),
    "band": ("band", set_value("band", "tail"), {"look": "precision"}),
    "topics": ("topics", select_first("topics"), {"look": "precision"}),
    "strength": ("strength", set_number("strength", 10), {"look": "adaptive noise"}),
}
CONTROLS: Controls = {key: move for key, move, _ in CASES.values()}


def test_frequency_view_summarizes_and_lists_all_labels() -> None:
    at = open_page("imbalance")
    (table,) = (element.value for element in at.dataframe)
    assert len(table) == 120
    assert table["rank"].tolist() == list(range(1, 121))
    top = table["count"][:6].sum() / table["count"].sum()
    assert f"**5%** of labels account for **{top:.0%}**" in page_text(at)
    assert f"{(table['count'] == 0).sum()} of 120 labels that occur in no video" in page_text(at)


def test_precision_view_hides_no_label_and_summarizes_the_bands() -> None:
    at = open_page("imbalance", look="precision")
    bands, table = tables(at)
    assert table["ap"].notna().all()
    assert table["ap"].is_monotonic_increasing  # worst first
    everything = tables(open_page("imbalance"))[0]
    for row in bands.set_index("band").itertuples():
        in_band = (table["band"] == row.Index) | (row.Index == "all")
        labels = (everything["band"] == row.Index) | (row.Index == "all")
        assert (row.labels, row.measured) == (labels.sum(), in_band.sum())
        assert row.median == pytest.approx(table["ap"][in_band].median(), nan_ok=True)
        assert row.share == pytest.approx(100 * everything["count"][labels].sum() / everything["count"].sum())
    few = [(table["positives"][(table["band"] == band) | (band == "all")] < 10).mean() for band in bands["band"]]
    assert bands["note"].tolist() == ["mostly chance" if share > 0.9 else "" for share in few]
    assert "small and faint" in charts(at)[0]
    assert f"Run **{ATTENTION_RUN}**" in page_text(at)


@pytest.mark.browser
def test_click_on_a_band_selects_its_labels_each_time(browser: Browser, demo_home: Path) -> None:
    with served(smoke_environment(demo_home)) as address, open_browser_page(browser) as page:
        page.goto(f"{address}/imbalance?look=precision")
        wait_for_page(page, "Imbalance")
        for _ in range(2):  # the second click on a selected cell would only end its selection
            page.get_by_test_id("stDataFrame").first.click(position={"x": 20, "y": 55})
            expect(page.get_by_role("heading", name="Labels of the head band")).to_be_visible()
            page.get_by_role("radio", name="all", exact=True).click()
            expect(page.get_by_role("heading", name="All labels")).to_be_visible()
            wait_for_page(page, "Imbalance")


def test_link_of_an_older_version_keeps_its_minimum_support() -> None:
    at = open_page("imbalance", look="precision", at_least="3")
    assert at.number_input(key="positives").value == 3
    assert tables(at)[-1]["positives"].min() == 3


def test_link_of_an_older_version_opens_the_counts() -> None:
    assert charts(open_page("imbalance", draw="videos")) == charts(open_page("imbalance"))


def test_topics_filter_labels() -> None:
    at = open_page("imbalance", look="precision", topics="Games")
    assert at.multiselect(key="topics").value == ["Games"]
    assert set(at.dataframe[-1].value["vertical"]) == {"Games"}


def test_minimum_support_above_all_labels_is_explained() -> None:
    at = open_page("imbalance", at_least="1000", look="precision")
    assert "label has 1,000 scored videos or more" in page_text(at)
    assert error_text(at) == ""


def test_noise_matches_the_pooling(demo_home: Path) -> None:
    import torch

    from yt8m_core.data.dataset import open_videos
    from yt8m_core.labels.statistics import label_matrix
    from yt8m_core.models.registry import build

    train = open_videos(demo_home / "smoke" / "train")
    pooling = build("pooling", "adaptive_noise", {}, in_features=1152, num_classes=120)
    pooling.fit_label_prior(label_matrix(train.label_values, train.label_offsets, 120))
    at = open_page("imbalance", look="adaptive noise")
    table = at.dataframe[-1].value.set_index("label").sort_index()
    assert table["alone"].tolist() == pytest.approx(pooling.gamma(torch.eye(120)).tolist())
    assert table["alone_length"].tolist() == pytest.approx((table["alone"] * 1152**0.5).tolist())
    assert f"Counted on the training videos of {ATTENTION_RUN}" in page_text(at)


def test_noise_uses_the_options_of_the_run(copy_run: CopyRun) -> None:
    config = copy_run("noisy", MEAN_RUN) / "config.json"
    written = json.loads(config.read_text())
    for scale in (3.0, "much"):
        written["experiment"]["pooling"] = {"name": "adaptive_noise", "options": {"scale": scale, "pooling": "mean"}}
        config.write_text(json.dumps(written))
        at = open_page("imbalance", look="adaptive noise", run="noisy")
        if scale == 3.0:
            paper = open_page("imbalance", look="adaptive noise").dataframe[-1].value
            alone = at.dataframe[-1].value["alone"]
            assert alone.tolist() == pytest.approx((3 * paper["alone"]).tolist())
            factor = open_page("imbalance", look="adaptive noise", strength="3").dataframe[-1].value["alone"]
            assert factor.tolist() == pytest.approx(alone.tolist())
        else:
            assert "option 'scale'" in error_text(at)


@pytest.mark.usefixtures("_no_runs")
def test_noise_without_a_run_counts_the_data_set() -> None:
    at = open_page("imbalance", look="adaptive noise", label=LABEL)
    assert error_text(at) == ""
    assert "Counted on the videos of this data set" in page_text(at)
    table = at.dataframe[-1].value
    assert table["alone"].tolist() == pytest.approx((1 / table["count"].clip(lower=1)).tolist())


def test_noise_counts_the_data_set_without_matching_training_videos(
    copy_run: CopyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "vectors" / "a.tfrecord", *(vector(f"id{i}", (i, i + 1)) for i in range(5)))
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "vectors"))
    at = open_page("imbalance", look="adaptive noise", data=f"{tmp_path.name}/vectors")
    assert error_text(at) == ""
    assert "the run has other labels" in page_text(at)
    config = copy_run("moved", MEAN_RUN) / "config.json"
    config.write_text(config.read_text().replace("smoke/train", "smoke/gone"))
    at = open_page("imbalance", look="adaptive noise", run="moved", data="smoke/validation")
    assert error_text(at) == ""
    assert "training videos cannot be read" in page_text(at)


@pytest.mark.usefixtures("_no_runs")
def test_card_without_a_run_shows_counts() -> None:
    at = open_page("imbalance", label=LABEL)
    assert error_text(at) == ""
    assert "**Music** is in" in page_text(at)
    assert "shown once there is a trained run" in page_text(at)
    assert "needs a trained run" in page_text(open_page("imbalance", look="precision", label=LABEL))


def test_card_explains_data_that_do_not_fit_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "vectors" / "a.tfrecord", *(vector(f"id{i}", (i, i + 1)) for i in range(5)))
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "vectors"))
    data = f"{tmp_path.name}/vectors"
    at = open_page("imbalance", data=data, label="label 1 (unnamed) · 1")
    assert error_text(at) == ""
    assert "found video-level features" in page_text(at)
    assert "found video-level features" in error_text(open_page("imbalance", data=data, look="precision"))


def test_card_of_a_label_without_videos_has_no_precision() -> None:
    table = open_page("imbalance").dataframe[0].value
    unseen = table[table["count"] == 0].iloc[0]
    at = open_page("imbalance", label=f"{unseen['name']} · {unseen['label']}", look="precision")
    assert error_text(at) == ""
    assert "average precision is undefined" in page_text(at)


def test_sampled_scores_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yt8m_core.inference.score_cache.MAX_SCORES", 120 * 20)
    st.cache_resource.clear()
    assert "random sample of 20 of 32 videos" in page_text(open_page("imbalance", look="precision"))
    assert "random sample of 20 of 32 videos" in page_text(open_page("imbalance", label=LABEL))
    st.cache_resource.clear()


def test_click_on_a_point_selects_its_label(monkeypatch: pytest.MonkeyPatch) -> None:
    from components import label_tables
    from yt8m_core.data.vocabulary import Vocabulary

    vocabulary = Vocabulary(("Car", "Dog", "Car"), ("Autos", "Pets", "Autos"))
    state: dict[str, Any] = {"label": "Car · 0"}
    monkeypatch.setattr(label_tables.st, "session_state", state)
    label_tables.select_point(vocabulary, [{"x": 1, "y": 2}])  # the line of the median
    assert state["label"] == "Car · 0"
    label_tables.select_point(vocabulary, [{"customdata": ["Car", "Autos", 2, 0.5]}])
    assert state["label"] == "Car · 2"


@pytest.mark.parametrize("case", CASES)
def test_every_control_changes_what_is_shown(case: str) -> None:
    _, move, query = CASES[case]
    assert changes_page(PAGE, move, **query)


@pytest.mark.parametrize("query", [{}, {"look": "precision"}, {"look": "adaptive noise"}])
def test_all_controls_are_tested(query: dict[str, str]) -> None:
    assert control_keys(open_page(PAGE, **query)) <= set(CONTROLS)
