"""Objects in a bucket or behind HTTP, through fsspec: their names, their states, and their bytes as a stream.

A request that fails is repeated from the byte at which it failed, with smaller blocks, a bounded number of times. Each
attempt has a time limit, so that a connection that is open but silent ends in an error.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import has_magic
from typing import Any, TypeVar

from yt8m_core.errors import MissingDataError, UserError
from yt8m_core.storage.address import check_address, expand_braces, redact

TIMEOUT = 60.0  # seconds for one request
ATTEMPTS = 5  # without a byte between them
PAUSE = 0.5  # seconds before the second attempt, then twice as many
BLOCK, MIN_BLOCK = 8 << 20, 64 << 10  # bytes of one request
CONCURRENT = 64  # requests for states
# What identifies a version of an object, by store; the first that it has.
_VERSIONS = (
    "ETag", "generation", "md5Hash", "etag", "content_md5", "Content-MD5", "LastModified", "last_modified",
    "Last-Modified", "mtime", "updated", "created",
)  # fmt: skip
NAMES_ADVICE = "Use a .tfrecord file, a folder of them, or a glob in quotes."
_EXTRA = ("s3", "s3a", "gs", "gcs", "http", "https")  # protocols of the extra "remote"

T = TypeVar("T")
Info = Mapping[str, Any]


@dataclass(frozen=True)
class RemoteState:
    """Size of an object in bytes, and what differs between its versions: its ETag, or another property."""

    size: int
    version: str


@dataclass(frozen=True)
class Listing:
    """Names of objects, with the properties that the store lists.

    Attributes:
        address: what was listed.
        is_folder: whether the names are all those of a folder; else they are a file, or what a glob matches.
        entries: properties by address.
    """

    address: str
    is_folder: bool
    entries: Mapping[str, Info]

    def states(self, names: Iterable[str]) -> list[tuple[str, RemoteState]]:
        """Return the states of some of the entries, asking only for those that the listing lacks.

        Raises UserError where the store does not tell the size of an object.
        """
        infos = {name: self.entries[name] for name in names}
        missing = [name for name, info in infos.items() if info.get("size") is None or not _version(info)]
        if missing:
            with _reported(self.address):
                infos |= dict(zip(missing, _retried(self.address, lambda: _infos(missing)), strict=True))
        return [(name, _state(name, info)) for name, info in infos.items()]


def list_objects(address: str) -> Listing:
    """List the objects at an address: a file, a folder, or a glob; braces stand for several addresses.

    Raises:
        MissingDataError: nothing is there.
        UserError: the address has a password or token, its protocol is not installed or unknown, access is denied, or
            the server cannot be reached.
    """
    check_address(address)
    listings = []
    for one in expand_braces(address):
        with _reported(one):
            listings.append(_retried(one, lambda one=one: _list(one)))  # type: ignore[misc]
    entries = {name: info for listing in listings for name, info in listing.entries.items()}
    return Listing(address, len(listings) == 1 and listings[0].is_folder, dict(sorted(entries.items())))


def find_object(data: str, names: Collection[str]) -> str | None:
    """Return the address of the first of some files that lies in the folder of DATA, else in its parent folder.

    Args:
        data: a folder, a file, or a glob.
        names: names of the files.

    Raises UserError where the store cannot be reached, or denies access.
    """
    folder = data.rstrip("/")
    if _is_pattern(folder) or not list_objects(data).is_folder:
        folder = folder.rpartition("/")[0]
    while _is_pattern(folder):
        folder = folder.rpartition("/")[0]
    for parent in (folder, folder.rpartition("/")[0]):
        for name in names if len(parent) > parent.find("://") + 3 else ():
            with suppress(MissingDataError):
                object_state(f"{parent}/{name}")
                return f"{parent}/{name}"
    return None


def _is_pattern(address: str) -> bool:
    """Whether an address stands for several; "?" begins a query in HTTP."""
    is_http = address.lower().startswith("http")
    return "{" in address or has_magic(address.replace("?", "") if is_http else address)


def object_state(address: str) -> RemoteState:
    """Return the present state of an object. Raises as ``list_objects`` does."""
    with _reported(address):
        return _state(address, _retried(address, lambda: _info(address)))


def read_blocks(address: str, state: RemoteState) -> Iterator[bytes]:
    """Yield the bytes of an object in order, and check that they are of one version.

    Args:
        address: the object.
        state: the expected state.

    Raises:
        UserError: the object has another state, before or after it was read; or several attempts in a row fail.
    """
    _check_state(address, state)
    files, path = _filesystem(address)
    at, size, failures = 0, BLOCK, 0
    while at < state.size:
        end = min(at + size, state.size)
        try:
            block: bytes = _call(files, "cat_file", path, start=at, end=end)
            is_whole = at == 0 and len(block) == state.size  # from a server that ignores the range
            if len(block) != end - at and not is_whole:
                raise OSError(f"{len(block):,} bytes in place of {end - at:,}")
        except Exception as error:
            failures += 1
            if _is_final(error) or failures == ATTEMPTS:
                _check_state(address, state)  # an object that has become shorter explains it
                raise _failed(address, error, f" after {at:,} of {state.size:,} bytes") from None
            size = max(size // 8, MIN_BLOCK)
            time.sleep(PAUSE * 2 ** (failures - 1))
            continue
        at, size, failures = at + len(block), min(2 * size, BLOCK), 0
        yield block
    _check_state(address, state)


def read_object(address: str, max_bytes: int) -> bytes:
    """Return the content of a small object. Raises UserError as ``read_blocks`` does, or if it is too large."""
    state = object_state(address)
    if state.size > max_bytes:
        raise UserError(f"{state.size:,} bytes", where=address, expected=f"at most {max_bytes:,}")
    return b"".join(read_blocks(address, state))


def read_start(address: str, num_bytes: int) -> bytes:
    """Return the first bytes of an object. Raises UserError where it cannot be read."""
    with _reported(address):
        files, path = _filesystem(address)
        content: bytes = _retried(address, lambda: _call(files, "cat_file", path, start=0, end=num_bytes))
        return content[:num_bytes]


def _check_state(address: str, state: RemoteState) -> None:
    if object_state(address) != state:
        raise UserError(
            "the object has changed since the data set was opened",
            where=address,
            advice="Open the data set again: repeat the command.",
        )


def _filesystem(address: str) -> tuple[Any, str]:
    """Return the file system of fsspec for an address, without a cache of listings, and the path in it."""
    import fsspec

    scheme = address.partition("://")[0].lower()
    try:
        files, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except ImportError as error:
        advice = "Install it: pip install 'yt8m[remote]'." if scheme in _EXTRA else f"{error}."
        raise UserError(f"{scheme}:// needs a package that is not installed", where=address, advice=advice) from None
    except ValueError as error:
        raise UserError(f"an address that cannot be used: {error}", where=address) from None
    return files, path


def _call(files: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """Call a method of a file system, with a time limit where it can be interrupted."""
    from fsspec.asyn import AsyncFileSystem, sync

    if isinstance(files, AsyncFileSystem):
        return sync(files.loop, getattr(files, f"_{method}"), *arguments, timeout=TIMEOUT, **options)
    return getattr(files, method)(*arguments, **options)


def _list(address: str) -> Listing:
    files, path = _filesystem(address)
    is_http = address.lower().startswith("http")
    if _is_pattern(path):
        found = _call(files, "glob", path, detail=True).values()
        return Listing(address, False, _entries(files, found))
    info = _info(address)
    is_page = is_http and (path.endswith("/") or info.get("mimetype") == "text/html")
    if info.get("type") != "directory" and not is_page:
        return Listing(address, False, {address: info})
    entries = _entries(files, _call(files, "ls", path, detail=True))
    if is_http and not entries:
        raise _unlisted(address)
    return Listing(address, True, entries)


def _entries(files: Any, infos: Iterable[Info]) -> dict[str, Info]:
    found = (info for info in infos if info.get("type") != "directory")
    return {check_address(files.unstrip_protocol(info["name"])): info for info in found}


def _info(address: str) -> Info:
    files, path = _filesystem(address)
    try:
        info: Info = _call(files, "info", path)
    except FileNotFoundError as error:  # fsspec raises it for any failure of HTTP
        raise (error.__cause__ or error) from None
    return info


def _infos(addresses: list[str]) -> list[Info]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(CONCURRENT, len(addresses)), thread_name_prefix="states") as pool:
        return list(pool.map(_info, addresses))


def _version(info: Info) -> str:
    return next((str(info[name]).strip('"') for name in _VERSIONS if info.get(name)), "")


def _state(address: str, info: Info) -> RemoteState:
    size = info.get("size")
    if size is None:
        raise UserError(
            "the server does not tell the size of the object", where=address, expected="a header Content-Length"
        )
    return RemoteState(int(size), _version(info))


def _retried(address: str, request: Callable[[], T]) -> T:
    """Return the result of a request, which is repeated where that may help."""
    for attempt in range(ATTEMPTS):
        try:
            return request()
        except UserError:
            raise
        except Exception as error:
            if _is_final(error) or attempt + 1 == ATTEMPTS:
                raise
            time.sleep(PAUSE * 2**attempt)
    raise AssertionError(address)


def _status(error: BaseException) -> int:
    """Return the HTTP status of an error of aiohttp, gcsfs or botocore; 0 for any other."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    status = getattr(error, "status", None) or getattr(error, "code", None)
    return int(status) if str(status).isdecimal() else 0


