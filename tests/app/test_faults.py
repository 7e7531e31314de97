"""The app given runs, links and files that are not as they should be: it says so, and stays."""

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
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.support.damages import NOT_SHOWN, TOLD, damaged, value
from tests.support.pages import ATTENDING, OTHER, PAGES, charts, faults, first_video, opened, output, words
from tests.support.shards import Content, write
from yt8m_core.inference import score_cache
from yt8m_core.runs.run import Run

pytestmark = pytest.mark.usefixtures("demo_app")
APP = sorted((ROOT / "app").rglob("*.py"))


# --- runs of strangers


@pytest.mark.fault
def test_corrupt_run_folders_are_told_in_the_list_and_take_no_page_down(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"run {number}": name for number, name in enumerate(NOT_SHOWN)}
    for run, name in names.items():
        damaged(demo_home / "runs" / ATTENDING, tmp_path, NOT_SHOWN[name], run)
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    for page in PAGES:
        at = opened(page, run="run 0")
        assert faults(at) == ""
        assert charts(at)
        assert at.selectbox(key="run").options == [ATTENDING, OTHER]
        first, more = at.sidebar.caption, at.sidebar.dataframe[0].value
        told = [re.findall(r"Run \*\*(.*)\*\* is not shown\. (.+)", caption.value)[0] for caption in first]
        assert {names[key] for key, _ in told} | {names[key] for key in more["Run"]} == set(NOT_SHOWN)
        assert all(len(sentence) < 6000 for _, sentence in [*told, *more.itertuples(index=False)])


@pytest.mark.fault
@pytest.mark.parametrize("damage", TOLD)
def test_damaged_file_of_a_run_is_told_where_it_is_needed(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    damaged(demo_home / "runs" / ATTENDING, tmp_path, TOLD[damage])
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    told = ""
    for page in ("overview", "predictions", "experiments"):
        at = opened(page, run="mine", members=["mine", OTHER])
        assert at.selectbox(key="run").value == "mine"
        told += faults(at) + "".join(info.value for info in at.info if "log" in info.value)
        told += "".join(warning.value for warning in at.warning if "is left out" in warning.value)
    assert told


@pytest.mark.fault
@pytest.mark.parametrize("path", ["/etc/passwd", "/dev/zero", "/", "~nobody at all/x"])
@pytest.mark.parametrize("part", ["validation", "vocabulary"])
def test_run_that_names_files_which_are_no_data_shows_nothing_of_them(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, path: str
) -> None:
    run = damaged(demo_home / "runs" / OTHER, tmp_path, value("config.json", f"experiment/data/{part}", path))
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))  # no other data set that could be shown in its place
    shutil.copytree(demo_home / "runs", tmp_path / "home" / "runs")
    key = "/".join(Path(path).parts[-2:]) if part == "validation" else "smoke/validation"
    for page in ("overview", "imbalance", "predictions"):
        at = opened(page, run=run.name, data=key)
        assert part == "vocabulary" or at.selectbox(key="data").value == key
        assert "root:" not in faults(at) + words(at)
        if part == "validation" or page == "imbalance":
            assert faults(at)


@pytest.mark.fault
def test_thousand_broken_run_folders_are_counted_and_few_are_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1000):
        (tmp_path / f"run {number:04d}").mkdir()
        (tmp_path / f"run {number:04d}" / "config.json").write_text("{")
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    at = opened("experiments")
    assert faults(at) == ""
    assert len(at.sidebar.caption) == 5
    assert at.sidebar.expander[0].label == "995 more are not shown"
    assert len(at.sidebar.dataframe[0].value) == 995
    known, opening = Run.open, []
    monkeypatch.setattr(Run, "open", lambda path: opening.append(path.name) or known(path))
    at.run()
    assert not [name for name in opening if name.startswith("run ")]  # what is known of each is kept


@pytest.mark.fault
def test_link_in_a_runs_folder_is_followed_and_shows_no_file_that_is_not_of_a_run(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret, of a kind\nand its second line\n")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "linked").symlink_to(demo_home / "runs" / OTHER)
    for file in ("config.json", "metrics.json", "vocabulary.csv", "log.csv", "predictions.parquet"):
        run = shutil.copytree(demo_home / "runs" / ATTENDING, tmp_path / "runs" / f"with its {file}")
        (run / file).unlink()
        (run / file).symlink_to(secret)
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path / "runs"))
    shown = ""
    for run in ("linked", "with its log.csv", "with its predictions.parquet"):
        at = opened(run=run)
        assert at.selectbox(key="run").value == run
        shown += output(at) + faults(at) + "".join(caption.value for caption in at.sidebar.caption)
    assert "with its vocabulary" in shown.replace("\\", "")
    assert "no predictions" in shown
    assert "secret, of" not in shown.replace("\\", "")
    assert "second line" not in shown


