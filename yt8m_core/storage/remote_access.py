"""Requests to a bucket or a server through fsspec: time limits, repetition, and errors as sentences."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from yt8m_core.errors import MissingDataError, UserError
from yt8m_core.storage.address import redact

TIMEOUT = 60.0  # seconds for one request
ATTEMPTS = 5  # without a byte between them
PAUSE = 0.5  # seconds before the second attempt, then twice as many
NAMES_ADVICE = "Use a .tfrecord file, a folder of them, or a glob in quotes."
MIN_SECRET = 8  # characters
_SECRET_NAME = re.compile("KEY|SECRET|TOKEN|PASSW|CREDENTIAL", re.IGNORECASE)
_EXTRA = ("s3", "s3a", "gs", "gcs")  # protocols of the extra "remote"

T = TypeVar("T")


def open_filesystem(address: str) -> tuple[Any, str]:
    """Return the file system of fsspec for an address, without a cache of listings, and the path in it."""
    import fsspec

    scheme = address.partition("://")[0].lower()
    options: dict[str, Any] = {"use_listings_cache": False}
    if scheme in ("http", "https"):  # compressed answers have other lengths than the object
        headers = fsspec.config.conf.get(scheme, {}).get("headers", {})
        options["headers"] = {**headers, "Accept-Encoding": "identity"}
    try:
        files, path = fsspec.core.url_to_fs(address, **options)
    except ImportError as error:
        advice = "Install it: pip install 'yt8m[remote]'." if scheme in _EXTRA else f"{error}."
        raise UserError(f"{scheme}:// needs a package that is not installed", where=address, advice=advice) from None
    except ValueError as error:
        raise UserError(f"an address that cannot be used: {error}", where=address) from None
    return files, path


def call(files: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """Call a method of a file system, with a time limit where it can be interrupted."""
    from fsspec.asyn import AsyncFileSystem, sync

    if isinstance(files, AsyncFileSystem):
        return sync(files.loop, getattr(files, f"_{method}"), *arguments, timeout=TIMEOUT, **options)
    return getattr(files, method)(*arguments, **options)


def retry(request: Callable[[], T]) -> T:
    """Return the result of a request, which is repeated where that may help."""
    attempt = 0
    while True:
        try:
            return request()
        except Exception as error:
            attempt += 1
            if is_final(error) or attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE * 2 ** (attempt - 1))


def _status(error: BaseException) -> int:
    """Return the HTTP status of an error of aiohttp, gcsfs or botocore; 0 for any other."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    status = str(getattr(error, "status", None) or getattr(error, "code", None))
    return int(status) if status.isdecimal() else 0


def is_final(error: BaseException) -> bool:
    """Whether another attempt would fail too."""
    if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError | ImportError | UserError):
        return True
    return (400 <= _status(error) < 500 and _status(error) not in (408, 429)) or "Credentials" in type(error).__name__


@contextmanager
def report_failures(address: str) -> Iterator[None]:
    """Convert the exceptions of fsspec and its libraries into a sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise access_error(address, error) from None


def unlisted_error(address: str) -> MissingDataError:
    """Return the error for a folder without an index page."""
    return MissingDataError(
        f"{address}: the server does not list this folder",
        advice=f"Name its shards: '{address.rstrip('/')}/{{a,b}}.tfrecord', or with numbers, {{00..99}}.",
    )


def access_error(address: str, error: BaseException, progress: str = "") -> UserError:
    """Return an exception of fsspec or its libraries as a sentence.

    Args:
        address: what was read.
        error: the exception.
        progress: how far that was, such as " after 5 of 9 bytes".
    """
    if address.lower().startswith("http") and address.endswith("/") and _status(error) in (403, 404, 405):
        return unlisted_error(address)
    if isinstance(error, FileNotFoundError) or _status(error) == 404:
        return MissingDataError(f"no file matches {address}", advice=NAMES_ADVICE)
    if isinstance(error, UserError):
        return error
    is_denied = isinstance(error, PermissionError) or _status(error) in (401, 403)
    if is_denied or "Credentials" in type(error).__name__:
        return UserError(
            f"access is denied ({_describe(error)})",
            where=address,
            advice="Give credentials in the environment or in the configuration of fsspec (docs/data.md).",
        )
    text = f"no answer in {TIMEOUT:g} s" if isinstance(error, TimeoutError) else _describe(error)
    return UserError(
        f"cannot be read{progress}: {text}",
        where=address,
        advice="Check the address and the connection, and repeat the command; complete shards are kept.",
    )


def _describe(error: BaseException) -> str:
    """Return the text of an error without passwords, tokens, and the values of variables for these."""
    text = redact(str(error)) or type(error).__name__
    for name, value in os.environ.items():
        if len(value) >= MIN_SECRET and _SECRET_NAME.search(name):
            text = text.replace(value, "***")
    return text
