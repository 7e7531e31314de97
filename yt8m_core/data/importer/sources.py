"""Find the feature files of an import, and divide them into units of work."""

import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from numpy.typing import NDArray

from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.importer import hdf5_source, numpy_source, record_source, table_source, tar_source
from yt8m_core.errors import UserError

# Raised by zipfile, zlib, tarfile, h5py and pyarrow for damaged files.
_LIBRARY_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, tarfile.TarError, pa.ArrowException, ArithmeticError, AttributeError,
    EOFError, LookupError, MemoryError, NotImplementedError, OSError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
UNIT_BYTES = 64 << 20
UNIT_FILES = 2000


class Format(NamedTuple):
    """How the files of a format are read."""

    read: Callable[[Path, str, int, int | None], Iterator[VideoContents]]  # file, default id, rows from and before
    count_rows: Callable[[Path], int] | None = None  # of a file whose rows can be read in any order


NUMPY = Format(numpy_source.read_rows, numpy_source.count_rows)
TABLE = Format(table_source.read_rows, table_source.count_rows)
HDF5 = Format(hdf5_source.read_rows, hdf5_source.count_rows)
RECORDS, TAR = Format(record_source.read_rows), Format(tar_source.read_rows)
FORMATS: dict[str, Format] = {
    **dict.fromkeys((".npz", ".npy"), NUMPY),
    **dict.fromkeys((".parquet", ".arrow", ".feather"), TABLE),
    **dict.fromkeys((".h5", ".hdf5"), HDF5),
    **dict.fromkeys((".tfrecord", ".tfrecords", ".pb"), RECORDS),
    ".tar": TAR,
}


@dataclass(frozen=True)
class Part:
    """Rows of a feature file."""

    path: str
    name: str  # path below the folder of the import, without its ending: the id of a video without one
    size: int
    mtime_ns: int
    start: int = 0
    stop: int | None = None  # None for all

    def read(self) -> Iterator[VideoContents]:
        """Yield the videos. Raises UserError where the file cannot be used."""
        path = Path(self.path)
        with report_damage(self.path):
            for contents in FORMATS[path.suffix.lower()].read(path, self.name, self.start, self.stop):
                yield replace(contents, read=partial(_read_array, contents))


@contextmanager
def report_damage(where: str) -> Iterator[None]:
    """Convert what the libraries of the formats raise for damaged files into a UserError."""
    try:
        yield
    except _LIBRARY_ERRORS as error:
        found = f"cannot be read ({str(error)[:200] or type(error).__name__})"
        raise UserError(found, where=where, advice="The file may be damaged: save it again.") from error


def _read_array(contents: VideoContents, name: str) -> NDArray[Any]:
    with report_damage(contents.where):
        return contents.read(name)


def find_parts(features: Path) -> list[Part]:
    """Return the feature files below a folder, or a single file, sorted by name.

    Raises UserError where there are none, and for a file of another kind.
    """
    root = features.expanduser().absolute()
    if root.is_file():
        if root.suffix.lower() not in FORMATS:
            raise UserError(f"a file '{root.suffix}'", where=str(root), expected=f"one of {', '.join(FORMATS)}")
        return [_part(root, root.parent)]
    if not root.is_dir():
        raise UserError("no such file or folder", where=str(root))
    files = sorted(
        Path(folder) / name
        for folder, _, names in os.walk(root)
        for name in names
        if os.path.splitext(name)[1].lower() in FORMATS and not name.startswith(".")
    )
    if not files:
        raise UserError(
            "no feature files",
            where=f"folder {root}",
            expected=f"files that end in {', '.join(FORMATS)}",
            advice="Pickles are never opened: docs/data.md shows how to convert those of PaddleVideo.",
        )
    return [_part(file, root) for file in files]


def _part(file: Path, root: Path) -> Part:
    stat = file.stat()
    return Part(str(file), file.relative_to(root).with_suffix("").as_posix(), stat.st_size, stat.st_mtime_ns)


def divide(parts: list[Part]) -> Iterator[tuple[Part, ...]]:
    """Yield units of work: several small files, or some rows of a large one.

    A file whose rows cannot be read in any order, such as a tar archive, is one unit.
    """
    unit: list[Part] = []
    for part in parts:
        if part.size > UNIT_BYTES:
            if unit:
                yield tuple(unit)
            yield from ((rows,) for rows in _divide_rows(part))
            unit = []
            continue
        unit.append(part)
        if sum(small.size for small in unit) >= UNIT_BYTES or len(unit) == UNIT_FILES:
            yield tuple(unit)
            unit = []
    if unit:
        yield tuple(unit)


def _divide_rows(part: Part) -> list[Part]:
    count = FORMATS[Path(part.path).suffix.lower()].count_rows
    try:
        with report_damage(part.path):
            total = count(Path(part.path)) if count else 0
    except UserError:  # reported when the file is read
        total = 0
    if not total:
        return [part]
    step = max(1, total * UNIT_BYTES // part.size)
    return [replace(part, start=start, stop=min(start + step, total)) for start in range(0, total, step)]
