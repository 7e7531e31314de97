"""Find the shards of a data set, and expand compressed ones."""

import gzip
import hashlib
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple
from glob import glob
from pathlib import Path

from filelock import FileLock

from yt8m_core.data.tfrecord.records import masked_crc32c
from yt8m_core.data.tfrecord.shard import MAX_BYTES, Shard, report_unreadable
from yt8m_core.errors import MissingDataError, UserError
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.storage.file_state import FileState
from yt8m_core.storage.paths import check_unicode, open_file
from yt8m_core.workspace import workspace

# .tfrecord, .tfrecords, .tfrecord.gz, .tfrecord-00000-of-00100, …
NAME = re.compile(r".*\.tfrecords?(-\d+-of-\d+)?(\.gz|\.zlib)?", re.DOTALL | re.IGNORECASE)
MIN_FREE = 1 << 30  # bytes that stay free on the disk of the workspace
_BLOCK = 1 << 22
HEADER = 12  # bytes of a record before its payload: length and checksum


def find_shards(data: str | Path) -> list[Path]:
    """Return the shards of DATA, sorted by name.

    Args:
        data: a file, a folder, or a glob. The shards of a folder are its files with ``.tfrecord`` in their ending; in a
            folder without any, those without an ending or with ``.gz`` that begin like a TFRecord file, compressed or
            not, such as ``train-00000-of-00100`` and ``train0000.gz``.

    Raises:
        UserError: there are none, or their names are not UTF-8, as which the index stores them.
    """
    pattern = expand_home(data)
    path = pattern.absolute()
    with report_unreadable(path):
        if path.is_file():
            shards = [path]
        elif path.is_dir():
            shards = _shards_of_folder(path)
        else:
            shards = sorted(Path(name).absolute() for name in glob(str(pattern)) if not os.path.isdir(name))
    for shard in shards:
        check_unicode(shard)
    if not shards:
        raise MissingDataError(
            f"no file matches {path}", advice="Use a .tfrecord file, a folder of them, or a glob in quotes."
        )
    return shards


def _shards_of_folder(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir())
    shards = [path for path in files if NAME.fullmatch(path.name)]  # a link to nothing is an error when it is read
    shards = shards or [path for path in files if path.suffix in ("", ".gz") and path.is_file() and _is_shard(path)]
    if shards:
        return shards
    subfolders = sorted({path.parent.name for path in folder.glob("*/*.tfrecord*")})
    advice = f"Its subfolders {', '.join(subfolders)} contain shards: choose one of them." if subfolders else ""
    advice = advice or "Choose the folder with the shards. Features in other formats: convert them with `yt8m import`."
    raise UserError("no *.tfrecord file", where=f"folder {folder}", advice=advice)


def expand_home(data: str | Path) -> Path:
    """Expand ~ in DATA. Raises UserError where there is no such home folder."""
    try:
        return Path(data).expanduser()
    except RuntimeError:
        raise UserError(f"the home folder in '{data}' does not exist") from None


def readable_shard(source: Shard, progress: Progress = silent) -> Shard:
    """Return the shard that is read for a source: the source itself, or an expanded copy of a compressed one.

    Shards are mapped into memory, which needs uncompressed files. A copy is stored in ``workspace/expanded/`` and used
    until the source changes; then another replaces it. Its modification time is that of the source.

    Raises:
        UserError: the compressed data are damaged, or the disk is full.
    """
    if source.is_remote:  # which the shard cache expands
        return source
    path = Path(source.path)
    with report_unreadable(path):
        compression = _compression(path)
    if not compression:
        return source
    key = hashlib.sha256(source.path.encode()).hexdigest()[:16]
    copies = workspace() / "expanded" / key
    expanded = copies / "-".join(map(str, astuple(source.state))) / path.name.removesuffix(".gz")
    if not _is_copy(expanded, source):
        copies.mkdir(parents=True, exist_ok=True)
        with FileLock(copies / ".lock"):  # waits for another process that expands it
            if not _is_copy(expanded, source):
                for old in copies.glob("*-*"):  # of earlier versions, unfinished or damaged
                    shutil.rmtree(old)
                _write_copy(path, source, expanded, progress)
    return Shard.at(expanded, source.path)


def _is_copy(expanded: Path, source: Shard) -> bool:
    """Whether a file is the unchanged copy of a source: it has its time, which some disks store in whole seconds."""
    try:
        time = expanded.stat().st_mtime_ns
    except OSError:
        return False
    return abs(time - _source_time(source)) <= (2e9 if time % 10**9 == 0 else 1e6)


