"""The app with damaged runs, hostile links and failing disks: it reports them and keeps running."""

import ast
import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.support.damages import NOT_LISTED, REPORTED_BY_PAGES, damaged_copy, set_json_value
from tests.support.pages import (
    ATTENTION_RUN,
    MEAN_RUN,
    PAGES,
    charts,
    error_text,
    first_video,
    open_page,
    output,
    page_text,
    results,
)
from tests.support.shards import Content, write
from yt8m_core.inference import array_cache, score_cache
from yt8m_core.runs.run import Run

APP = sorted((ROOT / "app").rglob("*.py"))


# --- untrusted runs


@pytest.mark.fault
def test_corrupt_run_folders_are_reported_and_break_no_page(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"run {number}": name for number, name in enumerate(NOT_LISTED)}
    for run, name in names.items():
        damaged_copy(demo_home / "runs" / ATTENTION_RUN, tmp_path, NOT_LISTED[name], run)
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    for page in PAGES:
        at = open_page(page, run="run 0")
        assert error_text(at) == ""
        assert "This link names run **run 0**, which is not here." in page_text(at)
        assert not charts(at)
        at.selectbox(key="run").select(ATTENTION_RUN).run()
        assert error_text(at) == ""
        assert results(at)
        assert at.selectbox(key="run").options == [ATTENTION_RUN, MEAN_RUN]
        first, rest = at.sidebar.caption, at.sidebar.dataframe[0].value
        listed = [re.findall(r"Run \*\*(.*)\*\* is not shown\. (.+)", caption.value)[0] for caption in first]
        assert {names[key] for key, _ in listed} | {names[key] for key in rest["Run"]} == set(NOT_LISTED)
        assert all(len(message) < 6000 for _, message in [*listed, *rest.itertuples(index=False)])


@pytest.mark.fault
@pytest.mark.parametrize("damage", REPORTED_BY_PAGES)
def test_damaged_file_is_reported_by_the_pages_that_need_it(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    damaged_copy(demo_home / "runs" / ATTENTION_RUN, tmp_path, REPORTED_BY_PAGES[damage])
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    reported = ""
    for page in ("overview", "predictions", "experiments"):
        at = open_page(page, run="mine", members=["mine", MEAN_RUN])
        assert at.selectbox(key="run").value == "mine"
        reported += error_text(at) + "".join(info.value for info in at.info if "log" in info.value)
        reported += "".join(warning.value for warning in at.warning if "is left out" in warning.value)
    assert reported


@pytest.mark.fault
@pytest.mark.parametrize("path", ["/etc/passwd", "/dev/zero", "/", "~nobody at all/x"])
@pytest.mark.parametrize("part", ["validation", "vocabulary"])
def test_run_that_names_other_files_shows_nothing_of_them(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, path: str
) -> None:
    run = damaged_copy(
        demo_home / "runs" / MEAN_RUN, tmp_path, set_json_value("config.json", f"experiment/data/{part}", path)
    )
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))  # without another data set
    shutil.copytree(demo_home / "runs", tmp_path / "home" / "runs")
    key = "/".join(Path(path).parts[-2:]) if part == "validation" else "smoke/validation"
    for page in ("overview", "imbalance", "predictions"):
        at = open_page(page, run=run.name, data=key)
        assert part == "vocabulary" or at.selectbox(key="data").value == key
        assert "root:" not in error_text(at) + page_text(at)
        if part == "validation" or page == "imbalance":
            assert error_text(at)


@pytest.mark.fault
def test_thousand_broken_run_folders_are_counted_and_few_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1000):
        (tmp_path / f"run {number:04d}").mkdir()
        (tmp_path / f"run {number:04d}" / "config.json").write_text("{")
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    at = open_page("experiments")
    assert error_text(at) == ""
    assert len(at.sidebar.caption) == 5
    assert at.sidebar.expander[0].label == "995 more are not shown"
    assert len(at.sidebar.dataframe[0].value) == 995
    real_open, opened = Run.open, []
    monkeypatch.setattr(Run, "open", lambda path: opened.append(path.name) or real_open(path))
    at.run()
    assert not [name for name in opened if name.startswith("run ")]  # the errors are cached


