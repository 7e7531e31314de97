"""``.tfrecord``: the records of YouTube-8M and of data sets like it, several videos a file."""

from collections.abc import Iterator
from itertools import islice

from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.records import DecodeError, parse, payloads
from yt8m_core.data.tfrecord.scan import interpret
from yt8m_core.data.upload.contents import Contents, checked_labels, expected, names_in
from yt8m_core.data.upload.npy import MAX_ROWS
from yt8m_core.errors import UserError

MAX_RECORD = 4 << 20  # an hour of frames; protobuf can take twenty times a hostile record's size
MAX_VIDEOS = 1000


def read_tfrecord(name: str, content: bytes, schema: Schema) -> Iterator[Contents]:
    """The videos of a TFRecord file of frame-level or of video-level records."""
    data = memoryview(content)
    spans = list(islice(payloads(data, name), MAX_VIDEOS + 1))
    if len(spans) > MAX_VIDEOS:
        raise UserError(f"more than {MAX_VIDEOS:,} videos", where=name, expected="fewer", advice="Upload some of them.")
    for record, (start, end) in enumerate(spans):
        yield _record(name, record, data[start:end], schema)


def _record(name: str, record: int, payload: memoryview, schema: Schema) -> Contents:
    where = f"{name}, record {record}"
    if len(payload) > MAX_RECORD:
        raise UserError(f"{len(payload):,} bytes", where=where, expected=f"at most {MAX_RECORD:,}")
    try:
        message = parse(payload)
    except DecodeError:
        raise UserError("a damaged message", where=where, expected="a tf.Example or tf.SequenceExample") from None
    lists, context = message.feature_lists.feature_list, message.context.feature
    found = names_in(schema, {"frame": lists, "video": context})
    if not found:
        names = f"feature lists {sorted(lists)[:8]} and context keys {sorted(context)[:8]}"
        raise UserError(names, where=where, expected=expected(schema))
    level, held = found
    if level == "frame" and any(len(lists[name].feature) > MAX_ROWS for name in held.values()):
        raise UserError("too many frames", where=where, expected=f"at most {MAX_ROWS:,}")
    # One stream at a time, so that each tells its own length.
    one = {stream: Schema(level, ((held[stream], dim),)) for stream, dim in schema.streams if stream in held}
    parts = {stream: interpret(payload, schema, name, record) for stream, schema in one.items()}
    first = next(iter(parts.values()))
    columns = {stream: part.frames for stream, part in parts.items()}
    return Contents(where, level, columns, first.id, checked_labels(where, first.labels or []))
