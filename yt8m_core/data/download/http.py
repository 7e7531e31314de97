"""Download one file over HTTP, with resume, retries, mirrors and an md5 check.

pooch, the usual choice for verified downloads, restarts a file after every error and supports one server per file. For
1.53 TB in files of about 130 MB, that is not enough.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from typing import IO
from urllib.parse import urlsplit

import requests

from yt8m_core.errors import UserError

CHUNK = 64 << 10  # bytes; at most this much is lost when a connection breaks
MAX_MD5_FAILURES = 3  # downloads of one file with a wrong md5 before it counts as failed

ByteProgress = Callable[[int, int], None]  # (bytes received, size of the file or 0 if unknown)


class Unreachable(UserError):
    """No server responds reliably; retrying with the next file is pointless."""


class _Refused(Exception):
    """The server permanently refuses the file."""


class _Interrupted(Exception):
    """Temporary failure of the server or the connection."""


class Transfer:
    """HTTP client that tries mirrors in order, and those that failed last.

    Args:
        rounds: number of times each server is tried for a file.
        pause: seconds between the first and the second round; doubles after each round.
        timeout: seconds without data after which a connection counts as broken.
    """

    def __init__(self, *, rounds: int, pause: float, timeout: float) -> None:
        self._rounds, self._pause, self._timeout = rounds, pause, timeout
        self._failed_hosts: set[str] = set()
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"  # ranges count bytes of the uncompressed file

    def fetch(
        self,
        urls: Sequence[str],
        file: IO[bytes],
        *,
        limit: int,
        md5: str = "",
        progress: ByteProgress = lambda *_: None,
    ) -> None:
        """Append the missing bytes to ``file``, from the first URL that works.

        After an error the file keeps the received bytes, and the next call resumes there.

        Args:
            urls: the same file on several servers, preferred one first.
            file: open for reading and writing; its content is the start of the file.
            limit: maximum size in bytes.
            md5: of the complete file; on a mismatch the file is downloaded again, up to ``MAX_MD5_FAILURES`` times.
            progress: called after each chunk.

        Raises:
            Unreachable: the servers fail, not just this file.
            UserError: all servers refuse this file, or its md5 stays wrong.
        """
        remaining, md5_failures, problem = list(urls), 0, ""
        for turn in range(self._rounds):
            if turn:
                time.sleep(self._pause * 2 ** (turn - 1))
            for url in self._working_first(remaining):
                try:
                    self._request(url, file, limit, progress)
                except _Refused as error:
                    remaining.remove(url)
                    problem = f"{url}: {error}"
                    continue
                except _Interrupted as error:
                    self._failed_hosts.add(urlsplit(url).netloc)
                    problem = f"{url}: {error}"
                    continue
                self._failed_hosts.discard(urlsplit(url).netloc)
                actual = md5_of(file) if md5 else ""
                if actual == md5:
                    return
                file.truncate(0)
                md5_failures += 1
                if md5_failures == MAX_MD5_FAILURES:
                    raise UserError(
                        f"md5 {actual} ({MAX_MD5_FAILURES} times, last from {url})",
                        where=url.rpartition("/")[2],
                        expected=f"md5 {md5}, from the download plan",
                        advice="Run the same command later or with another --mirror: it downloads what is missing.",
                    )
            if not remaining:
                raise UserError(problem, advice="All servers refuse this file.")
        raise Unreachable(problem, advice="Run the same command again to resume.")

    def size(self, urls: Sequence[str]) -> int | None:
        """Return the size of a file in bytes, or None if no server reports it."""
        for url in self._working_first(urls):
            try:
                response = self._session.head(url, timeout=self._timeout, allow_redirects=True)
            except requests.RequestException:
                self._failed_hosts.add(urlsplit(url).netloc)
                continue
            if response.status_code == 200 and (size := _content_length(response)):
                return size
        return None

    def _working_first(self, urls: Sequence[str]) -> list[str]:
        return sorted(urls, key=lambda url: urlsplit(url).netloc in self._failed_hosts)

    def _request(self, url: str, file: IO[bytes], limit: int, progress: ByteProgress) -> None:
        """Request the missing bytes of ``file`` from one server, once."""
        start = file.seek(0, os.SEEK_END)
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            with self._session.get(url, headers=headers, stream=True, timeout=self._timeout) as response:
                status = response.status_code
                if status == 416 and start:  # no bytes after ``start``: the md5 tells whether the file is complete
                    return
                if status >= 500 or status in (408, 429):
                    raise _Interrupted(f"HTTP status {status}")
                if status not in (200, 206):
                    raise _Refused(f"HTTP status {status}")
                if status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    file.truncate(0)
                    raise _Interrupted("the server sent a range that was not requested")
                if status == 200:  # the server ignored the range and sends the whole file
                    start = file.seek(0)
                    file.truncate()
                size = start + _content_length(response)
                for chunk in response.iter_content(CHUNK):
                    start += len(chunk)
                    if start > limit:
                        raise _Refused(f"more than {limit:,} bytes")
                    file.write(chunk)
                    progress(start, size)
        except requests.RequestException as error:
            raise _Interrupted(f"{type(error).__name__} ({str(error)[:200]})") from None


def md5_of(file: IO[bytes]) -> str:
    """Return the md5 of a whole open file as hexadecimal digits."""
    file.seek(0)
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()  # type: ignore[arg-type]


def _content_length(response: requests.Response) -> int:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
