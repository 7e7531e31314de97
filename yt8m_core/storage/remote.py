"""Objects in a bucket or behind HTTP, through fsspec: their names, their states, and their bytes as a stream.

A request that fails is repeated from the byte at which it failed, with smaller blocks, a bounded number of times. Each
attempt has a time limit, so that a connection that is open but silent ends in an error.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from glob import has_magic
from typing import Any

from yt8m_core.errors import MissingDataError, UserError
from yt8m_core.storage import remote_access
from yt8m_core.storage.address import check_address, expand_braces
from yt8m_core.storage.remote_access import (
    access_error,
    call,
    is_final,
    open_filesystem,
    report_failures,
    retry,
    unlisted_error,
)

BLOCK, MIN_BLOCK = 8 << 20, 64 << 10  # bytes of one request
CONCURRENT = 64  # requests for states
# What identifies a version of an object, by store; the first that it has.
_VERSIONS = (
    "ETag", "generation", "md5Hash", "etag", "content_md5", "Content-MD5", "LastModified", "last_modified",
    "Last-Modified", "mtime", "updated", "created",
)  # fmt: skip

Info = Mapping[str, Any]


@dataclass(frozen=True)
class RemoteState:
    """Size of an object in bytes, and what differs between its versions: its ETag, or another property, with its name.

    Of a server that tells neither ETag nor time, the version is empty: changes of the same size are not noticed.
    """

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
            with report_failures(self.address):
                infos |= dict(zip(missing, retry(lambda: _infos(missing)), strict=True))
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
        with report_failures(one):
            listings.append(retry(lambda one=one: _list(one)))  # type: ignore[misc]
    entries = {name: info for listing in listings for name, info in listing.entries.items()}
    entries = {name: entries[name] for name in sorted(entries, key=lambda name: name.split("/"))}  # as paths
    return Listing(address, len(listings) == 1 and listings[0].is_folder, entries)


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
    with report_failures(address):
        return _state(address, retry(lambda: _info(address)))


def read_blocks(address: str, state: RemoteState) -> Iterator[bytes]:
    """Yield the bytes of an object in order, and check that they are of one version.

    Args:
        address: the object.
        state: the expected state.

    Raises:
        UserError: the object has another state, before or after it was read; or several attempts in a row fail.
    """
    _check_state(address, state)
    files, path = open_filesystem(address)
    at, size, failures = 0, BLOCK, 0
    while at < state.size:
        end = min(at + size, state.size)
        try:
            block: bytes = call(files, "cat_file", path, start=at, end=end)
            is_whole = at == 0 and len(block) == state.size  # from a server that ignores the range
            if len(block) != end - at and not is_whole:
                raise OSError(f"{len(block):,} bytes in place of {end - at:,}")
        except Exception as error:
            failures += 1
            if is_final(error) or failures == remote_access.ATTEMPTS:
                _check_state(address, state)  # an object that has become shorter explains it
                raise access_error(address, error, f" after {at:,} of {state.size:,} bytes") from None
            size = max(size // 8, MIN_BLOCK)
            time.sleep(remote_access.PAUSE * 2 ** (failures - 1))
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
    with report_failures(address):
        files, path = open_filesystem(address)
        content: bytes = retry(lambda: call(files, "cat_file", path, start=0, end=num_bytes))
        return content[:num_bytes]


def _check_state(address: str, state: RemoteState) -> None:
    with report_failures(address):
        info = retry(lambda: _info(address))
    names = [state.version.partition("=")[0]]  # a store may list fewer properties than it tells of one object
    if _state(address, info, names) != state:
        raise UserError(
            "the object has changed since the data set was opened",
            where=address,
            advice="Open the data set again: repeat the command.",
        )


def _list(address: str) -> Listing:
    files, path = open_filesystem(address)
    is_http = address.lower().startswith("http")
    if _is_pattern(path):
        found = call(files, "glob", path, detail=True).values()
        return Listing(address, False, _entries(files, found))
    info = _info(address)
    is_page = is_http and (path.endswith("/") or info.get("mimetype") == "text/html")
    if info.get("type") != "directory" and not is_page:
        return Listing(address, False, {address: info})
    entries = _entries(files, call(files, "ls", path, detail=True))
    if is_http and not entries:
        raise unlisted_error(address)
    return Listing(address, True, entries)


def _entries(files: Any, infos: Iterable[Info]) -> dict[str, Info]:
    found = (info for info in infos if info.get("type") != "directory")
    return {check_address(files.unstrip_protocol(info["name"])): info for info in found}


def _info(address: str) -> Info:
    files, path = open_filesystem(address)
    try:
        info: Info = call(files, "info", path)
    except FileNotFoundError as error:  # fsspec raises it for any failure of HTTP
        raise (error.__cause__ or error) from None
    return info


def _infos(addresses: list[str]) -> list[Info]:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(CONCURRENT, len(addresses)), thread_name_prefix="states") as pool:
        return list(pool.map(_info, addresses))


def _version(info: Info, names: Sequence[str] = _VERSIONS) -> str:
    """Return the first of some properties that an object has, with its name; empty if it has none."""
    for name in names:
        if value := info.get(name):
            text = value.timestamp() if isinstance(value, datetime) else value
            return f"{name}={text}"
    return ""


def _state(address: str, info: Info, names: Sequence[str] = _VERSIONS) -> RemoteState:
    size = info.get("size")
    if size is None:
        raise UserError(
            "the server does not tell the size of the object", where=address, expected="a header Content-Length"
        )
    return RemoteState(int(size), _version(info, names))
