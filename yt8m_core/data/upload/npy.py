"""Read an untrusted .npy. NumPy's reader is not used because its header parser evaluates Python literals."""

import math
import re
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.errors import UserError

MAX_ROWS = 100_000
PICKLE = "a Python pickle, which is never opened"

NPY_MAGIC = (b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", b"\x93NUMPY\x03\x00")
_HEADER = re.compile(
    rb"\{'descr': *'([<>=|]?)(\w{1,12})', *'fortran_order': *(True|False), *'shape': *\(([\dL, ]{0,60})\),? *\}\s*"
)
# Accepted types as patterns of NumPy type codes, and their descriptions.
FEATURES, INTEGERS, TEXT = "u1|f[248]", "[iu][1248]", r"[SU]\d{1,3}"
_TYPE_DESCRIPTIONS = {FEATURES: "uint8 or float values", INTEGERS: "integers", TEXT: "a short text"}


def read_array(stream: IO[bytes], where: str, types: str, dims: tuple[int, ...], limit: int) -> NDArray[Any]:
    """Read one .npy, checking the whole header before the values.

    Args:
        stream: the file.
        where: its name, for error messages.
        types: accepted types: ``FEATURES``, ``INTEGERS`` or ``TEXT``.
        dims: accepted values of dim for the shapes [T, dim] and [dim]; if empty, accepts a scalar or a list.
        limit: maximum number of bytes.
    """
    magic = stream.read(8)
    if magic not in NPY_MAGIC:
        raise UserError(
            describe_unknown(magic), where=where, expected="a NumPy array", advice="Save it with numpy.save."
        )
    size = int.from_bytes(stream.read(2 if magic == NPY_MAGIC[0] else 4), "little")
    header = stream.read(min(size, 10_000))
    match = _HEADER.fullmatch(header)
    if not match or not re.fullmatch(types, match[2].decode()):
        found = f"values of type {match[2].decode()}" if match else f"the header {header[:80]!a}"
        found = "Python objects, which are never opened" if match and match[2] == b"O" else found
        raise UserError(found, where=where, expected=_TYPE_DESCRIPTIONS[types], advice="Save it again with NumPy.")
    shape = tuple(int(n) for n in re.findall(rb"\d+", match[4]))
    if dims:
        is_valid = len(shape) in (1, 2) and shape[-1] in dims and 1 <= math.prod(shape[:-1]) <= MAX_ROWS
    else:
        is_valid = len(shape) <= 1 and math.prod(shape) <= MAX_ROWS
    if not is_valid:
        wanted = " or ".join(f"(T, {dim})" for dim in dims) + " with T" if dims else "a list"
        raise UserError(f"the shape {shape}", where=where, expected=f"{wanted} of at most {MAX_ROWS:,}")
    dtype = np.dtype((match[1] + match[2]).decode())
    nbytes = math.prod(shape) * dtype.itemsize
    data = stream.read(nbytes + 1) if nbytes <= limit else b""  # one extra byte, to detect trailing data
    if len(data) != nbytes:
        found = f"a header for {nbytes:,} bytes of values"
        raise UserError(found, where=where, expected="as many as follow it", advice="Save or upload it again.")
    return np.ndarray(shape, dtype, data, order="F" if match[3] == b"True" else "C")


def describe_unknown(magic: bytes) -> str:
    """Describe a file of unknown type by its first 8 bytes."""
    if not magic:
        return "an empty file"
    if magic[:2] in (b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"):
        return PICKLE
    return f"a file of unknown type, starting with {magic[:8].hex(' ')}"


def decode_text(value: NDArray[Any]) -> str:
    """Decode a text array. NumPy's own conversion raises SystemError for code points beyond Unicode."""
    encoding = {"|": "utf-8", "<": "utf-32-le", ">": "utf-32-be"}[value.dtype.str[0]]
    return value.tobytes().decode(encoding, "replace")
