"""Find the shards of a data set, and expand compressed ones."""

import gzip
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from glob import glob
from pathlib import Path

from yt8m_core.data.tfrecord.records import masked_crc32c
from yt8m_core.data.tfrecord.shard import Shard, report_unreadable
from yt8m_core.errors import UserError
from yt8m_core.progress import Progress, silent
from yt8m_core.storage.atomic import atomic_write
from yt8m_core.workspace import workspace

ENDINGS = (".tfrecord", ".tfrecords", ".tfrecord.gz", ".tfrecords.gz")
MIN_FREE = 1 << 30  # bytes that stay free on the disk of the workspace
_BLOCK = 1 << 22
_HEADER = 12  # bytes of a record before its payload: length and checksum


def find_shards(data: str | Path) -> list[Path]:
    """Return the shards of DATA, sorted by name.

    Args:
        data: a file, a folder, or a glob. The shards of a folder are its files with one of ``ENDINGS``; in a folder
            without any, those that begin like a TFRecord file, such as ``train-00000-of-00100``.

    Raises:
        UserError: there are none.
    """
    pattern = expand_home(data)
    path = pattern.absolute()
    with report_unreadable(path):
        is_file, is_folder = path.is_file(), path.is_dir()
        if is_file:
            return [path]
        if is_folder:
            return _shards_of_folder(path)
    shards = sorted(Path(name).absolute() for name in glob(str(pattern)) if not os.path.isdir(name))
    if not shards:
        raise UserError(
            f"no file matches {path}", advice="Use a .tfrecord file, a folder of them, or a glob in quotes."
        )
    return shards


def _shards_of_folder(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and not path.is_dir())
    shards = [path for path in files if path.name.endswith(ENDINGS)]
    shards = shards or [path for path in files if not path.suffix and _is_tfrecord(_read_header(path))]
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
    until the source changes. Its modification time is that of the source.

    Raises:
        UserError: the compressed data are damaged, or the disk is full.
    """
    path = Path(source.path)
    with report_unreadable(path):
        header = _read_header(path)
    if _is_tfrecord(header) or not _compression(header):
        return source
    key = hashlib.sha256(f"{source.path} {source.size} {source.mtime_ns}".encode()).hexdigest()[:16]
    expanded = workspace() / "expanded" / key / path.name.removesuffix(".gz")
    if not expanded.is_file():
        with atomic_write(expanded) as unfinished, unfinished.open("wb") as file:
            size = 0
            for block in _expand(path, _compression(header)):
                if shutil.disk_usage(expanded.parent).free < MIN_FREE + len(block):
                    raise UserError(
                        f"the disk is full after {size:,} bytes of the expanded shard",
                        where=str(path),
                        advice="Set YT8M_HOME to a folder on another disk.",
                    )
                file.write(block)
                size += len(block)
                progress(f"expanding {path.name}", size, max(size, source.size))
            file.flush()
            os.utime(unfinished, ns=(source.mtime_ns, source.mtime_ns))
    return Shard.at(expanded)


def _read_header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEADER)


def _is_tfrecord(header: bytes) -> bool:
    return len(header) == _HEADER and masked_crc32c(header[:8]) == int.from_bytes(header[8:], "little")


def _compression(header: bytes) -> str:
    """Return the compression of a file by its first bytes: "gzip", "zlib", or an empty string."""
    if header.startswith(b"\x1f\x8b"):
        return "gzip"
    # A zlib header: method 8, and a multiple of 31.
    is_zlib = len(header) > 1 and header[0] & 0x0F == 8 and header[0] >> 4 <= 7 and int.from_bytes(header[:2]) % 31 == 0
    return "zlib" if is_zlib else ""


def _expand(path: Path, compression: str) -> Iterator[bytes]:
    """Yield the expanded bytes of a file in blocks. Raises UserError where they are damaged or no TFRecord file."""
    is_first = True
    try:
        for block in _expand_gzip(path) if compression == "gzip" else _expand_zlib(path):
            if is_first and not _is_tfrecord(block[:_HEADER]):
                raise UserError(
                    f"a {compression} file without TFRecords", where=str(path), expected="a compressed shard"
                )
            is_first = False
            yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"damaged {compression} data ({error})", where=str(path), advice="Download it again, or leave it out."
        ) from None


def _expand_gzip(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        while block := file.read(_BLOCK):
            yield block


def _expand_zlib(path: Path) -> Iterator[bytes]:
    expander = zlib.decompressobj()
    with path.open("rb") as file:
        while not expander.eof:
            if not (data := expander.unconsumed_tail or file.read(_BLOCK)):
                raise EOFError("the file ends early")
            if block := expander.decompress(data, _BLOCK):
                yield block
