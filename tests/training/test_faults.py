"""A training that is stopped, killed, or left without room: the last good state is whole, and it says what happened.

Each is a process of its own, with the signals and limits of the real thing.
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

# Trains in a process; the hook is told of each step and each validated batch, and may do what a test asks for.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
import yt8m_core.cli.main as cli
import yt8m_core.cli.runs as commands
import yt8m_core.inference.evaluation as evaluation
import yt8m_core.training.loop as training
training.LOG_STEPS, training.CHECKPOINT_STEPS, evaluation.BATCH_SIZE = 1, 2, 16
told = 0
def console_progress():
    def progress(what, done, total, note=""):
        global told
        told += 1
        {hook}
    return progress
commands.console_progress = console_progress
sys.argv = ["yt8m", "train", "--run", {folder!r}, "--experiment", {experiment!r}]
cli.main()
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Where the data, the workspace and the runs are."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def experiment(place: Path) -> Path:
    """The file of a short experiment: two epochs of eight steps."""
    file = place / "experiment.json"
    file.write_text(json.dumps(tiny_experiment(place).to_dict()))
    return file


@pytest.fixture(scope="module")
def straight(place: Path, experiment: Path) -> Path:
    """The run that nothing happened to."""
    assert begin(place / "straight", experiment).wait() == 0
    return place / "straight"


def begin(folder: Path, experiment: Path, hook: str = "pass", *, obeys: bool = False) -> subprocess.Popen[str]:
    """Start a training; one that ``obeys`` may write where permissions say so, even if it is root's."""
    above = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if obeys and os.geteuid() == 0 else []
    program = PROGRAM.format(folder=str(folder), experiment=str(experiment), hook=hook)
    environment = {**os.environ, "YT8M_HOME": str(experiment.parent / "home"), "HOME": str(experiment.parent / "home")}
    command = [*above, sys.executable, "-c", program]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE)


def said(process: subprocess.Popen[str]) -> str:
    """What a process that ended told, which must not be a traceback."""
    words = process.communicate(timeout=120)[1]
    assert "Traceback" not in words, words
    return words


def same(one: Path, other: Path) -> bool:
    weights = [load_file(run / "model.safetensors") for run in (one, other)]
    logs = [(run / "log.csv").read_text() for run in (one, other)]
    return logs[0] == logs[1] and all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize(
    ("hook", "epoch", "step"),
    [
        ("if what == 'epoch 1 of 2' and done == 5: os.kill(os.getpid(), signal.SIGTERM)", 1, 5),
        ("if what == 'scoring' and told == 9: os.kill(os.getpid(), signal.SIGTERM)", 1, 8),
        ("if what == 'epoch 2 of 2' and done == 3: os.kill(os.getpid(), signal.SIGTERM)", 2, 3),
    ],
    ids=["in-an-epoch", "while-validating", "in-the-second-epoch"],
)
def test_sigterm_leaves_a_checkpoint_and_the_same_command_goes_on(
    place: Path, tmp_path: Path, experiment: Path, straight: Path, hook: str, epoch: int, step: int
) -> None:
    stopped = begin(tmp_path / "run", experiment, hook)
    words = said(stopped)
    assert stopped.returncode == 128 + signal.SIGTERM
    assert f"stopped in epoch {epoch}, after" in words
    assert "Run the same command to resume." in words
    with safe_open(tmp_path / "run" / "checkpoint.safetensors", "pt") as checkpoint:
        position = json.loads(checkpoint.metadata()["position"])
    assert position["examples"] == int(words.split("after ")[1].split(" ")[0])
    assert position["step"] == step  # at once, and not where the next validation begins
    assert begin(tmp_path / "run", experiment).wait() == 0
    assert same(tmp_path / "run", straight)


@pytest.mark.slow
@pytest.mark.fault
def test_kills_at_random_moments_are_gone_on_with_to_the_same_weights() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.kills", "--kills", "4", "--seed", "7"],
        cwd=ROOT,
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kills, 0 ended otherwise" in done.stdout


