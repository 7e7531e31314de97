"""Figures show the given numbers, name their axes and scale, and are readable without color."""

import ast
import base64
import io
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image

from yt8m_core import figures
from yt8m_core.analysis.per_label import precision_by_frequency
from yt8m_core.errors import UserError
from yt8m_core.explain.attention_metrics import Similarity
from yt8m_core.figures import style
from yt8m_core.labels.statistics import rank_frequency

COUNTS = [90, 5, 40, 0, 3, 1, 0]
VOCABULARY = pd.DataFrame(
    {"label": range(7), "name": [f"name {i}" for i in range(7)], "vertical": [f"topic {i % 2}" for i in range(7)]}
)
MATRIX = np.array([[1.0, 0.2, np.nan], [0.5, 1.0, -0.3], [0.0, -0.1, 1.0]])
PREDICTIONS = pd.DataFrame({"name": ["Car", "Dog", "Game"], "score": [0.3, 0.9, 0.1], "true": [True, False, True]})
LOG = pd.DataFrame(
    {
        "examples": [128, 256, 256, 384, 512, 512],
        "loss": [9.0, 8.0, None, 7.0, 6.5, None],
        "gap": [None, None, 0.4, None, None, 0.5],
    }
)
RATIOS = LOG.assign(
    update_pooling=[2.0, 0.5, None, 0.1, 0.05, None], update_label_processing=[0, 0.01, None, 0.02, 0.03, None]
)
DIFFERENCES = pd.DataFrame(
    {
        "row": ["LSTM", "LSTM-M", "CNN", "Mean"],
        "reference": "LSTM",
        "difference": [0.0, 0.1, -0.2, 0.01],
        "difference_low": [0.0, 0.05, -0.3, -0.1],
        "difference_high": [0.0, 0.2, -0.15, 0.1],
        "seeds": 3,
    }
)
GAINS = pd.DataFrame(
    {
        "parameter": "label noise", "value": [0.5, 0.0], "row": "Huber", "reference": "CE",
        "gain": [0.2, 0.1], "gain_low": [0.1, 0.0], "gain_high": [0.3, 0.2], "seeds": 3,
    }
)  # fmt: skip
BANDS = pd.DataFrame(
    {
        "band": ["head", "mid", "tail"], "labels": [3, 2, 1], "gained": [3, 1, 0], "lost": [0, 1, 1],
        "gain": [0.2, 0.1, -0.1], "low": [0.1, -0.1, None], "high": [0.3, 0.3, None],
    }
)  # fmt: skip
LABELS = rank_frequency(COUNTS, VOCABULARY).assign(
    positives=lambda table: table["count"],
    ap=[0.9, 0.8, 0.5, 0.25, 1.0, None, None],
    ap_b=[0.8, 0.8, 0.75, 0.5, 0.0, None, None],
    gain=lambda table: table["ap_b"] - table["ap"],
    alone=1 / np.maximum(1, sorted(COUNTS, reverse=True)),
    together=[0.02, 0.03, 0.25, 0.4, 1.0, None, None],
    alone_length=lambda table: 2 * table["alone"],
    together_length=lambda table: 2 * table["together"],
)
VIDEOS = pd.DataFrame(
    {
        "row": range(5), "id": ["v0", "<b>%{x}</b>", "v2", "v3", "v4"], "labels": [2, 3, 1, 0, 1],
        "ap": [0.5, 0.25, 1.0, None, 0.5], "ap_b": [0.75, 0.125, 1.0, None, 1.0], "found_only": [0, 2, 0, 0, 0],
        "found_only_b": [1, 0, 0, 0, 0],
    }
).assign(gain=lambda table: table["ap_b"] - table["ap"])  # fmt: skip
CLUSTERS = pd.DataFrame({"first": [0, 3], "size": [3, 2], "label": [7, 5], "name": ["Car", "Dog"], "videos": [9, 4]})
CELLS = np.array([[0, 0.5, 0], [0.25, 0, 0], [0, -1.0, 0]])
TRUTH = pd.DataFrame(
    {
        "label_a": [1, 2, 3], "label_b": [4, 5, 6], "a": ["a", "b", "c"], "b": ["d", "e", "f"],
        "observed": [100, 0, 9], "expected": [20.0, 30.0, 0.001], "surprise": [12.0, -7.7, 2.5],
    }
)  # fmt: skip
MAPPED_VIDEOS = pd.DataFrame(
    {
        "video": [2, 3, 5, 8], "x": [0.5, 1.0, -1.0, 0.0], "y": [0.0, 2.0, 1.0, -1.0], "id": ["a", "b", "<c>", "%{d"],
        "outcome": ["", "false positive", "missed", "true positive"], "ap": [0.5, None, 1.0, 0.0],
    }
)  # fmt: skip
GAPS = pd.DataFrame({"beta": [0.0, 0.1], "gap": [0.8, 0.7]})
ENSEMBLES = pd.DataFrame({"members": [1, 1, 2], "<b>": [1, 0, 1], "lstm": [0, 1, 1], "gap": [0.7, 0.6, 0.65]})
SIZES = pd.DataFrame({"members": [1, 2], "sets": [2, 1], "best": [0.7, 0.65], "strongest": [0.7, 0.65], "rank": [1, 1]})
RUNS = pd.DataFrame({"run": ["lstm", "moe"], "gap": [0.5, 0.6], "gap_low": [0.45, 0.58], "gap_high": [0.57, 0.63]})

BINS = pd.DataFrame(
    {
        "stage": ["before", "before", "after", "after"], "band": ["head", "tail", "head", "all"], "pairs": 100,
        "confidence": [0.5, 0.02, 0.25, 0.02], "frequency": [0.25, 0.01, 0.25, 0.0], "low": [0.125, 0.0, 0.125, 0.0],
        "high": [0.375, 0.03, 0.375, 0.04],
    }
)  # fmt: skip
SIMILARITY = Similarity(np.array([[1, 0.4, 0.1], [0.4, 1, 0.2], [0.1, 0.2, 1]], np.float32), np.arange(3.0), 1)


def frame_overview(cluster: Sequence[int] = (0, 1, 0)) -> go.Figure:
    weights = [0.2, 0.5, 0.3]
    return figures.frame_overview(weights, cluster, title="Video", scale="demo world", main_scene=[(1, 2)])


CURVE = pd.DataFrame(
    {"threshold": [0.0, 0.5, 1.0], "precision": [0.1, 0.6, np.nan], "recall": [1.0, 0.6, 0.0], "f1": [0.2, 0.6, 0.0]}
)
EXPERTS = pd.DataFrame({"expert": [1, 2, 0], "gate": [0.5, 0.3, 0.2], "probability": [0.8, 0.1, 0.0]})
LABELS_ADDED = pd.DataFrame(
    {"name": ["Car", "Dog"], "score": [0.9, 0.1], "fixed": [0.02, 0.01], "trained": [0.05, -0.03]}
)
COMPARISON = pd.DataFrame({"name": ["Car", "Dog"], "mean": [0.5, 0.3], "p a": [0.4, 0.3], "p b": [0.6, 0.3]})
SEGMENTS = pd.DataFrame(
    {"start": [0, 5], "end": [5, 8], "probability": [0.2, 0.7], "attention": [0.4, 0.6]},
)
READINGS = pd.DataFrame(
    {
        "matrix_norm": ["joint", "phi"] * 2, "space": ["prob", "logit"] * 2, "relative_step": 0.1, "beta": 0.1,
        "gamma": [0, 0, 0.1, 0.1], "paper_difference": [-0.011, -0.011, -0.01, -0.01],
        "difference": [0.01, -0.02, -0.03, 0.04], "difference_low": -0.05, "difference_high": 0.05,
        "videos": 800, "data": "demo world",
    }
)  # fmt: skip

