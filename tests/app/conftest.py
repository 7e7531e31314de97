"""Fixtures of the app tests."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pages import ATTENTION_RUN

CopyRun = Callable[..., Path]


@pytest.fixture(autouse=True)
def _demo_app(demo_app: None) -> None:
    """Every test sees the smallest demo world and its runs, and nothing else."""


@pytest.fixture
def copy_run(demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CopyRun:
    """Return a function that adds a copy of a demo run to the runs that the app lists."""
    folder = tmp_path / "more runs"

    def copy(name: str = "mine", run: str = ATTENTION_RUN) -> Path:
        monkeypatch.setenv("YT8M_RUNS", str(folder))
        return shutil.copytree(demo_home / "runs" / run, folder / name)

    return copy


@pytest.fixture
def real_shard(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Add a shard of real video-level records, "validate/shard0052.tfrecord", to the data sets that the app lists."""
    shard = real_data / "yt8m-2018-video" / "validate" / "shard0052.tfrecord"
    monkeypatch.setenv("YT8M_DATA", str(shard))
    return shard


@pytest.fixture
def _no_runs(demo_app: None, demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data of the demo world without runs."""
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YT8M_DATA", str(demo_home / "smoke" / "validation"))
