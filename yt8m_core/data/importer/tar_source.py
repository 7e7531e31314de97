"""Tar archives in the layout of WebDataset: the members of a video share their name up to the first dot."""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.typing import NDArray

from yt8m_core.data.features.contents import VideoContents, check_labels, from_arrays
from yt8m_core.data.features.mediapipe import read_mediapipe
from yt8m_core.data.features.npy import FEATURES, read_array
from yt8m_core.data.features.numpy_files import read_npz
from yt8m_core.errors import UserError

MAX_MEMBER = 1 << 28  # bytes of a member, which has to fit into memory


def read_rows(path: Path, name: str, start: int, stop: int | None) -> Iterator[VideoContents]:
    """Yield the videos of an archive. Raises UserError where it cannot be used."""
    try:
        with tarfile.open(path, "r|*") as archive:
            for key, members in groupby(_files(archive), lambda member: _key(member.name)):
                yield _read_video(f"{path}, '{key}'", key, archive, members)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=str(path), expected="a tar archive") from None


def _files(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    return (member for member in archive if member.isfile() and not PurePosixPath(member.name).name.startswith("."))


def _key(name: str) -> str:
    folder, _, file = name.removeprefix("./").rpartition("/")
    key = file.partition(".")[0]
    return f"{folder}/{key}" if folder else key


def _read_video(where: str, key: str, archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo]) -> VideoContents:
    arrays: dict[str, NDArray[Any]] = {}
    fields: dict[str, Any] = {"id": key}
    for member in members:
        if member.size > MAX_MEMBER:
            raise UserError(f"a member of {member.size:,} bytes", where=where, expected=f"at most {MAX_MEMBER:,}")
        stream = archive.extractfile(member)
        content = stream.read() if stream is not None else b""
        ending = PurePosixPath(member.name).name.partition(".")[2].lower()
        if ending == "npz" or ending == "pb":
            for contents in (read_npz if ending == "npz" else read_mediapipe)(where, content):
                arrays |= {name: contents.read(name) for name, shape in contents.shapes.items() if shape}
                fields |= {"labels": contents.labels, "label_names": contents.label_names, "notes": contents.notes}
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
        values = values.get("labels", values.get("label", []))
    values = values if isinstance(values, list) else [values]
    if all(isinstance(value, str) for value in values):
        return fields | {"label_names": tuple(values)} if values else fields
    if not all(isinstance(value, int) for value in values):
        raise UserError(f"labels {str(values)[:80]}", where=where, expected="ids or names")
    return fields | {"labels": check_labels(where, values)}