# --- links


def bound_keys() -> set[str]:
    """The parameters of links: the keys of all controls that are bound to the address."""
    keys = set()
    for file in APP:
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and any(word.arg == "bind" for word in call.keywords):
                named = [word.value for word in call.keywords if word.arg == "key"]
                keys |= {key.value for key in named if isinstance(key, ast.Constant)}
    return keys


@pytest.fixture
def opened_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of all files that are opened, by whatever is called."""
    found: list[str] = []
    listening = [True]

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if listening[0] and event in ("open", "os.listdir", "os.scandir", "glob.glob"):
            found.append(str(arguments[0]))

    sys.addaudithook(hear)
    yield found
    listening[0] = False


@pytest.mark.fault
@pytest.mark.parametrize("page", PAGES)
def test_no_parameter_of_a_link_opens_what_is_not_listed(
    demo_home: Path, tmp_path: Path, opened_files: list[str], page: str
) -> None:
    secret = shutil.copytree(demo_home / "runs" / OTHER, tmp_path / "secret")
    shutil.copytree(demo_home / "smoke" / "validation", secret / "validation")
    up = os.path.relpath(secret, demo_home / "runs")
    hostile = (str(secret), up, f"{up}/validation", str(secret / "validation"), f"{secret}\0", "x" * 100_000, "-1")
    assert {"run", "run_b", "runs", "members", "data", "video", "label", "paper", "unfinished"} <= bound_keys()
    opened_files.clear()
    for text in hostile:
        at = opened(page, **dict.fromkeys(sorted(bound_keys()), text))
        told = faults(at)
        assert told in ("", f"no video '{text}' in this data set.")
        assert at.selectbox(key="run").value == ATTENDING
        assert at.selectbox(key="data").value == "smoke/validation"
    assert opened_files
    assert [name for name in opened_files if str(tmp_path) in name or up in name] == []


# --- names


EVIL = "<i>a</i> **b** $c$ [d](e) :red[f]"


def texts(values: Any) -> Iterator[str]:
    """All strings in a JSON value."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, dict | list):
        for one in values.values() if isinstance(values, dict) else values:
            yield from texts(one)


def written(at: AppTest) -> Iterator[str]:
    """All that a page writes as Markdown."""
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
    for name in (ATTENDING, OTHER):
        run = shutil.copytree(demo_home / "runs" / name, tmp_path / "runs" / f"{EVIL} {name}".replace("/", "∕"))
        value("config.json", "experiment/data/validation", str(tmp_path / EVIL))(run)
        names = [f"{label},,,{EVIL} {label},,{EVIL},,," for label in range(120)]
        header = "Index,TrainVideoCount,KnowledgeGraphId,Name,WikiUrl,Vertical1,Vertical2,Vertical3,WikiDescription"
        (run / "vocabulary.csv").write_text("\n".join([header, *names]) + "\n")
    shutil.copy(run / "vocabulary.csv", tmp_path / EVIL)
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path / "runs"))
    runs = sorted(run.name for run in (tmp_path / "runs").iterdir())
    seen = ""
    for page in PAGES:
        for run in runs:
            at = opened(page, run=run, run_b=runs[runs[0] == run], runs=runs, members=runs, label=f"{EVIL} 3 · 3")
            assert not at.exception
            for chart in charts(at):
                assert not [text for text in texts(json.loads(chart)) if "<i>" in text]
                seen += chart
            for text in written(at):
                assert "**b**" not in text, text
                assert "[d]" not in text, text
                assert "<i>" not in text, text
                seen += text
    assert "&lt;i&gt;a" in seen.replace("\\u0026", "&")
    assert r"\*\*b\*\*" in seen


# --- what goes away while it is looked at


