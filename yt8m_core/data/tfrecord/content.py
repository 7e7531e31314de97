"""Digest of the features of a record, which finds videos with the same features under other ids.

It is made of the checksums of the two halves of each stream. They follow from running checksums of the record, so that
one pass over its bytes also verifies it: the CRC of A followed by B is ``shift(crc(A), len(B)) ^ crc(B)``, where
``shift`` appends zero bytes. It is a linear map of 32 bits, here one table of 256 values for each byte.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from crc32c import crc32c
from numpy.typing import NDArray

# Of a stream: the running CRC32C before it, at its middle, and after it; and the number of bytes of both halves.
Piece = tuple[int, int, int, int, int]

_FACTOR, _MASK = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x7FFFFFFFFFFFFFFF)
_Crcs = NDArray[np.uint32]


def digest_content(records: Sequence[Sequence[Piece]]) -> NDArray[np.int64]:
    """Return a digest of 63 bits of the features of each record, given the pieces of its streams."""
    counts = np.array([len(pieces) for pieces in records], np.int64)
    table = np.array([piece for pieces in records for piece in pieces], np.int64).reshape(-1, 5)
    before, half, after = table[:, :3].astype(np.uint32).T
    first, second = _shift(before, table[:, 3]) ^ half, _shift(half, table[:, 4]) ^ after
    digests = first.astype(np.uint64) << np.uint64(32) | second.astype(np.uint64)
    content, starts = np.zeros(len(records), np.uint64), np.cumsum(counts) - counts
    for stream in range(int(counts.max(initial=0))):
        has = counts > stream
        content[has] = (content[has] * _FACTOR + digests[starts[has] + stream]) & _MASK
    return content.astype(np.int64)


def _shift(crcs: _Crcs, sizes: NDArray[np.int64]) -> _Crcs:
    """Append zero bytes to the data of checksums, as many as ``sizes`` [n] tells for each."""
    for power in range(int(sizes.max(initial=0)).bit_length()):
        crcs = np.where(sizes >> power & 1, _apply(_tables(power), crcs), crcs)
    return crcs


def _apply(tables: _Crcs, crcs: _Crcs) -> _Crcs:
    result: _Crcs = np.bitwise_xor.reduce([tables[byte][crcs >> np.uint32(8 * byte) & 255] for byte in range(4)])
    return result


@cache
def _tables(power: int) -> _Crcs:
    """Return what appending 2^power zero bytes does to each value of each byte of a checksum [4, 256]."""
    if power:
        half = _tables(power - 1)
        return np.stack([_apply(half, row) for row in half])
    zero = crc32c(bytes(1), 0)
    return np.array(
        [[crc32c(bytes(1), value << 8 * byte) ^ zero for value in range(256)] for byte in range(4)], np.uint32
    )