@pytest.mark.slow
@pytest.mark.fault
def test_unfinished_files_of_a_killed_training_go_when_it_is_gone_on_with(
    tmp_path: Path, experiment: Path, straight: Path
) -> None:
    killed = begin(tmp_path / "run", experiment, "if told == 6: os.kill(os.getpid(), signal.SIGKILL)")
    assert killed.wait() == -signal.SIGKILL
    left = tmp_path / "run" / ".checkpoint.safetensors.0123abcd.tmp"
    left.write_bytes(b"half of a checkpoint")
    assert begin(tmp_path / "run", experiment).wait() == 0
    assert not left.exists()
    assert same(tmp_path / "run", straight)


@pytest.mark.fault
@pytest.mark.parametrize("torn", ["", "1,3", "1,3,4", "1,3,48,0.02,5.1"])
def test_log_that_ends_within_a_line_is_gone_on_with(tmp_path: Path, torn: str) -> None:
    with RunLog(tmp_path, TrainingProgress()) as log:
        log.add(TrainingProgress(0, 1, 16), loss=2.0)
        log.add(TrainingProgress(0, 2, 32), loss=1.0)
    whole = log.file.read_text()
    log.file.write_text(whole + torn)
    with RunLog(tmp_path, TrainingProgress(0, 3, 48)):
        assert log.file.read_text() == whole
    with RunLog(tmp_path, TrainingProgress(0, 1, 16)):
        assert log.file.read_text().splitlines() == whole.splitlines()[:2]


@pytest.mark.fault
def test_metrics_that_were_logged_and_not_saved_are_not_logged_twice(tmp_path: Path) -> None:
    with RunLog(tmp_path, TrainingProgress()) as log:
        log.add(TrainingProgress(0, 8, 120), loss=2.0)
        log.add(TrainingProgress(1, 0, 120), gap=0.5)
    whole = log.file.read_text().splitlines()
    with RunLog(tmp_path, TrainingProgress(1, 0, 120)):
        assert log.file.read_text().splitlines() == whole
    with RunLog(tmp_path, TrainingProgress(0, 8, 120)):  # killed before the checkpoint of the end of the epoch
        assert log.file.read_text().splitlines() == whole[:2]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB, where this machine lets us make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)], capture_output=True
    )
    if not made or made.returncode:
        pytest.skip("no small disk can be made here; that of a limit on files is tested")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


FILLS = "if told == 5: open({filler!r}, 'wb', 0).write(bytes(1 << 20))"


@pytest.mark.slow
@pytest.mark.fault
def test_full_disk_stops_the_training_and_the_last_checkpoint_stays(
    small_disk: Path, experiment: Path, straight: Path
) -> None:
    filler = small_disk / "filler"
    stopped = begin(small_disk / "run", experiment, FILLS.format(filler=str(filler)))
    words = said(stopped)
    assert stopped.returncode == 1
    assert str(small_disk / "run") in words
    assert "cannot be written" in words
    assert "Free disk space" in words
    with safe_open(small_disk / "run" / "checkpoint.safetensors", "pt") as checkpoint:
        assert json.loads(checkpoint.metadata()["position"])["step"] == 4
    filler.unlink()
    assert begin(small_disk / "run", experiment).wait() == 0
    assert same(small_disk / "run", straight)


@pytest.mark.slow
@pytest.mark.fault
def test_checkpoint_that_the_disk_does_not_take_stops_the_training_and_the_last_one_stays(
    tmp_path: Path, experiment: Path, straight: Path
) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))"
    stopped = begin(tmp_path / "run", experiment, f"if told == 5: {limit}")
    words = said(stopped)
    assert stopped.returncode == 1
    assert "checkpoint.safetensors: cannot be written" in words
    assert "run the same command again to resume" in words
    assert [file.name for file in (tmp_path / "run").iterdir() if file.name.endswith(".tmp")] == []
    assert begin(tmp_path / "run", experiment).wait() == 0
    assert same(tmp_path / "run", straight)


