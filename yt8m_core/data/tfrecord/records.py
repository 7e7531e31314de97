"""TFRecord framing and the Example messages inside it, without TensorFlow.

Framing of one record: u64 length · masked crc32c(length) · payload · masked crc32c(payload), little-endian.
A payload is an ``Example`` (video level) or a ``SequenceExample`` (frame level). ``scan.py`` reads regular payloads as
views of the bytes; the protobuf messages in this file read any valid payload. ``encode.py`` writes them.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crc32c import crc32c
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from yt8m_core.errors import UserError

_LENGTH = struct.Struct("<QI")
_CRC = struct.Struct("<I")


class RecordError(UserError):
    """An unusable record; the message names the file, the record (counted from 0) and the field.

    ``unreadable_bytes`` is the number of bytes from this record to the end of the file if the next record cannot be
    located, else 0.
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
        unreadable_bytes: int = 0,
    ) -> None:
        super().__init__(found, where=f"{path}, record {record}, {field}", expected=expected, advice=advice)
        self.unreadable_bytes = unreadable_bytes

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as a UserError with the finished message: shards are indexed in several processes."""
        return UserError, (str(self),)


def masked_crc32c(*data: bytes | memoryview) -> int:
    """Return TFRecord's checksum of some bytes, in one or more parts: crc32c rotated by 15 bits, plus a constant."""
    crc = 0
    for part in data:
        crc = crc32c(part, crc)
    return mask(crc)


def mask(crc: int) -> int:
    """Return TFRecord's form of a CRC32C."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def iter_payloads(data: memoryview, path: Path | str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each payload of a shard, after checking both CRCs.

    Raises:
        RecordError: the file is truncated or a checksum is wrong.
    """
    for span in iter_records(data, path):
        if isinstance(span, RecordError):
            raise span
        yield span


def iter_records(data: memoryview, path: Path | str) -> Iterator[tuple[int, int] | RecordError]:
    """Yield the (start, end) of each payload of a shard, or the error of a bad record in its place.

    Iteration continues after a damaged payload. It ends at a bad length, because the next record cannot be located.
    A length field never causes an allocation.
    """
    for record, span in enumerate(iter_spans(data, path)):
        if not isinstance(span, RecordError) and masked_crc32c(data[slice(*span)]) != stored_checksum(data, span[1]):
            span = damaged_payload(path, record, span)
        yield span


def iter_spans(data: memoryview, path: Path | str) -> Iterator[tuple[int, int] | RecordError]:
    """Yield as ``iter_records``, with the payloads not checked."""
    position, record, size = 0, 0, len(data)
    while position < size:
        start = position + _LENGTH.size
        if start > size:
            yield RecordError(path, record, "header", f"{size - position} bytes before the end of the file",
                              expected="12", advice="The file is truncated: download it again.",
                              unreadable_bytes=size - position)  # fmt: skip
            return
        length, length_crc = _LENGTH.unpack_from(data, position)
        if masked_crc32c(data[position : position + 8]) != length_crc:
            yield RecordError(path, record, "length", f"length {length} with a wrong checksum",
                              advice="The file is damaged or is not a TFRecord file: download it again.",
                              unreadable_bytes=size - position)  # fmt: skip
            return
        end = start + length
        if end + _CRC.size > size:
            yield RecordError(path, record, "data", f"{size - start} bytes before the end of the file",
                              expected=f"{length + _CRC.size}", advice="The file is truncated: download it again.",
                              unreadable_bytes=size - position)  # fmt: skip
            return
        yield start, end
        position, record = end + _CRC.size, record + 1


def stored_checksum(data: memoryview, end: int) -> int:
    """Return the masked CRC32C that is stored after the payload that ends at ``end``."""
    checksum: int = _CRC.unpack_from(data, end)[0]
    return checksum


def damaged_payload(path: Path | str, record: int, span: tuple[int, int]) -> RecordError:
    """Return the error of a payload with a wrong checksum."""
    return RecordError(
        path,
        record,
        "data",
        f"{span[1] - span[0]} bytes with a wrong checksum",
        advice="The file is damaged: download it again.",
    )


def parse_example(payload: memoryview) -> Any:
    """Parse an Example or SequenceExample into a protobuf message (an Example has no feature lists).

    Raises:
        google.protobuf.message.DecodeError: the bytes are neither.
    """
    return SequenceExample.FromString(bytes(payload))


DecodeError = message.DecodeError


def _sequence_example_class() -> type[Any]:
    """Build the messages of tensorflow/core/example/*.proto from descriptors, without compiling .proto files."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="yt8m_core/example.proto", package="yt8m_core", syntax="proto3")

    def add(name: str, *fields: tuple[str, int, int, str]) -> descriptor_pb2.DescriptorProto:
        descriptor = file.message_type.add(name=name)
        for field_name, number, kind, type_name in fields:
            repeated = name.endswith("List")
            descriptor.field.add(
                name=field_name,
                number=number,
                type=field.Type.ValueType(kind),
                type_name=f".yt8m_core.{type_name}" if type_name else None,
                label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL,
            )
        return descriptor

    def add_map(name: str, field_name: str, value: str) -> None:
        descriptor = add(name, (field_name, 1, field.TYPE_MESSAGE, f"{name}.Entry"))
        descriptor.field[0].label = field.LABEL_REPEATED
        entry = descriptor.nested_type.add(name="Entry")
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
