"""NumPy files: one file per video, or arrays of many videos. Uncompressed arrays are mapped, not read."""

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.features.npy import NPY_MAGIC, parse_header
from yt8m_core.data.importer.arrays import ArrayFile
from yt8m_core.data.importer.reading import Reading, read_arrays
from yt8m_core.data.tfrecord.shard import Shard
from yt8m_core.errors import UserError
from yt8m_core.storage.paths import read_file

MAX_COMPRESSED = 1 << 30  # bytes of a compressed array, which has to fit into memory
MAX_READ = 1 << 24  # bytes of a file that is read as a whole
MAX_HEADER = 10_240  # bytes of an .npy before its values
_LOCAL_HEADER = struct.Struct("<26xHH")  # of a ZIP member: lengths of its name and its extra field


def count_rows(path: Path) -> int:
    """Return the number of videos of a file."""
    return _open(path).num_videos


def read_rows(path: Path, name: str, start: int, stop: int | None) -> Iterator[Reading]:
    """Yield the videos of a file from ``start`` to before ``stop``. Raises UserError where it cannot be used.

    The checksums of a file that is read in pieces are those that ``count_rows`` has checked.
    """
    yield from read_arrays(_open(path, check=stop is None), start, stop, name)


_checked: set[Shard] = set()  # large files whose checksums are right; to check them takes as long as to read them


def _open(path: Path, check: bool = True) -> ArrayFile:
    try:
        data = _read_or_map(path)
        if bytes(data[:8]) in NPY_MAGIC:
            return ArrayFile(str(path), {"array": _map_array(data, f"{path}")})
        if len(data) <= MAX_READ:
            with zipfile.ZipFile(io.BytesIO(data.data)) as archive:
                return ArrayFile(str(path), dict(_members(path, archive, data, check)))
        state = Shard.at(path)
        with zipfile.ZipFile(path) as archive:
            arrays = dict(_members(path, archive, data, check and state not in _checked))
        if check:
            _checked.add(state)
        return ArrayFile(str(path), arrays)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=str(path), expected="a NumPy file") from None


def _read_or_map(path: Path) -> NDArray[np.uint8]:
    """Return the bytes of a file: read a small one, which is faster than its page faults, and map a large one."""
    if path.stat().st_size <= MAX_READ:
        return np.frombuffer(read_file(path, MAX_READ), np.uint8)
    return np.asarray(np.memmap(path, np.uint8, "r"))


def _members(
    path: Path, archive: zipfile.ZipFile, data: NDArray[np.uint8], check: bool
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of an .npz by name; members that are no numbers or texts are left out."""
    for info in archive.infolist():
        name, where = info.filename.removesuffix(".npy"), f"{path}, '{info.filename[:40]}'"
        if name == info.filename:
            continue
        if info.compress_size > len(data):  # the ZIP reader would allocate as much
            raise UserError(f"a member of {info.compress_size:,} bytes", where=where, expected=f"at most {len(data):,}")
        if info.compress_type == zipfile.ZIP_STORED:
            names = _LOCAL_HEADER.unpack_from(data.data, info.header_offset)
            start = info.header_offset + _LOCAL_HEADER.size + sum(names)
            member = data[start : start + info.file_size]
            if check and zlib.crc32(member.data) != info.CRC:
                raise UserError("a wrong checksum", where=where, advice="The file is damaged: save it again.")
        elif info.file_size > MAX_COMPRESSED:
            raise UserError(
                f"a compressed array of {info.file_size:,} bytes",
                where=where,
                expected=f"at most {MAX_COMPRESSED:,}",
                advice="Save it uncompressed, with numpy.savez or numpy.save.",
            )
        else:
            with archive.open(info) as stream:
                member = np.frombuffer(stream.read(), np.uint8)
        if parse_header(member[:MAX_HEADER].tobytes()) is not None:
            yield name, _map_array(member, where)


def _map_array(data: NDArray[np.uint8], where: str) -> NDArray[Any]:
    """Return the array of an .npy as a view of its bytes."""
    header = parse_header(data[:MAX_HEADER].tobytes())
    if header is None:
        raise UserError("no header of a NumPy array", where=where, advice="Save it again with NumPy.")
    nbytes = math.prod(header.shape) * header.dtype.itemsize
    if len(data) != header.size + nbytes:
        found = f"a header for {nbytes:,} bytes of values"
        raise UserError(found, where=where, expected=f"{len(data) - header.size:,}", advice="Save it again with NumPy.")
    return np.ndarray(header.shape, header.dtype, data[header.size :].data, order="F" if header.is_fortran else "C")
