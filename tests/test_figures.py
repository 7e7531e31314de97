"""Figures show the numbers that they are given, say their units and their scale, and need no colour to be read."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from yt8m_core import figures
from yt8m_core.errors import UserError
from yt8m_core.label_statistics import rank_frequency

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
DIFFERENCES = pd.DataFrame(
    {
        "row": ["LSTM", "LSTM-M", "CNN", "Mean"],
        "against": "LSTM",
        "difference": [0.0, 0.1, -0.2, 0.01],
        "difference_low": [0.0, 0.05, -0.3, -0.1],
        "difference_high": [0.0, 0.2, -0.15, 0.1],
    }
)
GAINS = pd.DataFrame(
    {
        "dial": "label noise", "setting": [0.5, 0.0], "row": "Huber", "against": "CE",
        "gain": [0.2, 0.1], "gain_low": [0.1, 0.0], "gain_high": [0.3, 0.2],
    }
)  # fmt: skip
RUNS = pd.DataFrame({"run": ["lstm", "moe"], "gap": [0.5, 0.6], "gap_low": [0.45, 0.58], "gap_high": [0.57, 0.63]})

CURVE = pd.DataFrame(
    {"threshold": [0.0, 0.5, 1.0], "precision": [0.1, 0.6, np.nan], "recall": [1.0, 0.6, 0.0], "f1": [0.2, 0.6, 0.0]}
)
EXPERTS = pd.DataFrame({"expert": [1, 2, 0], "gate": [0.5, 0.3, 0.2], "answer": [0.8, 0.1, 0.0]})
PARTNERS = pd.DataFrame({"name": ["Car", "Dog"], "score": [0.9, 0.1], "fixed": [0.02, 0.01], "trained": [0.05, -0.03]})
SIDES = pd.DataFrame({"name": ["Car", "Dog"], "mean": [0.5, 0.3], "p a": [0.4, 0.3], "p b": [0.6, 0.3]})

EXAMPLES: dict[str, Callable[[], go.Figure]] = {
    "rank_frequency": lambda: figures.rank_frequency(rank_frequency(COUNTS, VOCABULARY), scale="demo world"),
    "correlation": lambda: figures.correlation(MATRIX, ["a", "b", "c"], "phi", scale="demo world"),
    "attention": lambda: figures.attention([0.2, 0.8], title="Attention", scale="demo world", main_runs=[(1, 2)]),
    "predictions": lambda: figures.predictions(PREDICTIONS, title="Video", scale="demo world"),
    "learning_curve": lambda: figures.learning_curve(LOG, scale="demo world"),
    "differences": lambda: figures.differences(DIFFERENCES, title="Pooling", scale="demo world"),
    "gain": lambda: figures.gain(GAINS, scale="demo world"),
    "intervals": lambda: figures.intervals(RUNS, scale="demo world"),
    "seconds": lambda: figures.seconds([0.2, -0.1, 0.4], title="Car", scale="demo world", main_runs=[(0, 1), (2, 3)]),
    "experts": lambda: figures.experts(
        EXPERTS.assign(part=EXPERTS["gate"] * EXPERTS["answer"]), title="Car", scale="demo world"
    ),
    "partners": lambda: figures.partners(PARTNERS, title="Car", scale="demo world", unit="probability"),
    "side_by_side": lambda: figures.side_by_side(SIDES, ["a", "b"], title="Video", scale="demo world"),
    "threshold_curve": lambda: figures.threshold_curve(CURVE, 0.3, title="All labels", scale="demo world"),
}


def subtitle(figure: go.Figure) -> str:
    return str(figure.layout.title.subtitle.text)


def test_every_public_figure_has_an_example() -> None:
    drawn = {name for name in figures.__all__ if callable(getattr(figures, name))}
    assert drawn == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_figure_names_its_axes_its_title_and_its_scale(name: str) -> None:
    figure = EXAMPLES[name]()
    assert figure.layout.title.text
    assert subtitle(figure).startswith("demo world")
    described = [axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes())]
    # Of two plots one above the other, only the lower needs to name the axis that they share.
    shared = 1 if name == "learning_curve" else 0
    assert sum(not text for text in described) == shared


@pytest.mark.parametrize("name", EXAMPLES)
def test_figure_leaves_the_background_to_the_page(name: str) -> None:
    layout = EXAMPLES[name]().layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert layout.font.color is None  # set in the template alone, which a page's theme may replace
    assert layout.template.layout.font.color
    assert layout.template.layout.paper_bgcolor is None


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in ("correlation", "intervals")])
def test_traces_differ_by_more_than_colour(name: str) -> None:
    figure = EXAMPLES[name]()
    looks = [
        trace.marker.pattern.shape if trace.type == "bar" else (trace.marker.symbol, trace.line.dash)
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


def test_rank_frequency_says_nothing_of_hidden_labels_when_there_are_none() -> None:
    figure = figures.rank_frequency(rank_frequency([3, 1], VOCABULARY[:2]), scale="demo world")
    assert subtitle(figure) == "demo world"


def test_correlation_shows_the_matrix_and_a_click_gives_row_and_column() -> None:
    heatmap, cells = EXAMPLES["correlation"]().data
    np.testing.assert_array_equal(heatmap.z, MATRIX)
    for row in range(3):
        for column in range(3):
            index = row * 3 + column
            assert (cells.y[index], cells.x[index]) == (row, column)
            assert cells.customdata[index].tolist() == [row, column]
            assert cells.text[index] == f"{'abc'[row]} → {'abc'[column]}<br>phi {MATRIX[row, column]:.4g}"
    assert cells.type == "scattergl"
    assert cells.marker.color == "rgba(0,0,0,0)"


def test_correlation_puts_the_first_row_on_top_under_its_name() -> None:
    figure = EXAMPLES["correlation"]()
    assert list(figure.layout.yaxis.ticktext) == list(figure.layout.xaxis.ticktext) == ["a", "b", "c"]
    assert list(figure.layout.yaxis.tickvals) == [0, 1, 2]
    low, high = figure.layout.yaxis.range
    assert low > high


def test_correlation_colours_end_at_the_largest_value_off_the_diagonal() -> None:
    phi = EXAMPLES["correlation"]().data[0]
    assert (phi.zmin, phi.zmax) == (-0.5, 0.5)
    count = figures.correlation([[900, 3], [3, 20]], ["a", "b"], "count", scale="x").data[0]
    assert (count.zmin, count.zmax) == (0, 3)
    nothing = figures.correlation([[5.0]], ["a"], "count", scale="x").data[0]
    assert nothing.zmin < nothing.zmax


@pytest.mark.parametrize(
    ("shape", "names", "message"),
    [((101, 101), 101, "101 labels; expected 1 to 100"), ((0, 0), 0, "0 labels"), ((2, 3), 2, r"expected \[2, 2\]")],
)
def test_correlation_refuses_what_does_not_fit(shape: tuple[int, int], names: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        figures.correlation(np.zeros(shape), ["a"] * names, "count", scale="x")


def test_correlation_takes_a_hundred_labels() -> None:
    figure = figures.correlation(np.eye(100), [str(i) for i in range(100)], "jaccard", scale="x")
    assert len(figure.data[1].x) == 10_000


def test_attention_draws_the_weights_over_seconds_beside_the_uniform_line() -> None:
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


def test_attention_shades_the_main_scene_and_says_how_much_lies_on_it() -> None:
    figure = figures.attention([0.1, 0.2, 0.3, 0.4], title="a", scale="x", main_runs=[(0, 1), (2, 4)])
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(-0.5, 0.5), (1.5, 3.5)]
    assert [note.text for note in figure.layout.annotations] == ["main", "main"]
    assert [shape.showlegend for shape in figure.layout.shapes] == [True, False]
    assert subtitle(figure).endswith("80% of the weight on the main scene (75% of the time)")


@pytest.mark.parametrize(("weights", "effective"), [([1.0, 0.0, 0.0], "1.0"), ([1 / 3] * 3, "3.0"), ([1.0], "1.0")])
def test_attention_counts_effective_frames(weights: list[float], effective: str) -> None:
    figure = figures.attention(weights, title="a", scale="x")
    assert f"{effective} effective frames of {len(weights)}" in subtitle(figure)


@pytest.mark.parametrize("weights", [[], [0.5, 0.6], [-0.5, 1.5], [np.nan, 1.0], [[1.0]]])
def test_attention_refuses_what_is_no_distribution(weights: list[float]) -> None:
    with pytest.raises(UserError, match="sum to 1"):
        figures.attention(weights, title="a", scale="x")


def test_predictions_are_ranked_and_true_labels_marked_by_text_and_pattern() -> None:
    figure = EXAMPLES["predictions"]()
    true, other = figure.data
    assert (true.name, other.name) == ("true label", "not in the ground truth")
    assert (true.x.tolist(), true.y.tolist(), list(true.text)) == ([0.3, 0.1], [2, 3], ["✓ 0.300", "✓ 0.100"])
    assert (other.x.tolist(), other.y.tolist(), list(other.text)) == ([0.9], [1], ["0.900"])
    assert list(figure.layout.yaxis.ticktext) == ["Dog", "✓ Car", "✓ Game"]
    assert [name for (name,) in true.customdata] == ["Car", "Game"]
    low, high = figure.layout.yaxis.range
    assert low > high  # the best on top
    assert "2 true labels among the best 3" in subtitle(figure)


def test_learning_curve_draws_loss_and_gap_where_each_was_measured() -> None:
    loss, gap = EXAMPLES["learning_curve"]().data
    assert (loss.x.tolist(), loss.y.tolist()) == ([128, 256, 384, 512], [9.0, 8.0, 7.0, 6.5])
    assert (gap.x.tolist(), gap.y.tolist()) == ([256, 512], [0.4, 0.5])
    assert (loss.yaxis, gap.yaxis) == ("y", "y2")


def test_intervals_reach_from_low_to_high() -> None:
    figure = EXAMPLES["intervals"]()
    (dots,) = figure.data
    assert dots.x.tolist() == [0.5, 0.6]
    np.testing.assert_allclose(dots.x + dots.error_x.array, [0.57, 0.63])
    np.testing.assert_allclose(dots.x - dots.error_x.arrayminus, [0.45, 0.58])
    assert list(figure.layout.yaxis.ticktext) == ["lstm", "moe"]
    assert dots.y.tolist() == [0, 1]
    assert "95 %" in subtitle(figure)


def test_predictions_mark_nothing_as_wrong_where_the_truth_is_not_known() -> None:
    table = pd.DataFrame({"name": ["Dog", "Car"], "score": [0.2, 0.9], "true": pd.array([pd.NA, pd.NA], "boolean")})
    figure = figures.predictions(table, title="Video", scale="demo world")
    (bars,) = figure.data
    assert (bars.name, list(bars.x)) == ("predicted", [0.9, 0.2])
    assert "true labels not known" in figure.layout.title.subtitle.text
    assert list(figure.layout.yaxis.ticktext) == ["Car", "Dog"]


def test_differences_are_read_by_their_intervals_and_the_baseline_is_left_out() -> None:
    figure = EXAMPLES["differences"]()
    assert {trace.name: [row for row, *_ in trace.customdata] for trace in figure.data} == {
        "better": ["LSTM-M"],
        "worse": ["CNN"],
        "no difference that these data can tell": ["Mean"],
    }
    for trace in figure.data:
        ((_, _, low, high),) = trace.customdata
        np.testing.assert_allclose(trace.x + trace.error_x.array, [high])
        np.testing.assert_allclose(trace.x - trace.error_x.arrayminus, [low])
    assert [(line.x0, line.x1) for line in figure.layout.shapes] == [(0, 0)]
    assert list(figure.layout.yaxis.ticktext) == ["LSTM-M", "CNN", "Mean"]


def test_differences_name_the_other_row_where_not_all_have_the_same() -> None:
    table = DIFFERENCES.assign(against=["LSTM", "LSTM", "LSTM", "Sum"])
    figure = figures.differences(table, title="Pooling", scale="demo world")
    assert figure.layout.yaxis.ticktext[2] == "Mean<br>− Sum"


def test_gain_is_drawn_in_the_order_of_the_settings_with_a_line_at_zero() -> None:
    band, line = EXAMPLES["gain"]().data
    assert (list(line.x), list(line.y)) == ([0.0, 0.5], [0.1, 0.2])
    assert list(zip(band.x, band.y, strict=True)) == [(0.0, 0.2), (0.5, 0.3), (0.5, 0.1), (0.0, 0.0)]
    assert [(shape.y0, shape.y1) for shape in EXAMPLES["gain"]().layout.shapes] == [(0, 0)]


def test_predictions_give_the_label_of_a_bar_and_draw_the_threshold() -> None:
    figure = figures.predictions(PREDICTIONS.assign(label=[7, 8, 9]), title="a", scale="demo world", threshold=0.25)
    assert [bar.customdata.tolist() for bar in figure.data] == [[["Car", 7], ["Game", 9]], [["Dog", 8]]]
    assert [(line.x0, line.x1) for line in figure.layout.shapes] == [(0.25, 0.25)]


def test_seconds_are_told_apart_by_their_side_and_the_main_scene_is_shaded() -> None:
    figure = EXAMPLES["seconds"]()
    speaks, against = figure.data
    assert (speaks.x.tolist(), speaks.y.tolist()) == ([0, 2], [0.2, 0.4])
    assert (against.x.tolist(), against.y.tolist()) == ([1], [-0.1])
    assert [(shape.x0, shape.x1) for shape in figure.layout.shapes] == [(-0.5, 0.5), (1.5, 2.5)]
    assert "strongest at second 2 of 3" in subtitle(figure)


def test_experts_are_named_and_their_parts_summed() -> None:
    figure = EXAMPLES["experts"]()
    gates, answers = figure.data
    assert list(gates.x) == list(answers.x) == ["expert 1", "expert 2", "always no"]
    assert (list(gates.y), list(answers.y)) == ([0.5, 0.3, 0.2], [0.8, 0.1, 0.0])
    assert subtitle(figure).endswith("0.430")


def test_partners_are_drawn_in_order_by_what_each_matrix_adds() -> None:
    figure = EXAMPLES["partners"]()
    fixed, trained = figure.data
    assert (fixed.x.tolist(), trained.x.tolist()) == ([0.02, 0.01], [0.05, -0.03])
    assert list(figure.layout.yaxis.ticktext) == ["Car", "Dog"]
    low, high = figure.layout.yaxis.range
    assert low > high
    assert "probability" in figure.layout.xaxis.title.text


def test_runs_side_by_side_have_a_symbol_each() -> None:
    dots = EXAMPLES["side_by_side"]().data
    assert [(trace.name, trace.x.tolist()) for trace in dots] == [
        ("a", [0.4, 0.3]), ("b", [0.6, 0.3]), ("mean of all", [0.5, 0.3]),
    ]  # fmt: skip
    six = SIDES.assign(**{f"p {n}": 0.1 for n in range(7)})
    looks = {trace.marker.symbol for trace in figures.side_by_side(six, list("012345"), title="v", scale="x").data}
    assert len(looks) == 7
    with pytest.raises(UserError, match="7 runs; expected at most 6"):
        figures.side_by_side(six, list("0123456"), title="v", scale="x")


def test_threshold_curve_marks_the_threshold_and_names_the_best() -> None:
    figure = EXAMPLES["threshold_curve"]()
    assert {line.name: list(line.y)[:2] for line in figure.data} == {
        "precision": [0.1, 0.6], "recall": [1.0, 0.6], "F1": [0.2, 0.6],
    }  # fmt: skip
    assert [(line.x0, line.x1) for line in figure.layout.shapes] == [(0.3, 0.3)]
    assert subtitle(figure) == "demo world · best F1 0.600 at 0.50"
    nothing = CURVE.assign(precision=np.nan, recall=np.nan, f1=np.nan)
    assert subtitle(figures.threshold_curve(nothing, 0.3, title="a", scale="x")) == "x"
