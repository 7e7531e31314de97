"""Work in parts: each part is stored once it is done, so that processes share the work and a kill loses little."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from yt8m_core.errors import UserError
from yt8m_core.processes.group import Group
from yt8m_core.progress import Progress
from yt8m_core.storage.atomic import atomic_write, file_lock, remove_folder

VISIBLE_AFTER = 60.0  # seconds until what another machine wrote is on a shared disk


class Parts:
    """The parts of a result: files or folders in a folder that is removed when the result is complete.

    Args:
        folder: the folder, whose name identifies all that the parts depend on.
        names: names of the parts, in their order; or their number, which are then numbered.
    """

    def __init__(self, folder: Path, names: Sequence[str] | int) -> None:
        self.folder = folder
        if isinstance(names, int):
            names = [f"{number:06d}" for number in range(names)]
        self.paths = [folder / name for name in names]

    def path(self, number: int) -> Path:
        """Return the path of a part."""
        return self.paths[number]

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are not done."""
        return [number for number, path in enumerate(self.paths) if not path.exists()]

    def make(self, write: Callable[[int, Path], None], group: Group) -> None:
        """Make the missing parts, each in one process, and wait until all are done.

        Args:
            write: writes the part of a number to a path: a file or a folder.
            group: the processes.

        Raises:
            ProcessEndedError: another process has ended.
            UserError: the processes do not share the disk.
        """
        for number in self.share(group):
            with self.write(number) as unfinished:
                write(number, unfinished)
            group.check()
        self.wait(group)

    def share(self, group: Group) -> list[int]:
        """Return the numbers of the missing parts that are those of this process."""
        return group.share(self.missing())[group.rank :: group.size]

    @contextmanager
    def write(self, number: int) -> Iterator[Path]:
        """Yield a path to write a part to: a file or a folder. It is done when the block succeeds."""
        with atomic_write(self.path(number)) as unfinished:
            yield unfinished
            if unfinished.is_dir():
                for file in unfinished.iterdir():
                    _sync(file)

    def wait(self, group: Group) -> None:
        """Wait until all parts are done. Raises as ``make``."""
        group.wait()
        deadline = time.monotonic() + VISIBLE_AFTER
        while left := self.missing():
            if time.monotonic() > deadline:
                raise UserError(
                    f"part {self.path(left[0]).name} of another process is not here",
                    where=str(self.folder),
                    expected="a disk that all machines share",
                )
            time.sleep(1)
        group.wait()  # until all see them: then the first process may remove them

    def remove(self, group: Group) -> None:
        """Remove the folder when no process needs it any more."""
        group.wait()
        if group.is_first:
            remove_folder(self.folder, "work")


@contextmanager
def shared_lock(path: Path, task: str, group: Group, progress: Progress) -> Iterator[None]:
    """Let only one group of processes at a time make what is at a path; another one waits.

    Args:
        path: what is made.
        task: what the group does, such as "evaluation", for the message of the one that waits.
        group: the processes.
        progress: receives the message.
    """
    if group.is_first:
        with file_lock(path, task, wait=lambda message: progress(message, 0, 1)):
            yield
    else:
        yield


def _sync(file: Path) -> None:
    """Wait until a file is on the disk, because its name will say that it is complete."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
