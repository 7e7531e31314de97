"""The app through Streamlit's AppTest: every page in its normal, empty and broken states."""

import os
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.support.pages import (
    ATTENDING,
    MAIN,
    OF_DATA,
    OTHER,
    PAGES,
    at_id,
    charts,
    faults,
    first_video,
    opened,
    words,
)
from tests.support.shards import Content, vector, write
from yt8m_core.errors import UserError

pytestmark = pytest.mark.usefixtures("demo_app")


# --- normal


@pytest.mark.parametrize("page", PAGES)
def test_page_shows_its_chart_and_says_whose_numbers_they_are(page: str) -> None:
    at = opened(page)
    assert faults(at) == ""
    assert at.title[0].value == page.capitalize()
    assert charts(at)
    assert all("demo world" in chart for chart in charts(at))
    assert "demo world" in words(at)
    assert "smoke/validation" in words(at)
    assert "32 videos" in words(at)
    if page not in ("imbalance", "correlation"):
        assert f"Run **{ATTENDING}**" in words(at)
        assert "64 videos (demo world)" in words(at)


def test_first_page_needs_no_torch_and_no_page_fabric(demo_home: Path) -> None:
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


def test_label_is_looked_up() -> None:
    at = opened("imbalance")
    name = next(option for option in at.selectbox(key="label").options if option.startswith("Music · "))
    at.selectbox(key="label").select(name).run()
    assert "**Music** is in" in words(at)
    at = opened("predictions")
    at.selectbox(key="label").select(name).run()
    assert "**Music** is at rank" in words(at)


# --- links


def test_link_restores_run_data_video_and_label() -> None:
    at = opened("predictions", run=OTHER, data="smoke/train")
    ids = at.selectbox(key="video").options
    link = opened("predictions", run=OTHER, data="smoke/train", video=ids[3], label="Music · 2")
    assert [link.selectbox(key=key).value for key in ("run", "data", "video", "label")] == [
        OTHER, "smoke/train", ids[3], "Music · 2",
    ]  # fmt: skip
    assert f"video {ids[3]}" in charts(link)[0]


@pytest.mark.parametrize("data", ["/etc", "../../etc", "smoke/nothing", ""])
def test_link_opens_nothing_that_is_not_listed(demo_home: Path, data: str) -> None:
    at = opened("imbalance", data=data, run=str(demo_home / "runs" / OTHER), label="nonsense", video="nonsense")
    assert faults(at) == ""
    assert at.selectbox(key="data").value == "smoke/validation"
    assert at.selectbox(key="run").value == ATTENDING