@pytest.mark.fault
def test_symbolic_link_in_a_run_folder_shows_no_other_file(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret, of a kind\nand its second line\n")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(demo_home / "runs" / MEAN_RUN)
    for file in ("config.json", "metrics.json", "vocabulary.csv", "log.csv", "predictions.parquet"):
        run = shutil.copytree(demo_home / "runs" / ATTENTION_RUN, tmp_path / "runs" / f"with its {file}")
        (run / file).unlink()
        (run / file).symlink_to(secret)
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path / "runs"))
    shown = ""
    for run in ("linked", "with its log.csv", "with its predictions.parquet"):
        at = open_page(run=run)
        assert at.selectbox(key="run").value == run
        shown += output(at) + error_text(at) + "".join(caption.value for caption in at.sidebar.caption)
    assert "with its vocabulary" in shown.replace("\\", "")
    assert "cannot read the predictions" in shown
    assert "secret, of" not in shown.replace("\\", "")
    assert "second line" not in shown


# --- links


def bound_keys() -> set[str]:
    """Return the keys of all controls that are bound to the address."""
    keys = set()
    for file in APP:
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "linked":
                values = [word.value for word in call.keywords if word.arg == "key"]
                keys |= {key.value for key in values if isinstance(key, ast.Constant)}
    assert keys
    return keys


@pytest.mark.fault
def test_no_chart_or_table_shares_the_name_of_a_control_in_the_address() -> None:
    """What a link or another page sets for the control would be taken for a selection in the table."""
    others = {
        word.value.value
        for file in APP
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) != "linked"
        for word in call.keywords
        if word.arg == "key" and isinstance(word.value, ast.Constant)
    }
    assert others
    assert others & bound_keys() == set()


@pytest.fixture
def opened_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect the names of all files that this process opens."""
    names: list[str] = []
    is_listening = [True]

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if is_listening[0] and event in ("open", "os.listdir", "os.scandir", "glob.glob"):
            names.append(str(arguments[0]))

    sys.addaudithook(listen)
    yield names
    is_listening[0] = False


@pytest.mark.fault
@pytest.mark.parametrize("page", PAGES)
def test_no_query_parameter_opens_unlisted_files(
    demo_home: Path, tmp_path: Path, opened_files: list[str], page: str
) -> None:
    secret = shutil.copytree(demo_home / "runs" / MEAN_RUN, tmp_path / "secret")
    shutil.copytree(demo_home / "smoke" / "validation", secret / "validation")
    up = os.path.relpath(secret, demo_home / "runs")
    hostile = (str(secret), up, f"{up}/validation", str(secret / "validation"), f"{secret}\0", "x" * 5_000, "-1")
    assert {"run", "run_b", "runs", "members", "data", "video", "label", "paper", "unfinished"} <= bound_keys()
    opened_files.clear()
    for text in hostile:
        query = dict.fromkeys(sorted(bound_keys()), text)
        at = open_page(page, **{**query, "run": ATTENTION_RUN, "data": "smoke/validation"})
        assert error_text(at) == ""
        at = open_page(page, **query)
        assert error_text(at) == ""
        assert at.selectbox(key="run").value is None
        assert at.selectbox(key="data").value is None
        notes = [warning.value.replace("\\", "") for warning in at.warning]
        assert any(re.match(r"This link names run \*\*.{1,90}\*\*, which is not here\.", note, re.S) for note in notes)
    at = open_page(page, data="x" * 100_000)
    assert error_text(at) == ""
    assert f"data set **{'x' * 80}**, which is not here" in page_text(at)
    assert opened_files
    assert [name for name in opened_files if str(tmp_path) in name or up in name] == []


# --- names


EVIL = "<i>a</i> **b** $c$ [d](e) :red[f]"


def texts(values: Any) -> Iterator[str]:
    """Yield all strings in a JSON value."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict | list):
        for value in values.values() if isinstance(values, dict) else values:
            yield from texts(value)