EXAMPLES: dict[str, Callable[[], go.Figure]] = {
    "rank_frequency": lambda: figures.rank_frequency(rank_frequency(COUNTS, VOCABULARY), scale="demo world"),
    "cumulative_share": lambda: figures.cumulative_share(rank_frequency(COUNTS, VOCABULARY), scale="demo world"),
    "precision_by_label": lambda: figures.precision_by_label(
        LABELS,
        precision_by_frequency(LABELS),
        minimum=5,
        scale="demo world",
        selected=1,
    ),
    "gain_by_label": lambda: figures.gain_by_label(LABELS, runs=("a", "b"), scale="demo world", selected=4),
    "gain_by_band": lambda: figures.gain_by_band(BANDS, runs=("a", "b"), scale="demo world"),
    "precision_by_run": lambda: figures.precision_by_run(LABELS, runs=("a", "b"), scale="demo world", selected=4),
    "video_precision_by_run": lambda: figures.video_precision_by_run(VIDEOS, runs=("a", "b"), scale="demo world"),
    "noise_strength": lambda: figures.noise_strength(LABELS, scale="demo world", selected=6),
    "correlation": lambda: figures.correlation(MATRIX, ["a", "b", "c"], "phi", scale="demo world"),
    "correlation_overview": lambda: figures.correlation_overview(
        CELLS, "phi", CLUSTERS, num_labels=5, per_cell=2, scale="demo world"
    ),
    "correlation_readings": lambda: figures.correlation_readings(READINGS, scale="demo world"),
    "expected_vs_observed": lambda: figures.expected_vs_observed(TRUTH, title="Pairs", scale="demo world"),
    "gap_by_members": lambda: figures.gap_by_members(ENSEMBLES, SIZES, title="Two models", scale="demo world"),
    "gap_by_weight": lambda: figures.gap_by_weight(GAPS, selected=(0.1, 0.75), baseline=0.8, scale="demo world"),
    "attention": lambda: figures.attention([0.2, 0.8], title="Attention", scale="demo world", main_scene=[(1, 2)]),
    "frame_overview": lambda: frame_overview(),
    "frame_similarity": lambda: figures.frame_similarity(SIMILARITY, title="Video", scale="demo world"),
    "attention_comparison": lambda: figures.attention_comparison(
        [0.2, 0.8], [0.5, 0.5], title="Weights", scale="demo world", name="α = 0"
    ),
    "partial_predictions": lambda: figures.partial_predictions(
        PREDICTIONS.assign(few=[0.2, 0.8, 0.3]),
        {"score": "whole video", "few": "2 s"},
        title="Parts",
        scale="demo world",
    ),
    "window_occlusion": lambda: figures.window_occlusion(
        [0, 5],
        [5, 7],
        [0.1, -0.2],
        title="Occlusion",
        scale="demo world",
        main_scene=[(1, 3)],
        random_range=(-0.05, 0.02),
    ),
    "attention_excess": lambda: figures.attention_excess(
        pd.DataFrame({"cluster_excess": [-0.1, 0.3, 0.1], "main_excess": [0.2, 0.4, np.nan]}), scale="demo world"
    ),
    "predictions": lambda: figures.predictions(PREDICTIONS, title="Video", scale="demo world"),
    "learning_curve": lambda: figures.learning_curve(LOG, scale="demo world"),
    "update_ratio": lambda: figures.update_ratio(RATIOS, scale="demo world"),
    "differences": lambda: figures.differences(DIFFERENCES, title="Pooling", scale="demo world"),
    "gain_by_setting": lambda: figures.gain_by_setting(GAINS, scale="demo world"),
    "reliability_diagram": lambda: figures.reliability_diagram(BINS, scale="demo world"),
    "gap_intervals": lambda: figures.gap_intervals(RUNS, scale="demo world"),
    "second_contributions": lambda: figures.second_contributions(
        [0.2, -0.1, 0.4], title="Car", scale="demo world", main_scene=[(0, 1), (2, 3)]
    ),
    "experts": lambda: figures.experts(
        EXPERTS.assign(contribution=EXPERTS["gate"] * EXPERTS["probability"]), title="Car", scale="demo world"
    ),
    "label_contributions": lambda: figures.label_contributions(
        LABELS_ADDED, title="Car", scale="demo world", unit="probability"
    ),
    "run_comparison": lambda: figures.run_comparison(COMPARISON, ["a", "b"], title="Video", scale="demo world"),
    "video_map_by_outcome": lambda: figures.video_map_by_outcome(
        MAPPED_VIDEOS, label="Car", method="PCA", explained=(0.2, 0.1), scale="demo world"
    ),
    "video_map_by_precision": lambda: figures.video_map_by_precision(
        MAPPED_VIDEOS, method="UMAP", explained=None, scale="demo world"
    ),
    "threshold_curve": lambda: figures.threshold_curve(CURVE, 0.3, title="All labels", scale="demo world"),
    "segment_scores": lambda: figures.segment_scores(
        SEGMENTS, title="Car", scale="demo world", whole=0.5, ratings=[(0, False), (5, True)], main_scene=[(4, 8)]
    ),
}


def subtitle(figure: go.Figure) -> str:
    return str(figure.layout.title.subtitle.text)


def test_each_public_figure_has_an_example() -> None:
    drawn = {name for name in figures.__all__ if callable(getattr(figures, name))}
    assert drawn == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_figure_names_its_axes_its_title_and_its_scale(name: str) -> None:
    figure = EXAMPLES[name]()
    assert figure.layout.title.text
    assert subtitle(figure).startswith("demo world")
    axis_titles = [axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes())]
    # Of stacked subplots, only the lowest names the shared axis.
    shared = {"learning_curve": 1, "frame_overview": 1, "correlation_readings": 1, "segment_scores": 1}.get(name, 0)
    assert sum(not text for text in axis_titles) == shared


@pytest.mark.parametrize("name", EXAMPLES)
def test_hover_texts_are_right_for_a_count_of_1_and_for_values_that_round_to_0(name: str) -> None:
    for trace in EXAMPLES[name]().data:
        assert not re.search(r"%\{[^}]*\} (videos|labels|pairs|positives|frames)", trace.hovertemplate or "")
        assert not re.search(r"%\{[^}]*:\+\.\df\}", trace.hovertemplate or "")  # would show "−0.0000"


def test_subtitle_has_no_sign_before_a_value_that_rounds_to_0() -> None:
    table = pd.DataFrame({"cluster_excess": [-1e-5], "main_excess": [np.nan]})
    assert subtitle(figures.attention_excess(table, scale="s")) == "s · 1 video · mean of the largest cluster 0.000"


