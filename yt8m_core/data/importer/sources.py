"""Find the feature files of an import, and divide them into units of work."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from yt8m_core.data.features.contents import VideoContents
from yt8m_core.data.features.mediapipe import MAX_MESSAGE, is_mediapipe
from yt8m_core.data.features.npy import NPY_MAGIC
from yt8m_core.data.importer import hdf5_source, numpy_source, record_source, table_source, tar_source
from yt8m_core.data.importer.output import STATE
from yt8m_core.data.importer.reading import Reading, report_damage
from yt8m_core.data.tfrecord.records import masked_crc32c
from yt8m_core.data.tfrecord.shard import MAX_BYTES, report_unreadable
from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import printable_name
from yt8m_core.storage.file_state import FileState
from yt8m_core.storage.paths import open_file

UNIT_BYTES = 64 << 20
UNIT_FILES = 2000


class Format(NamedTuple):
    """How the files of a format are read."""

    read: Callable[[Path, str, int, int | None], Iterator[Reading]]  # file, default id, rows from and before
    count_rows: Callable[[Path], int] | None = None  # of a file whose rows can be read in any order


NUMPY = Format(numpy_source.read_rows, numpy_source.count_rows)
PARQUET = Format(table_source.read_parquet, table_source.count_parquet_rows)
ARROW = Format(table_source.read_arrow, table_source.count_arrow_rows)
HDF5 = Format(hdf5_source.read_rows, hdf5_source.count_rows)
RECORDS, MESSAGE, TAR = map(Format, (record_source.read_rows, record_source.read_message, tar_source.read_rows))
FORMATS: dict[str, Format] = {
    **dict.fromkeys((".npz", ".npy"), NUMPY),
    ".parquet": PARQUET,
    **dict.fromkeys((".arrow", ".feather"), ARROW),
    **dict.fromkeys((".h5", ".hdf5"), HDF5),
    **dict.fromkeys((".tfrecord", ".tfrecords"), RECORDS),
    ".pb": MESSAGE,
    ".tar": TAR,
}
_MAGIC = (
    *((0, magic, NUMPY) for magic in (b"PK\x03\x04", b"PK\x05\x06", *NPY_MAGIC)),
    (0, b"PAR1", PARQUET),
    (0, b"ARROW1", ARROW),
    (0, b"\x89HDF\r\n", HDF5),
    (257, b"ustar", TAR),
)  # position and value of the first bytes


def find_format(path: Path) -> Format | None:
    """Return the format of a file by its content, or by its ending where that says nothing; None for other files.

    Raises UserError for a device or a pipe, which may never end.
    """
    with open_file(path, MAX_BYTES) as file:
        head = file.read(512)
        for start, magic, kind in _MAGIC:
            if head[start : start + len(magic)] == magic:
                return kind
        if len(head) >= 12 and masked_crc32c(head[:8]) == int.from_bytes(head[8:12], "little"):
            return RECORDS
        if path.suffix.lower() in FORMATS:
            return FORMATS[path.suffix.lower()]
        return MESSAGE if is_mediapipe(head + file.read(MAX_MESSAGE)) else None


@dataclass(frozen=True)
class Part:
    """Rows of a feature file."""

    path: str
    name: str  # path below the folder of the import, without its ending: the id of a video without one
    state: FileState
    start: int = 0
    stop: int | None = None  # None for all

    @property
    def size(self) -> int:
        """Number of bytes of the file."""
        return self.state.size

    def read(self) -> Iterator[VideoContents]:
        """Yield the videos. Raises UserError where the file cannot be used, or a video of it, after the others."""
        first_error: UserError | None = None
        for reading in self.read_each():
            if isinstance(reading, VideoContents):
                yield reading
            else:
                first_error = first_error or reading
        if first_error is not None:
            raise first_error

    def read_each(self) -> Iterator[Reading]:
        """Yield the videos, and errors in place of those that cannot be used.

        Raises UserError where the rest of the file cannot be used.
        """
        path = Path(self.path)
        with report_damage(self.path):
            kind = find_format(path)
            if kind is None:
                raise UserError("a file of unknown type", where=self.path, expected=f"one of {', '.join(FORMATS)}")
            for reading in kind.read(path, self.name, self.start, self.stop):
                yield _checked(reading) if isinstance(reading, VideoContents) else reading


def _checked(contents: VideoContents) -> VideoContents:
    """Return contents with printable texts, without a first dimension of 1, and whose errors are UserErrors."""
    shapes = {
        name: shape[1:] if len(shape) == 3 and shape[0] == 1 else shape for name, shape in contents.shapes.items()
    }

    def read(name: str) -> NDArray[Any]:
        with report_damage(contents.where):
            return contents.read(name).reshape(shapes[name])

    return replace(
        contents,
        shapes=shapes,
        read=read,
        id=printable_name(contents.id),
        label_names=tuple(map(printable_name, contents.label_names)),
    )


def find_parts(features: Path) -> list[Part]:
    """Return the feature files below a folder, or a single file, sorted by name.

    Folders that an import has written, hidden ones, and the cache of `datasets` are left out.

    Raises UserError where there are none, and for a file of another kind.
    """
    root = features.expanduser().absolute()
    if root.exists() and not root.is_dir():
        with report_unreadable(root):
            if find_format(root) is None:
                ending = f"a file '{root.suffix}'"
                raise UserError(ending, where=str(root), expected=f"one of {', '.join(FORMATS)}")
        return [_part(root, root.parent)]
    if not root.is_dir():
        raise UserError("no such file or folder", where=str(root))
    files = sorted(_feature_files(root))
    if not files:
        raise UserError(
            "no feature files",
            where=f"folder {root}",
            expected=f"files that end in {', '.join(FORMATS)}",
            advice="Pickles are never opened: docs/data.md shows how to convert those of PaddleVideo.",
        )
    return [_part(file, root) for file in files]


def _feature_files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        if STATE in folders and Path(folder) != root:
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        is_dataset = not {"state.json", "dataset_info.json"}.isdisjoint(names)
        for name in names:
            is_cache = is_dataset and name.startswith("cache-")
            if os.path.splitext(name)[1].lower() in FORMATS and not name.startswith(".") and not is_cache:
                yield Path(folder, name)


def _part(file: Path, root: Path) -> Part:
    name = printable_name(file.relative_to(root).with_suffix("").as_posix())
    try:
        state = FileState.of(file.stat())
    except OSError:  # a link to nothing: reported when the file is read
        state = FileState(0, 0, 0)
    return Part(str(file), name, state)


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
    path = Path(part.path)
    try:
        with report_damage(part.path):
            kind = find_format(path)
            total = kind.count_rows(path) if kind and kind.count_rows else 0
    except UserError:  # reported when the file is read
        total = 0
    if not total:
        return [part]
    step = max(1, total * UNIT_BYTES // part.size)
    return [replace(part, start=start, stop=min(start + step, total)) for start in range(0, total, step)]
