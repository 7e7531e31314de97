"""Every page in its normal, empty and broken states."""

import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.conftest import CopyRun
from tests.conftest import ROOT
from tests.support.pages import (
    ATTENTION_RUN,
    DATA_PAGES,
    MAIN,
    MEAN_RUN,
    PAGES,
    charts,
    error_text,
    first_video,
    open_page,
    page_text,
    results,
    video_id_at,
)
from tests.support.shards import Content, vector, write
from yt8m_core.errors import UserError

# --- normal


@pytest.mark.parametrize("page", PAGES)
def test_page_shows_charts_and_the_provenance_of_its_numbers(page: str) -> None:
    at = open_page(page)
    assert error_text(at) == ""
    assert at.title[0].value == page.replace("_", " ").capitalize()
    assert results(at)
    assert all("demo world" in chart for chart in charts(at))
    assert "demo world" in page_text(at)
    assert "smoke/validation" in page_text(at)
    assert "32 videos" in page_text(at)
    if page != "imbalance":
        assert f"Run **{ATTENTION_RUN}**" in page_text(at)
        assert "64 training videos (demo world)" in page_text(at)


@pytest.mark.slow
def test_first_page_imports_no_torch_and_no_page_imports_fabric(demo_home: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, "app")
from streamlit.testing.v1 import AppTest
at = AppTest.from_file({str(MAIN)!r}, default_timeout=60).run()
assert not at.exception and not at.error and at.dataframe
assert "torch" not in sys.modules
for page in {PAGES!r}:
    at.switch_page(f"views/{{page}}/page.py").run()
assert "torch" in sys.modules
assert "lightning_fabric" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, env=os.environ)


def test_label_is_selected() -> None:
    at = open_page("imbalance")
    name = next(option for option in at.selectbox(key="label").options if option.startswith("Music · "))
    at.selectbox(key="label").select(name).run()
    assert "**Music** is in" in page_text(at)
    at = open_page("predictions")
    at.selectbox(key="label").select(name).run()
    assert "**Music**: rank" in page_text(at)


# --- links


def test_link_restores_run_data_video_and_label() -> None:
    at = open_page("predictions", run=MEAN_RUN, data="smoke/train")
    ids = at.selectbox(key="video").options
    link = open_page("predictions", run=MEAN_RUN, data="smoke/train", video=ids[3], label="Music · 2")
    assert [link.selectbox(key=key).value for key in ("run", "data", "video", "label")] == [
        MEAN_RUN, "smoke/train", ids[3], "Music · 2",
    ]  # fmt: skip
    assert f"video {ids[3]}" in charts(link)[0]


@pytest.mark.parametrize("data", ["/etc", "../../etc", "smoke/nothing", ""])
def test_link_opens_nothing_that_is_not_listed(demo_home: Path, data: str) -> None:
    at = open_page("imbalance", data=data, run=str(demo_home / "runs" / MEAN_RUN), label="nonsense", video="nonsense")
    assert error_text(at) == ""
    assert at.selectbox(key="data").value is None
    assert at.selectbox(key="run").value is None
    assert not charts(at)