def test_long_titles_and_subtitles_wrap_and_make_room() -> None:
    figure = go.Figure()
    style.style(figure, "Observed and expected pairs, smoke-indirect-clustering-moe", "demo world", "b" * 70, "c")
    assert figure.layout.title.text == "Observed and expected pairs,<br>smoke-indirect-clustering-moe"
    assert subtitle(figure) == "demo world<br>" + "b" * 70 + " · c"
    assert figure.layout.margin.t == 55 + 2 * 20 + 2 * 15
    # A phone shows 354 pixels of the title, and a bold character of 16 pixels takes 9 on average.
    style.style(figure, "Contribution of each second to Transportation in video TAaa")
    assert max(len(line) for line in figure.layout.title.text.split("<br>")) * 9 <= 354


@pytest.mark.parametrize("name", EXAMPLES)
def test_toolbar_title_subtitle_and_plot_do_not_overlap(name: str) -> None:
    """Heights in pixels of the toolbar and of lines of text, as measured in the app."""
    figure = EXAMPLES[name]()
    style.add_provenance(figure, f"run {'a' * 40} · data {'b' * 40} · 1,000 videos · demo world")
    title = figure.layout.title
    assert (title.y, title.yref, title.yanchor) == (1, "container", "top")
    title_lines = title.text.count("<br>") + 1
    top = title.pad.t - 4 - 11 * (title_lines - 1)
    assert top >= 28  # the toolbar
    text = top + 20 * title_lines + 7 + 14.3 * (subtitle(figure).count("<br>") + 1)
    tick = 9  # half of the label of the highest tick
    color_bars = [trace.colorbar for trace in figure.data if trace.type == "heatmap"]
    color_bars += [trace.marker.colorbar for trace in figure.data if trace.type == "scatter" and trace.marker.showscale]
    is_above = any(bar.orientation == "h" and bar.y > 0.99 for bar in color_bars)
    assert text + max(tick, 47 * is_above) + 3 <= figure.layout.margin.t
    assert is_above == (name in ("correlation_overview", "frame_similarity"))
    assert all(bar.y is None or bar.y < 1 for bar in color_bars)  # at 1, plotly moves the title onto the toolbar


def app_heights() -> dict[str, int]:
    """Return the least height that the app gives to each figure that it draws with another height."""
    heights: dict[str, int] = {}
    for path in (Path(__file__).parents[2] / "app").rglob("*.py"):
        tree = ast.parse(path.read_text())
        names = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args):
            figure, options = call.args[0], {option.arg: option.value for option in call.keywords}
            if not (isinstance(figure, ast.Call) and ast.unparse(figure.func).startswith("figures.")):
                continue
            if (height := options.get("height")) is not None:
                pixels = names[height.id] if isinstance(height, ast.Name) else ast.literal_eval(height)
                name = ast.unparse(figure.func).removeprefix("figures.")
                heights[name] = min(pixels, heights.get(name, pixels))
    return heights


def test_heights_of_the_app_are_found() -> None:
    heights = app_heights()
    assert set(heights) <= set(EXAMPLES)
    assert {"threshold_curve", "window_occlusion", "gain_by_band"} <= set(heights)


@pytest.mark.parametrize("name", EXAMPLES)
def test_titles_of_y_axes_fit_the_plot(name: str) -> None:
    figure = EXAMPLES[name]()
    height = app_heights().get(name, figure.layout.height or 450)
    bottom = 80 if figure.layout.margin.b is None else figure.layout.margin.b  # plotly's default
    plot = height - figure.layout.margin.t - bottom
    for axis in figure.select_yaxes():
        low, high = axis.domain or (0, 1)
        text = re.sub("<[^>]+>", "", axis.title.text or "")
        assert 7 * len(text) <= plot * (high - low), text


@pytest.mark.parametrize(
    ("draw", "table"), [(figures.precision_by_run, LABELS), (figures.video_precision_by_run, VIDEOS)]
)
def test_long_names_of_runs_are_short_on_the_axes(draw: Callable[..., go.Figure], table: pd.DataFrame) -> None:
    layout = draw(table, runs=("a" * 40, "a" * 40 + "b"), scale="s").layout
    assert (layout.xaxis.title.text, layout.yaxis.title.text) == (f"AP of {'a' * 23}…", f"AP of {'a' * 22}…2")


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_note_of_a_subtitle_has_the_separator(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be torn apart where provenance is added."""
    notes: list[str] = []
    join = style._subtitle_lines
    monkeypatch.setattr(style, "_subtitle_lines", lambda added: notes.extend(added) or join(added))
    EXAMPLES[name]()
    assert "demo world" in notes
    assert [note for note in notes if " · " in note] == []


PROVENANCE = "run a<b · data demo/validation · 1 video · demo world"


@pytest.mark.parametrize("name", EXAMPLES)
def test_provenance_starts_the_subtitle_once_and_takes_no_space_from_the_plot(name: str) -> None:
    figure, before = EXAMPLES[name](), EXAMPLES[name]()
    style.add_provenance(figure, PROVENANCE)
    style.add_provenance(figure, PROVENANCE)
    text = subtitle(figure)
    assert text.startswith(PROVENANCE.replace("<", "&lt;"))
    assert text.replace("<br>", " · ").split(" · ").count("demo world") == 1
    shown = subtitle(before).removeprefix("demo world").replace("<br>", " · ")
    assert text.replace("<br>", " · ").endswith(shown)
    lines = text.count("<br>") - subtitle(before).count("<br>")
    assert figure.layout.margin.t == before.layout.margin.t + 15 * lines
    assert figure.layout.height == (before.layout.height or 450) + 15 * lines


@pytest.mark.parametrize("name", EXAMPLES)
def test_font_is_set_for_all_text(name: str) -> None:
    figure = EXAMPLES[name]()
    style.set_font(figure, "Arial", "#123456")
    axes = (*figure.select_xaxes(), *figure.select_yaxes())
    assert {figure.layout.font.color, *(a.tickfont.color for a in axes), *(a.title.font.color for a in axes)} == {
        "#123456"
    }
    assert figure.layout.font.family == figure.layout.title.font.family == "Arial"


@pytest.mark.parametrize("name", EXAMPLES)
def test_figure_has_dark_text_on_white_which_a_page_can_override(name: str) -> None:
    layout = EXAMPLES[name]().layout
    template = layout.template.layout
    assert (template.font.color, template.paper_bgcolor, template.plot_bgcolor) == (style.TEXT, "white", "white")
    assert layout.font.color is layout.paper_bgcolor is layout.plot_bgcolor is None


def test_axis_names_are_short_distinct_and_escaped() -> None:
    names = ["<b>", "a" * 24, "a" * 25, "a" * 30 + "b", "a" * 30 + "c", "a" * 25]
    texts = style.axis_names(names)
    assert texts == ["&lt;b&gt;", "a" * 24, "a" * 23 + "…", "a" * 22 + "…2", "a" * 22 + "…3", "a" * 23 + "…"]
    assert style.axis_names(["a" * 22 + "…2", *names[2:5]]) == [
        "a" * 22 + "…2", "a" * 23 + "…", "a" * 22 + "…3", "a" * 22 + "…4"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["label_contributions", "run_comparison", "predictions", "partial_predictions"])
def test_long_names_are_short_on_the_axis_and_whole_on_hover(name: str) -> None:
    long = {"name": ["Massively multiplayer online role-playing game"] * 2}
    figure = {
        "label_contributions": lambda: figures.label_contributions(
            LABELS_ADDED.assign(**long), title="t", scale="s", unit="probability"
        ),
        "run_comparison": lambda: figures.run_comparison(COMPARISON.assign(**long), ["a", "b"], title="t", scale="s"),
        "predictions": lambda: figures.predictions(PREDICTIONS[:2].assign(**long), title="t", scale="s"),
        "partial_predictions": lambda: figures.partial_predictions(
            PREDICTIONS[:2].assign(**long, all=0.5), {"all": "all"}, title="t", scale="s"
        ),
    }[name]()
    assert {text.removeprefix("✓ ") for text in figure.layout.yaxis.ticktext} == {"Massively multiplayer o…"}
    assert figure.data[0].customdata[0][0] == long["name"][0]


def test_matrix_names_are_short_on_the_axes_and_whole_on_hover() -> None:
    names = ["Massively multiplayer online game", "Massively multiplayer online role-playing game"]
    figure = figures.correlation(np.eye(2), names, "phi", scale="s")
    assert figure.layout.xaxis.ticktext == figure.layout.yaxis.ticktext == (
        "Massively multiplayer o…", "Massively multiplayer…2"
    )  # fmt: skip
    assert figure.data[1].text[1].startswith(f"{names[0]} → {names[1]}")


@pytest.mark.parametrize("color", [style.BLUE, style.ORANGE, style.GREEN, style.GRAY, style.MAGENTA])
def test_colors_have_a_contrast_of_3_on_white_and_on_the_dark_page(color: str) -> None:
    for page in ("#ffffff", "#171614"):  # backgrounds of Streamlit's themes
        light, dark = sorted((luminance(color), luminance(page)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3


def luminance(color: str) -> float:
    """Return the relative luminance of WCAG 2.1, https://www.w3.org/TR/WCAG21/#dfn-relative-luminance."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    "name",
    sorted(
        set(EXAMPLES)
        - {"correlation", "correlation_overview", "correlation_readings", "frame_overview", "frame_similarity"}
        - {"gap_intervals", "precision_by_label"}
    ),
)
def test_traces_differ_by_more_than_color(name: str) -> None:
    figure = EXAMPLES[name]()
    looks = [
        trace.marker.pattern.shape if trace.type in ("bar", "histogram") else (trace.marker.symbol, trace.line.dash)
        for trace in figure.data
    ]
    assert len(looks) > 1
    assert len(set(looks)) == len(looks)


