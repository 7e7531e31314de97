"""State of a file, which differs from that of an earlier version of the file."""

import os
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class FileState:
    """Size and times of a file.

    Programs such as ``cp -p``, ``touch -r``, ``rsync`` and ``tar`` set the modification time. Only the file system sets
    the time of the last change of content or attributes.
    """

    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Return the state in the result of ``stat``."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)
