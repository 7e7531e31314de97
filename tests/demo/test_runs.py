import dataclasses
import shutil
from pathlib import Path

import pytest

from yt8m_core.demo import runs as demo_runs
from yt8m_core.demo import world as demo
from yt8m_core.experiment import Training


@pytest.fixture
def home(demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the demo world and its runs, under the path in their configs."""
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YT8M_SCALE", "smoke")
    demo_runs.prepare()
    return tmp_path / "home"


def modification_times(home: Path) -> dict[str, int]:
    return {str(f): f.stat().st_mtime_ns for f in home.rglob("*") if f.suffix in (".safetensors", ".tfrecord")}


def test_existing_demo_world_and_runs_are_unchanged(home: Path) -> None:
    before = modification_times(home)
    assert demo_runs.is_ready()
    assert [run.is_finished for run in demo_runs.prepare()] == [True, True]
    assert modification_times(home) == before


def test_runs_are_trained_again_when_the_world_changes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(demo_runs.WORLDS, "smoke", dataclasses.replace(demo.smoke(), seed=99))
    before = modification_times(home)
    assert not demo_runs.is_ready()
    demo_runs.prepare()
    assert demo_runs.is_ready()
    assert all(modification_times(home)[name] > time for name, time in before.items())


def test_runs_are_replaced_when_their_experiment_changes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(demo_runs.TRAINING, "smoke", Training(epochs=2, batch_size=16))
    assert not demo_runs.is_ready()
    assert [run.experiment.training.epochs for run in demo_runs.prepare()] == [2, 2]
    assert demo_runs.is_ready()


def test_only_missing_runs_are_trained(home: Path) -> None:
    removed = demo_runs.runs_folder() / "smoke-mean-mlp"
    shutil.rmtree(removed)
    before = modification_times(home)
    assert not demo_runs.is_ready()
    tasks: list[str] = []
    demo_runs.prepare(lambda what, *_: tasks.append(what))
    assert demo_runs.is_ready()
    assert all("smoke-mean-mlp" in what or "indexing" in what for what in tasks)
    assert {name: time for name, time in modification_times(home).items() if name in before} == before