def test_rank_frequency_draws_each_label_with_videos_once() -> None:
    figure = EXAMPLES["rank_frequency"]()
    points = [
        (rank, count, *custom)
        for trace in figure.data
        for rank, count, custom in zip(trace.x, trace.y, trace.customdata, strict=True)
    ]
    assert [point[:5] for point in sorted(points)] == [
        (1, 90, "name 0", "topic 0", 0),
        (2, 40, "name 2", "topic 0", 2),
        (3, 5, "name 1", "topic 1", 1),
        (4, 3, "name 4", "topic 0", 4),
        (5, 1, "name 5", "topic 1", 5),
    ]
    assert [trace.name for trace in figure.data] == ["head (1 label)", "mid (1 label)", "tail (3 labels)"]
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert "2 labels without a video not drawn" in subtitle(figure)


def points(figure: go.Figure) -> list[tuple[int, float, float]]:
    """Return the labels drawn as points: label, x, y."""
    return sorted(
        (custom[2], x, y)
        for trace in figure.data
        if trace.customdata is not None
        for x, y, custom in zip(trace.x, trace.y, trace.customdata, strict=True)
    )


def test_cumulative_share_reaches_1_and_marks_the_bands() -> None:
    figure = EXAMPLES["cumulative_share"]()
    total = sum(COUNTS)
    shares = {0: (1, 90), 1: (3, 135), 2: (2, 130), 4: (4, 138), 5: (5, 139)}
    assert points(figure) == [(label, rank, pairs / total) for label, (rank, pairs) in shares.items()]
    assert [line.y0 for line in figure.layout.shapes] == [0.5, 0.9]
    assert [note.text for note in figure.layout.annotations] == ["head: 50%", "head and mid: 90%"]


def test_labels_with_few_positives_are_faint_and_bands_have_own_symbols() -> None:
    figure = EXAMPLES["precision_by_label"]()
    assert points(figure) == [(0, 90, 0.9), (1, 5, 0.5), (2, 40, 0.8), (4, 3, 0.25), (5, 1, 1.0)]
    dots = [trace for trace in figure.data if trace.customdata is not None]
    for trace in dots:
        faint = trace.marker.opacity == 0.25
        assert all((positives < 5) == faint for *_, positives in trace.customdata)
    assert [trace.name for trace in dots if trace.showlegend] == ["head (1 label)", "mid (1 label)", "tail (3 labels)"]
    assert len({trace.marker.symbol for trace in dots}) == len({trace.marker.color for trace in dots}) == 3
    (line,) = (trace for trace in figure.data if trace.name == "median at similar frequency")
    assert line.y.tolist() == [1.0, 0.25, 0.5, 0.8, 0.9]
    assert line.text[0].startswith("<b>1 label with 1 video</b>")
    assert "small and faint: 2 with fewer than 5 videos" in subtitle(figure)


@pytest.mark.parametrize(
    ("highlight", "strong"), [("topic 1", {1}), ("name 2", {2}), ("name 5", set()), (None, {0, 1, 2})]
)
def test_all_but_the_highlighted_labels_are_faint(highlight: str | None, strong: set[int]) -> None:
    figure = figures.precision_by_label(
        LABELS, precision_by_frequency(LABELS), minimum=5, scale="demo world", highlight=highlight
    )
    drawn = {trace.marker.opacity: set() for trace in figure.data if trace.customdata is not None}
    for trace in figure.data:
        if trace.customdata is not None:
            drawn[trace.marker.opacity] |= {label for _, _, label, _ in trace.customdata}
    assert drawn.get(1, set()) == strong
    assert drawn[0.25] == {0, 1, 2, 4, 5} - strong
    assert (f"highlighted: {highlight}" in subtitle(figure)) == (highlight is not None)


@pytest.mark.parametrize(
    ("name", "label", "place"),
    [
        ("precision_by_label", 1, (5, 0.5)),
        ("gain_by_label", 4, (3, 0.25)),
        ("precision_by_run", 4, (0.25, 0.5)),
        ("noise_strength", 6, (7, 2.0)),
    ],
)
def test_ring_marks_the_selected_label(name: str, label: int, place: tuple[float, float]) -> None:
    (ring,) = (trace for trace in EXAMPLES[name]().data if str(trace.name).startswith("selected"))
    assert (ring.name, ring.x[0], ring.y[0]) == (f"selected: name {label}", *place)
    assert ring.customdata is None  # not clickable


@pytest.mark.parametrize("selected", [3, 99, None])
def test_no_ring_if_the_label_is_not_drawn(selected: int | None) -> None:
    figure = figures.rank_frequency(rank_frequency(COUNTS, VOCABULARY), scale="demo world", selected=selected)
    assert not [trace for trace in figure.data if str(trace.name).startswith("selected")]


def test_gain_by_label_has_one_trace_per_band() -> None:
    figure = EXAMPLES["gain_by_label"]()
    assert points(figure) == [(0, 90, pytest.approx(-0.1)), (1, 5, 0.25), (2, 40, 0), (4, 3, 0.25), (5, 1, -1)]
    assert [trace.name for trace in figure.data[:3]] == ["head (1 label)", "mid (1 label)", "tail (3 labels)"]
    assert "above 0: b is better · below 0: a is better" in subtitle(figure)


