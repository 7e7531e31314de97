import dataclasses
import shutil
from pathlib import Path

import pytest

from yt8m_core.demo import runs as demo_runs
from yt8m_core.demo import world as demo
from yt8m_core.experiment import Training


@pytest.fixture
def home(demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared workspace of its own, under the path that its runs name."""
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YT8M_SCALE", "smoke")
    demo_runs.prepare()
    return tmp_path / "home"


def stamps(home: Path) -> dict[str, int]:
    return {str(f): f.stat().st_mtime_ns for f in home.rglob("*") if f.suffix in (".safetensors", ".tfrecord")}


def test_demo_world_and_runs_are_left_alone_when_they_stand(home: Path) -> None:
    before = stamps(home)
    assert demo_runs.is_ready()
    assert [run.finished for run in demo_runs.prepare()] == [True, True]
    assert stamps(home) == before


def test_runs_are_trained_again_when_the_world_is_another(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(demo_runs.WORLDS, "smoke", dataclasses.replace(demo.smoke(), seed=99))
    before = stamps(home)
    assert not demo_runs.is_ready()
    demo_runs.prepare()
    assert demo_runs.is_ready()
    assert all(stamps(home)[name] > time for name, time in before.items())


def test_runs_are_replaced_when_their_experiment_is_another(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(demo_runs.TRAINING, "smoke", Training(epochs=2, batch_size=16))
    assert not demo_runs.is_ready()
    assert [run.experiment.training.epochs for run in demo_runs.prepare()] == [2, 2]
    assert demo_runs.is_ready()


def test_only_what_is_missing_is_made(home: Path) -> None:
    lost = demo_runs.runs_folder() / "smoke-mean-mlp"
    shutil.rmtree(lost)
    before = stamps(home)
    assert not demo_runs.is_ready()
    done: list[str] = []
    demo_runs.prepare(lambda what, *_: done.append(what))
    assert demo_runs.is_ready()
    assert all("smoke-mean-mlp" in what or "indexing" in what for what in done)
    assert {name: time for name, time in stamps(home).items() if name in before} == before
