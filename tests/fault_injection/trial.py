"""One run of a command with an injected fault, which the same command must complete."""

import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

import yt8m_core.training.loop as training
from tests.fault_injection.commands import Command
from yt8m_core.cli import main as cli
from yt8m_core.cli.boundary import STOPPED

KILL, TERMINATE, FULL_DISK, READ_ONLY = "kill", "SIGTERM", "full disk", "read-only"
MISSED = "ended before"  # does not count
LIMIT = 900.0  # seconds that a command may take
LAST_SECONDS = 10.0  # that a stopped command, or a child of a killed one, may go on


@dataclass
class Ending:
    """How a command ended: its exit code, negative for a signal, what it printed, and how long it took."""

    code: int
    text: str
    seconds: float


@dataclass
class Reference:
    """A run of a command without faults.

    Attributes:
        start: Folder with what is there before it.
        digests: Of each file that is there after it.
        seconds: How long it takes.
        largest: Bytes of the largest file that it writes.
    """

    command: Command
    start: Path
    digests: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    largest: int = 0


def start(command: Command, work: Path, log: Path, limit: int | None = None) -> int:
    """Run a command in a forked child, in a session of its own. Return its process id.

    The parent must not have used torch's threads. ``limit`` is the size in bytes at which a file cannot grow.
    """
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setsid()
        output = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update({"YT8M_HOME": str(work / "home"), **dict(command.variables)})
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        training.LOG_STEPS, training.CHECKPOINT_STEPS = 1, 2
        sys.argv = ["yt8m", *command.arguments]
        cli.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(child: int, log: Path, started: float, *, limit: float = LIMIT) -> Ending:
    """Wait until a command has ended; one that takes too long is killed, which is its code then."""
    deadline = time.monotonic() + limit
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            ended = os.waitpid(child, 0)
            break
        time.sleep(0.005)
    code = os.waitstatus_to_exitcode(ended[1])
    return Ending(code, log.read_text(errors="replace"), time.monotonic() - started)


def run(command: Command, work: Path, log: Path, limit: int | None = None) -> Ending:
    """Run a command to its end."""
    started = time.monotonic()
    return wait(start(command, work, log, limit), log, started)


