"""What readers yield: a video, or why it cannot be used. Only a damaged container ends a file."""

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pyarrow as pa

from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.importer.arrays import ArrayFile
from yt8m_core.errors import UserError

Reading = VideoContents | UserError

# Raised by zipfile, zlib, tarfile, h5py and pyarrow for damaged files.
_LIBRARY_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, tarfile.TarError, pa.ArrowException, ArithmeticError, EOFError,
    LookupError, MemoryError, NotImplementedError, OSError, RuntimeError, ValueError,
)  # fmt: skip
_MACHINE_ERRORS = (OSError, MemoryError, ImportError)


@contextmanager
def report_damage(where: str) -> Iterator[None]:
    """Convert what the libraries of the formats raise for damaged files into a UserError."""
    try:
        yield
    except _LIBRARY_ERRORS as error:
        found = f"cannot be read ({str(error)[:200] or type(error).__name__})"
        raise UserError(found, where=where, advice="The file may be damaged: save it again.") from error


def read_video(where: str, read: Callable[[], VideoContents]) -> Reading:
    """Return a video, or the error that says why it cannot be used."""
    try:
        with report_damage(where):
            return read()
    except UserError as error:
        return error


def may_be_temporary(error: UserError) -> bool:
    """Whether an error may come from the machine and not from the file: a disk that fails, too little memory."""
    return isinstance(error.__cause__, _MACHINE_ERRORS)


def read_arrays(file: ArrayFile, start: int, stop: int | None, name: str) -> Iterator[Reading]:
    """Yield the videos of ``ArrayFile.read`` one by one."""
    for video in range(start, file.num_videos if stop is None else stop):
        read = partial(next, file.read(video, video + 1, name))
        yield read_video(f"{file.where}, video {video}", read)