@pytest.mark.fault
def test_run_that_is_deleted_while_a_page_shows_it_is_gone_from_the_next_look(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(demo_home / "runs" / ATTENDING, tmp_path / "mine")
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    for page in PAGES:
        at = opened(page, run="mine")
        assert at.selectbox(key="run").value == "mine"
        (tmp_path / "mine").rename(tmp_path / ".gone")
        at.run()
        assert faults(at) == ""
        assert at.selectbox(key="run").value == ATTENDING
        (tmp_path / ".gone").rename(tmp_path / "mine")


@pytest.mark.fault
@pytest.mark.parametrize("page", ["attention", "predictions", "experiments"])
def test_run_or_data_that_go_between_two_looks_of_one_page_are_told(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    from cache import loaders as state

    shutil.copytree(demo_home / "runs" / ATTENDING, tmp_path / "mine")
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    for name in ("find_all_runs", "find_all_data"):
        real, calls = getattr(state, name), []

        def look(*arguments: Any, real: Any = real, calls: list[Any] = calls) -> Any:
            calls.append(1)
            found = real(*arguments)
            if len(calls) > 1:
                for kind in (found[0] if isinstance(found, tuple) else found,):
                    kind.pop("mine", None)
                    kind.pop("smoke/train", None)
            return found

        with monkeypatch.context() as patch:
            at = opened(page, run="mine", data="smoke/train")
            patch.setattr(state, name, look)
            at.run()
            assert "is no longer there" in faults(at)


@pytest.mark.fault
def test_every_part_that_is_drawn_alone_tells_its_faults_itself() -> None:
    """In a fragment's own run nobody but the fragment is asked."""
    found = [file.name for file in APP if re.search(r"st\.fragment\b", file.read_text())]
    assert found == ["selectors.py", "page.py"]  # the latter's reads nothing


# --- a workspace that takes nothing


@pytest.fixture
def home(demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of its own, with the demo world and its runs, and nothing made of them yet."""
    for name in ("runs", "smoke"):
        shutil.copytree(demo_home / name, tmp_path / "home" / name)
    for config in (tmp_path / "home" / "runs").glob("*/config.json"):
        config.write_text(config.read_text().replace(str(demo_home), str(tmp_path / "home")))
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.fault
def test_scores_stay_in_memory_when_the_workspace_takes_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    at = opened("predictions")
    assert [file.suffix for file in (home / "scored").iterdir()] == [".npy"]
    told = [metric.value for metric in at.metric]
    assert told
    shutil.rmtree(home / "scored")
    (home / "scored").write_text("a file in the place of the folder")
    run = Run.open(home / "runs" / ATTENDING)
    os.utime(run.path / "model.safetensors", (1, 1))  # another content, as far as the caches know
    again = opened("predictions")
    assert faults(again) == ""
    assert [metric.value for metric in again.metric] == told

    def full(*arguments: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    (home / "scored").unlink()
    monkeypatch.setattr(score_cache, "new_array", full)
    monkeypatch.setattr(score_cache, "IN_MEMORY", 120 * 8)
    os.utime(run.path / "model.safetensors", (2, 2))
    again = opened("predictions")
    assert faults(again) == ""
    assert "a random sample of 8 of 32 videos" in words(again)
    assert list((home / "scored").iterdir()) == []


@pytest.mark.fault
def test_index_that_the_workspace_does_not_take_is_told_with_what_to_do(home: Path) -> None:
    (home / "index").write_text("a file in the place of the folder")
    for page in ("overview", "imbalance", "predictions"):
        assert "Name a folder that has room in YT8M_HOME" in faults(opened(page))


@pytest.mark.fault
def test_disk_that_fails_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error", "/a/disk")

    monkeypatch.setattr("cache.loaders.labels", fails)
    assert faults(opened("imbalance")) == "Input/output error: /a/disk."


# --- one server, several sessions


@pytest.mark.fault
def test_fault_of_one_session_leaves_the_other_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = opened("imbalance"), opened("predictions")
    before = charts(other)
    with monkeypatch.context() as patch:
        patch.setattr("cache.loaders.labels", lambda data: 1 / 0)
        one.run()
        assert one.exception
        assert charts(other.run()) == before
    assert faults(one.run()) == ""


@pytest.mark.fault
def test_every_cache_is_bounded() -> None:
    found = 0
    for file in APP:
        for function in ast.walk(ast.parse(file.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            for decorator in function.decorator_list:
                text = ast.unparse(decorator)
                if text.startswith(("st.cache", "functools.cache", "functools.lru_cache", "lru_cache")):
                    found += 1
                    no_arguments = not function.args.args and not function.args.kwonlyargs
                    assert re.search(r"max_entries=\d+", text) or no_arguments, f"{file.name}: {function.name}"
    assert found > 30


@pytest.mark.fault
def test_nothing_is_kept_in_a_module_or_under_a_name_of_its_own_in_a_session() -> None:
    for file in APP:
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                target = ast.unparse(node)
                if target.startswith("st.session_state"):
                    assert isinstance(node.slice, ast.Constant) or target.endswith(("[key]", "[TAB_KEY]")), target
            assert not isinstance(node, ast.Global), file.name
        for node in tree.body:  # a list or dict of the module that something is put into
            assert not (isinstance(node, ast.Assign) and ast.unparse(node.value) in ("[]", "{}", "dict()")), file.name
