"""Kill short trainings at random times, resume them, and compare: python -m tests.support.kills --kills 100.

Each training is killed once with SIGKILL, at a time drawn uniformly from the duration of a training, including set-up
and the last files, and then resumed. It must end with the weights, log and predictions of an uninterrupted training.
Two experiments alternate; the second has every kind of state: dropout, gradient accumulation, a moving average of the
weights, centers, and a trained correlation.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yt8m_core.training.loop as training
from tests.support.tiny import tiny_experiment
from yt8m_core.experiment import Experiment, Training
from yt8m_core.models.slot import Slot

MISSED = "ended before"  # a training that was faster than its kill, which does not count
COMPARED = ("model.safetensors", "log.csv", "predictions.parquet", "vocabulary.csv", "config.json")


def create_experiments(root: Path) -> list[Experiment]:
    """Return a plain experiment, and one with all state that a checkpoint must hold."""
    return [
        tiny_experiment(root),
        tiny_experiment(
            root,
            pooling=Slot.parse("adaptive_noise(scale=5.0, pooling='lstm(width=8, layer_norm=True, dropout=0.5)')"),
            label_processing=Slot.parse("correlation(beta=0.05, gamma=0.05)"),
            loss=Slot.parse("center(weight=0.1)"),
            training=Training(epochs=2, batch_size=16, learning_rate=0.02, ema=0.9, accumulate=2),
        ),
    ]


def start_training(experiment: Experiment, folder: Path) -> int:
    """Train in a forked child and return its process id. This process must not have used torch's threads."""
    child = os.fork()
    if child == 0:
        try:
            training.LOG_STEPS, training.CHECKPOINT_STEPS = 1, 2
            training.train(experiment, folder, accelerator="cpu")
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return child


def wait_for(child: int) -> int:
    """Wait for a child and return its exit code: 0 for success, a negative signal number for a kill."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def differing_files(run: Path, other: Path) -> list[str]:
    """Return the names of the files that differ between two runs."""
    return [name for name in COMPARED if (run / name).read_bytes() != (other / name).read_bytes()]


def stage_of(folder: Path) -> str:
    """Return how far a killed training got."""
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    if "metrics.json" in names:
        return "finished"
    if "checkpoint.safetensors" in names:
        return "between checkpoints"
    return "no checkpoint yet" if "config.json" in names else "not started"


@dataclass
class Reference:
    """An uninterrupted training."""

    experiment: Experiment
    folder: Path
    seconds: float


def kill_and_resume(reference: Reference, seconds: float, folder: Path) -> tuple[str, list[str]]:
    """Kill a training after some seconds and resume it. Return the stage of the kill and the problems of the result."""
    child = start_training(reference.experiment, folder)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    stage = stage_of(folder) if wait_for(child) == -signal.SIGKILL else MISSED
    if code := wait_for(start_training(reference.experiment, folder)):
        return stage, [f"does not resume (exit code {code})"]
    problems = [f"{name} differs" for name in differing_files(reference.folder, folder)]
    left = [file.name for file in folder.iterdir() if file.name.endswith(".tmp") or "checkpoint" in file.name]
    return stage, problems + [f"{name} is left" for name in left]


def train_references(root: Path) -> list[Reference]:
    """Train each experiment twice, and time the second one. Raises RuntimeError where the results differ."""
    references = []
    for number, experiment in enumerate(create_experiments(root)):
        folder, again = root / f"reference-{number}", root / f"again-{number}"
        wait_for(start_training(experiment, folder))  # writes the index and the pooled frames
        started = time.monotonic()
        if wait_for(start_training(experiment, again)) or differing_files(folder, again):
            raise RuntimeError("two uninterrupted trainings end with different files")
        references.append(Reference(experiment, folder, time.monotonic() - started))
    return references


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the kills; the exit status is 1 if any training ends with other files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="number of kills")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the times")
    options = parser.parse_args(arguments)
    rng, stages, failures, number = random.Random(options.seed), dict[str, int](), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["YT8M_HOME"] = str(root / "home")
        references = train_references(root)
        while sum(stages.values()) - stages.get(MISSED, 0) < options.kills:
            number += 1
            reference = references[number % len(references)]
            seconds = rng.uniform(0, reference.seconds)
            stage, problems = kill_and_resume(reference, seconds, root / f"killed-{number}")
            stages[stage] = stages.get(stage, 0) + 1
            if problems:
                failures += 1
                print(f"kill {number} after {seconds:.3f} s ({stage}): {'; '.join(problems)}")
    print(f"{options.kills} kills, {failures} with other results; stages: {stages}")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