def _write_copy(path: Path, source: Shard, expanded: Path, progress: Progress) -> None:
    with atomic_write(expanded) as unfinished:
        expand_shard(path, unfinished, source, progress)
        os.utime(unfinished, ns=(_source_time(source), _source_time(source)))


def _source_time(source: Shard) -> int:
    """Return the modification time of a source, in nanoseconds."""
    return source.state.mtime_ns if isinstance(source.state, FileState) else 0


def expand_shard(path: Path, expanded: Path, source: Shard, progress: Progress = silent) -> bool:
    """Write the expanded bytes of a compressed file to another file, and return whether it is compressed.

    Args:
        path: the file.
        expanded: the file to write.
        source: what the file is a copy of, for messages.
        progress: called with the number of expanded bytes.

    Raises:
        UserError: the compressed data are damaged, or the disk is full.
    """
    compression = _compression(path)
    if not compression:
        return False
    size = 0
    with expanded.open("wb") as file:
        for block in _expand(path, compression, source.name):
            if shutil.disk_usage(expanded.parent).free < MIN_FREE + len(block):
                raise UserError(
                    f"the disk is full after {size:,} bytes of the expanded shard",
                    where=source.name,
                    advice="Set YT8M_HOME to a folder on another disk.",
                )
            file.write(block)
            size += len(block)
            progress(f"expanding {Path(source.path).name}", size, max(size, source.size))
    return True


def _read_header(path: Path) -> bytes:
    with open_file(path, MAX_BYTES) as file:
        return file.read(HEADER)


def is_tfrecord(header: bytes) -> bool:
    """Whether a file with these first ``HEADER`` bytes begins with a TFRecord."""
    return len(header) == HEADER and masked_crc32c(header[:8]) == int.from_bytes(header[8:], "little")


def _is_shard(path: Path) -> bool:
    """Whether a file begins with a TFRecord, compressed or not."""
    with report_unreadable(path):
        if compression := _compression(path):
            with suppress(EOFError, zlib.error, gzip.BadGzipFile):
                return is_tfrecord(next(_expand_blocks(path, compression), b"")[:HEADER])
        return is_tfrecord(_read_header(path))


def _compression(path: Path) -> str:
    """Return how a file is compressed: "gzip", "zlib", or an empty string."""
    header = _read_header(path)
    if is_tfrecord(header):
        return ""
    if header.startswith(b"\x1f\x8b"):
        return "gzip"
    # A zlib header is method 8 and a multiple of 31, as one damaged length in a thousand is too.
    if len(header) > 1 and header[0] & 0x0F == 8 and header[0] >> 4 <= 7 and int.from_bytes(header[:2]) % 31 == 0:
        with suppress(EOFError, zlib.error):
            return "zlib" if is_tfrecord(next(_expand_zlib(path), b"")[:HEADER]) else ""
    return ""


def _expand(path: Path, compression: str, name: str) -> Iterator[bytes]:
    """Yield the expanded bytes of a file in blocks. Raises UserError where they are damaged or no TFRecord file."""
    is_first = True
    try:
        for block in _expand_blocks(path, compression):
            if is_first and not is_tfrecord(block[:HEADER]):
                raise UserError(f"a {compression} file without TFRecords", where=name, expected="a compressed shard")
            is_first = False
            yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"damaged {compression} data ({error})", where=name, advice="Download it again, or leave it out."
        ) from None


def _expand_blocks(path: Path, compression: str) -> Iterator[bytes]:
    return _expand_gzip(path) if compression == "gzip" else _expand_zlib(path)


def _expand_gzip(path: Path) -> Iterator[bytes]:
    with open_file(path, MAX_BYTES) as compressed, gzip.open(compressed) as file:
        while block := file.read(_BLOCK):
            yield block


def _expand_zlib(path: Path) -> Iterator[bytes]:
    """Yield the expanded bytes of zlib streams, one after another as gzip allows."""
    expander, rest = zlib.decompressobj(), b""
    with open_file(path, MAX_BYTES) as file:
        while rest := rest or file.read(_BLOCK):
            if expander.eof:
                expander = zlib.decompressobj()
            if block := expander.decompress(rest, _BLOCK):
                yield block
            rest = expander.unused_data if expander.eof else expander.unconsumed_tail
    if not expander.eof:
        raise EOFError("the file ends early")
