"""Links say what they open, and name what is not here; a run opens its own data."""

import json
import shutil
from pathlib import Path

import pytest

from tests.app.conftest import CopyRun
from tests.support.pages import ATTENTION_RUN, MEAN_RUN, PAGES, charts, control_keys, error_text, open_page, page_text

VIEWS = {
    "imbalance": ("look", "frequency"), "correlation": ("part", "Window"), "predictions": ("from", "data set"),
    "attention": ("see", "Where"), "compare": ("by", "labels"), "calibration": ("judge", "reliability"),
}  # fmt: skip


@pytest.mark.fault
@pytest.mark.parametrize("page", PAGES)
def test_address_names_run_data_and_view_although_nothing_was_selected(page: str) -> None:
    at = open_page(page)
    assert at.query_params["run"] == ATTENTION_RUN
    assert at.query_params["data"] == "smoke/validation"
    if page in VIEWS:
        key, view = VIEWS[page]
        assert at.query_params[key] == view
    if page in ("attention", "predictions"):
        assert at.query_params["video"] == at.selectbox(key="video").value


@pytest.mark.fault
def test_link_opens_the_same_after_another_run_was_added(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path))
    shutil.copytree(demo_home / "smoke", tmp_path / "smoke")
    shutil.copytree(demo_home / "runs" / MEAN_RUN, tmp_path / "runs" / MEAN_RUN)
    query = {name: str(value) for name, value in open_page("imbalance").query_params.items()}
    shutil.copytree(demo_home / "runs" / ATTENTION_RUN, tmp_path / "runs" / ATTENTION_RUN)
    at = open_page("imbalance", **query)
    assert at.selectbox(key="run").options == [ATTENTION_RUN, MEAN_RUN]
    assert at.selectbox(key="run").value == MEAN_RUN


@pytest.mark.fault
@pytest.mark.parametrize(
    ("page", "key", "value", "text"),
    [
        ("imbalance", "run", "gone", "run gone"),
        ("imbalance", "data", "gone/validation", "data set gone/validation"),
        ("imbalance", "label", "Nothing · 7", "label Nothing · 7"),
        ("imbalance", "look", "all", "view all"),
        ("predictions", "video", "none", "video none"),
        ("predictions", "threshold", "7", "threshold 7"),
        ("predictions", "threshold", "high", "threshold high"),
        ("correlation", "support", "0", "minimum support (videos) 0"),
        ("experiments", "members", ["gone", MEAN_RUN], f"members gone, {MEAN_RUN}"),
        ("attention", "k", "2.5", "clusters 2.5"),
    ],
)
def test_values_that_are_not_here_are_named(page: str, key: str, value: str | list[str], text: str) -> None:
    at = open_page(page, **{key: value})
    subject, _, name = text.partition(" ") if key != "support" else text.rpartition(" ")
    if key == "data":
        subject, name = "data set", "gone/validation"
    note = f"This link names {subject} **{name}**, which is not here."
    assert note in page_text(at)
    assert error_text(at) == ""
    if key in ("run", "data"):
        assert not charts(at)  # nothing takes its place in silence
    at.run()
    assert note in page_text(at)


def test_note_ends_when_something_else_is_selected() -> None:
    at = open_page("imbalance", run="gone")
    at.selectbox(key="run").select(MEAN_RUN).run()
    assert "is not here" not in page_text(at)
    assert charts(at)


@pytest.fixture
def other_labels(demo_home: Path, copy_run: CopyRun, tmp_path: Path) -> str:
    """Add the run "another" with other labels and data of its own. Returns the key of its validation data."""
    data = shutil.copytree(demo_home / "smoke", tmp_path / "other")
    folder = copy_run("another", MEAN_RUN)
    config = json.loads((folder / "config.json").read_text())
    for split in ("train", "validation"):
        config["experiment"]["data"][split] = str(data / split)
    (folder / "config.json").write_text(json.dumps(config))
    names = (folder / "vocabulary.csv").read_text().replace("Game", "Chess")
    (folder / "vocabulary.csv").write_text(names)
    return "other/validation"


