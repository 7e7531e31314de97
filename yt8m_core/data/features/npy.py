"""Read an untrusted .npy. NumPy's reader is not used because its header parser evaluates Python literals."""

import math
import re
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.features.file_types import describe_unknown
from yt8m_core.errors import UserError

MAX_ROWS = 100_000

NPY_MAGIC = (b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", b"\x93NUMPY\x03\x00")
_HEADER = re.compile(
    rb"\{'descr': *'([<>=|]?)(\w{1,12})', *'fortran_order': *(True|False), *'shape': *\(([\dL, ]{0,60})\),? *\}\s*"
)
# Accepted types as patterns of NumPy type codes, and their descriptions.
FEATURES, INTEGERS, TEXT = "u1|f[248]", "[iu][1248]", r"[SU]\d{1,3}"
_TYPE_DESCRIPTIONS = {FEATURES: "uint8 or float values", INTEGERS: "integers", TEXT: "a short text"}


def read_array(stream: IO[bytes], where: str, types: str, limit: int) -> NDArray[Any]:
    """Read one .npy, checking the whole header before the values.

    Args:
        stream: the file.
        where: its name, for error messages.
        types: accepted types: ``FEATURES``, ``INTEGERS`` or ``TEXT``. Features have one to three dimensions,
            [dim], [T, dim] or [N, T, dim]; the others are a scalar or a list.
        limit: maximum number of bytes.
    """
    magic = stream.read(8)
    if magic not in NPY_MAGIC:
        raise UserError(
            describe_unknown(magic)[0], where=where, expected="a NumPy array", advice="Save it with numpy.save."
        )
    header, match = _read_header(stream, magic)
    if not match or not re.fullmatch(types, match[2].decode()):
        found = f"values of type {match[2].decode()}" if match else f"the header {header[:80]!a}"
        found = "Python objects, which are never opened" if match and match[2] == b"O" else found
        is_integer = match and types == FEATURES and re.fullmatch(INTEGERS, match[2].decode())
        advice = "Bytes from 0 to 255: save array.astype(numpy.uint8)." if is_integer else "Save it again with NumPy."
        raise UserError(found, where=where, expected=_TYPE_DESCRIPTIONS[types], advice=advice)
    shape, rows = _parse_shape(match), math.prod(_parse_shape(match)[:-1])
    is_valid = 1 <= len(shape) <= 3 and 1 <= rows <= MAX_ROWS if types == FEATURES else len(shape) <= 1
    if not is_valid or (types != FEATURES and math.prod(shape) > MAX_ROWS):
        wanted = f"(T, dim) with T of at most {MAX_ROWS:,}" if types == FEATURES else f"a list of at most {MAX_ROWS:,}"
        raise UserError(f"the shape {shape}", where=where, expected=wanted)
    dtype = np.dtype((match[1] + match[2]).decode())
    nbytes = math.prod(shape) * dtype.itemsize
    data = stream.read(nbytes + 1) if nbytes <= limit else b""  # one extra byte, to detect trailing data
    if len(data) != nbytes:
        found = f"a header for {nbytes:,} bytes of values"
        raise UserError(found, where=where, expected="as many as follow it", advice="Save or upload it again.")
    return np.ndarray(shape, dtype, data, order="F" if match[3] == b"True" else "C")


class Header(NamedTuple):
    """Header of an .npy."""

    dtype: np.dtype[Any]
    is_fortran: bool
    shape: tuple[int, ...]
    size: int  # bytes before the values


def parse_header(head: bytes) -> Header | None:
    """Parse the header at the start of an .npy; None where there is none, or its type is not of numbers or texts."""
    if head[:8] not in NPY_MAGIC:
        return None
    width = 2 if head[:8] == NPY_MAGIC[0] else 4
    size = 8 + width + int.from_bytes(head[8 : 8 + width], "little")
    match = _HEADER.fullmatch(head[8 + width : size])
    if not match or not re.fullmatch(rf"b1|{FEATURES}|{INTEGERS}|{TEXT}", match[2].decode()):
        return None
    dtype = np.dtype((match[1] + match[2]).decode())
    return Header(dtype, match[3] == b"True", _parse_shape(match), size)


def read_shape(stream: IO[bytes]) -> tuple[int, ...]:
    """Return the shape of an .npy; empty where it is no array of features."""
    magic = stream.read(8)
    _, match = _read_header(stream, magic) if magic in NPY_MAGIC else (b"", None)
    return _parse_shape(match) if match and re.fullmatch(FEATURES, match[2].decode()) else ()


def _read_header(stream: IO[bytes], magic: bytes) -> tuple[bytes, re.Match[bytes] | None]:
    size = int.from_bytes(stream.read(2 if magic == NPY_MAGIC[0] else 4), "little")
    header = stream.read(min(size, 10_000))
    return header, _HEADER.fullmatch(header)


def _parse_shape(match: re.Match[bytes]) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(rb"\d+", match[4]))


def decode_text(value: NDArray[Any]) -> str:
    """Decode a text array. NumPy's own conversion raises SystemError for code points beyond Unicode."""
    encoding = {"|": "utf-8", "<": "utf-32-le", ">": "utf-32-be"}[value.dtype.str[0]]
    return value.tobytes().decode(encoding, "replace")
