"""One file over HTTP: resumed where it broke off, tried again, asked of another server, and checked.

pooch, the usual choice for checked downloads, throws away what it has at every fault and knows one server a file; of
1.53 TB in files of about 130 MB, that is too much.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from typing import IO
from urllib.parse import urlsplit

import requests

from yt8m_core.errors import UserError

CHUNK = 64 << 10  # bytes: no more than this is lost when a connection breaks off
WRONG = 3  # so often a file may arrive with another md5 than it should have

Arrived = Callable[[int, int], None]  # bytes of the file that are here, its size (0 where the server does not say)


class Unreachable(UserError):
    """No server answers, or none keeps its connection: the next file would fare no better."""


class _Refused(Exception):
    """The server will not give this file, however often it is asked."""


class _Broken(Exception):
    """The server is not itself just now, or the connection is not."""


class Transfer:
    """Fetches files, and remembers which servers were down, so that these are asked last.

    Args:
        rounds: how often each server is asked for a file before it is given up.
        pause: seconds between the first and the second round; each further pause is twice as long.
        timeout: seconds without a byte after which a connection counts as broken.
    """

    def __init__(self, *, rounds: int, pause: float, timeout: float) -> None:
        self._rounds, self._pause, self._timeout = rounds, pause, timeout
        self._down: set[str] = set()
        self._session = requests.Session()
        self._session.headers["Accept-Encoding"] = "identity"  # the bytes of the file, which a range counts

    def fetch(
        self, urls: Sequence[str], file: IO[bytes], *, limit: int, md5: str = "", arrived: Arrived = lambda *_: None
    ) -> None:
        """Append to ``file`` what it lacks, from the first of the addresses that gives it.

        After a fault the file holds what had arrived, and a later call goes on from there.

        Args:
            urls: the same file on several servers, the preferred one first.
            file: open for reading and writing; what is in it counts as the beginning.
            limit: no more bytes than this are taken.
            md5: of the whole file; a file with another one is emptied and fetched again, up to ``WRONG`` times.
            arrived: told how far it is.

        Raises:
            Unreachable: the servers fail, not just this file.
            UserError: the servers refuse this file, or its md5 stays wrong.
        """
        left, wrong, fault = list(urls), 0, ""
        for turn in range(self._rounds):
            if turn:
                time.sleep(self._pause * 2 ** (turn - 1))
            for url in sorted(left, key=lambda url: urlsplit(url).netloc in self._down):
                try:
                    self._receive(url, file, limit, arrived)
                except _Refused as error:
                    left.remove(url)
                    fault = f"{url}: {error}"
                    continue
                except _Broken as error:
                    self._down.add(urlsplit(url).netloc)
                    fault = f"{url}: {error}"
                    continue
                self._down.discard(urlsplit(url).netloc)
                found = md5_of(file) if md5 else ""
                if found == md5:
                    return
                file.truncate(0)
                wrong += 1
                if wrong == WRONG:
                    raise UserError(
                        f"a file with the md5 {found} ({WRONG} times, now from {url})",
                        where=url.rpartition("/")[2],
                        expected=f"the md5 {md5}, as the download plan says",
                        advice="Run the same command later or with another --mirror: it fetches what is missing.",
                    )
            if not left:
                raise UserError(fault, advice="The server, or every mirror, refuses it.")
        raise Unreachable(fault, advice="Run the same command again: it goes on from here.")

    def size(self, urls: Sequence[str]) -> int | None:
        """How many bytes the file has, if one of the servers says so at once."""
        for url in sorted(urls, key=lambda url: urlsplit(url).netloc in self._down):
            try:
                answer = self._session.head(url, timeout=self._timeout, allow_redirects=True)
            except requests.RequestException:
                self._down.add(urlsplit(url).netloc)
                continue
            if answer.status_code == 200 and (size := _content_length(answer)):
                return size
        return None

    def _receive(self, url: str, file: IO[bytes], limit: int, arrived: Arrived) -> None:
        """Ask one server once, for what ``file`` lacks."""
        start = file.seek(0, os.SEEK_END)
        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            with self._session.get(url, headers=headers, stream=True, timeout=self._timeout) as answer:
                status = answer.status_code
                if status == 416 and start:  # there is nothing after what is here: the md5 says what that is worth
                    return
                if status >= 500 or status in (408, 429):
                    raise _Broken(f"HTTP status {status}")
                if status not in (200, 206):
                    raise _Refused(f"HTTP status {status}")
                if status == 206 and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                    file.truncate(0)
                    raise _Broken("another range of the file than was asked for")
                if status == 200:  # all of it, whatever was asked for
                    start = file.seek(0)
                    file.truncate()
                size = start + _content_length(answer)
                for chunk in answer.iter_content(CHUNK):
                    start += len(chunk)
                    if start > limit:
                        raise _Refused(f"more than {limit:,} bytes")
                    file.write(chunk)
                    arrived(start, size)
        except requests.RequestException as error:
            raise _Broken(f"{type(error).__name__} ({str(error)[:200]})") from None


def md5_of(file: IO[bytes]) -> str:
    """The md5 of a whole open file, in hexadecimal digits."""
    file.seek(0)
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()  # type: ignore[arg-type]


def _content_length(answer: requests.Response) -> int:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
