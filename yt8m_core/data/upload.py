"""A stranger's file → videos in memory, or a UserError that says what to do about it.

Nothing in the file is trusted: it is never unpickled, extracted or written to disk, and no length that it states is
believed before it is held against a limit.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from yt8m_core.data.npy import FEATURES, INTEGERS, MAX_ROWS, PICKLE, TEXT, foreign, read_array, text_of
from yt8m_core.data.npy import MARKS as NPY_MARKS
from yt8m_core.data.records import DecodeError, masked_crc32c, parse, payloads
from yt8m_core.data.scan import ID_KEYS, MAX_LABEL, Level, Schema, interpret
from yt8m_core.errors import UserError
from yt8m_core.features import dequantise

MAX_BYTES = 20 << 20  # of the file
MAX_EXPANDED = 64 << 20  # of all that is in an .npz: 1.5 MB of ZIP can hold 1.5 GB of zeros
MAX_MEMBERS = 16
MAX_RECORD = 4 << 20  # an hour of frames; protobuf can take twenty times a hostile record's size
MAX_VIDEOS = 1000
MAX_LABELS = 1000
MAX_ID = 100
MAY_BE_MISSING = ("audio", "mean_audio")

# What zipfile and zlib raise for a damaged, encrypted or odd archive.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, ArithmeticError, EOFError, LookupError, MemoryError,
           OSError, RuntimeError, ValueError)  # fmt: skip


@dataclass(frozen=True)
class UploadedVideo:
    """One video of an uploaded file, fitted to what the model takes."""

    id: str  # printable; the file's name where the file gives none; not always unique in a file
    frames: NDArray[Any]  # uint8 [T, D], or dequantised float32 [T, D]; float32 [1, D] for a video-level model
    labels: tuple[int, ...] | None  # ascending, each once; None where the file gives none
    notes: tuple[str, ...]  # what was done or looks odd, in words for a person


@dataclass(frozen=True)
class _Contents:
    """What a file holds of one video, its columns (uint8 or float, [T, dim] or [dim]) by the model's stream names."""

    where: str
    level: Level
    columns: Mapping[str, NDArray[Any]]
    id: str = ""
    labels: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()


def read_upload(name: str, content: bytes, schema: Schema, *, max_frames: int = 300) -> list[UploadedVideo]:
    """Read an uploaded ``.npz``, ``.npy`` or ``.tfrecord``.

    Args:
        name: the file's name; its ending says what the file should be, which the content has to confirm.
        content: the whole file.
        schema: what the model takes: frames are averaged for a video-level one, a vector is one frame for the other.
        max_frames: how many frames are used, from the first on.

    Returns:
        The videos of the file, at least one; a ``.tfrecord`` may hold ``MAX_VIDEOS``.

    Raises:
        UserError: the file cannot be used, whatever may be wrong with it.
    """
    shown = _printable(name.replace("\\", "/").rsplit("/", 1)[-1])[-MAX_ID:]
    if len(content) > MAX_BYTES:
        raise UserError(f"{len(content):,} bytes", where=shown, expected=f"at most {MAX_BYTES:,}")
    stem, _, ending = shown.rpartition(".")
    ending = f".{ending.lower()}"
    # The oldest pickles have no mark of their own.
    kind, found = ("", PICKLE) if ending in (".pkl", ".pickle") else _recognise(content)
    if (kind, ending) == ("unknown", ".tfrecord"):  # perhaps damaged: its reader says more about it
        kind = ending
    readers = {".npz": _read_npz, ".npy": _read_npy, ".tfrecord": _read_tfrecord}
    if ending not in readers or kind != ending:
        advice = f"Let its name end in {kind}." if kind in readers else "Save the features as one of these."
        raise UserError(found, where=shown, expected=_expected(schema), advice=advice)
    try:
        return [
            _fit(contents, schema, max_frames, stem.strip() or "upload")
            for contents in readers[ending](shown, content, schema)
        ]
    except UserError as error:  # may quote the file at any length
        raise UserError(str(error)[:1000]) from None
    except _BROKEN as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=shown, advice="Save or send it again.") from error


def _recognise(content: bytes) -> tuple[str, str]:
    """The ending that the first bytes ask for ("unknown"; "" for what is never read), and what they are in words."""
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ".npz", "a ZIP"
    if content.startswith(NPY_MARKS):
        return ".npy", "a NumPy array"
    if len(content) >= 12 and masked_crc32c(content[:8]) == int.from_bytes(content[8:12], "little"):
        return ".tfrecord", "a TFRecord file"
    found = foreign(content[:8])
    return "unknown" if content and found != PICKLE else "", found


