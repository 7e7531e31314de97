"""Data with rated segments, and a run that has seen whole videos only."""

from pathlib import Path

import pytest

from tests.support.rated_videos import write_rated
from tests.support.tiny import tiny_experiment
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rated(tmp_path_factory.mktemp("rated"), 60)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that was trained on labels of whole videos."""
    root = tmp_path_factory.mktemp("base")
    return train(tiny_experiment(root), root / "run")
