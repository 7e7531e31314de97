"""TFRecord framing and the Example messages inside it, without TensorFlow.

Framing of one record: u64 length · masked crc32c(length) · payload · masked crc32c(payload), little-endian.
A payload is an ``Example`` (video level) or a ``SequenceExample`` (frame level); ``scan.py`` reads the regular ones as
views of the bytes, and the protobuf messages here read any valid one.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from crc32c import crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory
from numpy.typing import NDArray

from yt8m_core.errors import UserError
from yt8m_core.storage.atomic import atomic_write

_LENGTH = struct.Struct("<QI")
_CRC = struct.Struct("<I")


class RecordError(UserError):
    """A record that cannot be used: says in which file, which record (counted from 0), and which field.

    ``rest`` is 0 where the next record is known to follow, else how many bytes the file has from this record on.
    """

    def __init__(
        self,
        path: Path | str,
        record: int,
        field: str,
        found: str,
        *,
        expected: str = "",
        advice: str = "",
        rest: int = 0,
    ) -> None:
        super().__init__(found, where=f"{path}, record {record}, {field}", expected=expected, advice=advice)
        self.rest = rest

    def __reduce__(self) -> tuple[Any, ...]:
        """Cross process borders as the finished sentence: the index is made in several processes."""
        return UserError, (str(self),)


def masked_crc32c(data: bytes | memoryview) -> int:
    """TFRecord's checksum: crc32c rotated right by 15 bits, plus a constant, so that CRCs of CRCs stay sound."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def payloads(data: memoryview, path: Path | str) -> Iterator[tuple[int, int]]:
    """Walk a whole shard and yield where each payload lies (start, end), after checking both CRCs.

    Raises RecordError for a truncated file or a wrong checksum.
    """
    for found in walk(data, path):
        if isinstance(found, RecordError):
            raise found
        yield found


def walk(data: memoryview, path: Path | str) -> Iterator[tuple[int, int] | RecordError]:
    """As ``payloads``, but what is wrong with a record is yielded in its place.

    A damaged payload is followed by the next record. Where a length cannot be trusted, nobody knows where that is, and
    the walk ends. Nothing is allocated on the word of a length field.
    """
    position, record, size = 0, 0, len(data)
    while position < size:
        start = position + _LENGTH.size
        if start > size:
            yield RecordError(path, record, "header", f"{size - position} bytes, then the end of the file",
                              expected="12", advice="The file is truncated: fetch it again.",
                              rest=size - position)  # fmt: skip
            return
        length, length_crc = _LENGTH.unpack_from(data, position)
        if masked_crc32c(data[position : position + 8]) != length_crc:
            yield RecordError(path, record, "length", f"a length of {length} bytes whose checksum is wrong",
                              advice="The file is damaged or is no TFRecord file: fetch it again.",
                              rest=size - position)  # fmt: skip
            return
        end = start + length
        if end + _CRC.size > size:
            yield RecordError(path, record, "data", f"{size - start} bytes, then the end of the file",
                              expected=f"{length + _CRC.size}", advice="The file is truncated: fetch it again.",
                              rest=size - position)  # fmt: skip
            return
        if masked_crc32c(data[start:end]) != _CRC.unpack_from(data, end)[0]:
            yield RecordError(path, record, "data", f"{length} bytes whose checksum is wrong",
                              advice="The file is damaged: fetch it again.")  # fmt: skip
        else:
            yield start, end
        position, record = end + _CRC.size, record + 1


def write_shard(path: Path, payloads: Iterable[bytes]) -> None:
    """Write payloads as one TFRecord file; the name appears only when the whole file is there."""
    with atomic_write(path) as unfinished, unfinished.open("wb") as file:
        for payload in payloads:
            length = len(payload).to_bytes(8, "little")
            file.write(length + _CRC.pack(masked_crc32c(length)))
            file.write(payload)
            file.write(_CRC.pack(masked_crc32c(payload)))


FeatureValue = bytes | Sequence[int] | NDArray[np.float32]


def sequence_example(context: Mapping[str, FeatureValue], feature_lists: Mapping[str, NDArray[np.uint8]]) -> bytes:
    """A frame-level payload: context features, and for each stream uint8 [T, dim], one bytes value a frame."""
    example = SequenceExample()
    for key, value in context.items():
        _set(example.context.feature[key], value)
    for name, frames in feature_lists.items():
        rows = example.feature_lists.feature_list[name].feature
        for frame in frames:
            rows.add().bytes_list.value.append(frame.tobytes())
    return bytes(example.SerializeToString(deterministic=True))


def example(features: Mapping[str, FeatureValue]) -> bytes:
    """A video-level payload, written as the real ones are: a SequenceExample with an empty field 2."""
    return sequence_example(features, {}) + b"\x12\x00"


def _set(feature: Any, value: FeatureValue) -> None:
    if isinstance(value, bytes):
        feature.bytes_list.value.append(value)
    elif isinstance(value, np.ndarray):
        feature.float_list.value.extend(value.tolist())
    else:
        feature.int64_list.value.extend(value)


def parse(payload: memoryview) -> Any:
    """Any valid Example or SequenceExample as a protobuf message (an Example has no feature lists).

    Raises google.protobuf.message.DecodeError for bytes that are neither.
    """
    return SequenceExample.FromString(bytes(payload))


DecodeError = message.DecodeError


def _sequence_example_class() -> type[Any]:
    """tensorflow/core/example/*.proto as descriptors; built here, so that no .proto file has to be compiled."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="yt8m_core/example.proto", package="yt8m_core", syntax="proto3")

    def add(name: str, *fields: tuple[str, int, int, str]) -> descriptor_pb2.DescriptorProto:
        made = file.message_type.add(name=name)
        for field_name, number, kind, type_name in fields:
            repeated = name.endswith("List")
            made.field.add(
                name=field_name,
                number=number,
                type=field.Type.ValueType(kind),
                type_name=f".yt8m_core.{type_name}" if type_name else None,
                label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL,
            )
        return made

    def add_map(name: str, field_name: str, value: str) -> None:
        made = add(name, (field_name, 1, field.TYPE_MESSAGE, f"{name}.Entry"))
        made.field[0].label = field.LABEL_REPEATED
        entry = made.nested_type.add(name="Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
        entry.field.add(
            name="value", number=2, type=field.TYPE_MESSAGE, type_name=f".yt8m_core.{value}", label=field.LABEL_OPTIONAL
        )

    add("BytesList", ("value", 1, field.TYPE_BYTES, ""))
    add("FloatList", ("value", 1, field.TYPE_FLOAT, ""))
    add("Int64List", ("value", 1, field.TYPE_INT64, ""))
    feature = add(
        "Feature",
        ("bytes_list", 1, field.TYPE_MESSAGE, "BytesList"),
        ("float_list", 2, field.TYPE_MESSAGE, "FloatList"),
        ("int64_list", 3, field.TYPE_MESSAGE, "Int64List"),
    )
    feature.oneof_decl.add(name="kind")
    for member in feature.field:
        member.oneof_index = 0
    add("FeatureList", ("feature", 1, field.TYPE_MESSAGE, "Feature"))
    add_map("Features", "feature", "Feature")
    add_map("FeatureLists", "feature_list", "FeatureList")
    add(
        "SequenceExample",
        ("context", 1, field.TYPE_MESSAGE, "Features"),
        ("feature_lists", 2, field.TYPE_MESSAGE, "FeatureLists"),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("yt8m_core.SequenceExample"))


SequenceExample = _sequence_example_class()
