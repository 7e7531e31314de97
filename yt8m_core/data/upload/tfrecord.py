"""Read uploaded ``.tfrecord`` files with records like those of YouTube-8M, several videos per file."""

from collections.abc import Iterator
from itertools import islice

from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.parse import parse_record
from yt8m_core.data.tfrecord.records import DecodeError, iter_payloads, parse_example
from yt8m_core.data.upload.contents import VideoContents, check_labels, describe_expected, match_streams
from yt8m_core.data.upload.npy import MAX_ROWS
from yt8m_core.errors import UserError

MAX_RECORD = 4 << 20  # an hour of frames; protobuf can need twenty times the size of a malicious record
MAX_VIDEOS = 1000


def read_tfrecord(name: str, content: bytes, schema: Schema) -> Iterator[VideoContents]:
    """Read the videos of a TFRecord file with frame-level or video-level records."""
    data = memoryview(content)
    spans = list(islice(iter_payloads(data, name), MAX_VIDEOS + 1))
    if len(spans) > MAX_VIDEOS:
        raise UserError(
            f"more than {MAX_VIDEOS:,} videos", where=name, expected="fewer", advice="Upload a part of them."
        )
    for record, (start, end) in enumerate(spans):
        yield _read_record(name, record, data[start:end], schema)


def _read_record(name: str, record: int, payload: memoryview, schema: Schema) -> VideoContents:
    where = f"{name}, record {record}"
    if len(payload) > MAX_RECORD:
        raise UserError(f"{len(payload):,} bytes", where=where, expected=f"at most {MAX_RECORD:,}")
    try:
        message = parse_example(payload)
    except DecodeError:
        raise UserError("a damaged message", where=where, expected="a tf.Example or tf.SequenceExample") from None
    lists, context = message.feature_lists.feature_list, message.context.feature
    matches = match_streams(schema, {"frame": lists, "video": context})
    if not matches:
        names = f"feature lists {sorted(lists)[:8]} and context keys {sorted(context)[:8]}"
        raise UserError(names, where=where, expected=describe_expected(schema))
    level, stream_names = matches
    if level == "frame" and any(len(lists[name].feature) > MAX_ROWS for name in stream_names.values()):
        raise UserError("too many frames", where=where, expected=f"at most {MAX_ROWS:,}")
    # Parse one stream at a time, because parse_record cuts streams to the same length.
    schemas = {
        stream: Schema(level, ((stream_names[stream], dim),))
        for stream, dim in schema.streams
        if stream in stream_names
    }
    parsed = {stream: parse_record(payload, schema, name, record) for stream, schema in schemas.items()}
    first = next(iter(parsed.values()))
    columns = {stream: part.frames for stream, part in parsed.items()}
    return VideoContents(where, level, columns, first.id, check_labels(where, first.labels or []))