def _expected(schema: Schema) -> str:
    streams = " and ".join(f"'{name}' [T, {dim}]" for name, dim in schema.streams)
    return f"an .npz with {streams}, an .npy [T, {schema.width}], or a .tfrecord with these"


def _printable(text: str) -> str:
    """Without the characters (control, direction, …) that could garble a page or a log."""
    return "".join(c for c in text if c.isprintable()).strip()


def _names_in(schema: Schema, held: Mapping[Level, Collection[str]]) -> tuple[Level, dict[str, str]] | None:
    """The level at which a file holds the model's streams, and the name there of each one that it holds."""
    streams = [name for name, _ in schema.streams]
    other: Level = "video" if schema.level == "frame" else "frame"
    renamed = [f"mean_{name}" if other == "video" else name.removeprefix("mean_") for name in streams]
    for level, names in ((schema.level, streams), (other, renamed)):
        found = {stream: name for stream, name in zip(streams, names, strict=True) if name in held[level]}
        if found and all(stream in found or stream in MAY_BE_MISSING for stream in streams):
            return level, found
    return None


def _read_npz(name: str, content: bytes, schema: Schema) -> Iterator[_Contents]:
    # Counted before zipfile makes an object of each: every member has this signature in the directory.
    if (count := content.count(b"PK\x01\x02")) > MAX_MEMBERS:
        raise UserError(f"a ZIP with {count:,} members", where=name, expected=f"at most {MAX_MEMBERS}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
        members = {info.filename.removesuffix(".npy"): info for info in infos if info.filename.endswith(".npy")}
        found, oddity = _names_in(schema, {"frame": members, "video": members}), _oddity(infos)
        if not found or oddity:
            listed = f"a ZIP with members {', '.join(ascii(info.filename[:40]) for info in infos) or 'none'}{oddity}"
            raise UserError(listed, where=name, expected=_expected(schema), advice="Save it with numpy.savez.")

        def array(member: str, types: str, *dims: int) -> NDArray[Any]:
            with archive.open(members[member]) as stream:  # file_size is here a limit, whose sum is limited
                return read_array(stream, f"{name}, '{member}'", types, dims, members[member].file_size)

        level, names = found
        columns = {stream: array(names[stream], FEATURES, dim) for stream, dim in schema.streams if stream in names}
        labels = array("labels", INTEGERS).ravel().tolist() if "labels" in members else []
        key = next((key for key in ID_KEYS if key in members), "")
        video_id = text_of(array(key, TEXT)) if key else ""
        unused = [ascii(member[:40]) for member in members if member not in (*names.values(), key, "labels")]
        notes = (f"Not used: {', '.join(unused)}.",) if unused else ()
    yield _Contents(name, level, columns, video_id, _labels(name, labels), notes)


def _oddity(infos: list[zipfile.ZipInfo]) -> str:
    """What makes a ZIP one that is not read, or nothing."""
    if len({info.filename for info in infos}) < len(infos):
        return ", one of them twice"
    if any(re.search(r"[/\\:]|\.\.", info.filename) for info in infos):
        return ", a path among them"
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in infos):
        return ", compressed in an unusual way"  # which zipfile would expand without a bound
    declared = sum(info.file_size for info in infos)
    return f" of {declared:,} bytes, more than {MAX_EXPANDED:,}" if declared > MAX_EXPANDED else ""


def _read_npy(name: str, content: bytes, schema: Schema) -> Iterator[_Contents]:
    required = tuple(stream for stream in schema.streams if stream[0] not in MAY_BE_MISSING) or schema.streams
    by_width = {sum(dim for _, dim in streams): streams for streams in (schema.streams, required)}
    values = read_array(io.BytesIO(content), name, FEATURES, tuple(by_width), len(content))
    names, dims = zip(*by_width[values.shape[-1]], strict=True)
    columns = np.split(values, np.cumsum(dims)[:-1], axis=-1)
    yield _Contents(name, "frame", dict(zip(names, columns, strict=True)))


def _labels(where: str, labels: list[int]) -> tuple[int, ...] | None:
    if len(labels) > MAX_LABELS or not all(0 <= label <= MAX_LABEL for label in labels):
        found = f"{len(labels):,} labels from {min(labels)} to {max(labels)}"
        raise UserError(found, where=where, expected=f"at most {MAX_LABELS:,} labels from 0 to {MAX_LABEL:,}")
    return tuple(sorted(set(labels))) or None


