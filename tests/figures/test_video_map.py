"""Maps of videos have each video once, stay small, and name sample and variance."""

import base64
import json
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tests.figures.test_figures import MAPPED_VIDEOS, subtitle
from yt8m_core import figures
from yt8m_core.analysis.video_table import LABEL_OUTCOMES
from yt8m_core.figures import video_map
from yt8m_core.figures.video_map import OUTCOME_LOOKS

PCA: dict[str, Any] = {"method": "PCA", "explained": (0.2, 0.1), "scale": "demo world"}


def by_outcome(table: pd.DataFrame = MAPPED_VIDEOS, **changes: Any) -> go.Figure:
    return figures.video_map_by_outcome(table, label="Car <b>", **{**PCA, **changes})


def drawn(figure: go.Figure) -> dict[int, tuple[str, float, float]]:
    """Return the trace name and the place of each drawn video."""
    return {
        int(video): (trace.name, float(x), float(y))
        for trace in figure.data
        for video, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)
    }


def test_each_video_is_drawn_once_with_its_outcome_and_position() -> None:
    figure = by_outcome()
    assert drawn(figure) == {
        2: ("neither (1 video)", 0.5, 0),
        3: ("false positive (1 video)", 1, 2),
        5: ("missed (1 video)", -1, 1),
        8: ("true positive (1 video)", 0, -1),
    }
    assert set(OUTCOME_LOOKS) == set(LABEL_OUTCOMES)
    back = figure.data[0]
    assert back.name.startswith("neither")
    assert all(back.marker.size < trace.marker.size for trace in figure.data[1:])
    assert len({trace.marker.symbol for trace in figure.data}) == 4
    assert figure.layout.title.text == "Videos by outcome of Car &lt;b&gt;"


def test_rare_outcomes_are_in_front_and_the_legend_keeps_its_order() -> None:
    outcomes = ["missed", "missed", "true positive", "false positive", "false positive", "false positive", ""]
    table = pd.DataFrame({"video": range(7), "x": 0.0, "y": 0.0, "outcome": outcomes})
    traces = by_outcome(table).data
    assert [trace.name.split(" (")[0] for trace in traces] == ["neither", "false positive", "missed", "true positive"]
    in_legend = sorted(traces, key=lambda trace: trace.legendrank)
    assert [trace.name.split(" (")[0] for trace in in_legend] == [name for name, *_ in OUTCOME_LOOKS.values()]


def test_outcomes_without_a_video_have_no_trace() -> None:
    assert [trace.name for trace in by_outcome(MAPPED_VIDEOS[MAPPED_VIDEOS["outcome"] == "missed"]).data] == [
        "missed (1 video)"
    ]
    assert not by_outcome(MAPPED_VIDEOS[:0]).data


def test_precision_is_color_and_size_and_unknown_precision_is_apart() -> None:
    unmeasured, measured = figures.video_map_by_precision(MAPPED_VIDEOS, **PCA).data
    assert (unmeasured.name, unmeasured.customdata.tolist()) == ("no true labels", [3])
    assert measured.customdata.tolist() == [5, 2, 8]  # the lowest in front
    assert measured.marker.color.tolist() == [1, 0.5, 0]
    assert (measured.marker.cmin, measured.marker.cmax) == (0, 1)
    low, high = measured.marker.size[2], measured.marker.size[0]
    assert low > high
    (only,) = figures.video_map_by_precision(MAPPED_VIDEOS[:1], **PCA).data
    assert only.name == "average precision"


def test_subtitle_and_axes_name_variance_and_sample() -> None:
    figure = by_outcome(sampled_from=1_000_000)
    assert "PCA: 30.0% of the variance · 4 videos" in subtitle(figure)
    assert "random sample of 1,000,000 videos" in subtitle(figure)
    assert figure.layout.xaxis.title.text == "PCA 1 (20.0% of the variance)"
    assert figure.layout.yaxis.title.text == "PCA 2 (10.0% of the variance)"
    other = by_outcome(method="UMAP", explained=None)
    assert "variance" not in subtitle(other)
    assert "sample" not in subtitle(other)
    assert (other.layout.xaxis.title.text, other.layout.yaxis.title.text) == ("UMAP 1", "UMAP 2")


def test_ids_are_escaped_and_only_in_small_maps(monkeypatch: Any) -> None:
    texts = {trace.customdata[0]: trace.text[0] for trace in by_outcome().data}
    assert texts == {2: "a", 3: "b", 5: "&lt;c&gt;", 8: "%&#123;d"}
    assert by_outcome(MAPPED_VIDEOS.drop(columns="id")).data[0].text is None
    monkeypatch.setattr(video_map, "MAX_IDS", 3)
    assert [trace.text for trace in by_outcome().data] == [None] * 4


def test_a_map_of_100_000_videos_takes_less_than_3_mb() -> None:
    random, n = np.random.default_rng(0), 100_000
    table = pd.DataFrame(
        {
            "video": np.sort(random.choice(7_000_000, n, replace=False)),
            "x": random.standard_normal(n),
            "y": random.standard_normal(n),
            "outcome": random.choice(list(LABEL_OUTCOMES), n),
            "ap": random.random(n),
            "id": [f"{number:011d}" for number in range(n)],
        }
    )
    for figure in (by_outcome(table), figures.video_map_by_precision(table, **PCA)):
        text = figure.to_json()
        assert len(text) < 3_000_000
        sent = json.loads(text)["data"][0]
        assert (sent["x"]["dtype"], sent["customdata"]["dtype"]) == ("f4", "i4")
        positions = np.frombuffer(base64.b64decode(sent["customdata"]["bdata"]), np.int32)
        np.testing.assert_array_equal(positions, figure.data[0].customdata)