def test_two_runs_of_one_name_have_links_of_their_own(demo_home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    shutil.copytree(demo_home / "runs" / OTHER, tmp_path / "more" / OTHER)
    monkeypatch.setenv("YT8M_RUNS", os.pathsep.join([str(tmp_path / "more"), str(tmp_path / "more" / OTHER)]))
    options = opened().selectbox(key="run").options
    assert len(options) == len(set(options)) == 3
    assert options[2].startswith(f"{OTHER} ")


# --- nothing there yet


@pytest.fixture
def _nothing(demo_app: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("_nothing")
def test_without_anything_every_page_leads_to_the_welcome_page(tmp_path: Path) -> None:
    at = opened()
    assert at.title[0].value == "Welcome"
    assert str(tmp_path / "home" / "smoke") in words(at)
    assert str(tmp_path / "home" / "runs") in words(at)
    at.switch_page("views/attention/page.py").run()
    assert at.title[0].value == "Welcome"
    assert faults(at) == ""


@pytest.mark.usefixtures("_nothing")
def test_welcome_page_builds_the_demo_world(monkeypatch: pytest.MonkeyPatch) -> None:
    import demo_build

    job = demo_build.DemoJob()
    monkeypatch.setattr(demo_build, "demo_job", lambda: job)
    at = opened()
    at.button[0].click().run()
    assert at.button[0].disabled
    until = time.monotonic() + 60
    while not at.success and time.monotonic() < until:
        assert faults(at) == ""
        assert at.status[0].label.startswith("Building")
        time.sleep(0.2)
        at.run()
    assert at.success[0].value == "The demo world is built."
    at.switch_page("views/attention/page.py").run()
    assert charts(at)


@pytest.mark.usefixtures("_nothing")
def test_welcome_page_tells_why_building_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import demo_build

    (tmp_path / "home" / "smoke").mkdir(parents=True)
    (tmp_path / "home" / "smoke" / "mine.txt").write_text("not a demo world")
    job = demo_build.DemoJob()
    monkeypatch.setattr(demo_build, "demo_job", lambda: job)
    job.start()
    assert job._thread
    job._thread.join()
    at = opened()
    assert "holds something else" in faults(at)
    assert not at.button[0].disabled


@pytest.mark.usefixtures("_nothing")
def test_data_alone_show_their_labels_and_models_are_asked_for(real_data: Path, monkeypatch: Any) -> None:
    shard = real_data / "yt8m-2018-video" / "validate" / "shard0052.tfrecord"
    monkeypatch.setenv("YT8M_DATA", str(shard))
    at = opened()
    assert at.title[0].value == "Overview"
    assert "sample of real data" in words(at)
    assert "No trained run was found" in words(at)
    assert str(shard) in at.code[0].value
    assert not charts(at)
    at.switch_page("views/imbalance/page.py").run()
    assert "sample of real data" in words(at)
    assert "sample of real data" in charts(at)[0]
    assert len(at.dataframe[0].value) == 3862
    at.switch_page("views/correlation/page.py").run()
    assert "sample of real data" in charts(at)[0]
    for page in ("predictions", "experiments"):
        at.switch_page(f"views/{page}/page.py").run()
        assert "no trained run yet" in words(at)
    assert faults(at) == ""


# --- something is wrong


def run_copy(home: Path, folder: Path, name: str = ATTENDING) -> Path:
    return shutil.copytree(home / "runs" / ATTENDING, folder / name)


def break_config(run: Path) -> None:
    (run / "config.json").write_bytes(b"\xff{")


def break_format(run: Path) -> None:
    (run / "config.json").write_text('{"format": 99}')


def break_facts(run: Path) -> None:
    (run / "config.json").write_text('{"format": 1, "facts": {"schema": 3}}')


def break_metrics(run: Path) -> None:
    (run / "metrics.json").write_text("{}")


def break_vocabulary(run: Path) -> None:
    (run / "vocabulary.csv").write_text("label_id,label_name\n0,Only\n")


def not_finished(run: Path) -> None:
    (run / "metrics.json").unlink()


@pytest.mark.parametrize(
    "damage", [break_config, break_format, break_facts, break_metrics, break_vocabulary, not_finished]
)
def test_run_that_cannot_be_used_is_told_and_takes_nothing_down(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    damage(run_copy(demo_home, tmp_path, "an *odd* [name](x)"))
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    at = opened("predictions")
    assert at.selectbox(key="run").options == [ATTENDING, OTHER]
    (caption,) = at.sidebar.caption
    assert r"Run **an \*odd\* \[name\]\(x\)** is not shown" in caption.value
    assert faults(at) == ""
    assert charts(at)


def test_run_without_its_weights_or_with_others_is_told(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_copy(demo_home, tmp_path, "mine")
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    assert charts(opened("predictions", run="mine"))
    shutil.copy(demo_home / "runs" / OTHER / "model.safetensors", run)
    assert "weights that do not fit" in faults(opened("predictions", run="mine"))
    (run / "model.safetensors").unlink()
    assert "no trained weights" in faults(opened("predictions", run="mine"))
    assert faults(opened("imbalance", run="mine")) == ""


@pytest.mark.fault
def test_data_that_are_gone_or_broken_are_told_on_every_page(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.tfrecord").write_bytes(b"not a record at all, and long enough")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.tfrecord").write_bytes(b"")
    places = {tmp_path.name + "/" + name: tmp_path / name for name in ("gone", "broken", "empty")}
    monkeypatch.setenv("YT8M_DATA", os.pathsep.join(map(str, places.values())))
    for key, place in places.items():
        for page in PAGES:
            at = opened(page, data=key)
            assert at.selectbox(key="data").value == key
            assert str(place) in faults(at)
            assert bool(charts(at)) == (page not in OF_DATA)


def test_shard_that_is_replaced_is_read_anew(demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = shutil.copytree(demo_home / "smoke", tmp_path / "world")
    monkeypatch.setenv("YT8M_DATA", str(data / "train"))
    at = opened("attention", data="world/train")
    assert "64 videos" in words(at)
    shards = sorted((data / "train").glob("*.tfrecord"))
    shards[0].unlink()
    at.run()
    assert faults(at) == ""
    assert "56 videos" in words(at)
    shutil.copy(shards[1], data / "train" / "twice.tfrecord")
    at.run()
    assert "more than once" in faults(at)


@pytest.mark.fault
def test_shard_that_changes_between_two_looks_is_told(demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(self: Any, video: int) -> None:
        raise UserError("the shard has changed since it was indexed", where="a.tfrecord")

    monkeypatch.setattr("yt8m_core.data.dataset.Videos.frames", changed)
    at = opened("predictions", video=at_id(demo_home, 30))
    assert "has changed since it was indexed" in faults(at)


def test_data_of_another_kind_than_the_run_are_told_and_what_fits_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "vectors" / "a.tfrecord", *(vector(f"id{i}", (i, i + 1)) for i in range(5)))
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "vectors"))
    key = f"{tmp_path.name}/vectors"
    for page in ("attention", "predictions"):
        at = opened(page, data=key)
        assert "found video-level features" in faults(at)
        assert [button.label for button in at.button] == [
            "Use this run's own data set smoke/validation",
            "Use this run's own data set smoke/train",
        ]
        at.button[0].click().run()
        assert faults(at) == ""
        assert charts(at)


def test_labels_outside_of_the_run_are_told(tmp_path: Path, demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, frames, _ = first_video(demo_home)
    video = Content("abcd", (5, 4000), {"rgb": frames[:, :1024], "audio": frames[:, 1024:]})
    write(tmp_path / "other" / "a.tfrecord", video)
    monkeypatch.setenv("YT8M_DATA", str(tmp_path / "other"))
    assert "label 4000 of video 'abcd'" in faults(opened("predictions", data=f"{tmp_path.name}/other"))
    assert faults(opened("imbalance", data=f"{tmp_path.name}/other")) == ""


def test_videos_without_labels_are_predicted_but_not_counted(
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
        assert "no video has labels" in faults(opened(page, data=key))
    at = opened("predictions", data=key)
    assert "true labels of this video are not known" in words(at)
    assert "true" not in at.dataframe[0].value or at.dataframe[0].value["true"].isna().all()
    assert "Not known" in words(opened("attention", data=key))


def test_run_that_is_trained_again_shows_its_new_numbers(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    run = run_copy(demo_home, tmp_path, "mine")
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    at = opened("predictions", run="mine")
    before = charts(at)
    weights = load_file(run / "model.safetensors")
    save_file({name: tensor * 0 for name, tensor in weights.items()}, run / "model.safetensors")
    at.run()
    assert charts(at) != before


def test_setting_that_is_unknown_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_SCALE", "huge")
    at = AppTest.from_file(str(MAIN), default_timeout=60).run()
    assert "YT8M_SCALE=huge" in faults(at)


def test_run_with_an_unknown_pooling_is_not_offered(
    demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = run_copy(demo_home, tmp_path, "mine") / "config.json"
    config.write_text(config.read_text().replace('"indirect_clustering"', '"indirect_clusters"'))
    monkeypatch.setenv("YT8M_RUNS", str(tmp_path))
    at = opened("attention", run=OTHER)
    assert faults(at) == ""
    labels = [button.label.replace("\\", "") for button in at.button]
    assert [label for label in labels if label.startswith("Use")] == [f"Use run {ATTENDING}"]
    assert "Did you mean 'indirect_clustering'?" in faults(opened("attention", run="mine"))


def test_fault_of_our_own_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(data: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("cache.loaders.labels", wrong)
    assert opened("imbalance").exception[0].message == "a bug"


def test_process_that_reads_shards_does_not_run_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under Streamlit the app is ``__main__``, which a spawned process imports again as ``__mp_main__``."""
    monkeypatch.setattr("streamlit.set_page_config", lambda **_: pytest.fail("the app has run"))
    runpy.run_path(str(MAIN), run_name="__mp_main__")


@pytest.mark.fault
def test_fault_in_a_part_of_a_page_is_told_there_and_the_rest_stands() -> None:
    def page() -> None:
        import streamlit as st

        from components.selectors import fragment
        from yt8m_core.errors import UserError

        @fragment
        def broken(found: str) -> None:
            raise UserError(found, where="a.tfrecord")

        broken("nothing")
        st.markdown("the rest")

    at = AppTest.from_function(page, default_timeout=60).run()
    assert faults(at) == "a.tfrecord: nothing."
    assert words(at).endswith("the rest\na.tfrecord: nothing.")
