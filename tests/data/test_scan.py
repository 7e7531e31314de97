"""What one record holds: regular ones read in place, any other valid shape with the same result, and clear refusals."""

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
from yt8m_core.data.tfrecord.records import RecordError
from yt8m_core.data.tfrecord.scan import Interpreted, Scanned, detect, frame_header, interpret, scan
from yt8m_core.errors import UserError


def scanned(payload: bytes, schema: Schema = SMALL, before: bytes = b"\x0a", after: bytes = b"\x0a\x01") -> Scanned:
    """The record as it lies in the middle of a shard."""
    data = memoryview(before + payload + after)
    return scan(data, len(before), len(before) + len(payload), schema, "a.tfrecord", 5)


def interpreted(payload: bytes, schema: Schema = SMALL) -> Interpreted:
    return interpret(memoryview(payload), schema, "a.tfrecord", 5)


def refusal(payload: bytes, schema: Schema = SMALL) -> str:
    """The message, which must be the same on both ways through a record."""
    with pytest.raises(RecordError) as by_scan:
        scanned(payload, schema)
    with pytest.raises(RecordError) as by_interpret:
        interpreted(payload, schema)
    assert str(by_scan.value) == str(by_interpret.value)
    return str(by_scan.value).removeprefix("a.tfrecord, record 5, ")


def first_frames(content: Content, payload: bytes) -> list[bytes]:
    """What lies where a scan says that the features of each stream begin."""
    offsets = scanned(payload, content.schema, before=b"").offsets
    assert offsets is not None
    sizes = [stream.nbytes if stream.ndim == 1 else stream.shape[1] for stream in content.streams.values()]
    return [payload[at : at + size] for at, size in zip(offsets, sizes, strict=True)]


@pytest.mark.parametrize("dim", [1, 7, 121, 122, 123, 124, 125, 126, 127, 128, 200, 1024, 16_380, 16_384, 70_000])
def test_frame_header_equals_what_protobuf_writes_when_dim_is(dim: int) -> None:
    frame = frames(1, dim)
    feature_list = records.SequenceExample.FromString(records.sequence_example({}, {"x": frame}))
    assert feature_list.feature_lists.feature_list["x"].SerializeToString() == frame_header(dim) + frame.tobytes()


@pytest.mark.parametrize("key", ["id", "video_id"])
@pytest.mark.parametrize("order", range(6))
@pytest.mark.parametrize("content", [small(), vector()], ids=["frame", "video"])
def test_regular_record_is_read_in_place_when_its_entries_are_in_any_order(
    content: Content, order: int, key: str
) -> None:
    content = replace(content, id_key=key)
    payload = Encoder().encode(content, order) + (b"" if content.schema.level == "frame" else b"\x12\x00")
    found = scanned(payload, content.schema)
    assert (found.id, found.labels) == ("abcd", [3, 7])
    assert first_frames(content, payload) == [np.atleast_2d(s)[0].tobytes() for s in content.streams.values()]


@pytest.mark.parametrize("payload", [vector().regular(), vector().regular().removesuffix(b"\x12\x00")])
def test_video_level_record_is_regular_when_field_2_is_empty_or_absent(payload: bytes) -> None:
    assert scanned(payload, vector().schema).offsets is not None


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(None, None), ((), None), ((5, 1, 5, 300), [1, 5, 300]), ((0,), [0]), ((MAX_LABEL,), [MAX_LABEL])],
)
def test_labels_are_ascending_and_each_once_when_stored_as(labels: tuple[int, ...] | None, expected: object) -> None:
    payload = small(labels=labels).regular()
    assert scanned(payload).labels == interpreted(payload).labels == expected


@pytest.mark.parametrize(("x", "y"), [(3, 5), (5, 3), (1, 1)])
def test_streams_are_cut_to_the_shorter_when_their_lengths_differ(x: int, y: int) -> None:
    content = small(x=x, y=y)
    assert scanned(content.regular()).num_frames == min(x, y)
    assert (interpreted(content.regular()).frames == content.expected_frames).all()


