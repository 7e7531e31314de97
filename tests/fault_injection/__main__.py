"""Inject faults into all long commands, and run them again: python -m tests.fault_injection --trials 1000.

A command is killed or asked to stop at a random moment, cannot write more than some bytes into a file, as on a full
disk, or may not write at all. Then every file must be complete or as before, no process may go on, and the same command
must end with the files of a run without faults. Root must give up its right to write everywhere:

    setpriv --bounding-set=-dac_override,-dac_read_search python -m tests.fault_injection
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.fault_injection.commands import Command, commands, served_files, write_inputs
from tests.fault_injection.trial import MISSED, Reference, differences, digests, inject, prepare, run
from tests.support.file_server import serve_files


@contextmanager
def server(files: dict[str, bytes]) -> Iterator[str]:
    """Serve files from a process of its own, because a process with threads must not fork. Yield its address."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the traces of the connections that the kills break
        with serve_files() as started:
            started.files |= files
            os.write(writer, started.address.encode())
            signal.pause()
    try:
        yield os.read(reader, 100).decode()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


class References:
    """Runs of commands without faults, which are made when they are needed."""

    def __init__(self, root: Path, known: dict[str, Command]) -> None:
        self.root, self.known, self.made = root, known, dict[str, Reference]()

    def __call__(self, name: str) -> Reference:
        """Return the reference of a command. Raises RuntimeError where it fails or two runs of it differ."""
        if name in self.made:
            return self.made[name]
        command, work, log = self.known[name], self.root / "work", self.root / "log"
        start = self.root / "start" / name
        for needed in command.needs:
            self(needed)
        prepare(start, *(self.root / "end" / needed for needed in command.needs))
        reference = Reference(command, start)
        for number in range(2):
            prepare(work, start)
            ending = run(command, work, log)
            if ending.code:
                raise RuntimeError(f"{name} ends with {ending.code}: {ending.text}")
            if number and (problems := differences(reference, work, is_complete=True)):
                raise RuntimeError(f"two runs of {name} without faults differ: {'; '.join(problems)}")
            reference.digests, reference.seconds = digests(work), ending.seconds
        before = digests(start)
        written = [key for key, digest in reference.digests.items() if digest != before.get(key)]
        reference.largest = max(((work / key).stat().st_size for key in written), default=0)
        prepare(self.root / "end" / name, work)
        self.made[name] = reference
        print(f"{name}: {reference.seconds:.1f} s, {len(written)} files", flush=True)
        return reference


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials; the exit status is 1 if there is any problem."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fault_injection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--trials", type=int, default=1000, help="number of faults in all commands together")
    parser.add_argument("--seed", type=int, default=0, help="random seed")
    parser.add_argument("--commands", nargs="*", default=[], help="commands to inject faults into; default: all")
    options = parser.parse_args(arguments)
    started, failures = time.monotonic(), 0
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_inputs(root / "inputs")
        with server(served_files(root / "served")) as address:
            known = commands(root / "inputs", root / "work", address)
            references = References(root, known)
            names = options.commands or list(known)
            number = 0
            while counts.total() - counts[MISSED] < options.trials:
                name = names[number % len(names)]
                rng = random.Random(f"{options.seed}/{name}/{number}")
                outcome = inject(references(name), root / "work", root / "log", rng)
                counts[outcome.fault] += 1
                if outcome.problems:
                    failures += 1
                    text = "; ".join(outcome.problems)
                    print(f"trial {number}: {name}, {outcome.fault} {outcome.place}: {text}", flush=True)
                number += 1
    seconds = time.monotonic() - started
    faults = ", ".join(f"{count:,} {fault}" for fault, count in sorted(counts.items()))
    print(f"{options.trials:,} trials ({faults}) in {seconds:.0f} s, seed {options.seed}: {failures} with problems")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
