"""Commands in a workspace of another user, who has given no write permission."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from yt8m_core.data.dataset import open_videos


@pytest.fixture
def shared_home(demo_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A workspace with the demo world and its runs, in which nothing can be written."""
    home = tmp_path / "home"
    shutil.copytree(demo_home, home)
    monkeypatch.setenv("YT8M_HOME", str(home))
    monkeypatch.setenv("YT8M_SCALE", "smoke")
    protect(home / "smoke")  # before they are indexed: a change of permissions is a change of the file
    open_videos(home / "smoke" / "validation")  # writes the index
    for path in home.iterdir():
        if path.name != "smoke":
            protect(path)
    home.chmod(0o555)
    yield home
    for path in [home, *home.rglob("*")]:
        path.chmod(0o755)


def protect(folder: Path) -> None:
    """Forbid to write into a folder and its files."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.mark.slow
@pytest.mark.fault
def test_commands_in_a_workspace_without_write_permission_end_with_a_sentence(
    shared_home: Path, tmp_path: Path
) -> None:
    # File permissions do not apply to root otherwise.
    prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    run, data = shared_home / "runs" / "smoke-mean-mlp", shared_home / "smoke" / "validation"
    shutil.copytree(data, tmp_path / "data")
    before = sorted(shared_home.rglob("*"))

    def yt8m(*arguments: str | Path) -> tuple[int, str]:
        command = [*prefix, sys.executable, "-m", "yt8m_core", *map(str, arguments)]
        ended = subprocess.run(command, text=True, capture_output=True, check=False)
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stderr

    assert yt8m("predict", run, "--data", data, "--output", tmp_path / "predictions.csv")[0] == 0
    for command in (
        ("index", tmp_path / "data"),
        ("train", "--experiment", run / "config.json", "--run", shared_home / "runs" / "new"),
        ("calibrate", run, "--data", data),
        ("ablate", "fusion"),
    ):
        status, message = yt8m(*command)
        assert status == 1, (command, message)
        assert "Permission denied" in message
        assert str(shared_home) in message
    assert sorted(shared_home.rglob("*")) == before
