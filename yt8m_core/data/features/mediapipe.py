"""Read the ``features.pb`` that MediaPipe's YouTube-8M extractor writes, alone or collected in TFRecord files.

The message is a ``SequenceExample`` in MediaSequence format. Sources, in
https://github.com/google-ai-edge/mediapipe under ``mediapipe/``: ``graphs/youtube8m/feature_extraction.pbtxt``,
``graphs/youtube8m/local_video_model_inference.pbtxt``, ``util/sequence/media_sequence.py``,
``calculators/core/quantize_float_vector_calculator.cc``, ``calculators/core/dequantize_byte_array_calculator.cc``.

- Stream ``rgb`` is the feature list ``RGB/feature/floats``, ``audio`` is ``AUDIO/feature/floats``, and so on: one
  float_list of ``dim`` numbers per frame. ``…/feature/timestamp`` has the times in microseconds.
- The values are whitened PCA outputs, neither clipped nor quantized (issues report values of -3.7). YouTube-8M's
  values, which models are trained on, were clipped to [-2, 2] and quantized. This reader does the same with MediaPipe's
  quantizer, which truncates, so dequantizing restores a value to within half a step. MediaPipe's own inference graph
  passes the values unquantized to a model trained on bytes.
- Both streams have one frame per second, starting at 0, and frames are paired by index, as in MediaPipe's graph.
  Their lengths may differ by one frame; the shorter length is used. Other timestamps are accepted and noted.
- The video is named after ``example/id``, or else after the file in ``clip/data_path``. Labels are in
  ``clip/label/index`` and ``clip/label/string``, if somebody added them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.features.contents import VideoContents, check_labels, from_arrays
from yt8m_core.data.quantization import quantize
from yt8m_core.data.schema import expected_features, find_invalid_feature
from yt8m_core.data.tfrecord.records import DecodeError, parse_example
from yt8m_core.errors import UserError

MAX_MESSAGE = 8 << 20  # half an hour of frames; protobuf can need twenty times the size of a malicious message
_SUFFIX = "/feature/floats"


def is_mediapipe(content: bytes) -> bool:
    """Whether bytes look like a MediaSequence message with float features."""
    return content[:1] in (b"\x0a", b"\x12") and _SUFFIX.encode() in content


def read_mediapipe(name: str, content: bytes) -> Iterator[VideoContents]:
    """Read the video of a ``features.pb``, quantized like YouTube-8M."""
    if len(content) > MAX_MESSAGE:
        advice = "Extract only the first minutes of the video (--clip_end_time_sec)."
        raise UserError(f"{len(content):,} bytes", where=name, expected=f"at most {MAX_MESSAGE:,}", advice=advice)
    try:
        message = parse_example(memoryview(content))
    except DecodeError:
        wanted = "a serialized tf.SequenceExample from MediaPipe's extractor"
        raise UserError("a damaged message", where=name, expected=wanted, advice="Save or upload it again.") from None
    yield read_sequence(name, message)


def has_mediapipe_features(message: Any) -> bool:
    """Whether a SequenceExample has float features in MediaSequence format."""
    return any(name.endswith(_SUFFIX) for name in message.feature_lists.feature_list)


def read_sequence(where: str, message: Any) -> VideoContents:
    """Read the video of a MediaSequence message, quantized like YouTube-8M; ``rgb`` is its ``RGB/feature/floats``."""
    lists, context = message.feature_lists.feature_list, message.context.feature
    floats = {
        name.removesuffix(_SUFFIX).rsplit("/", 1)[-1].lower(): _read_floats(
            lists[name].feature, f"{where}, feature list '{name}'"
        )
        for name in sorted(lists)
        if name.endswith(_SUFFIX)
    }
    if not floats:
        names = f"feature lists {sorted(lists)[:8]} and context keys {sorted(context)[:8]}"
        advice = "metadata.pb is the input of MediaPipe's extractor; use its output." if not lists else ""
        raise UserError(names, where=where, expected=f"'RGB{_SUFFIX}'", advice=advice)
    clipped = np.concatenate([abs(values).ravel() > 2 for values in floats.values()]).mean()
    notes = [f"MediaPipe features: clipped to [-2, 2] ({clipped:.1%} of the values) and quantized like YouTube-8M."]
    notes += _timing_notes({name: _read_seconds(lists, f"{name.upper()}/feature/timestamp") for name in floats})
    labels = list(context["clip/label/index"].int64_list.value) if "clip/label/index" in context else []
    strings = context["clip/label/string"].bytes_list.value if "clip/label/string" in context else []
    return from_arrays(
        where,
        {name: quantize(values) for name, values in floats.items()},
        id=_video_name(context),
        labels=check_labels(where, labels),
        label_names=tuple(string.decode("utf-8", "replace") for string in strings),
        notes=tuple(notes),
    )


def _read_floats(features: Any, where: str) -> NDArray[np.float32]:
    """Return a feature list as float32 [T, dim]. Raises UserError for unequal sizes and invalid numbers."""
    if not len(features):
        raise UserError("no frames", where=where, expected="at least one")
    dim = len(features[0].float_list.value)
    for t, feature in enumerate(features):
        if len(feature.float_list.value) != dim:
            found = f"{len(feature.float_list.value)} numbers"
            raise UserError(found, where=f"{where}, frame {t}", expected=f"{dim} numbers, as in the first frame")
    values = np.array([feature.float_list.value for feature in features], np.float32)
    if (at := find_invalid_feature(values)) is not None:
        found = f"{values[at]} in frame {at[0]}, position {at[1]}"
        raise UserError(found, where=where, expected=expected_features(values[at]))
    return values


def _read_seconds(lists: Any, name: str) -> NDArray[np.float64]:
    """Return a stream's timestamps in seconds; empty if there is not one number per frame."""
    stamps = [list(feature.int64_list.value) for feature in lists[name].feature] if name in lists else []
    return np.array(stamps, np.float64).ravel() / 1e6 if all(len(stamp) == 1 for stamp in stamps) else np.empty(0)


def _timing_notes(seconds: Mapping[str, NDArray[np.float64]]) -> list[str]:
    """Describe how the timestamps differ from YouTube-8M's one frame per second."""
    notes = []
    for stream, times in seconds.items():
        if len(times) > 1 and not 0.9 < (step := float(np.median(np.diff(times)))) < 1.1:
            notes.append(f"'{stream}' has a frame every {step:.3g} s; YouTube-8M has one per second.")
    known = [times for times in seconds.values() if len(times)]
    T = min(map(len, known), default=0)
    difference = float(np.ptp([times[:T] for times in known], axis=0).max()) if T else 0.0
    if difference > 0.5:
        notes.append(f"Paired frames of the streams are up to {difference:.3g} s apart.")
    return notes


def _video_name(context: Any) -> str:
    """Return the id of the example, or else the video's file name without folder and extension."""
    for key in ("example/id", "clip/data_path"):
        values = context[key].bytes_list.value if key in context else []
        if values:
            name: str = values[0].decode("utf-8", "replace")
            name = name.replace("\\", "/").rsplit("/", 1)[-1] if key == "clip/data_path" else name
            return (name.rsplit(".", 1)[0] or name) if key == "clip/data_path" else name
    return ""