def test_gain_by_band_fills_markers_of_significant_differences() -> None:
    significant, open_ = EXAMPLES["gain_by_band"]().data
    assert ([row[0] for row in significant.customdata], significant.marker.symbol) == (["head"], "circle")
    assert ([row[0] for row in open_.customdata], open_.marker.symbol) == (["mid", "tail"], "circle-open")
    np.testing.assert_allclose(open_.x - open_.error_x.arrayminus, [-0.1, -0.1])
    assert open_.error_x.array.tolist() == pytest.approx([0.2, 0])  # one label has no interval


def test_precision_by_run_has_the_ap_of_each_run_on_its_axis() -> None:
    figure = EXAMPLES["precision_by_run"]()
    assert points(figure) == [(0, 0.9, 0.8), (1, 0.5, 0.75), (2, 0.8, 0.8), (4, 0.25, 0.5), (5, 1.0, 0.0)]
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("AP of a", "AP of b")
    assert "above the diagonal, b better: 2 · below, a better: 2" in subtitle(figure)
    assert [trace.type for trace in figure.data if trace.customdata is not None] == ["scattergl"] * 3
    assert figure.data[0].x == figure.data[0].y == (0, 1)


def test_videos_are_drawn_by_the_sign_of_their_difference() -> None:
    figure = EXAMPLES["video_precision_by_run"]()
    drawn = {trace.name: trace.customdata.tolist() for trace in figure.data if trace.customdata is not None}
    assert drawn == {
        "b better (2 videos)": [["v0", 0, 2, 0, 1, 0.25], ["v4", 4, 1, 0, 0, 0.5]],
        "a better (1 video)": [["&lt;b&gt;%&#123;x}&lt;/b&gt;", 1, 3, 2, 0, -0.125]],
        "equal (1 video)": [["v2", 2, 1, 0, 0, 0.0]],
    }
    assert "above the diagonal, b better: 2 · below, a better: 1" in subtitle(figure)
    nasty = figures.video_precision_by_run(VIDEOS, runs=("<i>", "%{x}"), scale="s")
    assert nasty.layout.xaxis.title.text == "AP of &lt;i&gt;"
    assert nasty.data[1].name.startswith("%&#123;x} better")
    empty = figures.video_precision_by_run(VIDEOS[:0], runs=("a", "b"), scale="s")
    assert [trace.name for trace in empty.data] == ["equal AP"]


@pytest.mark.parametrize("draw", [figures.gain_by_label, figures.precision_by_run])
def test_name_of_the_selected_label_is_escaped_once(draw: Callable[..., go.Figure]) -> None:
    figure = draw(LABELS.assign(name="R&B"), runs=("a", "b"), scale="s", selected=4)
    (ring,) = (trace for trace in figure.data if str(trace.name).startswith("selected"))
    assert ring.name == "selected: R&amp;B"


@pytest.mark.parametrize(
    ("draw", "table"),
    [
        (figures.gain_by_label, LABELS),
        (figures.gain_by_band, BANDS),
        (figures.precision_by_run, LABELS),
        (figures.video_precision_by_run, VIDEOS),
    ],
)
def test_names_of_runs_are_escaped_once(draw: Callable[..., go.Figure], table: pd.DataFrame) -> None:
    subtitle = draw(table, runs=("a", "<b>"), scale="s").layout.title.subtitle.text
    assert "&lt;b&gt; " in subtitle
    assert "<b>" not in subtitle


def test_reliability_of_one_label_has_its_name() -> None:
    figure = figures.reliability_diagram(BINS[:1].assign(band="<b>Car"), scale="s")
    assert [trace.name for trace in figure.data] == ["&lt;b&gt;Car, before", "calibrated"]
    assert figure.data[0].hovertemplate.startswith("<b>&lt;b&gt;Car, before</b>")


def test_noise_strength_is_drawn_as_the_norm() -> None:
    alone, together = EXAMPLES["noise_strength"]().data[:2]
    assert alone.y.tolist() == [2 / max(1, count) for count in sorted(COUNTS, reverse=True)]
    assert together.y.tolist() == [0.04, 0.06, 0.5, 0.8, 2.0]
    assert [row[3] for row in together.customdata] == [0.02, 0.03, 0.25, 0.4, 1.0]


def test_rank_frequency_has_no_note_without_unseen_labels() -> None:
    figure = figures.rank_frequency(rank_frequency([3, 1], VOCABULARY[:2]), scale="demo world")
    assert subtitle(figure) == "demo world"


def test_correlation_cells_give_row_and_column_on_click() -> None:
    heatmap, cells = EXAMPLES["correlation"]().data
    np.testing.assert_array_equal(heatmap.z, MATRIX)
    for row in range(3):
        for column in range(3):
            index = row * 3 + column
            assert (cells.y[index], cells.x[index]) == (row, column)
            assert cells.customdata[index].tolist() == [row, column]
            assert cells.text[index] == f"{'abc'[row]} → {'abc'[column]}<br>phi {MATRIX[row, column]:.4g}"
    assert cells.type == "scatter"
    assert cells.marker.color == "rgba(0,0,0,0)"


def test_correlation_has_the_first_row_on_top() -> None:
    figure = EXAMPLES["correlation"]()
    assert list(figure.layout.yaxis.ticktext) == list(figure.layout.xaxis.ticktext) == ["a", "b", "c"]
    assert list(figure.layout.yaxis.tickvals) == [0, 1, 2]
    low, high = figure.layout.yaxis.range
    assert low > high


def test_correlation_color_scale_excludes_the_diagonal() -> None:
    phi = EXAMPLES["correlation"]().data[0]
    assert (phi.zmin, phi.zmax) == (-0.5, 0.5)
    count = figures.correlation([[900, 3], [3, 20]], ["a", "b"], "count", scale="x").data[0]
    assert (count.zmin, count.zmax) == (0, 3)
    single = figures.correlation([[5.0]], ["a"], "count", scale="x").data[0]
    assert single.zmin < single.zmax


