"""The wheel in an empty environment: `pip install 'yt8m[app]'`, `yt8m demo`, `yt8m app`."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import ROOT, skip_or_fail
from tests.support.server import served

pytestmark = pytest.mark.slow

PATIENCE_MS = 60_000


def run(*command: str | Path, **options: object) -> None:
    """Run a command; on failure, show what it printed."""
    result = subprocess.run(list(command), text=True, capture_output=True, **options)  # type: ignore[call-overload]
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment that has the wheel, its extra ``app``, and nothing of the checkout. It takes 1.6 GB meanwhile."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", folder)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    command = [*pip, "--constraint", ROOT / "constraints.txt", f"{wheel}[app]"]
    installed = subprocess.run(command, text=True, capture_output=True)
    if "No matching distribution" in installed.stderr or "NewConnectionError" in installed.stderr:
        skip_or_fail("no package index to install from")
    assert installed.returncode == 0, installed.stderr
    yield folder
    shutil.rmtree(folder)


def test_wheel_has_the_app_its_data_files_and_the_license(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    assert {
        "yt8m_app/main.py", "yt8m_app/icon.svg", "yt8m_app/.streamlit/config.toml", "yt8m_core/py.typed",
        "yt8m_core/ablation/rates.json", "yt8m_core/data/feature_check/youtube8m_profile.npz",
        "yt8m_core/data/audioset/class_labels_indices.csv", "yt8m_core/data/audioset/ATTRIBUTION.txt",
    } <= names  # fmt: skip
    assert {name.rpartition("/")[2] for name in names if "dist-info/licenses" in name} == {"LICENSE", "NOTICE"}
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"yt8m_app", "yt8m_core"}
    tracked = subprocess.run(["git", "ls-files", "app", "yt8m_core"], cwd=ROOT, text=True, capture_output=True)
    if tracked.returncode == 0:
        expected = {name.replace("app/", "yt8m_app/", 1) if name[0] == "a" else name for name in tracked.stdout.split()}
        assert expected <= names


@pytest.mark.browser
def test_demo_and_app_work_in_an_empty_environment(environment: Path, browser: Browser, tmp_path: Path) -> None:
    from navigation import PAGES  # of app/

    variables = {"YT8M_HOME": str(tmp_path), "YT8M_SCALE": "smoke", "YT8M_RUNS": "", "YT8M_DATA": "", "PYTHONPATH": ""}
    yt8m = environment / "bin" / "yt8m"
    run(yt8m, "demo", cwd=tmp_path, env={**os.environ, **variables})
    with served(variables, command=(yt8m, "app", "--port"), folder=tmp_path) as address:
        # The configuration file in the wheel keeps the app on 127.0.0.1; by default it answers at all addresses.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", urlparse(address).port or 0))
        page = browser.new_page()
        for about in (about for pages in PAGES.values() for about in pages):
            page.goto(f"{address}/{about['url_path']}")
            expect(page.get_by_role("heading", level=1)).to_have_text(about["title"], timeout=PATIENCE_MS)
            idle = page.locator("[data-testid=stApp][data-test-script-state=notRunning]")
            expect(idle).to_be_attached(timeout=PATIENCE_MS)
            expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=PATIENCE_MS)
            for fault in ("stException", "stAlertContentError"):
                expect(page.get_by_test_id(fault)).to_have_count(0)
        page.close()
