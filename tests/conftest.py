"""Fixtures and settings that all tests share."""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from coverage import Coverage
from hypothesis import settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores; torch reads this when it is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadline: the time of an example depends on the load of the machine. CI repeats the same examples, so that a
# failure there is due to the change; local runs draw new ones.
settings.register_profile("yt8m", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("yt8m")

ROOT = Path(__file__).parents[1]
SLOW = 50  # how many other tests take as long as a slow one
# Set by .ci/run, where a missing data folder or browser is a failure and no reason to skip.
NOTHING_SKIPPED = os.environ.get("YT8M_NOTHING_SKIPPED") == "1"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark browser tests as slow; keep each file in one worker, for its fixtures, and all browser tests in one.

    The groups with the most slow tests come first, so that no worker has a long one left when the other has ended.
    Tests of faults come last, in groups of their own, because ``pytest_runtest_call`` leaves them out of the coverage:
    the modules that they use have been imported then.
    """
    weights: Counter[str] = Counter()
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("xdist_group") is None:
            file = item.nodeid.split("::")[0]
            group = "browser" if item.get_closest_marker("browser") else f"{file} faults" if _is_fault(item) else file
            item.add_marker(pytest.mark.xdist_group(group))
        weights[_group(item)] += SLOW if item.get_closest_marker("slow") else 1
    items.sort(key=lambda item: (_is_fault(item), -weights[_group(item)]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Leave tests of faults out of the coverage: they repeat what others do, and tracing doubles their time."""
    coverage = Coverage.current() if _is_fault(item) else None
    if coverage is None:
        return (yield)
    coverage.stop()
    try:
        return (yield)
    finally:
        coverage.start()


def _is_fault(item: pytest.Item) -> bool:
    """Whether a test proves a promise of docs/faults.md in this process."""
    return item.get_closest_marker("fault") is not None and item.get_closest_marker("browser") is None


def _group(item: pytest.Item) -> str:
    """Return the name of a test's group, whose tests run one after another."""
    marker = item.get_closest_marker("xdist_group")
    assert marker is not None
    return str(marker.args[0] if marker.args else marker.kwargs["name"])


def skip_or_fail(reason: str) -> None:
    """Skip the test because something is not available, or fail it where nothing may be skipped."""
    if NOTHING_SKIPPED:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def test_workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Send the indexes, demo world and runs of the tests to a temporary workspace."""
    folder = tmp_path_factory.mktemp("workspace")
    before = os.environ.get("YT8M_HOME")
    os.environ["YT8M_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["YT8M_HOME"]
    else:
        os.environ["YT8M_HOME"] = before


@pytest.fixture(scope="session", autouse=True)
def keep_denormals() -> Iterator[None]:
    """Stop commands and benchmarks under test from flushing denormal numbers, which would last for all later tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.set_flush_denormal", lambda mode: True)
        yield


@pytest.fixture(autouse=True)
def keep_main_module() -> Iterator[None]:
    """Undo Streamlit's replacement of ``__main__``: processes that a later test spawns would run a test's page."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real records."""
    folder = Path(os.environ.get("YT8M_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        skip_or_fail(f"no real records in {folder}: set YT8M_REAL_DATA")
    return folder


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Start Chromium."""
    from playwright.sync_api import expect, sync_playwright

    from tests.support.server import FLAGS

    chromium = shutil.which("chromium")
    if chromium is None:
        skip_or_fail("no Chromium: install it with apt-get install chromium")
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace with the smallest demo world and its runs, for YT8M_HOME at YT8M_SCALE=smoke."""
    from yt8m_core.demo import runs as demo_runs

    home = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YT8M_HOME", str(home))
        patch.setenv("YT8M_SCALE", "smoke")
        demo_runs.prepare()
    return home


@pytest.fixture
def demo_app(demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the app find the smallest demo world and its runs, and nothing else."""
    monkeypatch.setenv("YT8M_HOME", str(demo_home))
    monkeypatch.setenv("YT8M_SCALE", "smoke")
    for name in ("YT8M_RUNS", "YT8M_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def rates_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the committed file of learning rates by one with every architecture and the best GAP at 0.003."""
    from yt8m_core.ablation import learning_rate_search, learning_rates, recipe

    monkeypatch.setattr(learning_rates, "RATES_FILE", tmp_path / "rates.json")
    tried = map(str, (*learning_rates.FIRST_RATES, 0.1))
    gaps: learning_rates.GapByRate = dict(zip(tried, (0.4, 0.5, 0.3, None, None), strict=True))
    searches: dict[str, dict[str, learning_rates.GapByRate]] = {}
    for scale in ("demo", "sample"):
        for table, row in learning_rate_search.searched_rows(scale):
            searches.setdefault(recipe.search_setting(table, scale), {})[row.architecture] = gaps
    for setting, lines in searches.items():
        learning_rates.write_rates(setting, lines)
    return learning_rates.RATES_FILE
