"""``.pb``: the ``features.pb`` that MediaPipe's YouTube-8M extractor writes.

It is one ``SequenceExample`` without TFRecord framing, by the conventions of MediaSequence. Read, at
https://github.com/google-ai-edge/mediapipe under ``mediapipe/``: ``graphs/youtube8m/feature_extraction.pbtxt``,
``graphs/youtube8m/local_video_model_inference.pbtxt``, ``util/sequence/media_sequence.py``,
``calculators/core/quantize_float_vector_calculator.cc``, ``calculators/core/dequantize_byte_array_calculator.cc``.

- Stream ``rgb`` is the feature list ``RGB/feature/floats``, ``audio`` is ``AUDIO/feature/floats``, any other one
  likewise: one float_list of ``dim`` numbers a frame. ``…/feature/timestamp`` says when, in microseconds.
- The numbers are what the PCA gives, whitened: never clipped and never quantized (values of -3.7 are in the issues).
  YouTube-8M's own were clipped to -2..2 and quantized, and that is what models learn from. So the same is done here,
  with MediaPipe's quantizer, which truncates: dequantizing then gives a value back to half a step. MediaPipe's own
  inference graph hands the numbers on as they are, to a model that learned from bytes.
- Both streams come once a second from 0 on, and frame t of one belongs to frame t of the other, as in that graph.
  They may end a second apart: the shorter length is used. Other timestamps are used all the same, and noted.
- There is no id and no label: the video's file name, out of ``clip/data_path``, names it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.records import DecodeError, parse
from yt8m_core.data.upload.contents import Contents, expected, held_of
from yt8m_core.errors import UserError

MAX_MESSAGE = 8 << 20  # half an hour of frames; protobuf can take twenty times a hostile message's size
_MARK = b"/feature/floats"


def is_mediapipe(content: bytes) -> bool:
    """Whether bytes look like a MediaSequence with float features: the only kind of file that names them so."""
    return content[:1] in (b"\x0a", b"\x12") and _MARK in content


def read_mediapipe(name: str, content: bytes, schema: Schema) -> Iterator[Contents]:
    """The one video of a ``features.pb``, as the bytes that YouTube-8M would have."""
    if len(content) > MAX_MESSAGE:
        advice = "Extract the features of the first minutes alone (--clip_end_time_sec)."
        raise UserError(f"{len(content):,} bytes", where=name, expected=f"at most {MAX_MESSAGE:,}", advice=advice)
    try:
        message = parse(memoryview(content))
    except DecodeError:
        wanted = "a serialized tf.SequenceExample, as MediaPipe's extractor writes"
        raise UserError("a damaged message", where=name, expected=wanted, advice="Save or send it again.") from None
    lists, context = message.feature_lists.feature_list, message.context.feature
    prefixes = {stream: stream.removeprefix("mean_").upper() for stream, _ in schema.streams}
    held = held_of(schema, {stream: f"{prefix}{_MARK.decode()}" for stream, prefix in prefixes.items()}, lists)
    if not held:
        names = f"feature lists {sorted(lists)[:8]} and context keys {sorted(context)[:8]}"
        advice = "metadata.pb is what MediaPipe's extractor reads; upload what it writes." if not lists else ""
        raise UserError(names, where=name, expected=expected(schema), advice=advice)
    floats = {
        stream: _floats(lists[held[stream]].feature, dim, f"{name}, feature list '{held[stream]}'")
        for stream, dim in schema.streams
        if stream in held
    }
    clipped = np.concatenate([abs(values).ravel() > 2 for values in floats.values()]).mean()
    notes = [
        f"MediaPipe's values: clipped to -2..2 ({clipped:.1%} of them lay outside) and quantized, as YouTube-8M's."
    ]
    notes += _timing({stream: _seconds(lists, f"{prefixes[stream]}/feature/timestamp") for stream in floats})
    columns = {stream: _quantize(values) for stream, values in floats.items()}
    yield Contents(name, "frame", columns, _file_name(context), notes=tuple(notes))


def _floats(features: Any, dim: int, where: str) -> NDArray[np.float32]:
    """A feature list as float32 [T, dim], once each frame has proved to be as long as it should be."""
    for t, feature in enumerate(features):
        if len(feature.float_list.value) != dim:
            found = f"{len(feature.float_list.value)} numbers"
            raise UserError(found, where=f"{where}, frame {t}", expected=f"{dim} numbers")
    if not len(features):
        raise UserError("no frames", where=where, expected="at least one")
    values = np.array([feature.float_list.value for feature in features], np.float32)
    if not np.isfinite(values).all():
        frame, position = np.argwhere(~np.isfinite(values))[0]
        found = f"{values[frame, position]} in frame {frame}, position {position}"
        raise UserError(found, where=where, expected="finite numbers")
    return values


def _quantize(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Floats → bytes as MediaPipe's QuantizeFloatVectorCalculator makes them for -2..2."""
    return ((np.clip(values, -2, 2) + 2) * np.float32(255 / 4)).astype(np.uint8)


def _seconds(lists: Any, name: str) -> NDArray[np.float64]:
    """A stream's timestamps; none where they are not one number a frame."""
    stamps = [list(feature.int64_list.value) for feature in lists[name].feature] if name in lists else []
    return np.array(stamps, np.float64).ravel() / 1e6 if all(len(stamp) == 1 for stamp in stamps) else np.empty(0)


def _timing(seconds: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """What is unlike YouTube-8M in when the frames are from."""
    notes = []
    for stream, times in seconds.items():
        if len(times) > 1 and not 0.9 < (step := float(np.median(np.diff(times)))) < 1.1:
            notes.append(f"'{stream}' has a frame every {step:.3g} s, where YouTube-8M has one a second.")
    given = [times for times in seconds.values() if len(times)]
    T = min(map(len, given), default=0)
    apart = float(np.ptp([times[:T] for times in given], axis=0).max()) if T else 0.0
    if apart > 0.5:
        notes.append(f"Frames of the streams that are taken together lie up to {apart:.3g} s apart in the video.")
    return notes


def _file_name(context: Any) -> str:
    """The video's file name without its ending; its folder is nobody's business."""
    paths = context["clip/data_path"].bytes_list.value if "clip/data_path" in context else []
    name = paths[0].decode("utf-8", "replace").replace("\\", "/").rsplit("/", 1)[-1] if paths else ""
    return name.rsplit(".", 1)[0] or name