def prepare(work: Path, *sources: Path) -> None:
    """Make a working folder with the content of other folders, and nothing else."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "home").mkdir(parents=True)
    for source in sources:
        shutil.copytree(source, work, dirs_exist_ok=True)


def digests(work: Path) -> dict[str, str]:
    """Return the digest of each file by its path.

    Hidden files, which are temporary ones and locks, are left out, and TensorBoard's, whose names have a time.
    """
    found = {}
    for file in sorted(work.rglob("*")):
        path = file.relative_to(work)
        if file.is_file() and not any(part[0] == "." or part == "tensorboard" for part in path.parts):
            found[str(path)] = sha256(file.read_bytes()).hexdigest()
    return found


def is_program_error(ending: Ending) -> bool:
    """Return whether a command ended with an exception that it does not expect."""
    return "Traceback" in ending.text or "an error of this program" in ending.text


def set_writable(work: Path, *, is_writable: bool) -> None:
    """Allow or forbid to change anything in a folder. Root without limited capabilities ignores it."""
    for path in [work, *work.rglob("*")]:
        path.chmod((0o755 if path.is_dir() else 0o644) if is_writable else (0o555 if path.is_dir() else 0o444))


@dataclass
class Outcome:
    """What a fault did to a command.

    Attributes:
        fault: One of the faults, or ``MISSED`` where the command was faster than its kill or SIGTERM.
        place: When or where it was injected.
        problems: What is wrong after it, or after the same command has run to its end.
    """

    fault: str
    place: str
    problems: list[str]


def inject(reference: Reference, work: Path, log: Path, rng: random.Random) -> Outcome:
    """Inject a random fault into a command, then run the command to its end."""
    command = reference.command
    (fault,) = rng.choices((KILL, TERMINATE, FULL_DISK, READ_ONLY), (14, 2, 3, 1))
    prepare(work, reference.start)
    if fault == READ_ONLY:
        outcome = _forbid_writing(reference, work, log)
    elif fault == FULL_DISK:
        limit = int(rng.uniform(0, reference.largest))
        outcome = Outcome(fault, f"at {limit:,} bytes", _refusal_problems(run(command, work, log, limit)))
    else:
        outcome = _end_early(fault, reference, work, log, rng.uniform(0, reference.seconds))
    outcome.problems += differences(reference, work, is_complete=False)
    again = run(command, work, log)
    if again.code:
        outcome.problems.append(f"the same command ends with {again.code}: {again.text[-600:]}")
    outcome.problems += differences(reference, work, is_complete=True)
    return outcome


def _forbid_writing(reference: Reference, work: Path, log: Path) -> Outcome:
    set_writable(work, is_writable=False)
    problems = _refusal_problems(run(reference.command, work, log))
    set_writable(work, is_writable=True)
    changed = digests(work).items() ^ digests(reference.start).items()
    return Outcome(READ_ONLY, "everywhere", problems + [f"{name} was changed" for name, _ in changed])


def _end_early(fault: str, reference: Reference, work: Path, log: Path, seconds: float) -> Outcome:
    """Kill a command, or ask it to stop, after some seconds."""
    started = time.monotonic()
    child = start(reference.command, work, log)
    time.sleep(seconds)
    has_ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    os.kill(child, signal.SIGKILL if fault == KILL else signal.SIGTERM)
    ending = wait(child, log, started)
    problems = _stop_problems(ending, seconds) if fault == TERMINATE and not has_ended else []
    return Outcome(MISSED if has_ended else fault, f"after {seconds:.3f} s", problems + _orphans(child))


def _refusal_problems(ending: Ending) -> list[str]:
    """Return what is wrong with the end of a command that could not write."""
    if is_program_error(ending):
        return [f"an error of the program: {ending.text[-1500:]}"]
    return [] if ending.code in (0, 1) else [f"exit status {ending.code}: {ending.text[-600:]}"]


def _stop_problems(ending: Ending, seconds: float) -> list[str]:
    """Return what is wrong with the end of a command that was asked to stop."""
    problems = []
    if ending.code not in (0, STOPPED, -signal.SIGTERM):
        problems.append(f"exit status {ending.code} after SIGTERM: {ending.text[-600:]}")
    if is_program_error(ending):
        problems.append(f"an error of the program: {ending.text[-1500:]}")
    if ending.seconds - seconds > LAST_SECONDS:
        problems.append(f"went on for {ending.seconds - seconds:.0f} s after SIGTERM")
    return problems


def _orphans(session: int) -> list[str]:
    """Return the processes of a command that go on without it, which are ended."""
    deadline = time.monotonic() + LAST_SECONDS
    while (left := _session_members(session)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for member in left:
        os.kill(member, signal.SIGKILL)
    return [f"{len(left)} processes go on without their parent"] if left else []


def _session_members(session: int) -> list[int]:
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # has ended
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            members.append(int(stat.parent.name))
    return members


def differences(reference: Reference, work: Path, *, is_complete: bool) -> list[str]:
    """Return the files that are not as after a run without faults.

    After a fault, files may be missing or be those of before, and files that grow may be incomplete.
    """
    command, found, before = reference.command, digests(work), digests(reference.start)
    problems = []
    for name in sorted(found.keys() | reference.digests.keys() | before.keys()):
        digest, expected = found.get(name), reference.digests.get(name)
        if digest == expected or any(
            fnmatch(name, f"*{pattern}") for pattern in command.varies if "*" in pattern or (digest and expected)
        ):
            continue
        unfinished = digest is None or digest == before.get(name)
        unfinished |= any(fnmatch(name, f"*{pattern}") for pattern in command.grows)
        if is_complete or not unfinished:
            what = "is missing" if digest is None else "is left" if expected is None else "differs"
            problems.append(f"{name} {what} {'at the end' if is_complete else 'after it'}")
    return problems