@pytest.mark.parametrize("quirk", [quirk for quirk in QUIRKS if not quirk.startswith("floats")])
def test_frame_level_quirk_is_told_from_a_regular_record_when_it_is(quirk: str) -> None:
    """Else the property below would compare the regular way with itself."""
    content = small(labels=(1, 2))
    assert scanned(Encoder([quirk]).encode(content)).offsets is None


@pytest.mark.parametrize("quirk", ["floats one by one", "floats in two chunks"])
def test_video_level_quirk_is_told_from_a_regular_record_when_it_is(quirk: str) -> None:
    assert scanned(Encoder([quirk]).encode(vector()), vector().schema).offsets is None


@settings(max_examples=300)
@given(content=contents(), quirks=st.sets(st.sampled_from(QUIRKS)), order=st.integers(0, 99))
def test_record_of_any_valid_shape_gives_what_the_regular_one_gives(
    content: Content, quirks: set[str], order: int
) -> None:
    regular, other = content.regular(), Encoder(quirks).encode(content, order)
    length = len(content.expected_frames)
    for payload in (regular, other):
        found, full = scanned(payload, content.schema), interpreted(payload, content.schema)
        assert (found.id, found.labels, found.num_frames) == (content.id, content.expected_labels, length)
        assert (full.id, full.labels) == (content.id, content.expected_labels)
        assert np.array_equal(full.frames, content.expected_frames)
        assert full.frames.dtype == content.expected_frames.dtype
    assert (scanned(regular, content.schema).offsets is None) == (content.labels == ())


edits = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=3), st.integers(0, 3)), max_size=4)
LAST_LABEL_RUNS_ON = small(labels=(9,)).regular().replace(b"\x1a\x03\x0a\x01\x09", b"\x1a\x03\x0a\x01\x89")


@settings(max_examples=500)
@given(content=contents(), quirks=st.sets(st.sampled_from(QUIRKS)), edits=edits)
def test_damaged_record_gives_a_record_error_or_a_correct_read_when_scanned(
    content: Content, quirks: set[str], edits: list[tuple[float, bytes, int]]
) -> None:
    payload = Encoder(quirks).encode(content)
    for at, instead, length in edits:
        place = int(at * len(payload))
        payload = payload[:place] + instead + payload[place + length :]
    check_scan(payload, content.schema)


@settings(max_examples=300)
@given(payload=st.binary(max_size=200))
@example(LAST_LABEL_RUNS_ON)
def test_any_bytes_give_a_record_error_or_a_correct_read_when_scanned(payload: bytes) -> None:
    for schema in (SMALL, Schema("video", FRAME_STREAMS)):
        check_scan(payload, schema)


def check_scan(payload: bytes, schema: Schema) -> None:
    try:
        records.parse(memoryview(payload))
        valid = True
    except DecodeError:
        valid = False
    tracemalloc.start()
    try:
        found = scanned(payload, schema)
    except RecordError:
        return
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100_000 + 100 * len(payload)
    assert valid
    full = interpreted(payload, schema)
    assert (found.id, found.labels, found.num_frames) == (full.id, full.labels, len(full.frames))
    if found.offsets is not None:
        for at, (_, dim), column in zip(found.offsets, schema.streams, (0, schema.streams[0][1]), strict=True):
            size = dim * full.frames.itemsize
            assert payload[at - 1 : at - 1 + size] == full.frames[0, column : column + dim].tobytes()


def test_label_that_runs_past_its_list_is_refused() -> None:
    assert small(labels=(9,)).regular() != LAST_LABEL_RUNS_ON
    assert refusal(LAST_LABEL_RUNS_ON).startswith("data: found ")


@pytest.mark.parametrize(("more", "usable"), [(8, True), (9, True), (10, False), (100, False)])
def test_label_is_refused_when_its_varint_is_longer_than_any_may_be(more: int, usable: bool) -> None:
    quirk = Encoder()
    context = {"id": quirk.bytes_feature(b"a"), "labels": quirk.feature(3, [quirk.sub(1, varint(5, more))])}
    field_2 = small(labels=None, x=1).regular().partition(b"abcd")[2]
    payload = quirk.field(1, quirk.entries(context, b"")) + field_2
    if usable:
        assert scanned(payload).labels == interpreted(payload).labels == [5]
    else:
        assert refusal(payload).startswith("data: found ")


