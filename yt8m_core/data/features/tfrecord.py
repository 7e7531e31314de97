"""Read TFRecord files with records like those of YouTube-8M, or with MediaPipe's features, several videos per file."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.features.contents import VideoContents, check_labels, from_arrays
from yt8m_core.data.features.mediapipe import has_mediapipe_features, read_sequence
from yt8m_core.data.features.npy import MAX_ROWS
from yt8m_core.data.tfrecord.parse import ID_KEYS, START_KEY, parse_start_time
from yt8m_core.data.tfrecord.records import DecodeError, iter_payloads, parse_example
from yt8m_core.errors import UserError

MAX_RECORD = 4 << 20  # an hour of frames; protobuf can need twenty times the size of a malicious record
MAX_VIDEOS = 1000


def read_tfrecord(name: str, content: bytes) -> Iterator[VideoContents]:
    """Read the videos of a TFRecord file."""
    data = memoryview(content)
    spans = list(islice(iter_payloads(data, name), MAX_VIDEOS + 1))
    if len(spans) > MAX_VIDEOS:
        raise UserError(
            f"more than {MAX_VIDEOS:,} videos", where=name, expected="fewer", advice="Upload a part of them."
        )
    for record, (start, end) in enumerate(spans):
        yield read_payload(f"{name}, record {record}", data[start:end])


def read_payload(where: str, payload: memoryview) -> VideoContents:
    """Read the video of one record. Raises UserError where it cannot be used."""
    if len(payload) > MAX_RECORD:
        raise UserError(f"{len(payload):,} bytes", where=where, expected=f"at most {MAX_RECORD:,}")
    try:
        message = parse_example(payload)
    except DecodeError:
        raise UserError("a damaged message", where=where, expected="a tf.Example or tf.SequenceExample") from None
    if has_mediapipe_features(message):
        return read_sequence(where, message)
    lists, context = message.feature_lists.feature_list, message.context.feature
    arrays = {name: _read_frames(lists[name].feature, f"{where}, feature list '{name}'") for name in sorted(lists)}
    for name in sorted(context):
        floats, strings = context[name].float_list.value, context[name].bytes_list.value
        if name not in arrays and name not in (*ID_KEYS, START_KEY):
            if len(floats) > 1:
                arrays[name] = np.array(floats, np.float32)
            elif len({*map(len, strings)}) == 1 and len(strings) > 1:
                arrays[name] = np.stack([np.frombuffer(string, np.uint8) for string in strings])
    arrays = {name: array for name, array in arrays.items() if array.size}
    if not arrays:
        names = f"feature lists {sorted(lists)[:8]} and context keys {sorted(context)[:8]}"
        raise UserError(names, where=where, expected="a stream of features, such as 'rgb' or 'mean_rgb'")
    fields = {"id": _read_id(where, context), "labels": _read_labels(where, context)}
    return from_arrays(where, arrays, **fields, start_time=parse_start_time(context))


def _read_frames(features: Any, where: str) -> NDArray[Any]:
    """Return a feature list as uint8 or float32 [T, dim]; empty where it has other values, such as timestamps."""
    if len(features) > MAX_ROWS:
        raise UserError("too many frames", where=where, expected=f"at most {MAX_ROWS:,}")
    if not len(features):
        return np.empty((0, 0), np.uint8)
    kind = features[0].WhichOneof("kind")
    if kind == "float_list":
        rows: list[NDArray[Any]] = [np.array(feature.float_list.value, np.float32) for feature in features]
    elif kind == "bytes_list":
        rows = [np.frombuffer(b"".join(feature.bytes_list.value), np.uint8) for feature in features]
    else:
        return np.empty((0, 0), np.uint8)
    for t, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise UserError(
                f"{len(row)} values", where=f"{where}, frame {t}", expected=f"{len(rows[0])}, as in the first frame"
            )
    return np.stack(rows)


def _read_id(where: str, context: Any) -> str:
    key = next((key for key in ID_KEYS if key in context), None)
    if key is None:
        return ""
    ids = context[key].bytes_list.value
    if len(ids) != 1:
        raise UserError(f"{len(ids)} byte strings", where=f"{where}, context '{key}'", expected="one")
    try:
        return bytes(ids[0]).decode()
    except UnicodeDecodeError:
        raise UserError("bytes that are not UTF-8 text", where=f"{where}, context '{key}'") from None


def _read_labels(where: str, context: Any) -> tuple[int, ...] | None:
    if "labels" not in context:
        return None
    kind = context["labels"].WhichOneof("kind")
    if kind not in (None, "int64_list"):
        raise UserError(f"a {kind}", where=f"{where}, context 'labels'", expected="an int64_list")
    return check_labels(f"{where}, context 'labels'", list(context["labels"].int64_list.value))
