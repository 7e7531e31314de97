"""Run mutants in a child process that may die, and report each finding with the command to replay it."""

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

MAX_SECONDS = 10  # CPU time per mutant
BASE_BYTES = 48 << 20  # memory for a mutant of any size: buffers, a thread's stack, columns of the index
SIZE_FACTOR = 3  # additional memory, as a multiple of the mutant's size

Job = tuple[str, int]  # name of the target and number of the mutant
Target = Callable[..., None]


@dataclass(frozen=True)
class Finding:
    """A mutant that violates a requirement."""

    target: str
    number: int
    seed: int
    problem: str

    def __str__(self) -> str:
        replay = f'python -m tests.fuzz --seed {self.seed} --replay "{self.target}" {self.number}'
        return f"{self.problem}\n  replay: {replay}"


def hunt(
    targets: dict[str, Target],
    jobs: Sequence[Job],
    real: Any,
    *,
    seed: int = 0,
    max_seconds: int = MAX_SECONDS,
    warm_up: int = 8,
) -> list[Finding]:
    """Run the jobs in a child process, which is restarted after a mutant that killed it.

    Args:
        targets: functions by name, see ``targets.py``.
        jobs: mutants to run.
        real: real records, passed to the targets.
        seed: random seed.
        max_seconds: CPU time per mutant.
        warm_up: number of other mutants of each target to run first without limits, for one-time allocations.
    """
    context, findings, next_job = get_context("spawn"), [], 0
    with tempfile.TemporaryDirectory(prefix="yt8m-hunt-") as folder:
        log = Path(folder, "findings.jsonl")
        log.touch()
        while next_job < len(jobs):
            position = context.Value("q", next_job)
            settings = seed, max_seconds, warm_up
            child = context.Process(target=_run_jobs, args=(targets, jobs, real, settings, position, log))
            previous = {name: os.environ.get(name) for name in _ENVIRONMENT}
            os.environ.update(_ENVIRONMENT)
            child.start()
            for name, value in previous.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            child.join()
            next_job = position.value
            if child.exitcode:
                if next_job == len(jobs):
                    raise RuntimeError(f"the child process exited with {child.exitcode} after its last mutant")
                findings.append(Finding(*jobs[next_job], seed, _describe_exit(child.exitcode, max_seconds)))
                next_job += 1
        findings += [Finding(**json.loads(line)) for line in log.read_text().splitlines()]
    return sorted(findings, key=lambda finding: (finding.target, finding.number))


# Reserved but unused address space would count as memory.
_ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}


def _describe_exit(exitcode: int, max_seconds: int) -> str:
    if exitcode == -signal.SIGPROF:
        return f"took more than {max_seconds} s"
    if exitcode < 0:
        return f"killed by {signal.Signals(-exitcode).name}"
    return f"exited with {exitcode}"


def _run_jobs(
    targets: dict[str, Target],
    jobs: Sequence[Job],
    real: Any,
    settings: tuple[int, int, int],
    position: "Synchronized[int]",
    log: Path,
) -> None:
    seed, max_seconds, warm_up = settings
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    for name in {name: None for name, _ in jobs}:
        for number in range(-warm_up, 0):
            run_one(targets[name], Random(f"{seed}/{name}/{number}"), real, lambda size: None)
    while position.value < len(jobs):
        name, number = jobs[position.value]
        signal.setitimer(signal.ITIMER_PROF, max_seconds)  # its signal is not handled and kills the process

        def set_memory_limit(size: int) -> None:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(
                resource.RLIMIT_AS, (pages * resource.getpagesize() + BASE_BYTES + SIZE_FACTOR * size, hard)
            )

        problem = run_one(targets[name], Random(f"{seed}/{name}/{number}"), real, set_memory_limit)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        if problem:
            with log.open("a") as file:
                file.write(json.dumps({"target": name, "number": number, "seed": seed, "problem": problem}) + "\n")
        position.value += 1
    signal.setitimer(signal.ITIMER_PROF, 0)


def run_one(target: Target, random: Random, real: Any, set_memory_limit: Callable[[int], None]) -> str:
    """Run one mutant and return the violated requirement, or an empty string."""
    memory_error: MemoryError | None = None
    try:
        target(random, real, set_memory_limit)
    except MemoryError as error:
        memory_error = error
    except Exception:
        return traceback.format_exc(limit=-4)
    return f"more memory than {SIZE_FACTOR} times the file: {memory_error!r}" if memory_error else ""
