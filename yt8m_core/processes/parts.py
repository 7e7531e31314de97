"""Work in parts: each part is a file once it is done, so that processes share the work and a kill loses little."""

import time
from collections.abc import Callable
from pathlib import Path

from yt8m_core.errors import UserError
from yt8m_core.processes.group import Group
from yt8m_core.storage.atomic import atomic_write, remove_folder

VISIBLE_AFTER = 60.0  # seconds until a file that another machine wrote is on a shared disk


class Parts:
    """Files of the parts of a result, in a folder that is removed when the result is complete.

    Args:
        folder: the folder, whose name identifies all that the parts depend on.
        total: number of parts.
        suffix: ending of their names.
    """

    def __init__(self, folder: Path, total: int, suffix: str) -> None:
        self.folder, self.total, self.suffix = folder, total, suffix

    def file(self, number: int) -> Path:
        """Return the file of a part."""
        return self.folder / f"{number:06d}{self.suffix}"

    @property
    def files(self) -> list[Path]:
        """The files of all parts, in their order."""
        return [self.file(number) for number in range(self.total)]

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are not done."""
        return [number for number, file in enumerate(self.files) if not file.is_file()]

    def make(self, write: Callable[[int, Path], None], group: Group) -> None:
        """Make the missing parts, each in one process, and wait until all are done.

        Args:
            write: writes the part of a number to a file.
            group: the processes.

        Raises:
            ProcessEndedError: another process has ended.
            UserError: the processes do not share the disk.
        """
        missing = group.share(self.missing())
        for number in missing[group.rank :: group.size]:
            with atomic_write(self.file(number)) as unfinished:
                write(number, unfinished)
            group.check()
        group.wait()
        deadline = time.monotonic() + VISIBLE_AFTER
        while left := self.missing():
            if time.monotonic() > deadline:
                raise UserError(
                    f"part {left[0]} of another process is not here",
                    where=str(self.folder),
                    expected="a disk that all machines share",
                )
            time.sleep(1)
        group.wait()  # until all see them: then the first process may remove them

    def remove(self) -> None:
        """Remove the folder."""
        remove_folder(self.folder, "work")
