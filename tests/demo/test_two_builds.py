"""Two processes that build the demo world, or train on it, in one workspace at the same time."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from yt8m_core.demo import runs as demo_runs
from yt8m_core.demo import world as demo
from yt8m_core.errors import LockedError
from yt8m_core.paper_tables import TABLES
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import exclusive_lock

YT8M = ("-m", "yt8m_core")
DEMO = (*YT8M, "demo")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YT8M_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("YT8M_SCALE", "smoke")
    return tmp_path / "home"


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def check_log(run: Path) -> None:
    log = pd.read_csv(run / "log.csv")
    assert not log.duplicated(["epoch", "step", "loss"]).any()
    assert Run.open(run).is_finished


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize("stage", ["world", "run"])
def test_second_demo_is_refused_and_the_first_ends_well(home: Path, stage: str) -> None:
    first = start(*DEMO)
    pattern = {"world": ".smoke.*.tmp", "run": "runs/*/log.csv"}[stage]
    wait_until(lambda: list(home.glob(pattern)), first)
    first.send_signal(signal.SIGSTOP)  # it takes less time than the start of another process
    second = start(*DEMO)
    _, message = second.communicate(timeout=120)
    first.send_signal(signal.SIGCONT)
    output = first.communicate(timeout=120)
    assert second.returncode == 1
    assert f"runs: another build of the demo world and its runs is running in this folder (process {first.pid} on" in (
        message
    )
    assert first.returncode == 0, output
    assert demo_runs.is_ready()
    for name in demo_runs.demo_experiments():
        check_log(home / "runs" / name)
    assert [path for path in home.rglob(".*") if path.suffix in (".tmp", ".lock")] == []


@pytest.mark.fault
def test_demo_does_not_remove_a_run_folder_that_another_process_holds(home: Path) -> None:
    folder = home / "runs" / "smoke-mean-mlp"
    with exclusive_lock(folder, "training"):
        (folder / "log.csv").write_text("of a training")
        with pytest.raises(LockedError, match="another training is running in this folder"):
            demo_runs.prepare()
        assert (folder / "log.csv").read_text() == "of a training"


@pytest.mark.slow
@pytest.mark.fault
def test_ablations_at_the_same_time_share_the_demo_world_and_their_runs(home: Path) -> None:
    rows = [row.name for row in TABLES["pooling"].rows[:2]]
    program = f"from yt8m_core.ablation import ablate; print(ablate('pooling', rows={rows}).runs)"
    processes = [start("-c", program) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert len({runs for runs, _ in outputs}) == 1
    assert demo.is_built(home / "smoke", demo_runs.WORLDS["smoke"])
    runs = [path for path in (home / "ablations").iterdir() if (path / "log.csv").is_file()]
    assert len(runs) == len(rows)
    for run in runs:
        check_log(run)
    assert not list((home / "ablations").glob(".*"))


@pytest.mark.slow
@pytest.mark.fault
def test_sweeps_at_the_same_time_do_not_remove_each_others_worlds(home: Path) -> None:
    program = "from yt8m_core.ablation import run_sweep; print(run_sweep('label_noise').to_csv())"
    processes = [start("-c", program) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert len({table for table, _ in outputs}) == 1
    assert not list((home / "sweeps").iterdir())
