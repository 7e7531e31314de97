"""Files that are not what an argument of a command expects."""

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def pipe(path: Path, valid: Path) -> None:
    os.mkfifo(path)


def device(path: Path, valid: Path) -> None:
    path.symlink_to("/dev/zero")


def unix_socket(path: Path, valid: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # the name of a socket has at most 107 bytes
        short = Path(folder, "s")
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(str(short))
            shutil.move(short, path)


def broken_link(path: Path, valid: Path) -> None:
    path.symlink_to(path.parent / "nothing")


def link_to_itself(path: Path, valid: Path) -> None:
    path.symlink_to(path)


def swapped(path: Path, valid: Path) -> None:
    """An empty folder for a file, a file for a folder."""
    if valid.is_dir():
        path.write_text("text")
    else:
        path.mkdir()


def empty(path: Path, valid: Path) -> None:
    path.touch()


def other_content(path: Path, valid: Path) -> None:
    path.write_bytes(bytes(range(256)) * 64)


KINDS: dict[str, Callable[[Path, Path], None]] = {
    make.__name__: make
    for make in (pipe, device, unix_socket, broken_link, link_to_itself, swapped, empty, other_content)
}
SPECIAL = ("pipe", "device", "unix_socket")  # no command may read or replace them


def copy_to_undecodable_name(valid: Path, folder: Path) -> Path:
    """Copy a valid file or folder to a name that is not UTF-8, and return it."""
    path = folder / os.fsdecode(b"\xff" + os.fsencode(valid.suffix))
    if valid.is_dir():
        shutil.copytree(valid, path)
    elif valid.is_file():
        shutil.copy(valid, path)
    return path


class HangError(BaseException):
    """A block took too long. No ``except Exception`` takes it for an error of its own."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise HangError in a block that takes too long, even in an open() that waits for a pipe."""

    def stop(number: int, frame: object) -> None:
        raise HangError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