def _is_final(error: BaseException) -> bool:
    """Whether another attempt would fail too."""
    if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError | ImportError | UserError):
        return True
    return (400 <= _status(error) < 500 and _status(error) not in (408, 429)) or "Credentials" in type(error).__name__


@contextmanager
def _reported(address: str) -> Iterator[None]:
    """Convert the exceptions of fsspec and its libraries into a sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise _failed(address, error) from None


def _unlisted(address: str) -> MissingDataError:
    return MissingDataError(
        f"{address}: the server does not list this folder",
        advice=f"Name its shards: '{address.rstrip('/')}/{{a,b}}.tfrecord', or with numbers, {{00..99}}.",
    )


def _failed(address: str, error: BaseException, progress: str = "") -> UserError:
    if address.lower().startswith("http") and address.endswith("/") and 400 <= _status(error) < 500:
        return _unlisted(address)
    if isinstance(error, FileNotFoundError) or _status(error) == 404:
        return MissingDataError(f"no file matches {address}", advice=NAMES_ADVICE)
    if isinstance(error, UserError):
        return error
    is_denied = isinstance(error, PermissionError) or _status(error) in (401, 403)
    if is_denied or "Credentials" in type(error).__name__:
        return UserError(
            f"access is denied ({redact(str(error)) or type(error).__name__})",
            where=address,
            advice="Give credentials in the environment or in the configuration of fsspec (docs/data.md).",
        )
    text = f"no answer in {TIMEOUT:g} s" if isinstance(error, TimeoutError) else redact(str(error))
    return UserError(
        f"cannot be read{progress}: {text or type(error).__name__}",
        where=address,
        advice="Check the address and the connection, and repeat the command; complete shards are kept.",
    )
