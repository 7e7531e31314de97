"""Read an uploaded, untrusted file into model inputs.

The file is never unpickled, extracted or written to disk, and each length it states is checked against a limit before
use. A reader per file type returns ``VideoContents``, which ``fit_to_model`` converts to model inputs.
``feature_check`` tells whether they look like YouTube-8M features.
"""

import struct
import time
import zipfile
import zlib

from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.records import masked_crc32c
from yt8m_core.data.upload.contents import describe_expected
from yt8m_core.data.upload.fit import MAX_ID, UploadedVideo, fit_to_model, to_printable
from yt8m_core.data.upload.mediapipe import is_mediapipe, read_mediapipe
from yt8m_core.data.upload.npy import NPY_MAGIC, PICKLE, describe_unknown
from yt8m_core.data.upload.numpy_files import read_npy, read_npz
from yt8m_core.data.upload.tfrecord import read_tfrecord
from yt8m_core.errors import UserError

__all__ = ["EXTENSIONS", "MAX_BYTES", "UploadedVideo", "read_upload"]

MAX_BYTES = 20 << 20  # of the file
MAX_SECONDS = 20  # of reading; checked between videos, the slowest of which takes about a second
_READERS = {".npz": read_npz, ".npy": read_npy, ".tfrecord": read_tfrecord, ".pb": read_mediapipe}
EXTENSIONS = tuple(_READERS)

# Raised by zipfile and zlib for damaged, encrypted or unusual archives.
_ARCHIVE_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, ArithmeticError, EOFError, LookupError, MemoryError,
                   OSError, RuntimeError, ValueError)  # fmt: skip


def read_upload(name: str, content: bytes, schema: Schema, *, max_frames: int = 300) -> list[UploadedVideo]:
    """Read an uploaded ``.npz``, ``.npy`` or ``.tfrecord``, or MediaPipe's ``features.pb``.

    Args:
        name: file name; its extension must match the content.
        content: the whole file.
        schema: the model's schema; a video-level model averages frames, a frame-level model takes a vector as a frame.
        max_frames: maximum number of frames per video.

    Returns:
        The videos of the file: at least one, up to a thousand for a ``.tfrecord``.

    Raises:
        UserError: the file is not usable.
    """
    shown = to_printable(name.replace("\\", "/").rsplit("/", 1)[-1])[-MAX_ID:]
    if len(content) > MAX_BYTES:
        raise UserError(f"{len(content):,} bytes", where=shown, expected=f"at most {MAX_BYTES:,}")
    stem, _, extension = shown.rpartition(".")
    extension = f".{extension.lower()}"
    # The oldest pickles have no magic number.
    kind, found = ("", PICKLE) if extension in (".pkl", ".pickle") else _detect_type(content)
    if kind == "unknown" and extension in (".tfrecord", ".pb"):  # may be damaged: the reader has a better message
        kind = extension
    if extension not in _READERS or kind != extension:
        advice = (
            f"Rename the file to end in {kind}." if kind in _READERS else "Save the features in one of these formats."
        )
        raise UserError(found, where=shown, expected=describe_expected(schema), advice=advice)
    try:
        start = time.monotonic()
        videos: list[UploadedVideo] = []
        for contents in _READERS[extension](shown, content, schema):
            if videos and time.monotonic() - start > MAX_SECONDS:
                found = f"reading took more than {MAX_SECONDS} s, for {len(videos):,} videos"
                raise UserError(found, where=shown, advice="Upload fewer videos at a time.")
            videos.append(fit_to_model(contents, schema, max_frames, stem.strip() or "upload"))
        return videos
    except UserError as error:  # may quote the file at any length
        raise UserError(str(error)[:1000]) from None
    except _ARCHIVE_ERRORS as error:
        raise UserError(
            f"cannot be read ({str(error)[:200]})", where=shown, advice="Save or upload it again."
        ) from error


def _detect_type(content: bytes) -> tuple[str, str]:
    """Return the extension that matches the first bytes, "unknown", or "" for a pickle, and a description of them."""
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ".npz", "a ZIP"
    if content.startswith(NPY_MAGIC):
        return ".npy", "a NumPy array"
    if len(content) >= 12 and masked_crc32c(content[:8]) == int.from_bytes(content[8:12], "little"):
        return ".tfrecord", "a TFRecord file"
    if is_mediapipe(content):
        return ".pb", "MediaPipe's features"
    found = describe_unknown(content[:8])
    return "unknown" if content and found != PICKLE else "", found
