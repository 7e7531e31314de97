"""Bytes that are wrong in the ways that disks, networks, other programs and strangers make them wrong."""

import struct
from collections.abc import Sequence
from random import Random

from yt8m_core.data.tfrecord.records import masked_crc32c

# At the borders of what a byte, a varint or a length can say.
ODD = [
    *(bytes([value]) for value in (0x00, 0x01, 0x0A, 0x12, 0x1A, 0x7F, 0x80, 0xFF)),
    *(value.to_bytes(8, "little") for value in (0, 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)),
    *(value.to_bytes(4, "little") for value in (0, 2**31 - 1, 2**31, 2**32 - 1)),
    b"\xff" * 9 + b"\x01",
    b"\xff\xff\xff\xff\x07",
    b"\x80" * 12,
    struct.pack("<f", float("nan")),
    struct.pack("<f", float("inf")),
]


def mutate(random: Random, data: bytes, other: bytes) -> bytes:
    """One to four changes, most of them near the beginning, where the structure is."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = _change(random, data, other)
    return data


def _change(random: Random, data: bytes, other: bytes) -> bytes:
    size = len(data)
    at = random.randrange(min(size, 300) if random.random() < 0.5 else size) if size else 0
    length = random.choice((1, 1, 2, 8, random.randrange(200)))
    match random.randrange(9):
        case 0 if size:
            return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
        case 1 if size:
            return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
        case 2:
            return data[:at] + random.randbytes(length) + data[at:]
        case 3:
            return data[:at] + data[at + length :]
        case 4:
            return data[:at]
        case 5:  # the beginning of one and the end of another
            return data[:at] + other[random.randrange(len(other) + 1) :]
        case 6:  # a part once more
            return data[:at] + data[at : at + length] + data[at:]
        case 7:
            return data[:at] + (odd := random.choice(ODD)) + data[at + len(odd) :]
        case _:
            return data[:at] + random.choice(ODD) + data[at:]


def framed(payload: bytes) -> bytes:
    """A record with the right checksums, whatever it holds."""
    length = len(payload).to_bytes(8, "little")
    checksums = (struct.pack("<I", masked_crc32c(part)) for part in (length, payload))
    return length + next(checksums) + payload + next(checksums)


def mutate_shard(random: Random, payloads: Sequence[bytes], other: bytes) -> bytes:
    """A shard of these payloads, damaged as files are, or with right checksums over wrong contents or lengths."""
    match random.randrange(4):
        case 0:
            return mutate(random, b"".join(map(framed, payloads)), other)
        case 1:
            wrong = random.randrange(len(payloads))
            return b"".join(framed(mutate(random, p, other) if i == wrong else p) for i, p in enumerate(payloads))
        case 2:  # a length that its checksum confirms
            records = [*map(framed, payloads)]
            wrong = random.randrange(len(records))
            near = len(payloads[wrong]) + random.randrange(-20, 20)
            far = random.choice((0, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 2**64 - 17, random.getrandbits(64)))
            length = max(random.choice((near, far)), 0).to_bytes(8, "little")
            records[wrong] = length + struct.pack("<I", masked_crc32c(length)) + records[wrong][12:]
            return b"".join(records)
        case _:
            return b"".join(framed(mutate(random, payload, other)) for payload in payloads)