def test_id_is_refused_when_it_runs_past_its_context() -> None:
    """Its last two bytes are counted as an empty field 2."""
    content = Content("ab\x12\x00", None, {"x": np.zeros(7, np.float32)})
    orders = (bytearray(Encoder().encode(content, order)) for order in range(9))
    payload = next(payload for payload in orders if payload.endswith(b"\x12\x00"))
    assert scanned(bytes(payload), content.schema).offsets is not None
    payload[1] -= 2
    assert refusal(bytes(payload), content.schema).startswith("data: found ")


@pytest.mark.parametrize("label", [-1, MAX_LABEL + 1, 2**62])
def test_label_is_refused_when_out_of_any_range(label: int) -> None:
    expected = f"context 'labels': found label {label}; expected 0 to {MAX_LABEL}."
    assert refusal(small(labels=(4, label)).regular()) == expected


def test_labels_are_refused_when_they_are_no_integers() -> None:
    """Read as 'none', they would make a training set into a test set."""
    payload = records.sequence_example({"id": b"a", "labels": b"\x03"}, small().streams)
    assert refusal(payload) == "context 'labels': found a bytes_list; expected an int64_list."


def test_id_is_refused_when_absent_or_no_text() -> None:
    streams = small().streams
    assert "context: found keys ['name']; expected 'id' or 'video_id'" in refusal(
        records.sequence_example({"name": b"a"}, streams)
    )
    expected = "context 'id': found 0 byte strings; expected one."
    assert refusal(records.sequence_example({"id": [7]}, streams)) == expected
    assert refusal(records.sequence_example({"id": b"\xff"}, streams)) == "context 'id': bytes that are no text."


def test_frames_are_refused_when_there_are_none() -> None:
    for streams in ({"x": frames(2, 7), "y": frames(0, 200)}, {"x": frames(0, 7), "y": frames(0, 200)}):
        payload = records.sequence_example({"id": b"a"}, streams)
        empty = "y" if len(streams["x"]) else "x"
        assert refusal(payload) == f"feature list '{empty}': found no frames; expected at least one."
    assert refusal(records.sequence_example({"id": b"a"}, {"x": frames(2, 7)})) == (
        "feature list 'y': found only ['x']; expected 'y'."
    )


def test_frames_are_refused_at_the_first_wrong_one_when_there_are_very_many() -> None:
    """A frame of nothing takes 2 bytes in the file: they are not all made into objects first."""
    empty = Encoder()
    lists = empty.entries({"x": b"\x0a\x00" * 300_000, "y": b""}, b"")
    payload = empty.field(1, empty.entries({"id": empty.bytes_feature(b"a")}, b"")) + empty.field(2, lists)
    tracemalloc.start()
    assert refusal(payload) == "feature list 'x', frame 0: found 0 byte strings; expected 7 bytes."
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * len(payload)


@pytest.mark.parametrize("dim", [6, 8, 0, 137])
def test_frames_are_refused_when_their_size_is_wrong(dim: int) -> None:
    payload = Content(streams={"x": frames(3, dim), "y": frames(3, 200)}).regular()
    assert refusal(payload) == f"feature list 'x', frame 0: found {dim} bytes; expected 7 bytes."


def test_frame_is_named_when_it_alone_has_another_size() -> None:
    message = records.parse(memoryview(small(x=5).regular()))
    message.feature_lists.feature_list["y"].feature[3].bytes_list.value[0] = b"12345"
    assert refusal(message.SerializeToString()) == "feature list 'y', frame 3: found 5 bytes; expected 200 bytes."
    message.feature_lists.feature_list["y"].feature[3].bytes_list.value.append(b"12345")
    assert refusal(message.SerializeToString()) == (
        "feature list 'y', frame 3: found 2 byte strings; expected 200 bytes."
    )


