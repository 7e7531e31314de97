"""The processes of one command: this one alone, or all that ``torchrun`` started, on one machine or several.

They share a disk and the key-value store of ``torchrun``. A process that waits for the others asks the store every
moment, so no wait has a time limit; each process counts up a number there every few seconds, and one whose number
stands still has ended. PyTorch's collectives would wait for it until their time limit, which would have to be longer
than the longest work.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from yt8m_core.errors import ProcessEndedError, UserError
from yt8m_core.progress import Progress

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

BEAT = 2.0  # seconds between two counts
SILENT_AFTER = 30.0  # seconds without a count after which a process has ended; a busy or swapping machine is late
DONE = b"done"  # instead of the count of a process that has ended well
MAX_TEXT = 300  # characters of the error of a process
POLL = 0.05  # seconds between two questions to the store

Result = TypeVar("Result")
_openings = count()  # of this process; all processes open their groups in the same order


class Group:
    """The processes of one command.

    Attributes:
        rank: number of this process.
        size: number of processes.
    """

    def __init__(self, rank: int = 0, size: int = 1, store: "Store | None" = None) -> None:
        self.rank, self.size = rank, size
        self._store = store
        self._waits = count()  # all processes wait in the same order
        self._beats: dict[int, tuple[bytes, float]] = {}  # of the others: the last count, and when it was new here
        self._checked = 0.0

    @property
    def is_first(self) -> bool:
        """Whether this process prints, and writes what only one may write."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all processes have come here. Raises ProcessEndedError where one of them has ended."""
        if self._store is not None:
            name = f"wait {next(self._waits)}"
            with _report_store():
                self._store.add(name, 1)
                while self._store.add(name, 0) < self.size:
                    self._pause()

    def share(self, value: Result) -> Result:
        """Return the value of the first process, which JSON has, in all processes.

        Anyone who reaches the store may write there, so nothing that could run code is read from it. Raises
        ProcessEndedError where the first process has ended.
        """
        if self._store is None:
            return value
        name = f"value {next(self._waits)}"
        with _report_store():
            if self.is_first:
                self._store.set(name, json.dumps(value))
                return value
            while not self._store.check([name]):
                self._pause()
            shared: Result = json.loads(self._store.get(name))
            return shared

    def first(self, task: Callable[[], Result]) -> Result:
        """Do a task in the first process while the others wait, and then in the others, which find it done."""
        if self.is_first:
            result = task()
            self.share(None)
            return result
        self.share(None)
        return task()

    def watch(self, progress: Progress) -> Progress:
        """Return a progress callback that also checks, now and then, that no process has ended.

        Only the first process shows its progress.
        """

        def report(task: str, done: int, total: int, note: str = "") -> None:
            if time.monotonic() - self._checked > BEAT:
                self.check()
            if self.is_first:
                progress(task, done, total, note)

        return report

    def check(self) -> None:
        """Raise UserError where another process has ended."""
        self._checked = now = time.monotonic()
        if self._store is None:
            return
        with _report_store():
            for rank in range(self.size):
                if rank != self.rank:
                    self._check_process(rank, self._store, now)

    def _check_process(self, rank: int, store: "Store", now: float) -> None:
        if store.check([f"failure {rank}"]):
            raise ProcessEndedError(f"process {rank} has ended: {store.get(f'failure {rank}').decode()}")
        beat = store.get(f"beat {rank}") if store.check([f"beat {rank}"]) else b""
        last, since = self._beats.get(rank, (None, now))
        if beat != last:
            self._beats[rank] = beat, now
        elif now - since > SILENT_AFTER and beat != DONE:
            raise ProcessEndedError(
                f"process {rank} has ended, or does not answer: its last sign is {now - since:.0f} s old",
                advice="Run the same command again: it goes on from the parts that are done.",
            )

    def _pause(self) -> None:
        if time.monotonic() - self._checked > BEAT:
            self.check()
        time.sleep(POLL)


ALONE = Group()


@contextmanager
def open_group() -> Iterator[Group]:
    """Yield the processes that ``torchrun`` started with this one, or this one alone.

    Raises:
        UserError: this is one of several processes that ``torchrun`` did not start.
        ProcessEndedError: another process has ended.
    """
    size = int(os.environ.get("WORLD_SIZE", 1))
    if size == 1:
        yield ALONE
        return
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        raise UserError(f"{size} processes (WORLD_SIZE) without torchrun", advice="Start them with torchrun.")
    rank, opening = int(os.environ["RANK"]), next(_openings)
    with _report_store():
        group, beats = Group(rank, size, _connect(opening)), _connect(opening)
    end = threading.Event()
    thread = threading.Thread(target=_beat, args=(beats, rank, end), daemon=True)
    thread.start()
    try:
        yield group
    except ProcessEndedError:
        raise
    except BaseException as error:
        with suppress(RuntimeError):
            text = str(error) if isinstance(error, UserError) else type(error).__name__
            beats.set(f"failure {rank}", text[:MAX_TEXT])
        raise
    finally:
        end.set()
        thread.join()


def _connect(opening: int) -> "Store":
    """Connect to the store of ``torchrun``, in the part of one opening."""
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=SILENT_AFTER))
    return PrefixStore(f"yt8m {os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)} {opening}", store)


def _beat(store: "Store", rank: int, end: threading.Event) -> None:
    """Count up the number of this process until the end."""
    for number in count():
        with suppress(RuntimeError):
            store.set(f"beat {rank}", str(number))
        if end.wait(BEAT):
            break
    with suppress(RuntimeError):
        store.set(f"beat {rank}", DONE.decode())


@contextmanager
def _report_store() -> Iterator[None]:
    """Turn an error of the store, which the first machine serves, into a sentence."""
    try:
        yield
    except UserError:
        raise
    except RuntimeError as error:
        text = " ".join(str(error).split())[:MAX_TEXT]
        raise ProcessEndedError(
            f"the store of torchrun at {os.environ['MASTER_ADDR']} does not answer ({text})"
        ) from None
