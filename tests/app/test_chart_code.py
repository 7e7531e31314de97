"""The code of each chart ("Copy as Python") draws the chart of the page."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from streamlit.testing.v1 import AppTest

from components.charts import IMAGE_FONT, join_provenance
from tests.app.conftest import CopyRun
from tests.conftest import ROOT
from tests.support.pages import ATTENTION_RUN, MEAN_RUN, charts, error_text, first_video, npy, open_page
from tests.support.shards import Content, write
from yt8m_core import Experiment, Slot, train
from yt8m_core.experiment import Data, Training
from yt8m_core.figures.style import add_provenance, set_font

MATRIX_RUN = "matrix"
DATA = "data smoke/validation · 32 videos · demo world"
WINDOW_OF_5 = {"window": "around a label", "label": "Pet · 16", "window_size": "5"}

# Page, its controls, and the provenance of its charts.
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("overview", {"run": MEAN_RUN}, f"run {MEAN_RUN} · {DATA}"),
    ("imbalance", {"label": "Pet · 16"}, DATA),
    ("imbalance", {"draw": "cumulative share"}, DATA),
    ("imbalance", {"look": "precision"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("imbalance", {"look": "precision", "run": MEAN_RUN, "band": "head", "positives": "3", "label": "Pet · 16"},
     f"run {MEAN_RUN} · {DATA}"),
    ("imbalance", {"look": "precision", "topics": ["Pets & Animals"]}, f"run {ATTENTION_RUN} · {DATA}"),
    ("imbalance", {"look": "precision", "topics": ["Games", "Pets & Animals"]}, f"run {ATTENTION_RUN} · {DATA}"),
    ("imbalance", {"look": "adaptive noise", "strength": "2.5"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("imbalance", {"look": "adaptive noise", "run": MATRIX_RUN}, f"run {MATRIX_RUN} · {DATA}"),
    ("correlation", {}, DATA),
    ("correlation", {**WINDOW_OF_5, "measure": "phi", "support": "2"}, DATA),
    ("correlation", {**WINDOW_OF_5, "measure": "model's M_c", "run": MATRIX_RUN}, f"run {MATRIX_RUN} · {DATA}"),
    ("correlation", {"part": "All labels", "measure": "lift"}, DATA),
    ("correlation", {"part": "All labels", "measure": "model's M_c", "own_matrix": "change", "run": MATRIX_RUN},
     f"run {MATRIX_RUN} · {DATA}"),
    ("correlation", {"part": "Calibration"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("correlation", {"part": "Calibration", "label": "Pet · 16", "support": "2"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("correlation", {"part": "Calibration", "pairs_of": "window", **WINDOW_OF_5}, f"run {ATTENTION_RUN} · {DATA}"),
    ("correlation", {"part": "Label processing", "beta": "0.2", "gamma": "0.1"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("correlation", {"part": "Label processing", "alpha": "0.5", "gamma": "0.3", "run": MATRIX_RUN},
     f"run {MATRIX_RUN} · {DATA}"),
    ("attention", {"k": "3"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("attention", {"sharpness": "5"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("attention", {"see": "Does it matter", "share": "30", "width": "2 s"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("attention", {"see": "Does it matter", "run": MEAN_RUN}, f"run {MEAN_RUN} · {DATA}"),
    ("attention", {"see": "One second", "second": "3"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("attention", {"see": "All videos", "k": "3"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("predictions", {"label": "Pet · 16", "threshold": "0.3"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("predictions", {"over": "this label"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("predictions", {"run": MATRIX_RUN}, f"run {MATRIX_RUN} · {DATA}"),
    ("label", {}, DATA),
    ("label", {"label": "Pet · 16"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("calibration", {}, f"run {ATTENTION_RUN} · {DATA}"),
    ("calibration", {"scope": "head"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("calibration", {"scope": "label", "label": "Pet · 16"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("calibration", {"judge": "thresholds"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("calibration", {"judge": "thresholds", "scope": "label", "label": "Pet · 16", "rule": "target precision"},
     f"run {ATTENTION_RUN} · {DATA}"),
    ("label_issues", {}, f"run {ATTENTION_RUN} · {DATA}"),
    ("map", {"run": MEAN_RUN}, f"run {MEAN_RUN} · {DATA}"),
    ("map", {"run": MEAN_RUN, "vectors": "scores"}, f"run {MEAN_RUN} · {DATA}"),
    ("map", {"color": "outcome", "label": "Pet · 16", "threshold": "0.3"}, f"run {ATTENTION_RUN} · {DATA}"),
    ("compare", {"run_b": MATRIX_RUN}, f"runs {ATTENTION_RUN} and {MATRIX_RUN} · {DATA}"),
    ("compare", {"run_b": MEAN_RUN, "at_least": "3", "label": "Pet · 16"},
     f"runs {ATTENTION_RUN} and {MEAN_RUN} · {DATA}"),
    ("compare", {"run_b": MEAN_RUN, "pair_axes": "difference by frequency", "topics": ["Games", "Pets & Animals"],
                 "at_least": "1"}, f"runs {ATTENTION_RUN} and {MEAN_RUN} · {DATA}"),
    ("compare", {"run_b": MEAN_RUN, "by": "videos"}, f"runs {ATTENTION_RUN} and {MEAN_RUN} · {DATA}"),
    ("compare", {"run_b": MEAN_RUN, "by": "one label"}, f"runs {ATTENTION_RUN} and {MEAN_RUN} · {DATA}"),
    ("experiments", {}, DATA),
    ("experiments", {"show": "notebook results"}, "yt8m ablate pooling --scale demo · demo world"),
]  # fmt: skip


@pytest.fixture(scope="module")
def matrix_run(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with adaptive noise and a trained correlation matrix."""
    experiment = Experiment(
        Data(str(demo_home / "smoke" / "train"), str(demo_home / "smoke" / "validation")),
        pooling=Slot("adaptive_noise", {"scale": 3.0}),
        classification=Slot("logistic"),
        label_processing=Slot("correlation", {"gamma": 0.1, "space": "prob"}),
        training=Training(epochs=1),
    )
    return train(experiment, tmp_path_factory.mktemp("more") / MATRIX_RUN).path


