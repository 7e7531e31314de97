"""What the tests share: a workspace of their own, the real records, and the flag under which nothing may be skipped."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is, and nothing about the code. CI draws the same examples each
# time, so that it judges the change; whoever works on the code draws new ones, and finds what nobody thought of.
settings.register_profile("ours", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("ours")

ROOT = Path(__file__).parents[1]
# .ci/run sets it: there, a missing data folder or browser is a failure and not a reason to skip.
NOTHING_SKIPPED = os.environ.get("YT8M_NOTHING_SKIPPED") == "1"


def absent(what: str) -> None:
    """Skip the test for the want of something, or fail it where nothing may be skipped."""
    if NOTHING_SKIPPED:
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session", autouse=True)
def workspace_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Indexes, demo world and runs of the tests go to a folder of their own."""
    folder = tmp_path_factory.mktemp("workspace")
    before = os.environ.get("YT8M_HOME")
    os.environ["YT8M_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["YT8M_HOME"]
    else:
        os.environ["YT8M_HOME"] = before


@pytest.fixture(scope="session", autouse=True)
def arithmetic_of_the_tests() -> Iterator[None]:
    """Commands and benchmarks that tests call in this process do not take the smallest numbers from the others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.set_flush_denormal", lambda mode: True)
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real records."""
    folder = Path(os.environ.get("YT8M_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        absent(f"no real records in {folder}: set YT8M_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the smallest demo world and its runs: what YT8M_HOME may name while YT8M_SCALE is smoke."""
    from yt8m_core.demo import runs as demo_runs

    home = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YT8M_HOME", str(home))
        patch.setenv("YT8M_SCALE", "smoke")
        demo_runs.prepare()
    return home


@pytest.fixture
def demo_app(demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app finds the smallest demo world and its runs, and nothing else."""
    monkeypatch.setenv("YT8M_HOME", str(demo_home))
    monkeypatch.setenv("YT8M_SCALE", "smoke")
    for name in ("YT8M_RUNS", "YT8M_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def found_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of learning rates that has every line, with the best GAP at 0.003; not the committed one."""
    from yt8m_core.ablation import learning_rate_search
    from yt8m_core.ablation import learning_rates as rates
    from yt8m_core.ablation import recipe as setting

    monkeypatch.setattr(rates, "FILE", tmp_path / "rates.json")
    gaps: rates.Gaps = dict(zip(map(str, (*rates.FIRST, 0.1)), (0.4, 0.5, 0.3, None, None), strict=True))
    found: dict[str, dict[str, rates.Gaps]] = {}
    for scale in ("demo", "sample"):
        for table, row in learning_rate_search.every_line(scale):
            found.setdefault(setting.search_setting(table, scale), {})[row.line] = gaps
    for one, lines in found.items():
        rates.write_rates(one, lines)
    return rates.FILE