@pytest.mark.parametrize(
    ("shape", "names", "message"),
    [((101, 101), 101, "101 labels; expected 1 to 100"), ((0, 0), 0, "0 labels"), ((2, 3), 2, r"expected \[2, 2\]")],
)
def test_correlation_rejects_mismatched_shapes_and_too_many_labels(
    shape: tuple[int, int], names: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        figures.correlation(np.zeros(shape), ["a"] * names, "count", scale="x")


def test_correlation_uses_a_diverging_scale_for_negative_values() -> None:
    change = figures.correlation([[0, -0.2], [0.1, 0]], ["a", "b"], "M_c, change", scale="x").data[0]
    assert (change.zmin, change.zmax) == (-0.2, 0.2)


def decoded(figure: go.Figure) -> np.ndarray:
    """Decode the image of an overview [H, W, RGBA]."""
    content = base64.b64decode(figure.data[0].source.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGBA"))


def test_overview_color_shows_the_sign_and_opacity_the_magnitude() -> None:
    figure = EXAMPLES["correlation_overview"]()
    pixels = decoded(figure)
    assert pixels.shape == (3, 3, 4)
    assert (pixels[..., 3] > 0).tolist() == (CELLS != 0).tolist()
    assert pixels[0, 1, :3].tolist() == pixels[1, 0, :3].tolist() == [0x3D, 0x8F, 0xD1]
    assert pixels[2, 1].tolist() == [0xC4, 0x7F, 0x00, 255]
    assert 0 < pixels[1, 0, 3] < pixels[0, 1, 3] < 255
    image = figure.data[0]
    assert (image.x0, image.dx, image.y0, image.dy) == (0.5, 2, 0.5, 2)  # cells of labels 0 and 1, 2 and 3, 4
    assert "2 × 2 labels" in subtitle(figure)


def test_overview_frames_clusters_and_names_them_on_click() -> None:
    _, frames, clusters, _ = EXAMPLES["correlation_overview"]().data
    assert frames.x[:5].tolist() == [-0.5, 2.5, 2.5, -0.5, -0.5]
    assert frames.y[6:11].tolist() == [2.5, 2.5, 4.5, 4.5, 2.5]
    assert clusters.customdata.tolist() == [[7, "Car", 3], [5, "Dog", 2]]
    assert clusters.x.tolist() == clusters.y.tolist() == [1, 3.5]
    figure = EXAMPLES["correlation_overview"]()
    assert list(figure.layout.xaxis.ticktext) == list(figure.layout.yaxis.ticktext) == ["Car", "Dog"]
    assert figure.layout.yaxis.range == (4.5, -0.5)


def test_overview_frames_and_names_only_large_spaced_clusters() -> None:
    many = pd.DataFrame({"first": range(0, 900, 2), "size": 2, "label": range(450), "name": "x"})
    many.loc[0, "size"] = 90
    figure = figures.correlation_overview(np.eye(3), "phi", many, num_labels=900, per_cell=300, scale="x")
    assert len(figure.data[2].x) == 1
    places = sorted(figure.layout.xaxis.tickvals)
    assert 1 < len(places) <= 14
    assert min(np.diff(places)) >= 900 / 40


@pytest.mark.parametrize(("measure", "low", "high"), [("count", 0, 3), ("lift", -math.log2(1000), math.log2(1000))])
def test_overview_uses_a_log_scale_for_counts_and_lifts(measure: str, low: float, high: float) -> None:
    cells = [[0, 1000.0], [1.0 if measure == "count" else 0.5, 0]]
    figure = figures.correlation_overview(cells, measure, CLUSTERS[:0], num_labels=2, per_cell=1, scale="x")
    assert "log" in figure.data[3].marker.colorbar.title.text
    assert (figure.data[3].marker.cmin, figure.data[3].marker.cmax) == (pytest.approx(low), pytest.approx(high))
    assert (decoded(figure)[..., 3] > 0).tolist() == [[False, True], [True, False]]  # a count of 1 is visible


def test_overview_of_an_empty_matrix_is_transparent() -> None:
    figure = figures.correlation_overview(np.zeros((2, 2)), "count", CLUSTERS[:0], num_labels=2, per_cell=1, scale="x")
    assert not decoded(figure)[..., 3].any()


def test_expected_vs_observed_clips_zero_counts_to_the_axis_limits() -> None:
    figure = EXAMPLES["expected_vs_observed"]()
    line, *kinds = figure.data
    assert line.x == line.y
    points = {trace.name: (trace.x.tolist(), trace.y.tolist(), trace.customdata[0][:2].tolist()) for trace in kinds}
    assert points == {
        "underestimated": ([100], [20], [1, 4]),
        "overestimated": ([0.5], [30], [2, 5]),
        "within 3 standard deviations": ([9], [0.01], [3, 6]),
    }
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert "1 pair with 0 observed drawn at 0.5" in subtitle(figure)
    assert "1 pair with fewer than 0.01 expected" in subtitle(figure)


def test_gap_by_weight_marks_the_selected_weights() -> None:
    figure = EXAMPLES["gap_by_weight"]()
    curve, selected = figure.data
    assert (list(curve.x), list(curve.y)) == ([0.0, 0.1], [0.8, 0.7])
    assert (list(selected.x), list(selected.y)) == ([0.1], [0.75])
    assert [shape.y0 for shape in figure.layout.shapes] == [0.8]


def test_correlation_takes_a_hundred_labels() -> None:
    figure = figures.correlation(np.eye(100), [str(i) for i in range(100)], "jaccard", scale="x")
    assert len(figure.data[1].x) == 10_000


def test_attention_draws_the_weights_and_the_uniform_line() -> None:
    weights = np.array([0.1, 0.2, 0.3, 0.4])
    figure = figures.attention(weights, title="Attention of a", scale="demo world")
    curve, uniform = figure.data
    assert curve.x.tolist() == [0, 1, 2, 3]
    assert curve.y.tolist() == weights.tolist()
    assert list(uniform.y) == [0.25, 0.25]
    assert "0.2500" in uniform.name
    assert "(s)" in figure.layout.xaxis.title.text
    effective = math.exp(-sum(p * math.log(p) for p in weights))
    assert subtitle(figure) == f"demo world · weights sum to 1 · {effective:.1f} effective frames of 4"
    assert len(figure.layout.shapes) == 0


def test_attention_shades_the_main_scene_and_gives_its_weight() -> None:
    figure = figures.attention([0.1, 0.2, 0.3, 0.4], title="a", scale="x", main_scene=[(0, 1), (2, 4)])
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(-0.5, 0.5), (1.5, 3.5)]
    assert [note.text for note in figure.layout.annotations] == ["main", "main"]
    assert [shape.showlegend for shape in figure.layout.shapes] == [True, False]
    assert subtitle(figure).endswith("80% of the weight on the main scene (75% of the time)")


@pytest.mark.parametrize(("weights", "effective"), [([1.0, 0.0, 0.0], "1.0"), ([1 / 3] * 3, "3.0"), ([1.0], "1.0")])
def test_attention_counts_effective_frames(weights: list[float], effective: str) -> None:
    figure = figures.attention(weights, title="a", scale="x")
    assert f"{effective} effective frames of {len(weights)}" in subtitle(figure)


@pytest.mark.parametrize("weights", [[], [0.5, 0.6], [-0.5, 1.5], [np.nan, 1.0], [[1.0]]])
def test_attention_rejects_weights_that_are_not_a_distribution(weights: list[float]) -> None:
    with pytest.raises(UserError, match="sum to 1"):
        figures.attention(weights, title="a", scale="x")


def test_predictions_are_ranked_and_mark_true_labels() -> None:
    figure = EXAMPLES["predictions"]()
    true, other = figure.data
    assert (true.name, other.name) == ("true label", "not a true label")
    assert (true.x.tolist(), true.y.tolist(), list(true.text)) == ([0.3, 0.1], [2, 3], ["✓ 0.300", "✓ 0.100"])
    assert (other.x.tolist(), other.y.tolist(), list(other.text)) == ([0.9], [1], ["0.900"])
    assert list(figure.layout.yaxis.ticktext) == ["Dog", "✓ Car", "✓ Game"]
    assert [name for (name,) in true.customdata] == ["Car", "Game"]
    low, high = figure.layout.yaxis.range
    assert low > high  # most probable on top
    assert "2 true labels in the top 3" in subtitle(figure)


def test_learning_curve_of_one_epoch_has_the_whole_axis_of_gap() -> None:
    log = pd.DataFrame({"examples": [128, 256, 256], "loss": [9.0, 7.0, None], "gap": [None, None, 0.5]})
    assert figures.learning_curve(log, scale="s").layout.yaxis2.range == (0, 1)
    assert figures.learning_curve(pd.concat([log, log]), scale="s").layout.yaxis2.range is None


def test_learning_curve_draws_loss_and_gap() -> None:
    loss, gap = EXAMPLES["learning_curve"]().data
    assert (loss.x.tolist(), loss.y.tolist()) == ([128, 256, 384, 512], [9.0, 8.0, 7.0, 6.5])
    assert (gap.x.tolist(), gap.y.tolist()) == ([256, 512], [0.4, 0.5])
    assert (loss.yaxis, gap.yaxis) == ("y", "y2")


def test_update_ratio_draws_each_slot_that_has_values_and_a_line_at_1() -> None:
    figure = EXAMPLES["update_ratio"]()
    drawn = {trace.name: (trace.x.tolist(), trace.y.tolist()) for trace in figure.data}
    assert drawn == {
        "pooling": ([128, 256, 384, 512], [2.0, 0.5, 0.1, 0.05]),
        "label processing": ([256, 384, 512], [0.01, 0.02, 0.03]),
    }
    assert figure.layout.yaxis.type == "log"
    assert [line.y0 for line in figure.layout.shapes] == [1]
    assert not figures.update_ratio(LOG, scale="demo world").data


def test_gap_by_members_draws_all_sets_and_names_their_members() -> None:
    sets, best, strongest = EXAMPLES["gap_by_members"]().data
    assert (sets.x.tolist(), sets.y.tolist()) == ([1, 1, 2], [0.7, 0.6, 0.65])
    assert list(sets.customdata) == ["&lt;b&gt;", "lstm", "&lt;b&gt;<br>lstm"]
    assert (best.x.tolist(), best.y.tolist()) == ([1, 2], [0.7, 0.65])
    assert strongest.y.tolist() == [0.7, 0.65]
    assert strongest.customdata.tolist() == [[1, 2], [1, 1]]


def test_gap_intervals_range_from_low_to_high() -> None:
    figure = EXAMPLES["gap_intervals"]()
    (dots,) = figure.data
    assert dots.x.tolist() == [0.5, 0.6]
    np.testing.assert_allclose(dots.x + dots.error_x.array, [0.57, 0.63])
    np.testing.assert_allclose(dots.x - dots.error_x.arrayminus, [0.45, 0.58])
    assert list(figure.layout.yaxis.ticktext) == ["lstm", "moe"]
    assert dots.y.tolist() == [0, 1]
    assert "95% bootstrap CI" in subtitle(figure)


def test_predictions_mark_no_errors_if_true_labels_are_unknown() -> None:
    table = pd.DataFrame({"name": ["Dog", "Car"], "score": [0.2, 0.9], "true": pd.array([pd.NA, pd.NA], "boolean")})
    figure = figures.predictions(table, title="Video", scale="demo world")
    (bars,) = figure.data
    assert (bars.name, list(bars.x)) == ("predicted", [0.9, 0.2])
    assert "true labels unknown" in figure.layout.title.subtitle.text
    assert list(figure.layout.yaxis.ticktext) == ["Car", "Dog"]


def test_differences_are_classified_by_their_intervals_without_the_baseline() -> None:
    figure = EXAMPLES["differences"]()
    assert {trace.name: [row for row, *_ in trace.customdata] for trace in figure.data} == {
        "better": ["LSTM-M"],
        "worse": ["CNN"],
        "no significant difference": ["Mean"],
    }
    for trace in figure.data:
        ((_, _, low, high),) = trace.customdata
        np.testing.assert_allclose(trace.x + trace.error_x.array, [high])
        np.testing.assert_allclose(trace.x - trace.error_x.arrayminus, [low])
    assert [(line.x0, line.x1) for line in figure.layout.shapes] == [(0, 0)]
    assert list(figure.layout.yaxis.ticktext) == ["LSTM-M", "CNN", "Mean"]


def test_differences_name_the_reference_if_rows_have_different_ones() -> None:
    table = DIFFERENCES.assign(reference=["LSTM", "LSTM", "LSTM", "Sum"])
    figure = figures.differences(table, title="Pooling", scale="demo world")
    assert figure.layout.yaxis.ticktext[2] == "Mean<br>− Sum"


def test_intervals_of_one_seed_are_over_videos_only() -> None:
    for draw, table in ((figures.differences, DIFFERENCES), (figures.gain_by_setting, GAINS)):
        titled = {"title": "Pooling"} if draw is figures.differences else {}
        for seeds, over in ((3, "over videos and seeds"), (1, "over videos only, one seed")):
            assert over in subtitle(draw(table.assign(seeds=seeds), scale="demo world", **titled))


def test_gain_by_setting_is_sorted_and_has_a_line_at_zero() -> None:
    band, line = EXAMPLES["gain_by_setting"]().data
    assert (list(line.x), list(line.y)) == ([0.0, 0.5], [0.1, 0.2])
    assert list(zip(band.x, band.y, strict=True)) == [(0.0, 0.2), (0.5, 0.3), (0.5, 0.1), (0.0, 0.0)]
    assert [(shape.y0, shape.y1) for shape in EXAMPLES["gain_by_setting"]().layout.shapes] == [(0, 0)]


def test_frame_overview_has_a_lane_and_a_symbol_per_cluster() -> None:
    figure = frame_overview()
    weights, _, largest, other = figure.data
    assert (list(weights.y), list(weights.customdata)) == ([0.2, 0.5, 0.3], [0, 1, 2])
    assert "markers" in weights.mode  # a line alone cannot be clicked
    assert (list(largest.x), list(largest.y), largest.name) == ([0, 2], [1, 1], "cluster 1, the largest (2 s)")
    assert (list(other.x), list(other.y), other.name) == ([1], [2], "cluster 2 (1 s)")
    assert largest.marker.symbol != other.marker.symbol
    assert [axis.range for axis in figure.select_xaxes()] == [(-0.5, 2.5)] * 2
    assert "50% of the weight on the main scene (33% of the time)" in subtitle(figure).replace("<br>", " ")
    with pytest.raises(UserError, match="clusters of 2 frames"):
        frame_overview((0, 1))


def test_frame_overview_with_more_clusters_than_colors_has_distinct_symbols() -> None:
    lanes = figures.frame_overview(np.full(8, 1 / 8), range(8), title="a", scale="x").data[2:]
    assert len({lane.marker.symbol for lane in lanes}) == len(lanes) == 8


def test_frame_similarity_shows_the_cosines() -> None:
    (cosine,) = EXAMPLES["frame_similarity"]().data
    np.testing.assert_array_equal(cosine.z, SIMILARITY.cosine)
    assert cosine.zmax == pytest.approx(0.4)  # not the 1s of the diagonal
    ones = Similarity(np.ones((8, 8), np.float32), np.arange(8.0), 1)
    (same,) = figures.frame_similarity(ones, title="a", scale="x").data
    assert same.zmax > same.zmin


def test_attention_comparison_gives_the_effective_frames() -> None:
    assert "effective frames 1.6 → 2.0" in subtitle(EXAMPLES["attention_comparison"]())


def test_partial_predictions_mark_true_labels() -> None:
    figure = EXAMPLES["partial_predictions"]()
    assert list(figure.layout.yaxis.ticktext) == ["✓ Car", "Dog", "✓ Game"]
    assert [list(dots.x) for dots in figure.data] == [[0.3, 0.9, 0.1], [0.2, 0.8, 0.3]]
    unknown = PREDICTIONS.assign(true=pd.array([pd.NA] * 3, dtype="boolean"))
    figure = figures.partial_predictions(unknown, {"score": "all"}, title="a", scale="x")
    assert "unknown" in subtitle(figure)
    assert list(figure.layout.yaxis.ticktext) == ["Car", "Dog", "Game"]


def test_window_occlusion_bars_cover_their_seconds() -> None:
    drop, rise = EXAMPLES["window_occlusion"]().data
    assert (list(drop.x), list(drop.width), list(drop.y)) == ([2.0], [5], [0.1])
    assert (list(rise.x), list(rise.width), list(rise.y)) == ([5.5], [2], [-0.2])
    assert list(rise.customdata[0]) == [5, 6]
    shaded = EXAMPLES["window_occlusion"]().layout.shapes
    assert [(shape.x0, shape.x1) for shape in shaded if shape.type == "rect"] == [(0.5, 2.5)]
    lines = [shape for shape in shaded if shape.type == "line"]
    assert [(line.y0, line.y1, line.line.dash) for line in lines] == [(-0.05, -0.05, "dot"), (0.02, 0.02, "dot")]


def test_attention_excess_ignores_unknown_main_scenes() -> None:
    figure = EXAMPLES["attention_excess"]()
    assert [trace.name for trace in figure.data] == ["largest cluster", "true main scene"]
    assert "3 videos" in subtitle(figure)
    assert "mean of the largest cluster 0.100" in subtitle(figure).replace("<br>", " ")
    assert "mean of the true main scene 0.300" in subtitle(figure).replace("<br>", " ")
    assert {round(shape.x0, 6) for shape in figure.layout.shapes} == {0.1, 0.3, 0}


def test_predictions_pass_on_the_label_and_draw_the_threshold() -> None:
    figure = figures.predictions(PREDICTIONS.assign(label=[7, 8, 9]), title="a", scale="demo world", threshold=0.25)
    assert [bar.customdata.tolist() for bar in figure.data] == [[["Car", 7], ["Game", 9]], [["Dog", 8]]]
    assert [(line.x0, line.x1) for line in figure.layout.shapes] == [(0.25, 0.25)]


def test_second_contributions_are_split_by_sign() -> None:
    figure = EXAMPLES["second_contributions"]()
    increase, decrease = figure.data
    assert (increase.x.tolist(), increase.y.tolist()) == ([0, 2], [0.2, 0.4])
    assert (decrease.x.tolist(), decrease.y.tolist()) == ([1], [-0.1])
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(-0.5, 0.5), (1.5, 2.5)]
    assert "maximum at 2 s of 3 s" in subtitle(figure)


