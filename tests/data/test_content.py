"""Digest of the features of records: from running checksums, equal to that from the bytes of each stream."""

import numpy as np
from crc32c import crc32c
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yt8m_core.data.tfrecord.content import Piece, digest_content

Record = list[tuple[bytes, bytes]]  # what is before each stream, and the stream


def reference(record: Record) -> int:
    """Compute the digest from the bytes of each half alone."""
    content = 0
    for _, stream in record:
        middle = len(stream) // 2
        digest = crc32c(stream[:middle]) << 32 | crc32c(stream[middle:])
        content = (content * 0x9E3779B97F4A7C15 + digest) & 0x7FFFFFFFFFFFFFFF
    return content


def running(record: Record) -> list[Piece]:
    """Compute the checksums as one pass over the record does."""
    crc, pieces = 0, []
    for before, stream in record:
        middle = len(stream) // 2
        start = crc32c(before, crc)
        half = crc32c(stream[:middle], start)
        crc = crc32c(stream[middle:], half)
        pieces.append((start, half, crc, middle, len(stream) - middle))
    return pieces


@settings(max_examples=200)
@given(st.lists(st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=70)), max_size=3), max_size=5))
@example([])
@example([[], [(b"a", bytes(1000))]])
def test_digest_equals_that_of_the_bytes_of_each_half(records: list[Record]) -> None:
    assert digest_content([running(record) for record in records]).tolist() == [*map(reference, records)]


def test_digest_of_streams_as_long_as_real_ones() -> None:
    random = np.random.default_rng(0)
    records = [[(b"id", random.bytes(size)), (b"", random.bytes(size // 8))] for size in (1, 216_930, 309_900, 5 << 20)]
    assert digest_content([running(record) for record in records]).tolist() == [*map(reference, records)]
