"""Trainings that are stopped, killed, or out of disk space keep the last good state and report what happened.

Each training is a process of its own, with real signals and limits.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import yt8m_core.storage.atomic as files
from tests.support.tiny import tiny_experiment
from yt8m_core.errors import UserError
from yt8m_core.runs.run import Run
from yt8m_core.storage.atomic import atomic_write, create_array, exclusive_lock
from yt8m_core.training.checkpoint import TrainingProgress
from yt8m_core.training.log import RunLog
from yt8m_core.training.loop import train

ROOT = Path(__file__).parents[2]

# Trains in a process and runs the hook at each progress report.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import yt8m_core.cli.main as cli
import yt8m_core.cli.training as commands
import yt8m_core.inference.evaluation as evaluation
import yt8m_core.training.loop as training
training.LOG_STEPS, training.CHECKPOINT_STEPS, evaluation.BATCH_SIZE = 1, 2, 16
reports = 0
def console_progress():
    def progress(task, done, total, note=""):
        global reports
        reports += 1
        {hook}
    return progress
commands.console_progress = console_progress
sys.argv = ["yt8m", "train", "--run", {folder!r}, "--experiment", {experiment!r}]
cli.main()
"""


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """Folder of the data, the workspace and the runs."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def experiment(root: Path) -> Path:
    """JSON file of a short experiment: two epochs of eight steps."""
    file = root / "experiment.json"
    file.write_text(json.dumps(tiny_experiment(root).to_dict()))
    return file


@pytest.fixture(scope="module")
def reference(root: Path, experiment: Path) -> Path:
    """Run of an uninterrupted training."""
    assert start_training(root / "reference", experiment).wait() == 0
    return root / "reference"


def start_training(
    folder: Path, experiment: Path, hook: str = "pass", *, obeys_permissions: bool = False
) -> subprocess.Popen[str]:
    """Start a training. With ``obeys_permissions``, file permissions also apply to root."""
    prefix = (
        ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if obeys_permissions and os.geteuid() == 0 else []
    )
    program = PROGRAM.format(folder=str(folder), experiment=str(experiment), hook=hook)
    environment = {**os.environ, "YT8M_HOME": str(experiment.parent / "home"), "HOME": str(experiment.parent / "home")}
    command = [*prefix, sys.executable, "-c", program]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE)


def read_stderr(process: subprocess.Popen[str]) -> str:
    """Wait for a process and return its standard error, which must have no traceback."""
    stderr = process.communicate(timeout=120)[1]
    assert "Traceback" not in stderr, stderr
    return stderr


def equal_runs(run: Path, other: Path) -> bool:
    """Whether two runs have the same weights and log."""
    weights = [load_file(folder / "model.safetensors") for folder in (run, other)]
    logs = [(folder / "log.csv").read_text() for folder in (run, other)]
    return logs[0] == logs[1] and all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize(
    ("hook", "epoch", "step"),
    [
        ("if task == 'epoch 1 of 2' and done == 5: os.kill(os.getpid(), signal.SIGTERM)", 1, 5),
        ("if task == 'scoring' and reports == 9: os.kill(os.getpid(), signal.SIGTERM)", 1, 8),
        ("if task == 'epoch 2 of 2' and done == 3: os.kill(os.getpid(), signal.SIGTERM)", 2, 3),
    ],
    ids=["in-an-epoch", "while-validating", "in-the-second-epoch"],
)
def test_sigterm_leaves_a_checkpoint_and_the_same_command_resumes(
    root: Path, tmp_path: Path, experiment: Path, reference: Path, hook: str, epoch: int, step: int
) -> None:
    stopped = start_training(tmp_path / "run", experiment, hook)
    stderr = read_stderr(stopped)
    assert stopped.returncode == 128 + signal.SIGTERM
    assert f"stopped in epoch {epoch}, after" in stderr
    assert "Run the same command to resume." in stderr
    with safe_open(tmp_path / "run" / "checkpoint.safetensors", "pt") as checkpoint:
        position = json.loads(checkpoint.metadata()["position"])
    assert position["examples"] == int(stderr.split("after ")[1].split(" ")[0])
    assert position["step"] == step  # at once, instead of before the next validation
    assert start_training(tmp_path / "run", experiment).wait() == 0
    assert equal_runs(tmp_path / "run", reference)


@pytest.mark.slow
@pytest.mark.fault
def test_partial_files_of_a_killed_training_are_deleted_on_resume(
    tmp_path: Path, experiment: Path, reference: Path
) -> None:
    killed = start_training(tmp_path / "run", experiment, "if reports == 6: os.kill(os.getpid(), signal.SIGKILL)")
    assert killed.wait() == -signal.SIGKILL
    left = tmp_path / "run" / ".checkpoint.safetensors.0123abcd.tmp"
    left.write_bytes(b"half of a checkpoint")
    assert start_training(tmp_path / "run", experiment).wait() == 0
    assert not left.exists()
    assert equal_runs(tmp_path / "run", reference)


@pytest.mark.fault
@pytest.mark.parametrize("partial_line", ["", "1,3", "1,3,4", "1,3,48,0.02,5.1"])
def test_log_with_a_partial_line_is_continued(tmp_path: Path, partial_line: str) -> None:
    with RunLog(tmp_path, TrainingProgress()) as log:
        log.add(TrainingProgress(0, 1, 16), loss=2.0)
        log.add(TrainingProgress(0, 2, 32), loss=1.0)
    complete = log.file.read_text()
    log.file.write_text(complete + partial_line)
    with RunLog(tmp_path, TrainingProgress(0, 3, 48)):
        assert log.file.read_text() == complete
    with RunLog(tmp_path, TrainingProgress(0, 1, 16)):
        assert log.file.read_text().splitlines() == complete.splitlines()[:2]


@pytest.mark.fault
def test_metrics_logged_without_a_checkpoint_are_not_logged_twice(tmp_path: Path) -> None:
    with RunLog(tmp_path, TrainingProgress()) as log:
        log.add(TrainingProgress(0, 8, 120), loss=2.0)
        log.add(TrainingProgress(1, 0, 120), gap=0.5)
    complete = log.file.read_text().splitlines()
    with RunLog(tmp_path, TrainingProgress(1, 0, 120)):
        assert log.file.read_text().splitlines() == complete
    with RunLog(tmp_path, TrainingProgress(0, 8, 120)):  # killed before the checkpoint at the end of the epoch
        assert log.file.read_text().splitlines() == complete[:2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB, if this machine can mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("cannot mount a small disk; the file size limit is tested instead")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


FILLS = "if reports == 5: open({filler!r}, 'wb', 0).write(bytes(1 << 20))"


@pytest.mark.slow
@pytest.mark.fault
def test_full_disk_stops_the_training_and_keeps_the_last_checkpoint(
    small_disk: Path, experiment: Path, reference: Path
) -> None:
    filler = small_disk / "filler"
    stopped = start_training(small_disk / "run", experiment, FILLS.format(filler=str(filler)))
    stderr = read_stderr(stopped)
    assert stopped.returncode == 1
    assert str(small_disk / "run") in stderr
    assert "cannot be written" in stderr
    assert "Free disk space" in stderr
    with safe_open(small_disk / "run" / "checkpoint.safetensors", "pt") as checkpoint:
        assert json.loads(checkpoint.metadata()["position"])["step"] == 4
    filler.unlink()
    assert start_training(small_disk / "run", experiment).wait() == 0
    assert equal_runs(small_disk / "run", reference)


@pytest.mark.slow
@pytest.mark.fault
def test_failed_checkpoint_write_stops_the_training_and_keeps_the_last_one(
    tmp_path: Path, experiment: Path, reference: Path
) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))"
    stopped = start_training(tmp_path / "run", experiment, f"if reports == 5: {limit}")
    stderr = read_stderr(stopped)
    assert stopped.returncode == 1
    assert "checkpoint.safetensors: cannot be written" in stderr
    assert "run the same command again to resume" in stderr
    assert [file.name for file in (tmp_path / "run").iterdir() if file.name.endswith(".tmp")] == []
    assert start_training(tmp_path / "run", experiment).wait() == 0
    assert equal_runs(tmp_path / "run", reference)


@pytest.mark.slow
@pytest.mark.fault
def test_run_folder_without_write_permission_is_an_error_and_stays_unchanged(
    root: Path, experiment: Path, reference: Path
) -> None:
    folder = root / "theirs"
    folder.mkdir(mode=0o555)
    refused = start_training(folder, experiment, obeys_permissions=True)
    stderr = read_stderr(refused)
    assert refused.returncode == 1
    assert "Permission denied" in stderr
    assert str(folder) in stderr
    assert list(folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.fault
def test_second_training_in_a_run_folder_is_refused_while_the_first_runs(
    tmp_path: Path, experiment: Path, reference: Path
) -> None:
    first = start_training(tmp_path / "run", experiment, "if reports == 3: time.sleep(600)")
    while not (tmp_path / "run" / "log.csv").is_file():
        assert first.poll() is None
        time.sleep(0.05)
    second = start_training(tmp_path / "run", experiment)
    assert "another training is running in this folder" in read_stderr(second)
    assert second.returncode == 1
    first.kill()
    first.wait()
    assert start_training(tmp_path / "run", experiment).wait() == 0  # the lock ended with its process
    assert equal_runs(tmp_path / "run", reference)


@pytest.mark.fault
def test_lock_ends_with_its_block_and_leaves_no_empty_folder(tmp_path: Path) -> None:
    with (
        exclusive_lock(tmp_path / "run", "training"),
        pytest.raises(UserError, match="another download"),
        exclusive_lock(tmp_path / "run", "download"),
    ):
        pass
    assert not (tmp_path / "run").exists()
    with exclusive_lock(tmp_path / "run", "training"):
        (tmp_path / "run" / "kept").touch()
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["kept"]


@pytest.mark.fault
def test_checkpoint_left_in_a_finished_run_is_deleted(tmp_path: Path) -> None:
    run = train(tiny_experiment(tmp_path), tmp_path / "run")
    (run.path / "checkpoint.safetensors").touch()
    before = (run.path / "model.safetensors").read_bytes()
    assert train(tiny_experiment(tmp_path), tmp_path / "run").path == run.path
    assert not (run.path / "checkpoint.safetensors").exists()
    assert (run.path / "model.safetensors").read_bytes() == before


@pytest.mark.fault
def test_partial_file_of_a_killed_process_is_deleted_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, young, other = (tmp_path / name for name in (".a.0123abcd.tmp", ".a.4567abcd.tmp", ".b.0123abcd.tmp"))
    for left in (old, young, other):
        left.touch()
    for left in (old, other):
        os.utime(left, (0, 0))
    with atomic_write(tmp_path / "a") as unfinished:
        unfinished.touch()
    assert sorted(file.name for file in tmp_path.iterdir()) == [young.name, other.name, "a"]
    assert files.STALE_AFTER >= 3600  # a slow writer is still alive


@pytest.mark.fault
def test_array_that_exceeds_the_disk_is_an_error_instead_of_a_crash(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            create_array(tmp_path / "a.npy", "float32", (1 << 16,))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
@pytest.mark.fault
def test_array_that_fits_only_as_a_sparse_file_is_an_error(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        create_array(small_disk / "a.npy", "float32", (1 << 20,))


class TestUntrustedRun:
    """A run folder is untrusted: the claims of its files are checked against their sizes."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Run:
        return train(tiny_experiment(tmp_path), tmp_path / "run")

    @pytest.mark.fault
    def test_config_of_a_huge_model_allocates_no_memory(self, run: Run) -> None:
        config = json.loads((run.path / "config.json").read_text())
        config["experiment"]["classification"]["options"] = {"experts": 1 << 24}  # 26 GB of weights
        (run.path / "config.json").write_text(json.dumps(config))
        with pytest.raises(UserError, match=r"weights that do not fit the config: 'classification"):
            Run.open(run.path).load_model()

    @pytest.mark.fault
    @pytest.mark.parametrize("name", ["config.json", "metrics.json", "vocabulary.csv", "log.csv"])
    def test_oversized_file_is_refused_before_it_is_read(self, run: Run, name: str) -> None:
        os.truncate(run.path / name, 1 << 40)  # a sparse file, larger than disk and memory
        reads = {
            "metrics.json": lambda: run.metrics,
            "vocabulary.csv": lambda: run.vocabulary,
            "log.csv": lambda: run.log,
        }
        with pytest.raises(UserError, match=r"1,099,511,627,776 bytes"):
            reads.get(name, lambda: Run.open(run.path))()

    @pytest.mark.fault
    def test_predictions_of_another_number_of_videos_are_refused(self, run: Run) -> None:
        assert len(run.predictions) == 40
        table = run.predictions
        table[:39].to_parquet(run.path / "predictions.parquet")
        with pytest.raises(UserError, match=r"predictions\.parquet: found 39 videos; expected 40"):
            _ = run.predictions
        (run.path / "predictions.parquet").write_bytes(b"PAR1 of a kind")
        with pytest.raises(UserError, match="cannot read the predictions"):
            _ = run.predictions

    @pytest.mark.fault
    @pytest.mark.parametrize("content", ["epoch\n1\n", "epoch,step,examples,loss,gap\n1,1,x,2,\n", "\xff\x00"])
    def test_invalid_log_is_refused(self, run: Run, content: str) -> None:
        (run.path / "log.csv").write_text(content, encoding="latin-1")
        with pytest.raises(UserError, match=r"log\.csv: not a training log"):
            _ = run.log
