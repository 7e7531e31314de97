"""Tests of the label page, and of the card that links to it."""

import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

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
    tables,
)
from tests.support.shards import vector, write
from yt8m_core.inference.evaluation import open_run_data
from yt8m_core.inference.score_cache import load_scores
from yt8m_core.runs.run import Run

PAGE, LABEL = "label", "Music · 2"
LARGER = {"run": MEAN_RUN, "data": "smoke/train"}  # with more videos of a label, enough for intervals


@pytest.fixture
def _no_runs(demo_app: None, demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data of the demo world without runs."""
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YT8M_DATA", str(demo_home / "smoke" / "validation"))


def test_without_a_label_all_labels_are_offered() -> None:
    at = open_page(PAGE)
    assert "Choose a label" in page_text(at)
    assert len(charts(at)) == 1


def test_page_shows_precision_threshold_and_calibration(demo_home: Path) -> None:
    at = open_page(PAGE, label="Vehicle · 1", **LARGER)
    assert error_text(at) == ""
    run = Run.open(demo_home / "runs" / MEAN_RUN)
    scored = load_scores(run, open_run_data(run, run.experiment.data.train))
    p, true = scored.probabilities[:, 1], scored.truth.toarray()[:, 1]
    row = open_page("imbalance", look="precision", **LARGER).dataframe[-1].value.set_index("label").loc[1]
    assert at.metric[0].value == f"{row['ap']:.3f}"
    low, high = map(float, re.findall(r"[\d.]+", at.metric[0].delta.partition("CI")[2]))
    assert low < row["ap"] <= high
    assert f"Mean probability **{p.mean():.4f}**, share of videos **{true.mean():.4f}**" in page_text(at)
    query = {"judge": "thresholds", "scope": "label", "label": "Vehicle · 1"}
    threshold = tables(open_page("calibration", **query, **LARGER))[0].iloc[0]
    chosen = f"Threshold **{threshold['threshold']:.3f}**, chosen on one half of the videos; on the other half F1"
    assert f"{chosen} {threshold['f1']:.3f}" in page_text(at)
    # The chart has another F1, over all videos, and says so.
    (curve,) = (chart for chart in charts(at) if "best F1" in chart)
    best = re.findall(r"on all scored videos: best F1 ([\d.]+) at threshold ([\d.]+)", curve)
    predicted = p[:, None] >= np.arange(101, dtype=np.float32) / 100
    hits = (predicted & (true[:, None] > 0)).sum(axis=0)
    f1 = 2 * hits / (predicted.sum(axis=0) + true.sum())
    assert best == [(f"{f1.max():.3f}", f"{f1.argmax() / 100:.2f}")]
    assert open_page(PAGE, label=LABEL).metric[0].delta == "no interval below 10 videos"


def test_similar_labels_are_others_in_the_same_step_of_frequency() -> None:
    table = tables(open_page("imbalance", look="precision"))[-1]
    steps = [int(math.log2(count)) for count in table["count"]]
    tested = set()
    for name, label, step in zip(table["name"], table["label"], steps, strict=True):
        others = table["ap"][(np.array(steps) == step) & (table["label"] != label)]
        kind = min(len(others), 2)
        if kind in tested:
            continue
        tested.add(kind)
        videos = "1 video" if step == 0 else f"{2**step} to {2 ** (step + 1) - 1} videos"
        sentence = (
            f"No other label lies in {videos}.",
            f"That of the only other label in {videos} is {others.median():.3f}.",
            f"The median of the {len(others)} other labels in {videos} is {others.median():.3f}.",
        )[kind]
        assert sentence in page_text(open_page(PAGE, label=f"{name} · {label}"))
    assert 2 in tested


def test_page_lists_correlated_labels() -> None:
    at = open_page(PAGE, label=LABEL)
    correlated = tables(at)[0]
    assert correlated["phi"].is_monotonic_decreasing
    assert (correlated["count"] >= 2).all()
    assert 2 not in correlated["label"].tolist()
    (correlation,) = (link.proto for link in at.get("page_link") if link.proto.page == "correlation")
    assert correlation.query_string.count("labels=") == len(correlated) + 1


@pytest.mark.parametrize(("label", "number", "title"), [("Vehicle · 1", 1, "miss the label"), ("Game · 0", 0, "false")])
def test_page_lists_confused_labels(label: str, number: int, title: str) -> None:
    at = open_page(PAGE, label=label, **LARGER)
    confused = tables(at)[-1]
    assert (confused["videos"] >= 2).all()
    assert (confused["lift"] > 1).all()
    assert confused["surprise"].is_monotonic_decreasing
    assert number not in confused["label"].tolist()
    videos = int(re.findall(rf"(\d+) (?:videos )?{title}", page_text(at))[0])
    assert confused["videos"].max() <= videos
    assert confused["share"].tolist() == pytest.approx((confused["videos"] / videos).tolist())
    shares = confused["interval"].str.extract(r"^(\d+)% \[(\d+), (\d+)\]$").astype(float)
    assert np.allclose(shares, 100 * confused[["share", "low", "high"]], atol=0.51)


def test_tables_of_related_labels_fit_their_columns() -> None:
    """On a screen of 1440 pixels, where the page is 916 pixels wide without the gaps."""
    at = open_page(PAGE, label="Vehicle · 1", **LARGER)
    places = (5 / 17, 6 / 17, 6 / 17)
    columns = [json.loads(table.proto.columns) for table in at.dataframe]
    for config, place in zip(columns, places, strict=False):
        assert sum(column["width"] for column in config.values() if "width" in column) <= 916 * place
    expected = [config["expected"]["help"] for config in columns if "expected" in config]
    assert all("Share of all videos" in text for text in expected)
    assert len(set(expected)) == len(expected) >= 1


def test_page_links_to_misclassified_videos() -> None:
    at = open_page(PAGE, label=LABEL)
    videos = [link.proto for link in at.get("page_link") if link.proto.page == "predictions"]
    assert len(videos) == 10
    ranks = [int(link.label.split("rank ")[1].split(" ")[0]) for link in videos if "rank" in link.label]
    assert len(ranks) == 5
    assert ranks == sorted(ranks, reverse=True)
    query = videos[0].query_string
    assert "label=Music" in query
    predictions = open_page("predictions", video=query.split("video=")[1].split("&")[0], label=LABEL).run()
    assert f"**Music**: rank {ranks[0]} of 120" in page_text(predictions)
    assert "; true label." in page_text(predictions)


def test_card_on_the_imbalance_page_links_to_the_page() -> None:
    for query in ({}, {"look": "precision"}, {"look": "adaptive noise"}):
        at = open_page("imbalance", label=LABEL, **query)
        assert error_text(at) == ""
        assert "**Music** is in" in page_text(at)
        assert re.search(rf"Average precision of {ATTENTION_RUN}: \*\*0\.\d+\*\*", page_text(at))
        (link,) = (link.proto for link in at.get("page_link") if link.proto.page == "label")
        assert "label=Music" in link.query_string
        assert "run=" in link.query_string


@pytest.mark.usefixtures("_no_runs")
def test_page_without_a_run_shows_counts_and_correlated_labels() -> None:
    at = open_page(PAGE, label=LABEL)
    assert error_text(at) == ""
    assert "**Music** is in" in page_text(at)
    assert "shown once there is a trained run" in page_text(at)
    assert len(tables(at)) == 1


def test_page_explains_data_that_do_not_fit_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "vectors" / "a.tfrecord", *(vector(f"id{i}", (i, i + 1)) for i in range(5)))
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "vectors"))
    at = open_page(PAGE, data=f"{tmp_path.name}/vectors", label="label 1 (unnamed) · 1")
    assert error_text(at) == ""
    assert "found video-level features" in page_text(at)
    assert "No other label shares two or more videos" in page_text(at)


def test_label_without_videos_has_no_precision() -> None:
    table = open_page("imbalance").dataframe[0].value
    unseen = table[table["count"] == 0].iloc[0]
    at = open_page(PAGE, label=f"{unseen['name']} · {unseen['label']}")
    assert error_text(at) == ""
    assert "average precision is undefined" in page_text(at)
    assert "No scored video has this label." in page_text(at)


def test_every_label_can_be_shown() -> None:
    table = open_page("imbalance").dataframe[0].value
    for row in table.iloc[np.linspace(0, len(table) - 1, 8, dtype=int)].itertuples():
        at = open_page(PAGE, label=f"{row.name} · {row.label}", run=MEAN_RUN)
        assert error_text(at) == ""
        assert f"rank {row.rank} of 120" in page_text(at)


def test_data_set_without_names_shows_labels_of_the_run(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = shutil.copytree(demo_home / "smoke" / "train", tmp_path / "mine" / "videos")
    monkeypatch.setenv("YT8M_DATA", str(mine))
    at = open_page(PAGE, run=MEAN_RUN, data="mine/videos", label="label 1 (unnamed) · 1")
    assert error_text(at) == ""
    assert len(tables(at)) == 2


CONTROLS: Controls = {"run": select_last("run"), "data": select_last("data"), "label": select_last("label")}


@pytest.mark.parametrize("key", CONTROLS)
def test_every_control_changes_what_is_shown(key: str) -> None:
    assert changes_page(PAGE, CONTROLS[key], label=LABEL)


def test_all_controls_are_tested() -> None:
    assert control_keys(open_page(PAGE, label=LABEL)) <= set(CONTROLS)