def test_experts_are_named_and_their_contributions_summed() -> None:
    figure = EXAMPLES["experts"]()
    gates, probabilities = figure.data
    assert list(gates.x) == list(probabilities.x) == ["expert 1", "expert 2", "dummy expert"]
    assert (list(gates.y), list(probabilities.y)) == ([0.5, 0.3, 0.2], [0.8, 0.1, 0.0])
    assert subtitle(figure).endswith("0.430")


def test_label_contributions_are_split_by_matrix() -> None:
    figure = EXAMPLES["label_contributions"]()
    fixed, trained = figure.data
    assert (fixed.x.tolist(), trained.x.tolist()) == ([0.02, 0.01], [0.05, -0.03])
    assert list(figure.layout.yaxis.ticktext) == ["Car", "Dog"]
    low, high = figure.layout.yaxis.range
    assert low > high
    assert "probability" in figure.layout.xaxis.title.text


def test_run_comparison_has_a_symbol_per_run() -> None:
    dots = EXAMPLES["run_comparison"]().data
    assert [(trace.name, trace.x.tolist()) for trace in dots] == [
        ("a", [0.4, 0.3]), ("b", [0.6, 0.3]), ("mean", [0.5, 0.3]),
    ]  # fmt: skip
    six = COMPARISON.assign(**{f"p {n}": 0.1 for n in range(7)})
    symbols = {trace.marker.symbol for trace in figures.run_comparison(six, list("012345"), title="v", scale="x").data}
    assert len(symbols) == 7
    with pytest.raises(UserError, match="7 runs; expected at most 6"):
        figures.run_comparison(six, list("0123456"), title="v", scale="x")


