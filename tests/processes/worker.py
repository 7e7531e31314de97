"""A command that ``torchrun`` starts in tests: it makes the parts of a file, slowly, and joins them.

python -m tests.processes.worker FOLDER PARTS SECONDS [FAILING_RANK]
"""

import os
import sys
import time
from pathlib import Path

from yt8m_core.cli.boundary import error_boundary
from yt8m_core.errors import UserError
from yt8m_core.processes.group import open_group
from yt8m_core.processes.parts import Parts


def main(folder: Path, total: int, seconds: float, failing: int) -> None:
    """Make and join the parts."""
    with open_group() as group:
        (folder / f"pid{group.rank}").write_text(str(os.getpid()))
        parts = Parts(folder / "parts", total)

        def write(number: int, unfinished: Path) -> None:
            if group.rank == failing:
                raise UserError("a bad record", where=f"part {number}")
            time.sleep(seconds)
            unfinished.write_text(f"{number}\n")
            (folder / f"made{number}-{os.getpid()}").touch()

        parts.make(write, group)
        if group.is_first:
            (folder / "result").write_text("".join(path.read_text() for path in parts.paths))
        parts.remove(group)
        print(f"process {group.rank} of {group.size}: {group.share(total * (1 + group.rank))} parts")


if __name__ == "__main__":
    with error_boundary():
        main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int((sys.argv[4:] or ["-1"])[0]))