def test_runs_with_the_same_name_have_different_keys(demo_home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    shutil.copytree(demo_home / "runs" / MEAN_RUN, tmp_path / "more" / MEAN_RUN)
    monkeypatch.setenv("YT8M_RUNS", os.pathsep.join([str(tmp_path / "more"), str(tmp_path / "more" / MEAN_RUN)]))
    options = open_page().selectbox(key="run").options
    assert len(options) == len(set(options)) == 3
    assert options[2].startswith(f"{MEAN_RUN} ")


# --- empty workspace


@pytest.fixture
def _empty_workspace(demo_app: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("_empty_workspace")
def test_empty_workspace_opens_the_welcome_page(tmp_path: Path) -> None:
    at = open_page()
    assert at.title[0].value == "Welcome"
    assert str(tmp_path / "home" / "smoke") in page_text(at)
    assert str(tmp_path / "home" / "runs") in page_text(at)
    at.switch_page("views/attention/page.py").run()
    assert at.title[0].value == "Welcome"
    assert error_text(at) == ""


@pytest.mark.usefixtures("_empty_workspace")
def test_welcome_page_builds_the_demo_world(monkeypatch: pytest.MonkeyPatch) -> None:
    import demo_build

    build = demo_build.DemoBuild()
    monkeypatch.setattr(demo_build, "demo_build", lambda: build)
    at = open_page()
    at.button[0].click().run(timeout=180)
    assert error_text(at) == ""
    assert at.title[0].value == "Overview"
    assert charts(at)
    at.switch_page("views/attention/page.py").run()
    assert charts(at)


@pytest.mark.usefixtures("_empty_workspace")
def test_welcome_page_reports_a_failed_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import demo_build

    (tmp_path / "home" / "smoke").mkdir(parents=True)
    (tmp_path / "home" / "smoke" / "mine.txt").write_text("not a demo world")
    build = demo_build.DemoBuild()
    monkeypatch.setattr(demo_build, "demo_build", lambda: build)
    build.start()
    assert build._thread
    build._thread.join()
    at = open_page()
    assert "is not a demo world" in error_text(at)
    assert not at.button[0].disabled


@pytest.mark.usefixtures("_empty_workspace")
def test_data_without_runs_show_their_labels_and_request_a_run(real_shard: Path) -> None:
    at = open_page()
    assert at.title[0].value == "Overview"
    assert "sample of real data" in page_text(at)
    assert "There is no trained run" in page_text(at)
    assert str(real_shard) in at.code[0].value
    assert not charts(at)
    at.switch_page("views/imbalance/page.py").run()
    assert "sample of real data" in page_text(at)
    assert "sample of real data" in charts(at)[0]
    assert len(at.dataframe[0].value) == 3862
    at.switch_page("views/correlation/page.py").run()
    assert "sample of real data" in charts(at)[0]
    for page in ("predictions", "experiments"):
        at.switch_page(f"views/{page}/page.py").run()
        assert "needs a trained run" in page_text(at)
    assert error_text(at) == ""


# --- broken states


def break_config(run: Path) -> None:
    (run / "config.json").write_bytes(b"\xff{")


def break_format(run: Path) -> None:
    (run / "config.json").write_text('{"format": 99}')


def break_facts(run: Path) -> None:
    (run / "config.json").write_text('{"format": 2, "facts": {"schema": 3}}')


def break_metrics(run: Path) -> None:
    (run / "metrics.json").write_text("{}")


def break_vocabulary(run: Path) -> None:
    (run / "vocabulary.csv").write_text("label_id,label_name\n0,Only\n")


def make_unfinished(run: Path) -> None:
    (run / "metrics.json").unlink()


@pytest.mark.parametrize(
    "damage", [break_config, break_format, break_facts, break_metrics, break_vocabulary, make_unfinished]
)
def test_invalid_run_is_reported_and_breaks_no_page(copy_run: CopyRun, damage: Callable[[Path], None]) -> None:
    damage(copy_run("an *odd* [name](x)"))
    at = open_page("predictions")
    assert at.selectbox(key="run").options == [ATTENTION_RUN, MEAN_RUN]
    (caption,) = at.sidebar.caption
    assert r"Run **an \*odd\* \[name\]\(x\)** is not shown" in caption.value
    assert error_text(at) == ""
    assert charts(at)


def test_missing_or_wrong_weights_are_reported(demo_home: Path, copy_run: CopyRun) -> None:
    run = copy_run()
    assert charts(open_page("predictions", run="mine"))
    shutil.copy(demo_home / "runs" / MEAN_RUN / "model.safetensors", run)
    assert "weights that do not fit" in error_text(open_page("predictions", run="mine"))
    (run / "model.safetensors").unlink()
    assert "no trained weights" in error_text(open_page("predictions", run="mine"))
    assert error_text(open_page("imbalance", run="mine")) == ""


@pytest.mark.fault
def test_missing_or_broken_data_are_reported_on_every_page(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.tfrecord").write_bytes(b"not a record at all, and long enough")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.tfrecord").write_bytes(b"")
    folders = {tmp_path.name + "/" + name: tmp_path / name for name in ("gone", "broken", "empty")}
    monkeypatch.setenv("YT8M_DATA", os.pathsep.join(map(str, folders.values())))
    for key, folder in folders.items():
        for page in PAGES:
            at = open_page(page, data=key)
            assert at.selectbox(key="data").value == key
            assert str(folder) in error_text(at)
            assert bool(results(at)) == (page not in DATA_PAGES)


def test_replaced_shard_is_read_at_the_next_rerun(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = shutil.copytree(demo_home / "smoke", tmp_path / "world")
    monkeypatch.setenv("YT8M_DATA", str(data / "train"))
    at = open_page("attention", data="world/train")
    assert "64 videos" in page_text(at)
    shards = sorted((data / "train").glob("*.tfrecord"))
    shards[0].unlink()
    at.run()
    assert error_text(at) == ""
    assert "56 videos" in page_text(at)
    shutil.copy(shards[1], data / "train" / "twice.tfrecord")
    at.run()
    assert "more than once" in error_text(at)


@pytest.mark.fault
def test_shard_that_changes_between_reruns_is_reported(demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(self: Any, video: int) -> None:
        raise UserError("the shard has changed since it was indexed", where="a.tfrecord")

    monkeypatch.setattr("yt8m_core.data.dataset.Videos.frames", changed)
    at = open_page("predictions", video=video_id_at(demo_home, 30))
    assert "has changed since it was indexed" in error_text(at)


def test_data_that_do_not_fit_the_run_are_reported_with_alternatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "vectors" / "a.tfrecord", *(vector(f"id{i}", (i, i + 1)) for i in range(5)))
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "vectors"))
    key = f"{tmp_path.name}/vectors"
    for page in ("attention", "predictions"):
        at = open_page(page, data=key)
        assert "found video-level features" in error_text(at)
        assert [button.label for button in at.button] == [
            "Use data set smoke/validation of this run",
            "Use data set smoke/train of this run",
        ]
        at.button[0].click().run()
        assert error_text(at) == ""
        assert charts(at)


def test_labels_beyond_those_of_the_run_are_reported(
    tmp_path: Path, demo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, frames, _ = first_video(demo_home)
    video = Content("abcd", (5, 4000), {"rgb": frames[:, :1024], "audio": frames[:, 1024:]})
    write(tmp_path / "other" / "a.tfrecord", video)
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "other"))
    assert "label 4000 of video 'abcd'" in error_text(open_page("predictions", data=f"{tmp_path.name}/other"))
    assert error_text(open_page("imbalance", data=f"{tmp_path.name}/other")) == ""