def test_threshold_curve_marks_the_threshold_and_gives_the_best_f1() -> None:
    figure = EXAMPLES["threshold_curve"]()
    assert {line.name: list(line.y)[:2] for line in figure.data} == {
        "precision": [0.1, 0.6], "recall": [1.0, 0.6], "F1": [0.2, 0.6],
    }  # fmt: skip
    assert [(line.x0, line.x1) for line in figure.layout.shapes] == [(0.3, 0.3)]
    assert subtitle(figure) == "demo world · on all scored videos: best F1 0.600 at threshold 0.50"
    undefined = CURVE.assign(precision=np.nan, recall=np.nan, f1=np.nan)
    assert subtitle(figures.threshold_curve(undefined, 0.3, title="a", scale="x")) == "x"


def test_reliability_draws_each_bin_with_true_pairs_and_its_interval() -> None:
    figure = EXAMPLES["reliability_diagram"]()
    *lines, diagonal = figure.data
    drawn = {line.name: (line.x.tolist(), line.y.tolist()) for line in lines}
    assert drawn == {
        "head, before": ([0.5], [0.25]),
        "tail, before": ([0.02], [0.01]),
        "head, after": ([0.25], [0.25]),
    }
    # An interval that reaches 0 ends at the border of the log axis.
    assert [(line.y - line.error_y.arrayminus).tolist() for line in lines] == [[0.125], [pytest.approx(0.01)], [0.125]]
    assert [(line.y + line.error_y.array).tolist() for line in lines] == [[0.375], [0.03], [0.375]]
    assert diagonal.x == diagonal.y == (0.01, 1)
    assert "1 bin without a true pair not drawn" in subtitle(figure)
    assert not [line for line in figures.reliability_diagram(BINS[:0], scale="x").data if line.name != "calibrated"]


def test_correlation_readings_draws_each_row_of_table_3_in_a_panel_with_the_papers_difference() -> None:
    figure = EXAMPLES["correlation_readings"]()
    assert [note.text for note in figure.layout.annotations] == ["β = 0.1, γ = 0", "β = 0.1, γ = 0.1"]
    panels = [(trace.name, trace.x.tolist(), trace.y) for trace in figure.data]
    assert panels == [
        ("here [95% CI]", [0.01, -0.02], (0, 1)),
        ("paper", [-0.011, -0.011], (0, 1)),
        ("here [95% CI]", [-0.03, 0.04], (0, 1)),
        ("paper", [-0.01, -0.01], (0, 1)),
    ]
    assert list(figure.layout.yaxis.ticktext) == ["joint · scores · 0.1", "phi · logits · 0.1"]
    lines = [shape.x0 for shape in figure.layout.shapes]
    assert lines == [0, -0.011, 0, -0.01]