@pytest.mark.slow
@pytest.mark.fault
def test_folder_that_may_not_be_written_is_told_and_kept(place: Path, experiment: Path, straight: Path) -> None:
    folder = place / "theirs"
    folder.mkdir(mode=0o555)
    refused = begin(folder, experiment, obeys=True)
    words = said(refused)
    assert refused.returncode == 1
    assert "Permission denied" in words
    assert str(folder) in words
    assert list(folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.fault
def test_second_training_in_a_folder_is_refused_while_the_first_is_at_work(
    tmp_path: Path, experiment: Path, straight: Path
) -> None:
    first = begin(tmp_path / "run", experiment, "if told == 3: time.sleep(600)")
    while not (tmp_path / "run" / "log.csv").is_file():
        assert first.poll() is None
        time.sleep(0.05)
    second = begin(tmp_path / "run", experiment)
    assert "another training is running in this folder" in said(second)
    assert second.returncode == 1
    first.kill()
    first.wait()
    assert begin(tmp_path / "run", experiment).wait() == 0  # the hold has ended with its process
    assert same(tmp_path / "run", straight)


@pytest.mark.fault
def test_hold_on_a_folder_ends_with_its_block_and_leaves_no_empty_folder(tmp_path: Path) -> None:
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
def test_finished_run_loses_the_checkpoint_that_a_kill_left(tmp_path: Path) -> None:
    run = train(tiny_experiment(tmp_path), tmp_path / "run")
    (run.path / "checkpoint.safetensors").touch()
    before = (run.path / "model.safetensors").read_bytes()
    assert train(tiny_experiment(tmp_path), tmp_path / "run").path == run.path
    assert not (run.path / "checkpoint.safetensors").exists()
    assert (run.path / "model.safetensors").read_bytes() == before


@pytest.mark.fault
def test_file_that_a_killed_process_left_goes_when_it_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, young, other = (tmp_path / name for name in (".a.0123abcd.tmp", ".a.4567abcd.tmp", ".b.0123abcd.tmp"))
    for left in (old, young, other):
        left.touch()
    for left in (old, other):
        os.utime(left, (0, 0))
    with atomic_write(tmp_path / "a") as unfinished:
        unfinished.touch()
    assert sorted(file.name for file in tmp_path.iterdir()) == [young.name, other.name, "a"]
    assert files.STALE_AFTER >= 3600  # a slow writer is no dead one


@pytest.mark.fault
def test_array_without_room_on_the_disk_is_an_error_and_no_crash(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            create_array(tmp_path / "a.npy", "float32", (1 << 16,))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
@pytest.mark.fault
def test_array_is_an_error_on_a_disk_that_would_take_it_as_a_hole_alone(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        create_array(small_disk / "a.npy", "float32", (1 << 20,))


class TestRunOfAStranger:
    """A run folder may come from anywhere: what its files claim is held against their sizes."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Run:
        return train(tiny_experiment(tmp_path), tmp_path / "run")

    @pytest.mark.fault
    def test_config_that_asks_for_a_huge_model_takes_no_memory(self, run: Run) -> None:
        config = json.loads((run.path / "config.json").read_text())
        config["experiment"]["classification"]["options"] = {"experts": 1 << 30}  # 800 GB of weights
        (run.path / "config.json").write_text(json.dumps(config))
        with pytest.raises(UserError, match=r"weights that do not fit the config: 'classification"):
            Run.open(run.path).load_model()

    @pytest.mark.fault
    @pytest.mark.parametrize("name", ["config.json", "metrics.json", "vocabulary.csv", "log.csv"])
    def test_file_of_absurd_size_is_refused_unread(self, run: Run, name: str) -> None:
        os.truncate(run.path / name, 1 << 40)  # a sparse file: no disk holds it, and no memory would
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
    def test_log_that_is_none_is_told(self, run: Run, content: str) -> None:
        (run.path / "log.csv").write_text(content, encoding="latin-1")
        with pytest.raises(UserError, match=r"log\.csv: not a training log"):
            _ = run.log