def _read_tfrecord(name: str, content: bytes, schema: Schema) -> Iterator[_Contents]:
    data = memoryview(content)
    spans = list(islice(payloads(data, name), MAX_VIDEOS + 1))
    if len(spans) > MAX_VIDEOS:
        raise UserError(f"more than {MAX_VIDEOS:,} videos", where=name, expected="fewer", advice="Upload some of them.")
    for record, (start, end) in enumerate(spans):
        yield _record(name, record, data[start:end], schema)


def _record(name: str, record: int, payload: memoryview, schema: Schema) -> _Contents:
    where = f"{name}, record {record}"
    if len(payload) > MAX_RECORD:
        raise UserError(f"{len(payload):,} bytes", where=where, expected=f"at most {MAX_RECORD:,}")
    try:
        message = parse(payload)
    except DecodeError:
        raise UserError("a damaged message", where=where, expected="a tf.Example or tf.SequenceExample") from None
    lists, context = message.feature_lists.feature_list, message.context.feature
    found = _names_in(schema, {"frame": lists, "video": context})
    if not found:
        names = f"feature lists {sorted(lists)[:8]} and context keys {sorted(context)[:8]}"
        raise UserError(names, where=where, expected=_expected(schema))
    level, held = found
    if level == "frame" and any(len(lists[name].feature) > MAX_ROWS for name in held.values()):
        raise UserError("too many frames", where=where, expected=f"at most {MAX_ROWS:,}")
    # One stream at a time, so that each tells its own length.
    one = {stream: Schema(level, ((held[stream], dim),)) for stream, dim in schema.streams if stream in held}
    parts = {stream: interpret(payload, schema, name, record) for stream, schema in one.items()}
    first = next(iter(parts.values()))
    columns = {stream: part.frames for stream, part in parts.items()}
    return _Contents(where, level, columns, first.id, _labels(where, first.labels or []))


def _fit(contents: _Contents, schema: Schema, max_frames: int, stem: str) -> UploadedVideo:
    """The video with its frames as the model takes them, and notes on how they became so."""
    notes = list(contents.notes)
    columns = {name: np.atleast_2d(column) for name, column in contents.columns.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    T = min(lengths.values())
    # A vector of the whole video, and not a sequence that happens to be short.
    vector = T == 1 and (contents.level == "video" or any(part.ndim == 1 for part in contents.columns.values()))
    if max(lengths.values()) > T:
        notes.append(f"The streams differ in length, {lengths}: the first {T} frames are used.")
    if max_frames < T:
        notes.append(f"{T:,} frames: the first {max_frames} are used.")
        T = max_frames
    columns = {name: _finite(f"{contents.where}, '{name}'", column[:T]) for name, column in columns.items()}
    floats = [column for column in columns.values() if column.dtype != np.uint8]
    if floats and not vector:
        notes.append("The features are floats: taken as values that are dequantised already.")
    if any(abs(column).max() > 2.1 for column in floats):
        notes.append("Some values lie far outside of YouTube-8M's, -1.99 to 2.01: they may be scaled otherwise.")
    for name, dim in schema.streams:
        if name not in columns:
            columns[name] = np.full((T, dim), 128, np.uint8)
            notes.append(f"The file has no '{name}': filled with byte 128, whose value is about 0.")
        elif "audio" in name and abs(_values(columns[name]) + 1.9921875).max() < 1e-3:
            notes.append(f"'{name}' is byte 0 (-1.99) throughout: so Google's old extractor writes missing audio.")
    parts = [columns[name] for name, _ in schema.streams]
    if floats or schema.level == "video":
        parts = [_values(part) for part in parts]
    frames = np.concatenate(parts, axis=1)  # [T, D], a copy: nothing of the file stays in memory
    if schema.level == "video" and not vector:
        notes.append(f"Averaged over time as dequantised values (frames: {T}), for the model takes one vector a video.")
        frames = frames.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    elif schema.level == "frame" and vector:
        notes.append("One vector, as at video level: taken as a single frame, though the model takes a sequence.")
    return UploadedVideo(_printable(contents.id[:MAX_ID]) or stem, frames, contents.labels, tuple(notes))


def _finite(where: str, column: NDArray[Any]) -> NDArray[Any]:
    """Bytes as they are, floats as float32."""
    if column.dtype == np.uint8:
        return column
    with np.errstate(over="ignore"):  # 1e300 becomes inf, and is refused as such
        values = column.astype(np.float32)
    if not np.isfinite(values).all():
        frame, position = np.argwhere(~np.isfinite(values))[0]
        found = f"{column[frame, position]} in frame {frame}, position {position}"
        raise UserError(found, where=where, expected="finite numbers")
    return values


def _values(column: NDArray[Any]) -> NDArray[np.float32]:
    return dequantise(torch.tensor(column)).numpy() if column.dtype == np.uint8 else column
