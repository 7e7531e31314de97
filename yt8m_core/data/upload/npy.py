"""A stranger's .npy → an array. NumPy's own reader is not used, for its header parser evaluates Python."""

import math
import re
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.errors import UserError

MAX_ROWS = 100_000
PICKLE = "a Python pickle, which is never opened"

MARKS = (b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00", b"\x93NUMPY\x03\x00")
_HEADER = re.compile(
    rb"\{'descr': *'([<>=|]?)(\w{1,12})', *'fortran_order': *(True|False), *'shape': *\(([\dL, ]{0,60})\),? *\}\s*"
)
# The types that an array may have, by NumPy's names, and what they are in words.
FEATURES, INTEGERS, TEXT = "u1|f[248]", "[iu][1248]", r"[SU]\d{1,3}"
_WORDS = {FEATURES: "uint8 or float values", INTEGERS: "integers", TEXT: "a short text"}


def read_array(stream: IO[bytes], where: str, types: str, dims: tuple[int, ...], limit: int) -> NDArray[Any]:
    """One .npy of at most ``limit`` bytes: [T, dim] or [dim] with a dim of ``dims``; without these, a value or a list.

    The whole header is checked before the values are read.
    """
    mark = stream.read(8)
    if mark not in MARKS:
        raise UserError(foreign(mark), where=where, expected="a NumPy array", advice="Save it with numpy.save.")
    size = int.from_bytes(stream.read(2 if mark == MARKS[0] else 4), "little")
    header = stream.read(min(size, 10_000))
    match = _HEADER.fullmatch(header)
    if not match or not re.fullmatch(types, match[2].decode()):
        found = f"values of type {match[2].decode()}" if match else f"the header {header[:80]!a}"
        found = "Python objects, which are never opened" if match and match[2] == b"O" else found
        raise UserError(found, where=where, expected=_WORDS[types], advice="Save it anew with NumPy.")
    shape = tuple(int(n) for n in re.findall(rb"\d+", match[4]))
    if dims:
        fits = len(shape) in (1, 2) and shape[-1] in dims and 1 <= math.prod(shape[:-1]) <= MAX_ROWS
    else:
        fits = len(shape) <= 1 and math.prod(shape) <= MAX_ROWS
    if not fits:
        wanted = " or ".join(f"(T, {dim})" for dim in dims) + " with T" if dims else "a list"
        raise UserError(f"the shape {shape}", where=where, expected=f"{wanted} of at most {MAX_ROWS:,}")
    dtype = np.dtype((match[1] + match[2]).decode())
    promised = math.prod(shape) * dtype.itemsize
    data = stream.read(promised + 1) if promised <= limit else b""  # one more, to see that none follows
    if len(data) != promised:
        found = f"a header that promises {promised:,} bytes"
        raise UserError(found, where=where, expected="as many as follow it", advice="Save or send it again.")
    return np.ndarray(shape, dtype, data, order="F" if match[3] == b"True" else "C")


def foreign(mark: bytes) -> str:
    """What a file is, in words, that begins with ``mark`` and is of no kind that is read."""
    if not mark:
        return "nothing: it is empty"
    if mark[:2] in (b"\x80\2", b"\x80\3", b"\x80\4", b"\x80\5"):
        return PICKLE
    return f"bytes of an unknown kind, beginning with {mark[:8].hex(' ')}"


def text_of(value: NDArray[Any]) -> str:
    """By hand, for NumPy's own conversion raises SystemError where a code point lies beyond Unicode."""
    encoding = {"|": "utf-8", "<": "utf-32-le", ">": "utf-32-be"}[value.dtype.str[0]]
    return value.tobytes().decode(encoding, "replace")