def markdown_texts(at: AppTest) -> Iterator[str]:
    """Yield all that a page renders as Markdown."""
    for kind in ("markdown", "caption", "title", "subheader", "info", "warning", "error", "success"):
        yield from (str(element.value) for element in getattr(at, kind))
    for kind in ("button", "metric", "expander", "download_button", "page_link"):
        for element in at.get(kind):
            yield str(getattr(element, "label", "") or element.proto.label)


@pytest.mark.fault
def test_html_and_markdown_in_names_show_as_text(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, frames, _ = first_video(demo_home)
    streams = {"rgb": frames[:, :1024], "audio": frames[:, 1024:]}
    write(tmp_path / EVIL / "a.tfrecord", *(Content(f"{EVIL} {i}", (i % 3, 3 + i % 2), streams) for i in range(12)))
    for name in (ATTENTION_RUN, MEAN_RUN):
        run = shutil.copytree(demo_home / "runs" / name, tmp_path / "runs" / f"{EVIL} {name}".replace("/", "∕"))
        set_json_value("config.json", "experiment/data/validation", str(tmp_path / EVIL))(run)
        names = [f"{label},,,{EVIL} {label},,{EVIL},,," for label in range(120)]
        header = "Index,TrainVideoCount,KnowledgeGraphId,Name,WikiUrl,Vertical1,Vertical2,Vertical3,WikiDescription"
        (run / "vocabulary.csv").write_text("\n".join([header, *names]) + "\n")
    shutil.copy(run / "vocabulary.csv", tmp_path / EVIL)
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path / "runs"))
    runs = sorted(run.name for run in (tmp_path / "runs").iterdir())
    shown = ""
    for page in PAGES:
        for run in runs:
            at = open_page(page, run=run, run_b=runs[runs[0] == run], runs=runs, members=runs, label=f"{EVIL} 3 · 3")
            assert not at.exception
            for chart in charts(at):
                assert not [text for text in texts(json.loads(chart)) if "<i>" in text]
                shown += chart
            for text in markdown_texts(at):
                assert "**b**" not in text, text
                assert "[d]" not in text, text
                assert "<i>" not in text, text
                shown += text
    assert "&lt;i&gt;a" in shown.replace("\\u0026", "&")
    assert r"\*\*b\*\*" in shown


# --- files that disappear


