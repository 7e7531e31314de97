"""Tar archives in the layout of WebDataset: the members of a video share their name up to the first dot."""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from numpy.typing import NDArray

from yt8m_core.data.features.contents import VideoContents, from_arrays
from yt8m_core.data.features.mediapipe import read_mediapipe
from yt8m_core.data.features.npy import FEATURES, read_array
from yt8m_core.data.features.numpy_files import read_npz
from yt8m_core.data.importer.arrays import parse_labels
from yt8m_core.data.importer.reading import Reading, read_video
from yt8m_core.errors import UserError

MAX_MEMBER = 1 << 28  # bytes of a member, which has to fit into memory


def read_rows(path: Path, name: str, start: int, stop: int | None) -> Iterator[Reading]:
    """Yield the videos of an archive. Raises UserError where it cannot be used."""
    try:
        with tarfile.open(path, "r|*") as archive:
            for key, infos in groupby(_files(archive), lambda info: _key(info.name)):
                members = [_read_member(archive, info) for info in infos]
                where = f"{path}, '{key}'"
                yield read_video(where, partial(_read_video, where, key, members))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=str(path), expected="a tar archive") from error


def _files(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    return (member for member in archive if member.isfile() and not PurePosixPath(member.name).name.startswith("."))


def _key(name: str) -> str:
    folder, _, file = name.removeprefix("./").rpartition("/")
    key = file.partition(".")[0]
    return f"{folder}/{key}" if folder else key


class Member(NamedTuple):
    """A file of an archive."""

    ending: str  # of its name, after the first dot
    size: int
    content: bytes  # empty for a file that is too large


def _read_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    stream = archive.extractfile(info) if info.size <= MAX_MEMBER else None
    ending = PurePosixPath(info.name).name.partition(".")[2].lower()
    return Member(ending, info.size, stream.read() if stream is not None else b"")


def _read_video(where: str, key: str, members: Sequence[Member]) -> VideoContents:
    arrays: dict[str, NDArray[Any]] = {}
    fields: dict[str, Any] = {"id": key}
    for ending, size, content in members:
        if size > MAX_MEMBER:
            raise UserError(f"a member of {size:,} bytes", where=where, expected=f"at most {MAX_MEMBER:,}")
        if ending == "npz" or ending == "pb":
            for contents in (read_npz if ending == "npz" else read_mediapipe)(where, content):
                arrays |= {name: contents.read(name) for name, shape in contents.shapes.items() if shape}
                given = {"labels": contents.labels, "label_names": contents.label_names, "notes": contents.notes}
                fields |= {name: value for name, value in given.items() if value}  # keep those of other members
        elif ending == "npy" or ending.endswith(".npy"):
            name = ending.removesuffix("npy").rstrip(".") or "array"
            arrays[name] = read_array(io.BytesIO(content), where, FEATURES, len(content))
        elif ending in ("cls", "json"):
            fields |= _parse_labels(where, content)
    return from_arrays(where, arrays, **fields)


def _parse_labels(where: str, content: bytes) -> dict[str, Any]:
    """Return the labels, and the id if there is one, of a .cls (a number) or .json member."""
    try:
        values = json.loads(content)
    except ValueError:
        raise UserError(f"{content[:40]!a}", where=where, expected="a number (.cls) or JSON") from None
    fields: dict[str, Any] = {}
    if isinstance(values, dict):
        if isinstance(values.get("id"), str):
            fields["id"] = values["id"]
        values = values.get("labels", values.get("label"))
    values = values if isinstance(values, list) else [] if values is None else [values]
    return fields | parse_labels(where, values) if values else fields
