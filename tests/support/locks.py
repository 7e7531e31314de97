"""Lock, write and remove the same folder in several processes: python -m tests.support.locks --rounds 5000.

Each round does one of four things at random, and increments a number in a file without any lock of its own. Two
processes that are inside the same lock lose an increment, or find each other's mark.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from yt8m_core.errors import LockedError
from yt8m_core.storage.atomic import atomic_write, exclusive_lock, file_lock, remove_folder

LOCKED, MADE = "locked", "made"  # the folder with a lock in it, and the one with a lock next to it


def increment(root: Path, name: str) -> None:
    """Increment a number. Raises FileExistsError while another process does so."""
    mark, number = root / f"{name}-mark", root / f"{name}-number"
    with mark.open("x"):
        number.write_text(str(int(number.read_text()) + 1))
    mark.unlink()


def use_folder(root: Path, rng: random.Random) -> None:
    """Write a file into the locked folder, which is removed again at random."""
    with exclusive_lock(root / LOCKED, "test", timeout=60):
        increment(root, LOCKED)
        file = root / LOCKED / "file"
        file.write_text(str(os.getpid()))
        with atomic_write(root / LOCKED / "atomic") as unfinished:
            unfinished.write_text(str(os.getpid()))
        increment(root, LOCKED)
        for path in (file, root / LOCKED / "atomic"):
            if path.read_text() != str(os.getpid()):
                raise AssertionError(f"{path} was written by another process")
            if rng.random() < 0.7:
                path.unlink()


def remove_used_folder(root: Path, rng: random.Random) -> None:
    """Remove the locked folder, unless another process holds it."""
    with suppress(LockedError):
        remove_folder(root / LOCKED, "test", timeout=rng.choice((0, 0.01)))


def make_folder(root: Path, rng: random.Random) -> None:
    """Make a folder that has a lock next to it."""
    with file_lock(root / MADE, "test", wait=lambda message: None):
        increment(root, MADE)
        replace_folder(root, rng)
        increment(root, MADE)


def replace_folder(root: Path, rng: random.Random) -> None:
    """Replace a folder, without a lock."""
    with atomic_write(root / MADE) as unfinished:
        unfinished.mkdir()
        for number in range(3):
            (unfinished / str(number)).write_text(str(os.getpid()))


ACTIONS = (use_folder, remove_used_folder, make_folder, replace_folder)
INCREMENTS = {LOCKED: use_folder, MADE: make_folder}  # two each


def actions(seed: int, rounds: int) -> list[int]:
    """Return the actions of a process, as positions in ``ACTIONS``."""
    return random.Random(seed).choices(range(len(ACTIONS)), k=rounds)


def run_process(root: Path, seed: int, rounds: int) -> None:
    """Run the rounds of a process."""
    rng = random.Random(-seed)
    for action in actions(seed, rounds):
        ACTIONS[action](root, rng)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the processes; the exit status is 1 if any fails, an increment is lost, or a file is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=4, help="number of processes")
    parser.add_argument("--rounds", type=int, default=5000, help="number of actions of each process")
    parser.add_argument("--seed", type=int, default=1, help="random seed of the first process")
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + options.processes)
    done = [ACTIONS[action] for seed in seeds for action in actions(seed, options.rounds)]
    with tempfile.TemporaryDirectory() as folder:
        root, problems = Path(folder), list[str]()
        for name in INCREMENTS:
            (root / f"{name}-number").write_text("0")
        program = "import sys; from pathlib import Path; from tests.support.locks import run_process; "
        program += "run_process(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))"
        started = [
            subprocess.Popen([sys.executable, "-c", program, root, str(seed), str(options.rounds)]) for seed in seeds
        ]
        problems += [f"process {p.args[-2]} ended with {p.returncode}" for p in started if p.wait()]  # type: ignore[index]
        for name, action in INCREMENTS.items():
            expected, number = 2 * done.count(action), int((root / f"{name}-number").read_text())
            if number != expected:
                problems.append(f"{name}: {expected - number} of {expected} increments are lost")
        left = {str(path.relative_to(root)) for path in root.rglob("*") if path.name.startswith(".")}
        problems += [f"{path} is left" for path in left]
        if (root / MADE).is_dir() and len({path.read_text() for path in (root / MADE).iterdir()}) != 1:
            problems.append(f"{MADE} has files of several processes")
    print(f"{len(done)} actions in {options.processes} processes, {len(problems)} problems", *problems, sep="\n  ")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
