"""A web server on this machine that logs what it is asked, and fails as it is told."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Cut:
    """The connection ends after so many bytes of the answer."""

    after: int


@dataclass(frozen=True)
class Content:
    """Other bytes than the file's."""

    data: bytes


WHOLE = "whole"  # the whole file, though a range was asked for
SHIFTED = "shifted"  # a range, but not the one that was asked for
Fault = int | Cut | Content | str  # an int is a status


@dataclass
class FileServer:
    """Files by path, the faults that the next requests for a path meet, and the log of (path, range)."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    sizes: dict[str, int] = field(default_factory=dict)  # what HEAD says, where that is not the truth
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # with GET
    sized: list[str] = field(default_factory=list)  # asked with HEAD

    def ranges(self, path: str) -> list[str | None]:
        return [wanted for asked, wanted in self.asked if asked == path]


@contextmanager
def serving() -> Iterator[FileServer]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    served = FileServer(f"http://127.0.0.1:{http.server_port}")
    http.served = served  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield served
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        served, path = self._served, self.path.lstrip("/")
        served.sized.append(path)
        if path not in served.files:
            return self._answer(404, b"", 0)
        return self._answer(200, b"", served.sizes.get(path, len(served.files[path])))

    def do_GET(self) -> None:
        served, path, wanted = self._served, self.path.lstrip("/"), self.headers["Range"]
        served.asked.append((path, wanted))
        fault = served.faults[path].pop(0) if served.faults[path] else None
        data = fault.data if isinstance(fault, Content) else served.files.get(path)
        if isinstance(fault, int) or data is None:
            return self._answer(fault if isinstance(fault, int) else 404, b"no")
        start = 0
        if wanted and fault != WHOLE:
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) - (fault == SHIFTED)
            if start >= len(data):
                return self._answer(416, b"")
            self._range = f"bytes {start}-{len(data) - 1}/{len(data)}"
        sent = data[start : start + fault.after] if isinstance(fault, Cut) else data[start:]
        self._answer(206 if wanted and fault != WHOLE else 200, sent, len(data) - start)
        self.close_connection = isinstance(fault, Cut)

    @property
    def _served(self) -> FileServer:
        self._range = ""
        return self.server.served  # type: ignore[attr-defined]

    def _answer(self, status: int, content: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        if self._range:
            self.send_header("Content-Range", self._range)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
