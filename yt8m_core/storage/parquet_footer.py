"""Sizes of the columns of a Parquet file, from its footer.

pyarrow has them too (``RowGroupMetaData.column``), but for some damaged footers that ends the whole process, because it
does not catch the exception of the Parquet library. Reading the columns does. So this module parses the footer: a
FileMetaData of https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift in Thrift's compact
protocol, https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAGIC = b"PAR1"
MAX_FOOTER = 1 << 26  # bytes
MAX_DEPTH = 32
ROW_GROUPS, COLUMNS, META_DATA, NUM_VALUES, UNCOMPRESSED_SIZE = 4, 1, 3, 5, 6  # field ids


@dataclass(frozen=True)
class ColumnSize:
    """Size of a column of a row group, according to the footer."""

    num_values: int
    num_bytes: int  # not compressed


def column_sizes(path: Path) -> list[ColumnSize]:
    """Return the size of each column of each row group. Raises ValueError for anything but a Parquet file."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(end - 8, 0))
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != MAGIC or length > min(end - 8, MAX_FOOTER):
            raise ValueError("no Parquet footer")
        file.seek(end - 8 - length)
        footer = file.read(length)
    try:
        return list(_sizes(_Reader(footer).struct()))
    except (IndexError, KeyError, TypeError, AttributeError):
        raise ValueError("a damaged Parquet footer") from None


def _sizes(footer: dict[int, Any]) -> Iterator[ColumnSize]:
    for group in footer[ROW_GROUPS]:
        for column in group[COLUMNS]:
            num_values, num_bytes = column[META_DATA][NUM_VALUES], column[META_DATA][UNCOMPRESSED_SIZE]
            if min(num_values, num_bytes) < 0:
                raise ValueError("a damaged Parquet footer")
            yield ColumnSize(num_values, num_bytes)


class _Reader:
    """Reader of Thrift's compact protocol. Raises IndexError at the end of the data, ValueError for an unknown type."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def byte(self) -> int:
        value = self.data[self.at]
        self.at += 1
        return value

    def varint(self) -> int:
        value = shift = 0
        while (byte := self.byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")
        return value | byte << shift

    def integer(self) -> int:
        value = self.varint()
        return value >> 1 ^ -(value & 1)  # zigzag

    def skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self.data):
            raise IndexError

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields of a struct by id."""
        fields: dict[int, Any] = {}
        number = 0
        while header := self.byte():
            number = number + (header >> 4) if header >> 4 else self.integer()
            kind = header & 0x0F
            fields[number] = kind == 1 if kind in (1, 2) else self.value(kind, depth)  # a field holds its boolean
        return fields

    def value(self, kind: int, depth: int) -> Any:
        """Return a value of a type; None for types whose values are skipped."""
        if depth > MAX_DEPTH:
            raise ValueError("too many structs in structs")
        if kind in (4, 5, 6):
            return self.integer()
        if kind in (9, 10):
            return self.sequence(depth)
        if kind == 12:
            return self.struct(depth + 1)
        if kind == 11:
            return self.mapping(depth)
        sizes = {1: 1, 2: 1, 3: 1, 7: 8, 13: 16}  # booleans in a list, bytes, floating-point numbers and UUIDs
        if kind != 8 and kind not in sizes:
            raise ValueError(f"unknown type {kind}")
        return self.skip(self.varint() if kind == 8 else sizes[kind])

    def sequence(self, depth: int) -> list[Any]:
        header = self.byte()
        size = self.varint() if header >> 4 == 15 else header >> 4
        return [self.value(header & 0x0F, depth + 1) for _ in range(size)]

    def mapping(self, depth: int) -> None:
        if size := self.varint():
            kinds = self.byte()
            for _ in range(size):
                self.value(kinds >> 4, depth + 1)
                self.value(kinds & 0x0F, depth + 1)