def test_unlabeled_videos_are_predicted_but_not_counted(
    tmp_path: Path, demo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, frames, _ = first_video(demo_home)
    write(
        tmp_path / "test" / "a.tfrecord",
        Content("abcd", None, {"rgb": frames[:, :1024], "audio": frames[:, 1024:]}),
    )
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "test"))
    key = f"{tmp_path.name}/test"
    for page in ("imbalance", "correlation"):
        assert "no video has labels" in error_text(open_page(page, data=key))
    at = open_page("predictions", data=key)
    assert "true labels of this video are unknown" in page_text(at)
    assert "true" not in at.dataframe[0].value or at.dataframe[0].value["true"].isna().all()
    assert "Unknown" in page_text(open_page("attention", data=key))


def test_retrained_run_shows_its_new_numbers(copy_run: CopyRun) -> None:
    from safetensors.torch import load_file, save_file

    run = copy_run()
    at = open_page("predictions", run="mine")
    before = charts(at)
    weights = load_file(run / "model.safetensors")
    save_file({name: tensor * 0 for name, tensor in weights.items()}, run / "model.safetensors")
    at.run()
    assert charts(at) != before


def test_unknown_setting_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_SCALE", "huge")
    at = AppTest.from_file(str(MAIN), default_timeout=60).run()
    assert "YT8M_SCALE=huge" in error_text(at)


def test_run_with_an_unknown_pooling_is_not_offered(copy_run: CopyRun) -> None:
    config = copy_run() / "config.json"
    config.write_text(config.read_text().replace('"indirect_clustering"', '"indirect_clusters"'))
    at = open_page("attention", run=MEAN_RUN, see="Where")
    assert error_text(at) == ""
    labels = [button.label.replace("\\", "") for button in at.button]
    assert [label for label in labels if label.startswith("Use")] == [f"Use run {ATTENTION_RUN}"]
    assert "Did you mean 'indirect_clustering'?" in error_text(open_page("attention", run="mine"))


def test_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(data: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("cache.loaders.labels", fail)
    assert open_page("imbalance").exception[0].message == "a bug"


def test_process_that_reads_shards_does_not_run_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process spawned under Streamlit imports the app, which is ``__main__``, as ``__mp_main__``."""
    monkeypatch.setattr("streamlit.set_page_config", lambda **_: pytest.fail("the app has run"))
    runpy.run_path(str(MAIN), run_name="__mp_main__")


@pytest.mark.fault
def test_error_in_a_section_is_shown_in_its_place() -> None:
    def page() -> None:
        import streamlit as st

        from components.selectors import fragment
        from yt8m_core.errors import UserError

        @fragment
        def broken(message: str) -> None:
            raise UserError(message, where="a.tfrecord")

        broken("nothing")
        st.markdown("the rest")

    at = AppTest.from_function(page, default_timeout=60).run()
    assert error_text(at) == "a.tfrecord: nothing."
    assert page_text(at).endswith("the rest\na.tfrecord: nothing.")