def test_frames_are_refused_when_sizes_differ_but_their_sum_is_right() -> None:
    """Strides alone would not notice it; every header is looked at."""
    message = records.parse(memoryview(small(x=4).regular()))
    rows = message.feature_lists.feature_list["x"].feature
    rows[1].bytes_list.value[0], rows[2].bytes_list.value[0] = b"123456", b"12345678"
    assert refusal(message.SerializeToString()) == "feature list 'x', frame 1: found 6 bytes; expected 7 bytes."


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_floats_are_refused_when_not_finite(number: float) -> None:
    content = vector()
    content.streams["mean_audio"][17] = number
    assert refusal(content.regular(), content.schema) == (
        f"context 'mean_audio': found {np.float32(number)} at position 17; expected finite numbers."
    )


def test_floats_are_refused_when_too_few_or_of_another_kind() -> None:
    content, schema = vector(), vector().schema
    short = Content(streams={**content.streams, "mean_rgb": np.zeros(1023, np.float32)})
    assert refusal(short.regular(), schema) == "context 'mean_rgb': found 1023 numbers; expected 1024."
    bytes_instead = records.example({"id": b"a", "mean_rgb": b"123", "mean_audio": content.streams["mean_audio"]})
    assert refusal(bytes_instead, schema) == "context 'mean_rgb': found 0 numbers; expected 1024."


def test_record_of_the_other_level_is_refused() -> None:
    assert refusal(vector().regular()) == "feature list 'x': found only []; expected 'x'."
    assert refusal(small().regular(), vector().schema) == (
        "context 'mean_rgb': found only ['id', 'labels']; expected 'mean_rgb'."
    )


def test_payload_is_refused_when_no_protobuf() -> None:
    assert refusal(b"no protobuf") == "data: found 11 bytes; expected a tf.Example or tf.SequenceExample."


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
def test_schema_is_told_from_the_first_record(content: Content, streams: Streams | None, expected: Schema) -> None:
    assert detect(memoryview(content.regular()), "a", streams) == expected


def test_schema_is_refused_when_no_known_streams_are_there() -> None:
    with pytest.raises(UserError) as error:
        detect(memoryview(small().regular()), "a.tfrecord")
    assert str(error.value) == (
        "a.tfrecord, record 0: found feature lists ['x', 'y'] and context keys ['id', 'labels']; expected "
        "audio_embedding or mean_rgb+mean_audio or rgb+audio. For features of your own, name the streams, for example "
        "--streams rgb:1024 audio:128."
    )
    with pytest.raises(UserError, match=r"expected x\+z"):
        detect(memoryview(small().regular()), "a.tfrecord", (("x", 7), ("z", 3)))


@pytest.mark.parametrize("content", [small(), vector()], ids=["frame", "video"])
@pytest.mark.parametrize("number", [1, 2], ids=["context", "feature list"])
def test_record_is_refused_when_what_nobody_uses_is_damaged(content: Content, number: int) -> None:
    """By hand as through protobuf, which reads all of it; found by mutants of real records (tests/fuzz)."""
    encoder = Encoder()
    sound, damaged = (encoder.field(number, encoder.entries({"unused": value}, b"")) for value in (b"", b"\x0a\x09"))
    assert scanned(content.regular() + sound, content.schema).id == content.id
    assert refusal(content.regular() + damaged, content.schema).startswith("data: found ")


def test_record_is_refused_when_a_feature_that_another_replaces_is_damaged() -> None:
    encoder, content = Encoder(), vector()
    context = encoder.entries({"labels": encoder.int64_feature([1])}, b"")
    broken = encoder.entries({"labels": b"\x1a\x09"}, b"")
    named = encoder.entries({"id": encoder.bytes_feature(b"abcd")}, b"")
    vectors = encoder.entries({name: encoder.float_feature(v) for name, v in content.streams.items()}, b"")
    assert scanned(encoder.field(1, named + vectors + context + context), content.schema).labels == [1]
    assert refusal(encoder.field(1, named + vectors + broken + context), content.schema).startswith("data: found ")
