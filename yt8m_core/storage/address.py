"""Addresses of data on other machines: ``s3://bucket/train``, ``https://host/a.tfrecord`` and others of fsspec.

An address has no password and no token: addresses are stored with runs and indexes, and printed. Credentials are those
of fsspec and its libraries, from the environment or from their own files.
"""

import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from yt8m_core.errors import UserError

# Two letters at least: C:// is a path of Windows.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::[A-Za-z0-9+.-]+)*://")
_PASSWORD = re.compile(r"(?<=://)[^/\s@]*:[^/\s@]*@|(?<=http://)[^/\s@]*@|(?<=https://)[^/\s@]*@")
_QUERY = re.compile(r"(?<=\?)[^\s'\")]+")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
MAX_ADDRESSES = 100_000  # that braces may stand for


def is_address(data: str | Path) -> bool:
    """Whether DATA is the address of data on another machine.

    >>> is_address("s3://bucket/train"), is_address("/data/train"), is_address("C://data")
    (True, False, False)
    """
    return isinstance(data, str) and _ADDRESS.match(data) is not None


def redact(text: str) -> str:
    """Return a message with asterisks in place of the passwords and queries of its addresses.

    >>> redact("https://ada:secret@host/a.tfrecord?X-Amz-Signature=12 was not found")
    'https://***@host/a.tfrecord?*** was not found'
    """
    return re.sub(r"https?://\S+", lambda found: _QUERY.sub("***", found[0]), _PASSWORD.sub("***@", text))


def check_address(address: str) -> str:
    """Return an address that may be stored and printed.

    Raises:
        UserError: It has a password, or a query, which may have a token; or it joins several protocols.
    """
    shown = redact(address)
    is_http = address.lower().startswith("http")
    if shown != address or (is_http and "?" in address):
        kind = "a query, which may have a token" if _PASSWORD.search(address) is None else "a user name or a password"
        raise UserError(
            f"an address with {kind}",
            where=shown,
            expected="one without, because runs store it",
            advice="Give credentials in the environment or in the configuration of fsspec (docs/data.md).",
        )
    if "::" in address.partition("://")[0]:
        raise UserError("several protocols", where=address, expected="one, such as s3://")
    try:
        address.encode()
    except UnicodeEncodeError:
        raise UserError("a name that is not UTF-8", where=ascii(address), expected="an address in Unicode") from None
    return address


def expand_braces(address: str) -> list[str]:
    """Return the addresses that braces stand for: a list, or a range of numbers.

    >>> expand_braces("http://host/{train,test}{08..10}.tfrecord")[2:4]
    ['http://host/train10.tfrecord', 'http://host/test08.tfrecord']
    """
    addresses = [address]
    while any(_BRACES.search(one) for one in addresses):
        expanded = (other for one in addresses for other in _expand_first(one))
        addresses = list(islice(expanded, MAX_ADDRESSES + 1))
        if len(addresses) > MAX_ADDRESSES:
            raise UserError(f"more than {MAX_ADDRESSES:,} addresses", where=address)
    return list(dict.fromkeys(addresses))


def _expand_first(address: str) -> Iterator[str]:
    """Yield the addresses that the first braces stand for; the address itself without braces."""
    found = _BRACES.search(address)
    if found is None:
        yield address
        return
    names: Iterable[str] = found[1].split(",")
    if numbers := _RANGE.fullmatch(found[1]):
        width = len(numbers[1])
        names = (f"{number:0{width}}" for number in range(int(numbers[1]), int(numbers[2]) + 1))
    for name in names:
        yield f"{address[: found.start()]}{name}{address[found.end() :]}"


def split_paths(text: str) -> list[str]:
    """Split a list of paths and addresses, such as that in ``YT8M_DATA``, at the colons between them.

    >>> split_paths("/data:s3://bucket/a:http://127.0.0.1:8000/b:/c")
    ['/data', 's3://bucket/a', 'http://127.0.0.1:8000/b', '/c']
    """
    paths: list[str] = []
    for part in filter(None, text.split(os.pathsep)):
        last = paths[-1] if paths else ""
        is_scheme = part.startswith("//") and is_address(f"{last}://")
        is_port = is_address(last) and "/" not in last.partition("://")[2] and re.match(r"\d+(/|$)", part)
        if os.pathsep == ":" and (is_scheme or is_port):
            paths[-1] = f"{last}:{part}"
        else:
            paths.append(part)
    return paths
