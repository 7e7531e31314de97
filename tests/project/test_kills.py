"""Commands that are killed, stopped or cannot write, and then run again: a slice of ``python -m tests.kills``."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# Root would write into a read-only folder.
AS_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
SHORT = ("index", "labels", "download", "import", "evaluate", "calibrate", "predict", "ensemble", "export")
LONG = ("missing-labels", "demo", "ablate", "rates")


def disturb(*names: str, trials: int) -> None:
    command = [*AS_USER, sys.executable, "-m", "tests.kills", "--trials", str(trials), "--commands", *names]
    process = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    assert f"{trials} trials" in process.stdout
    assert "seed 0: 0 with problems" in process.stdout


@pytest.mark.slow
@pytest.mark.fault
def test_disturbed_trainings_end_with_the_same_weights() -> None:
    disturb("train", "train with all state", trials=20)


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize(("names", "trials"), [(SHORT, 90), (LONG, 12)])
def test_disturbed_commands_leave_whole_files_and_end_as_undisturbed_ones(names: tuple[str, ...], trials: int) -> None:
    disturb(*names, trials=trials)
