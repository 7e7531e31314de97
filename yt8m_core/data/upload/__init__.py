"""A stranger's file → videos in memory, or a UserError that says what to do about it.

Nothing in the file is trusted: it is never unpickled, extracted or written to disk, and no length that it states is
believed before it is held against a limit. A reader a kind of file says what the file holds (``Contents``), and ``fit``
makes of that what the model takes; whether it looks like YouTube-8M at all is ``feature_check``'s to say.
"""

import struct
import time
import zipfile
import zlib

from yt8m_core.data.schema import Schema
from yt8m_core.data.tfrecord.records import masked_crc32c
from yt8m_core.data.upload.contents import expected
from yt8m_core.data.upload.fit import MAX_ID, UploadedVideo, fit, printable
from yt8m_core.data.upload.mediapipe import is_mediapipe, read_mediapipe
from yt8m_core.data.upload.npy import MARKS as NPY_MARKS
from yt8m_core.data.upload.npy import PICKLE, foreign
from yt8m_core.data.upload.numpy_files import read_npy, read_npz
from yt8m_core.data.upload.tfrecord import read_tfrecord
from yt8m_core.errors import UserError

__all__ = ["ENDINGS", "MAX_BYTES", "UploadedVideo", "read_upload"]

MAX_BYTES = 20 << 20  # of the file
MAX_SECONDS = (
    20  # of reading it; what one video takes is bounded by its size, and the worst that is known took a second
)
_READERS = {".npz": read_npz, ".npy": read_npy, ".tfrecord": read_tfrecord, ".pb": read_mediapipe}
ENDINGS = tuple(_READERS)

# What zipfile and zlib raise for a damaged, encrypted or odd archive.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, ArithmeticError, EOFError, LookupError, MemoryError,
           OSError, RuntimeError, ValueError)  # fmt: skip


def read_upload(name: str, content: bytes, schema: Schema, *, max_frames: int = 300) -> list[UploadedVideo]:
    """Read an uploaded ``.npz``, ``.npy`` or ``.tfrecord``, or MediaPipe's ``features.pb``.

    Args:
        name: the file's name; its ending says what the file should be, which the content has to confirm.
        content: the whole file.
        schema: what the model takes: frames are averaged for a video-level one, a vector is one frame for the other.
        max_frames: how many frames are used, from the first on.

    Returns:
        The videos of the file, at least one; a ``.tfrecord`` may hold a thousand.

    Raises:
        UserError: the file cannot be used, whatever may be wrong with it.
    """
    shown = printable(name.replace("\\", "/").rsplit("/", 1)[-1])[-MAX_ID:]
    if len(content) > MAX_BYTES:
        raise UserError(f"{len(content):,} bytes", where=shown, expected=f"at most {MAX_BYTES:,}")
    stem, _, ending = shown.rpartition(".")
    ending = f".{ending.lower()}"
    # The oldest pickles have no mark of their own.
    kind, found = ("", PICKLE) if ending in (".pkl", ".pickle") else _recognize(content)
    if kind == "unknown" and ending in (".tfrecord", ".pb"):  # perhaps damaged: its reader says more about it
        kind = ending
    if ending not in _READERS or kind != ending:
        advice = f"Let its name end in {kind}." if kind in _READERS else "Save the features as one of these."
        raise UserError(found, where=shown, expected=expected(schema), advice=advice)
    try:
        begun = time.monotonic()
        videos: list[UploadedVideo] = []
        for contents in _READERS[ending](shown, content, schema):
            if videos and time.monotonic() - begun > MAX_SECONDS:
                found = f"more than {MAX_SECONDS} s of reading, for {len(videos):,} videos"
                raise UserError(found, where=shown, advice="Upload fewer videos at a time.")
            videos.append(fit(contents, schema, max_frames, stem.strip() or "upload"))
        return videos
    except UserError as error:  # may quote the file at any length
        raise UserError(str(error)[:1000]) from None
    except _BROKEN as error:
        raise UserError(f"cannot be read ({str(error)[:200]})", where=shown, advice="Save or send it again.") from error


def _recognize(content: bytes) -> tuple[str, str]:
    """The ending that the first bytes ask for ("unknown"; "" for what is never read), and what they are in words."""
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ".npz", "a ZIP"
    if content.startswith(NPY_MARKS):
        return ".npy", "a NumPy array"
    if len(content) >= 12 and masked_crc32c(content[:8]) == int.from_bytes(content[8:12], "little"):
        return ".tfrecord", "a TFRecord file"
    if is_mediapipe(content):
        return ".pb", "MediaPipe's features"
    found = foreign(content[:8])
    return "unknown" if content and found != PICKLE else "", found