@pytest.fixture(autouse=True)
def _list_matrix_run(matrix_run: Path, demo_app: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_RUNS", str(matrix_run))


def chart_codes(at: AppTest) -> Iterator[tuple[str, str]]:
    """Open the export menu of each chart in turn; yield the chart as JSON, and its code."""
    for number, chart in enumerate(at.get("plotly_chart")):
        key = chart.proto.id.split("-", 2)[2]  # $$ID-digest-key
        at.session_state[f"{key} export"] = True
        at.run()
        assert error_text(at) == ""
        codes = [element.value for element in at.code if element.value.startswith("from yt8m_core import")]
        assert len(codes) == 1, f"{len(codes)} codes of chart '{key}'"
        yield charts(at)[number], codes[0]
        at.session_state[f"{key} export"] = False


def execute(code: str) -> go.Figure:
    """Execute code as a cell of a notebook, and return the value of its last line."""
    *body, last = ast.parse(code).body
    names: dict[str, Any] = {}
    exec(compile(ast.Module(body, []), "cell", "exec"), names)  # noqa: S102 - code of our own app
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307


def as_shown(figure: go.Figure, provenance: str) -> Any:
    """Return a figure as the page shows it."""
    add_provenance(figure, provenance)
    set_font(figure, IMAGE_FONT)
    return without_height(figure.to_json())


def without_height(chart: str) -> Any:
    """Parse a chart as JSON, without the height, which the page may choose."""
    parsed = json.loads(chart)
    parsed["layout"].pop("height", None)
    return parsed


@pytest.mark.parametrize(("page", "query", "provenance"), CASES)
def test_code_draws_the_chart_of_the_page(page: str, query: dict[str, Any], provenance: str) -> None:
    at = open_page(page, **query)
    assert error_text(at) == ""
    pairs = list(chart_codes(at))
    assert pairs
    for chart, code in pairs:
        assert as_shown(execute(code), provenance) == without_height(chart), code


def test_code_of_another_chart_is_not_taken_for_it() -> None:
    ((chart, code),) = chart_codes(open_page("imbalance", look="precision", positives="3"))
    for part, other in (("minimum=10", "minimum=1"), (">= 3", ">= 2"), (ATTENTION_RUN, MEAN_RUN)):
        assert part in code
        figure = execute(code.replace(part, other))
        assert as_shown(figure, f"run {ATTENTION_RUN} · {DATA}") != without_height(chart), part


def test_code_of_several_runs() -> None:
    *_, (chart, code) = chart_codes(open_page("predictions", runs=[MEAN_RUN, MATRIX_RUN]))
    assert as_shown(execute(code), DATA) == without_height(chart)
    assert as_shown(execute(code.replace("'matrix': ", "'mean': ")), DATA) != without_height(chart)


def test_an_uploaded_video_has_no_code(demo_home: Path) -> None:
    at = open_page("predictions", **{"from": "my file"})
    _, frames, _ = first_video(demo_home)
    at.file_uploader(key="upload").upload("own.npy", npy(frames)).run()
    at.session_state["bars export"] = True
    at.run()
    assert error_text(at) == ""
    assert not at.code
    subtitle = json.loads(charts(at)[0])["layout"]["title"]["subtitle"]["text"].replace("<br>", " · ")
    assert subtitle.startswith(f"run {ATTENTION_RUN} · your file, run of the demo world")


def test_code_of_an_unfinished_run(copy_run: CopyRun) -> None:
    run = copy_run("in training", MEAN_RUN)
    (run / "metrics.json").unlink()
    curves = [(chart, code) for chart, code in chart_codes(open_page(run=ATTENTION_RUN)) if str(run) in code]
    assert len(curves) == 2
    for chart, code in curves:
        assert as_shown(execute(code), f"run in training · {DATA}") == without_height(chart)


@pytest.mark.usefixtures("_no_runs")
@pytest.mark.parametrize(
    ("page", "query"), [("imbalance", {}), ("imbalance", {"look": "adaptive noise"}), ("correlation", {})]
)
def test_code_of_the_data_alone_needs_no_run(page: str, query: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_RUNS", "")
    ((chart, code),) = chart_codes(open_page(page, **query))
    assert "Inspection(None, " in code
    assert as_shown(execute(code), DATA) == without_height(chart)


def test_code_of_the_map_of_videos_without_labels(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, frames, _ = first_video(demo_home)
    streams = ({"rgb": frames[i : i + 3, :1024], "audio": frames[i : i + 3, 1024:]} for i in range(4))
    write(tmp_path / "test" / "a.tfrecord", *(Content(f"abc{i}", None, part) for i, part in enumerate(streams)))
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "test"))
    ((chart, code),) = chart_codes(open_page("map", run=MEAN_RUN, data=f"{tmp_path.name}/test"))
    provenance = f"run {MEAN_RUN} · data {tmp_path.name}/test · 4 videos · sample of real data"
    assert as_shown(execute(code), provenance) == without_height(chart)


def test_names_in_the_provenance_are_escaped_once(copy_run: CopyRun) -> None:
    copy_run("a & b <c>", MEAN_RUN)
    ((chart, code),) = chart_codes(open_page("imbalance", look="precision", run="a & b <c>"))
    subtitle = json.loads(chart)["layout"]["title"]["subtitle"]["text"].replace("<br>", " · ")
    assert subtitle.startswith("run a &amp; b &lt;c&gt; · data smoke/validation · 32 videos")
    assert as_shown(execute(code), f"run a & b <c> · {DATA}") == without_height(chart)


def test_provenance_shortens_long_names() -> None:
    assert join_provenance("r" * 50, "d", 1, "sample") == f"run {'r' * 39}… · data d · 1 video · sample"
    assert join_provenance("", "d", 1, "sample") == "data d · 1 video · sample"
    text = join_provenance("r" * 50, "d", 2, "sample", second_run="s" * 50)
    assert text == f"runs {'r' * 39}… and {'s' * 39}… · data d · 2 videos · sample"


def test_every_chart_has_an_export_menu() -> None:
    views = ROOT / "app" / "views"
    direct = {
        file.relative_to(views).as_posix() for file in views.rglob("*.py") if "st.plotly_chart(" in file.read_text()
    }
    assert direct == set()
