"""TFRecord framing and checksums, damaged files, and encoding of payloads."""

import os
import pickle
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.shards import crc32c_bit_by_bit, framed, masked, small
from yt8m_core.data.tfrecord.encode import encode_example, write_shard
from yt8m_core.data.tfrecord.records import (
    DecodeError,
    RecordError,
    iter_payloads,
    masked_crc32c,
    parse_example,
)
from yt8m_core.errors import UserError


def read(shard: bytes) -> list[bytes]:
    return [shard[start:end] for start, end in iter_payloads(memoryview(shard), "a.tfrecord")]


def test_reference_crc_of_the_standard_test_vector() -> None:
    assert crc32c_bit_by_bit(b"123456789") == 0xE3069283


@given(st.binary(max_size=300))
def test_masked_crc_equals_the_reference_for_any_bytes(data: bytes) -> None:
    assert struct.pack("<I", masked_crc32c(data)) == masked(data)
    assert masked_crc32c(memoryview(data)) == masked_crc32c(data)


@settings(max_examples=50)
@given(stored=st.lists(st.binary(max_size=100), max_size=4))
def test_written_shard_equals_the_reference_and_reads_back(
    stored: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("shards") / "new folder" / "a.tfrecord"
    write_shard(path, stored)
    assert path.read_bytes() == framed(*stored)
    assert read(path.read_bytes()) == stored


@pytest.mark.fault
def test_failed_write_leaves_no_partial_shard(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "a.tfrecord", failing())
    assert list(tmp_path.iterdir()) == []
    write_shard(tmp_path / "a.tfrecord", [b"old"])
    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "a.tfrecord", failing())
    assert [p.name for p in tmp_path.iterdir()] == ["a.tfrecord"]
    assert read((tmp_path / "a.tfrecord").read_bytes()) == [b"old"]


def test_written_shard_is_complete_when_its_name_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Including the last buffer: a process killed right after the rename must not leave a partial shard."""
    rename, contents = os.replace, []

    def recording(source: str, target: Path) -> None:
        rename(source, target)
        contents.append(Path(target).read_bytes())

    monkeypatch.setattr(os, "replace", recording)
    write_shard(tmp_path / "a.tfrecord", [b"x" * 1000, b"y"])
    assert contents == [framed(b"x" * 1000, b"y")]


def test_full_disk_leaves_no_partial_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        write_shard(tmp_path / "a.tfrecord", [b"x"])
    assert list(tmp_path.iterdir()) == []


SHARD = framed(b"first", b"", b"the third")
BORDERS = {0: 0, 21: 1, 37: 2, len(SHARD): 3}  # end of a record → number of records up to there


@pytest.mark.fault
@pytest.mark.parametrize("size", range(len(SHARD) + 1))
def test_truncated_shard_is_refused_when_cut_inside_a_record(size: int) -> None:
    if size in BORDERS:
        assert read(SHARD[:size]) == [b"first", b"", b"the third"][: BORDERS[size]]
        return
    record = sum(border <= size for border in BORDERS) - 1
    remainder = size - max(border for border in BORDERS if border <= size)
    with pytest.raises(RecordError, match="truncated") as error:
        read(SHARD[:size])
    assert str(error.value).startswith(f"a.tfrecord, record {record}, {'header' if remainder < 12 else 'data'}: found ")
    assert f"found {remainder if remainder < 12 else remainder - 12} bytes" in str(error.value)


@pytest.mark.fault
@pytest.mark.parametrize("bit", range(8))
def test_damaged_shard_is_refused_when_any_bit_is_flipped(bit: int) -> None:
    for position in range(len(SHARD)):
        damaged = bytearray(SHARD)
        damaged[position] ^= 1 << bit
        record = sum(border <= position for border in BORDERS) - 1
        offset = position - max(border for border in BORDERS if border <= position)
        with pytest.raises(RecordError, match="wrong checksum") as error:
            read(bytes(damaged))
        assert str(error.value).startswith(f"a.tfrecord, record {record}, {'length' if offset < 12 else 'data'}: ")


@pytest.mark.parametrize("length", [101 - 12 - 4, 3 << 30, 2**63 - 1, 2**64 - 1])
def test_length_beyond_the_file_with_a_right_checksum_is_refused(length: int) -> None:
    header = struct.pack("<Q", length)
    shard = header + masked(header) + b"x" * 88
    tracemalloc.start()
    with pytest.raises(RecordError, match=f"record 0, data: found 88 bytes .*; expected {length + 4}") as error:
        read(shard)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "truncated" in str(error.value)
    assert peak < 1 << 20


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: framed(b"first") + tail))
def test_any_bytes_give_records_or_a_record_error(shard: bytes) -> None:
    try:
        payloads = read(shard)
    except RecordError:
        return
    assert framed(*payloads) == shard


def test_empty_shard_has_no_records() -> None:
    assert read(b"") == []


def test_record_error_keeps_its_message_when_pickled() -> None:
    error = RecordError("a.tfrecord", 7, "context 'labels'", "label -1", expected="0 to 9", advice="Download it again.")
    assert str(error) == "a.tfrecord, record 7, context 'labels': found label -1; expected 0 to 9. Download it again."
    for original in (error, RecordError("a", 1, "data", "bytes that are not UTF-8 text")):
        restored = pickle.loads(pickle.dumps(original))  # noqa: S301 - created by this test
        assert isinstance(restored, UserError)
        assert str(restored) == str(original)
        assert str(pickle.loads(pickle.dumps(restored))) == str(original)  # noqa: S301 - created by this test


def test_sequence_example_is_parsed() -> None:
    content = small("vidé", (5, 0, 5), x=3, y=2)
    message = parse_example(memoryview(content.regular()))
    assert message.context.feature["id"].bytes_list.value == ["vidé".encode()]
    assert message.context.feature["labels"].int64_list.value == [5, 0, 5]
    for name, stream in content.streams.items():
        rows = [row.bytes_list.value for row in message.feature_lists.feature_list[name].feature]
        assert rows == [[frame.tobytes()] for frame in stream]


def test_encoded_example_ends_in_an_empty_field_2() -> None:
    vector = np.array([1.5, -2.25, 0], np.float32)
    payload = encode_example({"id": b"a", "mean_rgb": vector, "labels": [1]})
    assert payload.endswith(b"\x12\x00")
    assert parse_example(memoryview(payload)).context.feature["mean_rgb"].float_list.value == vector.tolist()
    assert not parse_example(memoryview(payload)).feature_lists.feature_list


def test_encoding_does_not_depend_on_the_order_of_features() -> None:
    backwards = {"labels": [1], "id": b"a"}
    assert encode_example(backwards) == encode_example(dict(reversed(backwards.items())))


def test_parse_refuses_invalid_payloads() -> None:
    with pytest.raises(DecodeError):
        parse_example(memoryview(b"not a protobuf"))
