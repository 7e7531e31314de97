"""Read a feature file, untrusted, into model inputs.

The file is never unpickled, extracted or written to disk, and each length it states is checked against a limit before
use. A reader per file type returns ``VideoContents``, which ``fit_to_model`` converts to model inputs. The type is
recognized by the content, whatever the name. ``feature_check`` tells whether the features look like YouTube-8M's.
"""

import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator

from yt8m_core.data.features.contents import VideoContents, describe_expected
from yt8m_core.data.features.file_types import PICKLE, describe_torch, describe_unknown
from yt8m_core.data.features.fit import MAX_ID, UploadedVideo, fit_to_model, to_printable
from yt8m_core.data.features.mediapipe import is_mediapipe, read_mediapipe
from yt8m_core.data.features.npy import NPY_MAGIC
from yt8m_core.data.features.numpy_files import read_npy, read_npz
from yt8m_core.data.features.tfrecord import read_tfrecord
from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.records import masked_crc32c
from yt8m_core.errors import UserError

__all__ = ["EXTENSIONS", "MAX_BYTES", "UploadedVideo", "read_upload"]

MAX_BYTES = 20 << 20  # of the file
MAX_SECONDS = 20  # of reading; checked between videos, the slowest of which takes about a second
MAX_VIDEOS = 1000
MAX_FRAME_BYTES = 64 << 20  # of all videos as the model takes them: 60 kB of ZIP can contain 250 MB of float32
_READERS: dict[str, Callable[[str, bytes], Iterator[VideoContents]]] = {
    ".npz": read_npz,
    ".npy": read_npy,
    ".tfrecord": read_tfrecord,
    ".pb": read_mediapipe,
}
EXTENSIONS = tuple(_READERS)

# Raised by zipfile and zlib for damaged, encrypted or unusual archives.
_ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, ArithmeticError, EOFError, LookupError, MemoryError,
                   OSError, RuntimeError, ValueError)  # fmt: skip


def read_upload(name: str, content: bytes, schema: Schema, *, max_frames: int = 300) -> list[UploadedVideo]:
    """Read an uploaded ``.npz``, ``.npy`` or ``.tfrecord``, or MediaPipe's ``features.pb``.

    Args:
        name: file name, for messages and for the id of a video without one.
        content: the whole file.
        schema: the model's schema; a video-level model averages frames, a frame-level model takes a vector as a frame.
        max_frames: maximum number of frames per video.

    Returns:
        The videos of the file: at least one, up to a thousand.

    Raises:
        UserError: the file is not usable.
    """
    shown = to_printable(name.replace("\\", "/").rsplit("/", 1)[-1])[-MAX_ID:]
    if len(content) > MAX_BYTES:
        raise UserError(f"{len(content):,} bytes", where=shown, expected=f"at most {MAX_BYTES:,}")
    stem, _, extension = shown.rpartition(".")
    reader = _detect_reader(shown, f".{extension.lower()}", content, schema)
    try:
        start = time.monotonic()
        videos: list[UploadedVideo] = []
        num_bytes = 0
        for contents in reader(shown, content):
            if videos and time.monotonic() - start > MAX_SECONDS:
                found = f"reading took more than {MAX_SECONDS} s, for {len(videos):,} videos"
                raise UserError(found, where=shown, advice="Upload fewer videos at a time.")
            for video in fit_to_model(contents, schema, max_frames, stem.strip() or "upload"):
                if len(videos) == MAX_VIDEOS:
                    advice = "Upload a part of them."
                    raise UserError(f"more than {MAX_VIDEOS:,} videos", where=shown, expected="fewer", advice=advice)
                videos.append(video)
                num_bytes += video.frames.nbytes
                if num_bytes > MAX_FRAME_BYTES:
                    found = f"features of more than {MAX_FRAME_BYTES >> 20} MiB in {len(videos):,} videos"
                    raise UserError(found, where=shown, advice="Upload fewer videos at a time.")
        return videos
    except UserError as error:  # may quote the file at any length
        raise UserError(str(error)[:1000]) from None
    except _ARCHIVE_ERRORS as error:
        raise UserError(
            f"cannot be read ({str(error)[:200]})", where=shown, advice="Save or upload it again."
        ) from error


def _detect_reader(
    name: str, extension: str, content: bytes, schema: Schema
) -> Callable[[str, bytes], Iterator[VideoContents]]:
    """Return the reader for some content, by its first bytes. Raises UserError for other files."""
    found, advice = describe_unknown(content[:512])
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        if b"/data.pkl" not in content[:512]:
            return read_npz
        found, advice = describe_torch()
    elif content.startswith(NPY_MAGIC):
        return read_npy
    elif len(content) >= 12 and masked_crc32c(content[:8]) == int.from_bytes(content[8:12], "little"):
        return read_tfrecord
    elif is_mediapipe(content):
        return read_mediapipe
    elif extension in (".pkl", ".pickle"):  # the oldest pickles have no magic number
        _, advice = describe_unknown(b"\x80\4")
        found = PICKLE
    elif content and extension in (".tfrecord", ".pb") and found.startswith("a file of unknown type"):
        return _READERS[extension]  # may be damaged: the reader has a better message
    raise UserError(found, where=name, expected=describe_expected(schema), advice=advice)
