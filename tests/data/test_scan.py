"""Scanning of records: regular ones in place, any other valid encoding with the same result, and error messages."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.shards import FRAME_STREAMS, QUIRKS, SMALL, Content, Encoder, contents, frames, small, varint, vector
from yt8m_core.data.schema import MAX_LABEL, Schema, Streams
from yt8m_core.data.tfrecord import records
from yt8m_core.data.tfrecord.encode import FeatureValue, encode_example, encode_sequence_example, frame_header
from yt8m_core.data.tfrecord.parse import ParsedRecord, detect_schema, parse_record
from yt8m_core.data.tfrecord.records import RecordError, SequenceExample, masked_crc32c
from yt8m_core.data.tfrecord.scan import (
    CONSTANT_STREAM,
    CONSTANT_VIDEO,
    MISSING,
    MISSING_STREAM,
    REPEATED_LABEL,
    ScannedRecord,
    scan_record,
)
from yt8m_core.errors import UserError


def scan(payload: bytes, schema: Schema = SMALL, before: bytes = b"\x0a", after: bytes = b"\x0a\x01") -> ScannedRecord:
    """Scan a record in the middle of a shard."""
    data = memoryview(before + payload + after)
    end = len(before) + len(payload)
    return scan_record(data, len(before), end, masked_crc32c(payload), schema, "a.tfrecord", 5)


def parse(payload: bytes, schema: Schema = SMALL) -> ParsedRecord:
    return parse_record(memoryview(payload), schema, "a.tfrecord", 5)


def error_message(payload: bytes, schema: Schema = SMALL) -> str:
    """Return the error message, which must be the same for scanning and parsing."""
    with pytest.raises(RecordError) as by_scan:
        scan(payload, schema)
    with pytest.raises(RecordError) as by_parse:
        parse(payload, schema)
    assert str(by_scan.value) == str(by_parse.value)
    return str(by_scan.value).removeprefix("a.tfrecord, record 5, ")


def first_frames(content: Content, payload: bytes) -> list[bytes]:
    """Return the bytes at the scanned offset of each stream, as many as a frame has."""
    offsets = scan(payload, content.schema, before=b"").offsets
    assert offsets is not None
    sizes = [stream.nbytes if stream.ndim == 1 else stream.shape[1] for stream in content.streams.values()]
    return [payload[offset : offset + size] for offset, size in zip(offsets, sizes, strict=True)]


@pytest.mark.parametrize("dim", [1, 7, 121, 122, 123, 124, 125, 126, 127, 128, 200, 1024, 16_380, 16_384, 70_000])
def test_frame_header_equals_the_protobuf_encoding(dim: int) -> None:
    frame = frames(1, dim)
    feature_list = records.SequenceExample.FromString(encode_sequence_example({}, {"x": frame}))
    assert feature_list.feature_lists.feature_list["x"].SerializeToString() == frame_header(dim) + frame.tobytes()


@pytest.mark.parametrize("key", ["id", "video_id"])
@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("content", [small(), vector()], ids=["frame", "video"])
def test_regular_record_is_read_in_place_when_its_entries_are_in_any_order(
    content: Content, order: int, key: str
) -> None:
    content = replace(content, id_key=key)
    payload = Encoder().encode(content, order) + (b"" if content.schema.level == "frame" else b"\x12\x00")
    record = scan(payload, content.schema)
    assert (record.id, record.labels) == ("abcd", [3, 7])
    assert first_frames(content, payload) == [np.atleast_2d(s)[0].tobytes() for s in content.streams.values()]


@pytest.mark.parametrize("payload", [vector().regular(), vector().regular().removesuffix(b"\x12\x00")])
def test_video_level_record_is_regular_when_field_2_is_empty_or_absent(payload: bytes) -> None:
    assert scan(payload, vector().schema).offsets is not None


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(None, None), ((), None), ((5, 1, 5, 300), [1, 5, 300]), ((0,), [0]), ((MAX_LABEL,), [MAX_LABEL])],
)
def test_labels_are_sorted_and_unique(labels: tuple[int, ...] | None, expected: object) -> None:
    payload = small(labels=labels).regular()
    assert scan(payload).labels == parse(payload).labels == expected


@pytest.mark.parametrize(("x", "y"), [(3, 5), (5, 3), (1, 1)])
def test_streams_of_unequal_length_are_cut_to_the_shortest(x: int, y: int) -> None:
    content = small(x=x, y=y)
    assert scan(content.regular()).num_frames == min(x, y)
    assert (parse(content.regular()).frames == content.expected_frames).all()


@pytest.mark.parametrize("quirk", [quirk for quirk in QUIRKS if not quirk.startswith("floats")])
def test_frame_level_quirk_is_not_a_regular_record(quirk: str) -> None:
    """Otherwise the property test below would compare the regular path with itself."""
    content = small(labels=(1, 2))
    assert scan(Encoder([quirk]).encode(content)).offsets is None


@pytest.mark.parametrize("quirk", ["floats one by one", "floats in two chunks"])
def test_video_level_quirk_is_not_a_regular_record(quirk: str) -> None:
    assert scan(Encoder([quirk]).encode(vector()), vector().schema).offsets is None


@settings(max_examples=300)
@given(content=contents(), quirks=st.sets(st.sampled_from(QUIRKS)), order=st.integers(0, 99))
def test_any_valid_encoding_of_a_record_gives_the_same_result(content: Content, quirks: set[str], order: int) -> None:
    regular, irregular = content.regular(), Encoder(quirks).encode(content, order)
    length = len(content.expected_frames)
    digests = set()
    for payload in (regular, irregular):
        record, parsed = scan(payload, content.schema), parse(payload, content.schema)
        assert (record.id, record.labels, record.num_frames) == (content.id, content.expected_labels, length)
        assert (parsed.id, parsed.labels) == (content.id, content.expected_labels)
        assert record.start_time == parsed.start_time == content.start
        assert bool(record.findings & MISSING_STREAM) == bool(parsed.missing) == bool(content.missing)
        repeats = len(content.labels or ()) > len(content.expected_labels or ())
        assert bool(record.findings & REPEATED_LABEL) == parsed.repeats_label == repeats
        assert np.array_equal(parsed.frames, content.expected_frames)
        assert parsed.frames.dtype == content.expected_frames.dtype
        digests.add((record.content, record.findings))
    assert len(digests) == 1
    assert (scan(regular, content.schema).offsets is None) == (content.labels == ())


edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3), st.integers(0, 3)), max_size=4)
UNTERMINATED_LABEL = small(labels=(9,)).regular().replace(b"\x1a\x03\x0a\x01\x09", b"\x1a\x03\x0a\x01\x89")


@settings(max_examples=500)
@given(content=contents(), quirks=st.sets(st.sampled_from(QUIRKS)), edits=edits)
def test_damaged_record_gives_a_record_error_or_a_correct_result(
    content: Content, quirks: set[str], edits: list[tuple[float, bytes, int]]
) -> None:
    payload = Encoder(quirks).encode(content)
    for fraction, replacement, length in edits:
        start = int(fraction * len(payload))
        payload = payload[:start] + replacement + payload[start + length :]
    check_scan(payload, content.schema)


@settings(max_examples=300)
@given(payload=st.binary(max_size=200))
@example(UNTERMINATED_LABEL)
def test_any_bytes_give_a_record_error_or_a_correct_result(payload: bytes) -> None:
    for schema in (SMALL, Schema("video", FRAME_STREAMS)):
        check_scan(payload, schema)


def check_scan(payload: bytes, schema: Schema) -> None:
    try:
        records.parse_example(memoryview(payload))
        is_valid = True
    except DecodeError:
        is_valid = False
    tracemalloc.start()
    try:
        record = scan(payload, schema)
    except RecordError:
        return
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100_000 + 100 * len(payload)
    assert is_valid
    parsed = parse(payload, schema)
    assert (record.id, record.labels, record.num_frames) == (parsed.id, parsed.labels, len(parsed.frames))
    if record.offsets is not None:
        column = 0
        for offset, (name, dim) in zip(record.offsets, schema.streams, strict=True):
            first_frame, column = parsed.frames[0, column : column + dim], column + dim
            assert (offset == MISSING) == (name in parsed.missing)
            if offset == MISSING:
                assert (first_frame == schema.fill).all()
            else:
                assert payload[offset - 1 : offset - 1 + first_frame.nbytes] == first_frame.tobytes()


def test_label_that_exceeds_its_list_is_refused() -> None:
    assert small(labels=(9,)).regular() != UNTERMINATED_LABEL
    assert error_message(UNTERMINATED_LABEL).startswith("data: found ")


@pytest.mark.parametrize(("extra_bytes", "is_valid"), [(8, True), (9, True), (10, False), (100, False)])
def test_label_with_a_varint_that_is_too_long_is_refused(extra_bytes: int, is_valid: bool) -> None:
    encoder = Encoder()
    labels = encoder.feature(3, [encoder.sub(1, varint(5, extra_bytes))])
    context = {"id": encoder.bytes_feature(b"a"), "labels": labels}
    field_2 = small(labels=None, x=1).regular().partition(b"abcd")[2]
    payload = encoder.field(1, encoder.entries(context, b"")) + field_2
    if is_valid:
        assert scan(payload).labels == parse(payload).labels == [5]
    else:
        assert error_message(payload).startswith("data: found ")


def test_id_that_exceeds_its_context_is_refused() -> None:
    """Its last two bytes are also an empty field 2."""
    content = Content("ab\x12\x00", None, {"x": np.zeros(7, np.float32)})
    orders = (bytearray(Encoder().encode(content, order)) for order in range(9))
    payload = next(payload for payload in orders if payload.endswith(b"\x12\x00"))
    assert scan(bytes(payload), content.schema).offsets is not None
    payload[1] -= 2
    assert error_message(bytes(payload), content.schema).startswith("data: found ")


@pytest.mark.parametrize("label", [-1, MAX_LABEL + 1, 2**62])
def test_label_out_of_range_is_refused(label: int) -> None:
    expected = f"context 'labels': found label {label}; expected 0 to {MAX_LABEL}."
    assert error_message(small(labels=(4, label)).regular()) == expected


def test_labels_that_are_not_integers_are_refused() -> None:
    """Reading them as missing would turn a training set into a test set."""
    payload = encode_sequence_example({"id": b"a", "labels": b"\x03"}, small().streams)
    assert error_message(payload) == "context 'labels': found a bytes_list; expected an int64_list."


def test_missing_or_invalid_id_is_refused() -> None:
    streams = small().streams
    assert "context: found keys ['name']; expected 'id' or 'video_id'" in error_message(
        encode_sequence_example({"name": b"a"}, streams)
    )
    expected = "context 'id': found 0 byte strings; expected one."
    assert error_message(encode_sequence_example({"id": [7]}, streams)) == expected
    invalid = encode_sequence_example({"id": b"\xff"}, streams)
    assert error_message(invalid) == "context 'id': bytes that are not UTF-8 text."


def test_streams_without_frames_are_refused() -> None:
    for streams in ({"x": frames(2, 7), "y": frames(0, 200)}, {"x": frames(0, 7), "y": frames(0, 200)}):
        payload = encode_sequence_example({"id": b"a"}, streams)
        empty = "y" if len(streams["x"]) else "x"
        assert error_message(payload) == f"feature list '{empty}': found no frames; expected at least one."
    assert error_message(encode_sequence_example({"id": b"a"}, {"x": frames(2, 7)})) == (
        "feature list 'y': found only ['x']; expected 'y'."
    )


def test_first_invalid_of_very_many_frames_is_refused_in_little_memory() -> None:
    """An empty frame takes 2 bytes in the file; parsing must not create objects for all frames first."""
    encoder = Encoder()
    lists = encoder.entries({"x": b"\x0a\x00" * 300_000, "y": b""}, b"")
    context = encoder.entries({"id": encoder.bytes_feature(b"a")}, b"")
    payload = encoder.field(1, context) + encoder.field(2, lists)
    tracemalloc.start()
    assert error_message(payload) == "feature list 'x', frame 0: found 0 byte strings; expected 7 bytes."
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(payload)


@pytest.mark.parametrize("dim", [6, 8, 0, 137])
def test_frames_of_the_wrong_size_are_refused(dim: int) -> None:
    payload = Content(streams={"x": frames(3, dim), "y": frames(3, 200)}).regular()
    assert error_message(payload) == f"feature list 'x', frame 0: found {dim} bytes; expected 7 bytes."


def test_single_frame_of_the_wrong_size_is_named() -> None:
    message = records.parse_example(memoryview(small(x=5).regular()))
    message.feature_lists.feature_list["y"].feature[3].bytes_list.value[0] = b"12345"
    assert error_message(message.SerializeToString()) == "feature list 'y', frame 3: found 5 bytes; expected 200 bytes."
    message.feature_lists.feature_list["y"].feature[3].bytes_list.value.append(b"12345")
    assert error_message(message.SerializeToString()) == (
        "feature list 'y', frame 3: found 2 byte strings; expected 200 bytes."
    )


def test_frames_of_unequal_size_with_the_right_sum_are_refused() -> None:
    """The stride alone would not detect it; every frame header is checked."""
    message = records.parse_example(memoryview(small(x=4).regular()))
    rows = message.feature_lists.feature_list["x"].feature
    rows[1].bytes_list.value[0], rows[2].bytes_list.value[0] = b"123456", b"12345678"
    assert error_message(message.SerializeToString()) == "feature list 'x', frame 1: found 6 bytes; expected 7 bytes."


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_floats_that_are_not_finite_are_refused(number: float) -> None:
    content = vector()
    content.streams["mean_audio"][17] = number
    assert error_message(content.regular(), content.schema) == (
        f"context 'mean_audio': found {np.float32(number)} at position 17; expected finite numbers."
    )


def test_missing_floats_and_other_types_are_refused() -> None:
    content, schema = vector(), vector().schema
    short = Content(streams={**content.streams, "mean_rgb": np.zeros(1023, np.float32)})
    assert error_message(short.regular(), schema) == "context 'mean_rgb': found 1023 numbers; expected 1024."
    with_bytes = encode_example({"id": b"a", "mean_rgb": b"123", "mean_audio": content.streams["mean_audio"]})
    assert error_message(with_bytes, schema) == "context 'mean_rgb': found 0 numbers; expected 1024."


def test_record_of_the_other_level_is_refused() -> None:
    assert error_message(vector().regular()) == "feature list 'x': found only []; expected 'x'."
    assert error_message(small().regular(), vector().schema) == (
        "context 'mean_rgb': found only ['id', 'labels']; expected 'mean_rgb'."
    )


def test_payload_that_is_not_protobuf_is_refused() -> None:
    assert error_message(b"not protobuf") == "data: found 12 bytes; expected a tf.Example or tf.SequenceExample."


@pytest.mark.parametrize(
    ("content", "streams", "expected"),
    [
        (vector(), None, Schema("video", (("mean_rgb", 1024), ("mean_audio", 128)))),
        (Content(streams={"rgb": frames(2, 1024), "audio": frames(2, 128)}), None,
         Schema("frame", (("rgb", 1024), ("audio", 128)))),
        (Content(streams={"audio_embedding": frames(2, 128)}), None, Schema("frame", (("audio_embedding", 128),))),
        (small(), FRAME_STREAMS, SMALL),
        (small(), (("y", 200),), Schema("frame", (("y", 200),))),
        (vector(), (("mean_audio", 128),), Schema("video", (("mean_audio", 128),))),
    ],
)  # fmt: skip
def test_schema_is_detected_from_the_first_record(content: Content, streams: Streams | None, expected: Schema) -> None:
    assert detect_schema(memoryview(content.regular()), "a", streams) == expected


def test_unknown_streams_are_refused() -> None:
    with pytest.raises(UserError) as error:
        detect_schema(memoryview(small().regular()), "a.tfrecord")
    assert str(error.value) == (
        "a.tfrecord, record 0: found feature lists ['x', 'y'] and context keys ['id', 'labels']; expected "
        "audio_embedding or mean_rgb+mean_audio or rgb+audio. For your own features, name the streams, for example "
        "--streams rgb:1024 audio:128. Features of MediaPipe and other formats: convert them with `yt8m import`."
    )
    with pytest.raises(UserError, match=r"expected x\+z"):
        detect_schema(memoryview(small().regular()), "a.tfrecord", (("x", 7), ("z", 3)))


@pytest.mark.parametrize("content", [small(), vector()], ids=["frame", "video"])
@pytest.mark.parametrize("number", [1, 2], ids=["context", "feature list"])
def test_record_with_a_damaged_unused_feature_is_refused(content: Content, number: int) -> None:
    """As by protobuf, which validates all features. Found by fuzzing (tests/fuzz)."""
    encoder = Encoder()
    valid, damaged = (encoder.field(number, encoder.entries({"unused": value}, b"")) for value in (b"", b"\x0a\x09"))
    assert scan(content.regular() + valid, content.schema).id == content.id
    assert error_message(content.regular() + damaged, content.schema).startswith("data: found ")


def test_record_with_a_damaged_overwritten_feature_is_refused() -> None:
    encoder, content = Encoder(), vector()
    context = encoder.entries({"labels": encoder.int64_feature([1])}, b"")
    broken = encoder.entries({"labels": b"\x1a\x09"}, b"")
    named = encoder.entries({"id": encoder.bytes_feature(b"abcd")}, b"")
    vectors = encoder.entries({name: encoder.float_feature(v) for name, v in content.streams.items()}, b"")
    assert scan(encoder.field(1, named + vectors + context + context), content.schema).labels == [1]
    assert error_message(encoder.field(1, named + vectors + broken + context), content.schema).startswith(
        "data: found "
    )


@pytest.mark.parametrize("quirks", [(), ("long varints",)])
@pytest.mark.parametrize("level", ["bytes", "floats", "vectors"])
def test_constant_streams_are_found_in_every_encoding(level: str, quirks: tuple[str, ...]) -> None:
    content = vector() if level == "vectors" else small()
    if level == "floats":
        content = replace(
            content, streams={name: values.astype(np.float32) for name, values in content.streams.items()}
        )
    first, second = content.streams
    constant = {name: np.full_like(values, 3) for name, values in content.streams.items()}
    for streams, expected in (
        (dict(content.streams), 0),
        (dict(content.streams) | {second: constant[second]}, CONSTANT_STREAM),
        (dict(content.streams) | {first: constant[first]}, CONSTANT_STREAM),
        (constant, CONSTANT_STREAM | CONSTANT_VIDEO),
    ):
        changed = replace(content, streams=streams)
        payload = Encoder(quirks).encode(changed) if quirks else changed.regular()
        assert scan(payload, changed.schema).findings == expected
    almost = {name: values.copy() for name, values in constant.items()}
    almost[first].flat[-1] = 4
    assert scan(replace(content, streams=almost).regular(), content.schema).findings == CONSTANT_STREAM


def test_digest_of_the_features_depends_on_them_alone() -> None:
    content = small("a")
    digest = scan(content.regular()).content
    assert scan(replace(content, id="other", labels=(1,)).regular()).content == digest
    for name, values in content.streams.items():
        for position in (0, values.size // 2, values.size - 1):
            changed = values.copy()
            changed.flat[position] ^= 1
            assert scan(replace(content, streams={**content.streams, name: changed}).regular()).content != digest
    vectors = vector()
    assert scan(vectors.regular(), vectors.schema).content != scan(vector("other").regular(), vectors.schema).content


def test_frames_may_be_byte_strings_of_the_context() -> None:
    """As some converters write them: a tf.Example with one byte string per frame."""
    content = small()
    example = SequenceExample()
    example.context.feature["id"].bytes_list.value.append(b"a")
    for name, values in content.streams.items():
        example.context.feature[name].bytes_list.value.extend(frame.tobytes() for frame in values)
    payload = example.SerializeToString()
    assert detect_schema(memoryview(payload), "a.tfrecord", FRAME_STREAMS) == SMALL
    assert (parse(payload).frames == content.expected_frames).all()
    assert scan(payload).num_frames == 4
    example.context.feature["y"].bytes_list.value[2] = b"123"
    assert error_message(example.SerializeToString()) == (
        "context 'y', byte string 2: found 3 bytes; expected 200 bytes."
    )


@pytest.mark.parametrize("audio", [None, np.zeros((0, 8), np.uint8)])
def test_missing_or_empty_audio_is_filled(audio: object) -> None:
    rgb = frames(3, 24)
    schema = Schema("frame", (("rgb", 24), ("audio", 8)))
    payload = encode_sequence_example({"id": b"a"}, {"rgb": rgb} | ({} if audio is None else {"audio": audio}))
    assert detect_schema(memoryview(payload), "a.tfrecord", schema.streams) == schema
    parsed = parse(payload, schema)
    assert (parsed.frames == np.hstack([rgb, np.full((3, 8), 128, np.uint8)])).all()
    assert parsed.missing == ("audio",)
    record = scan(payload, schema)
    assert record.offsets is not None
    assert (record.num_frames, record.offsets[1], record.findings) == (3, -1, MISSING_STREAM)
    assert "feature list 'rgb': found only []" in error_message(encode_sequence_example({"id": b"a"}, {}), schema)


def test_only_audio_is_optional_and_only_beside_another_stream() -> None:
    payload = encode_sequence_example({"id": b"a"}, {"audio": frames(3, 8)})
    with pytest.raises(UserError, match="found feature lists"):
        detect_schema(memoryview(payload), "a.tfrecord", (("rgb", 24), ("audio", 8)))
    alone = Schema("frame", (("audio", 8),))
    assert detect_schema(memoryview(payload), "a.tfrecord", alone.streams) == alone
    assert "no frames" in error_message(encode_sequence_example({"id": b"a"}, {"audio": frames(0, 8)}), alone)


def test_float_frames_are_detected_and_not_mixed_with_bytes() -> None:
    values = {name: part.astype(np.float32) for name, part in small().streams.items()}
    payload = encode_sequence_example({"id": b"a"}, values)
    schema = Schema("frame", FRAME_STREAMS, has_float_frames=True)
    assert detect_schema(memoryview(payload), "a.tfrecord", FRAME_STREAMS) == schema
    assert scan(payload, schema).offsets is not None
    assert error_message(payload) == "feature list 'x', frame 0: found 7 floats; expected 7 bytes."
    assert "found 0 numbers; expected 7" in error_message(small().regular(), schema)
    values["y"][2, 5] = np.nan
    damaged = encode_sequence_example({"id": b"a"}, values)
    assert error_message(damaged, schema) == (
        "feature list 'y', frame 2: found nan at position 5; expected finite numbers."
    )


@pytest.mark.fault
@pytest.mark.parametrize("number", [3e38, -1.1e12])
def test_features_that_would_overflow_are_refused(number: float) -> None:
    """The norm of a frame with 3e38 is inf in float32, and the normalized frame is 0."""
    expected = f"found {np.float32(number)} at position 5; expected numbers of at most 1e+12 in magnitude."
    content = vector()
    content.streams["mean_rgb"][5] = number
    assert error_message(content.regular(), content.schema) == f"context 'mean_rgb': {expected}"
    values = {name: part.astype(np.float32) for name, part in small().streams.items()}
    values["y"][2, 5] = number
    schema = Schema("frame", FRAME_STREAMS, has_float_frames=True)
    assert error_message(encode_sequence_example({"id": b"a"}, values), schema) == (
        f"feature list 'y', frame 2: {expected}"
    )
    values["y"][2, 5] = np.sign(number) * 1e12
    assert scan(encode_sequence_example({"id": b"a"}, values), schema).offsets is not None


@pytest.mark.parametrize(
    ("key", "value", "unread"),
    [("class_labels", [1], ("class_labels",)), ("label", [1], ("label",)), ("title", b"x", ())],
)
def test_keys_that_look_like_labels_and_are_not_read_are_found(
    key: str, value: FeatureValue, unread: tuple[str, ...]
) -> None:
    payload = encode_sequence_example({"id": b"a", key: value}, small().streams)
    assert scan(payload).unread_keys == parse(payload).unread_keys == unread


def test_streams_that_are_all_optional_and_missing_are_refused() -> None:
    streams: Streams = (("audio", 8), ("mean_audio", 8))
    with pytest.raises(UserError, match=r"found feature lists \['x', 'y'\].*expected audio\+mean_audio"):
        detect_schema(memoryview(small().regular()), "a.tfrecord", streams)


def test_labels_in_a_feature_list_and_no_stream_are_unread_keys() -> None:
    payload = encode_sequence_example({"id": b"a"}, {"segment_x": frames(2, 4), "labels": frames(2, 1)})
    schema = Schema("frame", (("segment_x", 4),))
    assert scan(payload, schema).unread_keys == parse(payload, schema).unread_keys == ("labels",)


@pytest.mark.parametrize("quirks", [[], QUIRKS[:1]], ids=["regular", "irregular"])
def test_payload_with_a_wrong_checksum_is_an_error_whatever_its_layout(quirks: list[str]) -> None:
    payload = Encoder(quirks).encode(small(labels=(1, 2)))
    shard = len(payload).to_bytes(8, "little")
    shard += records.masked_crc32c(shard).to_bytes(4, "little") + payload + bytes(4)
    (expected,) = records.iter_records(memoryview(shard), "a.tfrecord")
    with pytest.raises(RecordError) as error:
        scan_record(memoryview(shard), 12, 12 + len(payload), 0, SMALL, "a.tfrecord", 0)
    assert str(error.value) == str(expected)
    assert f"{len(payload)} bytes with a wrong checksum" in str(expected)
