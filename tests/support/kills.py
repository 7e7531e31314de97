"""Kill a short training at random moments, go on with it, and compare: python -m tests.support.kills --kills 100.

Each training is killed once (SIGKILL, at a moment drawn evenly from the time that a training takes, its set-up and its
last files included) and gone on with. It must end with the weights, the log and the predictions of the one that was
never killed. Every other one is of a line of slots with state of every kind: dropout, batches in parts, a moving
average of the weights, centers, a trained correlation.
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

MISSED = "ended before"  # a training that was quicker than its moment, which does not count as a kill
COMPARED = ("model.safetensors", "log.csv", "predictions.parquet", "vocabulary.csv", "config.json")


def experiments(root: Path) -> list[Experiment]:
    """What is trained: something plain, and something with everything that a checkpoint must hold."""
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


def start(experiment: Experiment, folder: Path) -> int:
    """Train in a child of this process, which must not have computed anything; its number."""
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


def ended(child: int) -> int:
    """Wait for a child; 0 where it ended well, a negative signal where it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def differences(one: Path, other: Path) -> list[str]:
    """Which files of two runs are not the same."""
    return [name for name in COMPARED if (one / name).read_bytes() != (other / name).read_bytes()]


@dataclass
class Straight:
    """A training that was never killed."""

    experiment: Experiment
    folder: Path
    seconds: float


def kill(straight: Straight, moment: float, folder: Path) -> tuple[str, list[str]]:
    """Kill a training at a moment and go on with it: how far it had come, and what is wrong with how it ends."""
    child = start(straight.experiment, folder)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    killed = ended(child) == -signal.SIGKILL
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    stage = (
        MISSED
        if not killed
        else "finished"
        if "metrics.json" in names
        else "between checkpoints"
        if "checkpoint.safetensors" in names
        else "no checkpoint yet"
        if "config.json" in names
        else "not begun"
    )
    if code := ended(start(straight.experiment, folder)):
        return stage, [f"does not go on (exit status {code})"]
    wrong = differences(straight.folder, folder)
    left = [file.name for file in folder.iterdir() if file.name.endswith(".tmp") or "checkpoint" in file.name]
    return stage, [f"another {name}" for name in wrong] + [f"{name} is left" for name in left]


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill so many times; the exit status says whether every training ended as it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    moments, stages, faults = random.Random(chosen.seed), dict[str, int](), 0
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        os.environ["YT8M_HOME"] = str(root / "home")
        straight = []
        for number, experiment in enumerate(experiments(root)):
            folder = root / f"straight-{number}"
            ended(start(experiment, folder))  # which leaves the index, and pooled frames
            begun = time.monotonic()
            if ended(start(experiment, root / f"again-{number}")) or differences(folder, root / f"again-{number}"):
                print("a training does not end with the same weights twice")
                return 1
            straight.append(Straight(experiment, folder, time.monotonic() - begun))
        number = 0
        while sum(stages.values()) - stages.get(MISSED, 0) < chosen.kills:
            number += 1
            one = straight[number % len(straight)]
            moment = moments.uniform(0, one.seconds)
            stage, wrong = kill(one, moment, root / f"killed-{number}")
            stages[stage] = stages.get(stage, 0) + 1
            if wrong:
                faults += 1
                print(f"kill {number} after {moment:.3f} s ({stage}): {'; '.join(wrong)}")
    print(f"{chosen.kills} kills, {faults} ended otherwise; killed: {stages}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
