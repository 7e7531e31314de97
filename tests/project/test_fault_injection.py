"""Commands that are killed, stopped or cannot write, and run again: a slice of ``python -m tests.fault_injection``."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# Root would write into a read-only folder.
AS_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
SHORT = ("index", "labels", "download", "import", "evaluate", "calibrate", "predict", "ensemble", "export")
LONG = ("missing-labels", "demo", "ablate", "rates")


def inject(*names: str, trials: int) -> None:
    command = [*AS_USER, sys.executable, "-m", "tests.fault_injection", "--trials", str(trials), "--commands", *names]
    process = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    assert f"{trials} trials" in process.stdout
    assert "seed 0: 0 with problems" in process.stdout


@pytest.mark.slow
@pytest.mark.fault
def test_trainings_with_faults_end_with_the_same_weights() -> None:
    inject("train", "train with all state", trials=20)


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize(("names", "trials"), [(SHORT, 90), (LONG, 12)])
def test_commands_with_faults_leave_whole_files_and_end_as_without(names: tuple[str, ...], trials: int) -> None:
    inject(*names, trials=trials)
