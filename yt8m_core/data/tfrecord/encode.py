"""Write records and shards as the real files have them."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.tfrecord.records import SequenceExample, masked_crc32c
from yt8m_core.storage.atomic import atomic_write

Buffer = bytes | memoryview
FeatureValue = bytes | Sequence[int] | NDArray[np.float32]


def write_shard(path: Path, payloads: Iterable[bytes]) -> None:
    """Write payloads as one TFRecord file, atomically."""
    with atomic_write(path) as unfinished, unfinished.open("wb") as file:
        for payload in payloads:
            write_record(file, payload)


def write_record(file: IO[bytes], *payload: Buffer) -> None:
    """Append one payload, in one or more parts, with its length and checksums to a shard."""
    length = sum(map(len, payload)).to_bytes(8, "little")
    file.write(length + masked_crc32c(length).to_bytes(4, "little"))
    for part in payload:
        file.write(part)
    file.write(masked_crc32c(*payload).to_bytes(4, "little"))


def encode_sequence_example(context: Mapping[str, FeatureValue], feature_lists: Mapping[str, NDArray[Any]]) -> bytes:
    """Encode a frame-level payload.

    Args:
        context: context features by name.
        feature_lists: frames [T, dim] by stream: uint8, a byte string per frame; or float32, a float_list per frame.
    """
    return b"".join(encode_parts(context, feature_lists))


def encode_parts(context: Mapping[str, FeatureValue], feature_lists: Mapping[str, NDArray[Any]]) -> list[Buffer]:
    """Encode a frame-level payload as ``encode_sequence_example`` does, in parts, so that frames are copied once."""
    example = SequenceExample()
    for key, value in context.items():
        _set_feature(example.context.feature[key], value)
    parts: list[Buffer] = []
    for name in sorted(feature_lists):
        frames = encode_frames(feature_lists[name])
        entry = _field(b"\x0a", name.encode()) + b"\x12" + _varint(len(frames))
        parts += [b"\x0a" + _varint(len(entry) + len(frames)) + entry, frames]
    head: bytes = example.SerializeToString(deterministic=True)
    return [head + (b"\x12" + _varint(sum(map(len, parts))) if feature_lists else b""), *parts]


def encode_example(features: Mapping[str, FeatureValue]) -> bytes:
    """Encode a video-level payload as the real files do: a SequenceExample with an empty field 2."""
    return encode_sequence_example(features, {}) + b"\x12\x00"


@cache
def frame_header(size: int, is_float: bool = False) -> bytes:
    """Return the bytes before each frame: three nested length-delimited headers (9 bytes for 128 and 1,024 bytes).

    Args:
        size: number of bytes of the frame.
        is_float: whether the frame is a float_list instead of a byte string.
    """
    header = b""
    for tag in (b"\x0a", b"\x12" if is_float else b"\x0a", b"\x0a"):  # value, list, feature
        header = tag + _varint(size + len(header)) + header
    return header


def encode_frames(frames: NDArray[Any]) -> memoryview:
    """Encode frames [T, dim] as a FeatureList, in one copy of the array."""
    header = frame_header(frames.shape[1] * frames.dtype.itemsize, frames.dtype != np.uint8)
    rows = np.ascontiguousarray(frames, frames.dtype.newbyteorder("<")).view(np.uint8)  # [T, size]
    encoded = np.empty((len(rows), len(header) + rows.shape[1]), np.uint8)
    encoded[:, : len(header)] = np.frombuffer(header, np.uint8)
    encoded[:, len(header) :] = rows
    return encoded.ravel().data


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = b""
    while value >= 0x80:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def _set_feature(feature: Any, value: FeatureValue) -> None:
    if isinstance(value, bytes):
        feature.bytes_list.value.append(value)
    elif isinstance(value, np.ndarray):
        feature.float_list.value.extend(value.tolist())
    else:
        feature.int64_list.value.extend(value)