@pytest.mark.fault
def test_run_opens_its_own_data(other_labels: str) -> None:
    for page in PAGES:
        at = open_page(page, run="another")
        assert at.selectbox(key="data").value == other_labels
        assert error_text(at) == ""
        at.selectbox(key="run").select(ATTENTION_RUN).run()
        assert at.selectbox(key="data").value == "smoke/validation"
        assert error_text(at) == ""


@pytest.mark.fault
def test_data_that_do_not_fit_are_offered_apart_with_the_reason(other_labels: str) -> None:
    at = open_page("imbalance", run=ATTENTION_RUN)
    assert at.selectbox(key="data").options == ["smoke/validation", "smoke/train", "smoke-segments/validate"]
    apart = at.sidebar.expander[0]
    assert [button.label.replace("\\", "") for button in apart.button] == [other_labels, "other/train"]
    assert "It has other labels than the run." in apart.caption[0].value.replace("\\", "")
    apart.button[0].click().run()
    assert at.selectbox(key="data").value == other_labels
    assert charts(at)


def test_link_to_a_data_set_that_does_not_fit_opens_it(other_labels: str) -> None:
    at = open_page("imbalance", run=ATTENTION_RUN, data=other_labels)
    assert at.selectbox(key="data").value == other_labels
    assert "is not here" not in page_text(at)


def test_other_data_that_fit_stay_when_the_run_changes(demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = shutil.copytree(demo_home / "smoke" / "validation", demo_home.parent / "mine" / "videos", dirs_exist_ok=True)
    monkeypatch.setenv("YT8M_DATA", str(mine))
    at = open_page("predictions", data="mine/videos")
    at.selectbox(key="run").select(MEAN_RUN).run()
    assert at.selectbox(key="data").value == "mine/videos"


# What links leave out. A new default changes what old links open: it needs a control with a new key.
DEFAULTS = {
    "alpha": 1.0, "ap": (0.0, 1.0), "at_least": 5, "average": "probability", "band": "all", "beta": 0.0, "color": "AP",
    "decided": "undecided", "draw": "count", "gamma": 0.0, "has": "any", "measure": "conditional", "order": "data set",
    "over": "all labels", "pair_axes": "AP of both runs", "pair_threshold": 0.5, "pairs_of": "strongest",
    "positives": 1, "right_if": "threshold", "rule": "best F1", "scope": "all", "score": (0.0, 1.0), "strength": 1.0,
    "support": 3, "table": "any", "threshold": 0.5, "window_size": 30,
}  # fmt: skip
# These depend on the run or the data set, which every link names.
DEPENDENT = {"paper", "seconds", "vectors", "method"}
QUERIES = [
    *({"page": page} for page in PAGES),
    {"page": "imbalance", "look": "precision"}, {"page": "imbalance", "look": "adaptive noise"},
    {"page": "correlation", "part": "Calibration"}, {"page": "correlation", "part": "Label processing"},
    {"page": "compare", "by": "one label"}, {"page": "calibration", "judge": "thresholds"},
]  # fmt: skip


@pytest.mark.fault
def test_defaults_that_links_leave_out_stay() -> None:
    found: dict[str, object] = {}
    for query in QUERIES:
        at = open_page(**query)
        for key in control_keys(at):
            if key is None or key in at.query_params or key in DEPENDENT:
                continue
            if value := at.get_by_key(key).value:
                found[key] = value
    expected = {key: value for key, value in DEFAULTS.items() if value}
    assert found == expected


def test_embedded_page_opens() -> None:
    at = open_page("imbalance", embed="true", label="Music · 2")
    assert error_text(at) == ""
    assert at.selectbox(key="label").value == "Music · 2"