@pytest.mark.fault
def test_deleted_run_disappears_at_the_next_rerun(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(demo_home / "runs" / ATTENTION_RUN, tmp_path / "mine")
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    for page in PAGES:
        at = open_page(page, run="mine")
        assert at.selectbox(key="run").value == "mine"
        (tmp_path / "mine").rename(tmp_path / ".gone")
        at.run()
        assert error_text(at) == ""
        assert at.selectbox(key="run").value is None
        assert "Run **mine** is not here." in page_text(at)
        (tmp_path / ".gone").rename(tmp_path / "mine")


@pytest.mark.fault
@pytest.mark.parametrize("page", ["attention", "predictions", "experiments"])
def test_run_or_data_that_disappear_after_they_were_listed_are_reported(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    import session

    world = shutil.copytree(demo_home / "smoke", tmp_path / "world")
    run = shutil.copytree(demo_home / "runs" / ATTENTION_RUN, tmp_path / "mine")
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    monkeypatch.setenv("YT8M_DATA", str(world / "train"))
    real_find = session.find_workspace
    for folder in (run, world / "train"):

        def find_workspace(folder: Path = folder) -> Any:
            workspace = real_find()
            folder.rename(tmp_path / ".gone")
            return workspace

        with monkeypatch.context() as patch:
            at = open_page("overview", run="mine", data="world/train")
            patch.setattr(session, "find_workspace", find_workspace)
            st.cache_resource.clear()
            at.query_params["members"] = ["mine", MEAN_RUN]
            at.switch_page(f"views/{page}/page.py").run()
            assert str(folder) in error_text(at)
        (tmp_path / ".gone").rename(folder)


@pytest.mark.fault
def test_every_fragment_shows_its_own_errors() -> None:
    """A fragment that reruns alone runs no code of its page."""
    users = [file.name for file in APP if re.search(r"st\.fragment\b", file.read_text())]
    assert users == ["selectors.py"]


# --- a workspace that cannot be written


@pytest.fixture
def home(demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new workspace with the demo world and its runs, and empty caches."""
    for name in ("runs", "smoke"):
        shutil.copytree(demo_home / name, tmp_path / "home" / name)
    for config in (tmp_path / "home" / "runs").glob("*/config.json"):
        config.write_text(config.read_text().replace(str(demo_home), str(tmp_path / "home")))
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.fault
def test_scores_stay_in_memory_if_they_cannot_be_stored(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    at = open_page("predictions")
    assert [file.suffix for file in (home / "scored").iterdir()] == [".npy"]
    metrics = [metric.value for metric in at.metric]
    assert metrics
    shutil.rmtree(home / "scored")
    (home / "scored").write_text("a file in place of the folder")
    run = Run.open(home / "runs" / ATTENTION_RUN)
    os.utime(run.path / "model.safetensors", (1, 1))  # changes its stamp
    again = open_page("predictions")
    assert error_text(again) == ""
    assert [metric.value for metric in again.metric] == metrics

    def fail(*arguments: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    (home / "scored").unlink()
    monkeypatch.setattr(array_cache, "create_array", fail)
    monkeypatch.setattr(score_cache, "MAX_SCORES_IN_MEMORY", 120 * 8)
    os.utime(run.path / "model.safetensors", (2, 2))
    again = open_page("predictions")
    assert error_text(again) == ""
    assert "a random sample of 8 of 32 videos" in page_text(again)
    assert list((home / "scored").iterdir()) == []


@pytest.mark.fault
def test_index_that_cannot_be_stored_is_reported_with_advice(home: Path) -> None:
    (home / "index").write_text("a file in place of the folder")
    for page in ("overview", "imbalance", "predictions"):
        assert "Set YT8M_HOME to a folder with free space" in error_text(open_page(page))


@pytest.mark.fault
def test_failing_disk_is_reported_with_its_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error", "/a/disk")

    monkeypatch.setattr("cache.loaders.labels", fail)
    assert error_text(open_page("imbalance")) == "Input/output error: /a/disk."


# --- one server, several sessions


@pytest.mark.fault
def test_error_in_one_session_leaves_the_other_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    failing, other = open_page("imbalance"), open_page("predictions")
    before = charts(other)
    with monkeypatch.context() as patch:
        patch.setattr("cache.loaders.labels", lambda data: 1 / 0)
        failing.run()
        assert failing.exception
        assert charts(other.run()) == before
    assert error_text(failing.run()) == ""


@pytest.mark.fault
def test_every_cache_is_bounded() -> None:
    caches = 0
    for file in APP:
        for function in ast.walk(ast.parse(file.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            for decorator in function.decorator_list:
                text = ast.unparse(decorator)
                if text.startswith(("st.cache", "functools.cache", "functools.lru_cache", "lru_cache")):
                    caches += 1
                    no_arguments = not function.args.args and not function.args.kwonlyargs
                    assert re.search(r"max_entries=\d+", text) or no_arguments, f"{file.name}: {function.name}"
    assert caches > 30


@pytest.mark.fault
def test_no_state_in_modules_or_under_computed_names_in_sessions() -> None:
    for file in APP:
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                target = ast.unparse(node)
                if target.startswith("st.session_state"):
                    assert isinstance(node.slice, ast.Constant) or target.endswith(("[key]", "[VIEW_KEY]")), target
            assert not isinstance(node, ast.Global), file.name
        for node in tree.body:  # an empty list or dict, to be filled later
            assert not (isinstance(node, ast.Assign) and ast.unparse(node.value) in ("[]", "{}", "dict()")), file.name
