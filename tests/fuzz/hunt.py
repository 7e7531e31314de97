"""Mutants in a child process, which may die of them; what it dies of, or finds, is told with what replays it."""

import json
import os
import resource
import signal
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from random import Random
from typing import Any

SECONDS = 10  # of the processor, for one mutant
FLOOR = 48 << 20  # bytes that a mutant may cost, however small it is: buffers, a thread's stack, the index's columns
TIMES = 3  # its own size that it may cost beyond

Job = tuple[str, int]  # a target's name, and a mutant's number
Target = Callable[..., None]


@dataclass(frozen=True)
class Finding:
    """A mutant that did what none may do."""

    target: str
    number: int
    seed: int
    what: str

    def __str__(self) -> str:
        replay = f'python -m tests.fuzz --seed {self.seed} --replay "{self.target}" {self.number}'
        return f"{self.what}\n  again: {replay}"


def hunt(
    targets: dict[str, Target],
    jobs: Sequence[Job],
    real: Any,
    *,
    seed: int = 0,
    seconds: int = SECONDS,
    warm_up: int = 8,
) -> list[Finding]:
    """Run the jobs, in a child that is started again behind the mutant that it died of.

    The child first runs ``warm_up`` other mutants of each target without a limit: whatever is made once is made then.
    """
    context, findings, next_job = get_context("spawn"), [], 0
    with tempfile.TemporaryDirectory(prefix="yt8m-hunt-") as folder:
        said = Path(folder, "findings.jsonl")
        said.touch()
        while next_job < len(jobs):
            at = context.Value("q", next_job)
            child = context.Process(target=_work, args=(targets, jobs, real, (seed, seconds, warm_up), at, said))
            kept = {name: os.environ.get(name) for name in _ENVIRONMENT}
            os.environ.update(_ENVIRONMENT)
            child.start()
            for name, value in kept.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            child.join()
            next_job = at.value
            if child.exitcode:
                if next_job == len(jobs):
                    raise RuntimeError(f"the child ended with {child.exitcode} after its last mutant")
                findings.append(Finding(*jobs[next_job], seed, _death(child.exitcode, seconds)))
                next_job += 1
        findings += [Finding(**json.loads(line)) for line in said.read_text().splitlines()]
    return sorted(findings, key=lambda finding: (finding.target, finding.number))


# Reserves of address space that are never used would count as memory.
_ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}


def _death(exitcode: int, seconds: int) -> str:
    if exitcode == -signal.SIGPROF:
        return f"busy for more than {seconds} s"
    if exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"ended with {exitcode}"


def _work(
    targets: dict[str, Target],
    jobs: Sequence[Job],
    real: Any,
    how: tuple[int, int, int],
    at: "Synchronized[int]",
    said: Path,
) -> None:
    seed, seconds, warm_up = how
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    for name in {name: None for name, _ in jobs}:
        for number in range(-warm_up, 0):
            run_one(targets[name], Random(f"{seed}/{name}/{number}"), real, lambda size: None)
    while at.value < len(jobs):
        name, number = jobs[at.value]
        signal.setitimer(signal.ITIMER_PROF, seconds)  # whose signal nobody handles

        def budget(size: int) -> None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + FLOOR + TIMES * size, hard))

        what = run_one(targets[name], Random(f"{seed}/{name}/{number}"), real, budget)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        if what:
            with said.open("a") as file:
                file.write(json.dumps({"target": name, "number": number, "seed": seed, "what": what}) + "\n")
        at.value += 1
    signal.setitimer(signal.ITIMER_PROF, 0)


def run_one(target: Target, random: Random, real: Any, budget: Callable[[int], None]) -> str:
    """What a mutant did that none may do, or nothing."""
    refused: list[BaseException] = []
    try:
        target(random, real, budget)
    except MemoryError as error:
        refused.append(error)
    except Exception:
        return traceback.format_exc(limit=-4)
    return f"more memory than {TIMES} times the file: {refused[0]!r}" if refused else ""
