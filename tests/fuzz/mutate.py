"""Create mutants: bytes damaged as by disks, networks, buggy programs and attackers."""

import struct
from collections.abc import Sequence
from random import Random

from yt8m_core.data.tfrecord.records import masked_crc32c

# Limits of bytes, varints and lengths.
EDGE_CASES = [
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
    """Apply one to four edits, most of them near the start, where the structure is."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = _edit(random, data, other)
    return data


def _edit(random: Random, data: bytes, other: bytes) -> bytes:
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
        case 5:  # splice with the end of another file
            return data[:at] + other[random.randrange(len(other) + 1) :]
        case 6:  # repeat a part
            return data[:at] + data[at : at + length] + data[at:]
        case 7:
            return data[:at] + (value := random.choice(EDGE_CASES)) + data[at + len(value) :]
        case _:
            return data[:at] + random.choice(EDGE_CASES) + data[at:]


def framed(payload: bytes) -> bytes:
    """Frame a payload with right checksums."""
    length = len(payload).to_bytes(8, "little")
    checksums = (struct.pack("<I", masked_crc32c(part)) for part in (length, payload))
    return length + next(checksums) + payload + next(checksums)


def mutate_shard(random: Random, payloads: Sequence[bytes], other: bytes) -> bytes:
    """Build a damaged shard, or one with right checksums of wrong payloads or lengths."""
    match random.randrange(4):
        case 0:
            return mutate(random, b"".join(map(framed, payloads)), other)
        case 1:
            mutated = random.randrange(len(payloads))
            return b"".join(framed(mutate(random, p, other) if i == mutated else p) for i, p in enumerate(payloads))
        case 2:  # a wrong length with a right checksum
            records = [*map(framed, payloads)]
            wrong = random.randrange(len(records))
            near = len(payloads[wrong]) + random.randrange(-20, 20)
            far = random.choice((0, 2**31, 2**32 - 1, 2**63, 2**64 - 1, 2**64 - 17, random.getrandbits(64)))
            length = max(random.choice((near, far)), 0).to_bytes(8, "little")
            records[wrong] = length + struct.pack("<I", masked_crc32c(length)) + records[wrong][12:]
            return b"".join(records)
        case _:
            return b"".join(framed(mutate(random, payload, other)) for payload in payloads)
