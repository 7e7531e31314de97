"""Local HTTP server that logs requests and simulates faults."""

import gzip
import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Cut:
    """Close the connection after this many bytes of the response."""

    after: int


@dataclass(frozen=True)
class Content:
    """Send other bytes than those of the file."""

    data: bytes


IGNORE_RANGE = "ignore range"  # send the whole file although a range was requested
SHIFT_RANGE = "shift range"  # send another range than the requested one
Fault = int | Cut | Content | str  # an int is a status code


@dataclass
class FileServer:
    """Files by path, faults for the next requests of a path, and logs of the requests."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    pause: float = 0  # seconds before each 64 KiB of a response
    sizes: dict[str, int] = field(default_factory=dict)  # false sizes for HEAD
    has_etags: bool = False  # of the contents
    compresses: bool = False  # answers to clients that accept gzip
    token: str = ""  # that requests must have in their header Authorization, if any
    lists_folders: bool = False  # as HTML pages with links
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # GET: path and range
    size_requests: list[str] = field(default_factory=list)  # HEAD: path

    def page(self, folder: str) -> bytes | None:
        """Return the page of a folder with a link to each file in it; None for anything else."""
        names = {path.removeprefix(folder).split("/")[0] for path in self.files if path.startswith(folder)}
        if not self.lists_folders or not names or not folder.endswith("/"):
            return None
        return "".join(f'<a href="{name}">{name}</a>\n' for name in sorted(names)).encode()

    def ranges(self, path: str) -> list[str | None]:
        return [requested_range for requested, requested_range in self.requests if requested == path]


@contextmanager
def serve_files() -> Iterator[FileServer]:
    """Run a server in a thread."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server = FileServer(f"http://127.0.0.1:{http.server_port}")
    http.file_server = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        server, path = self._file_server, self.path.lstrip("/")
        server.size_requests.append(path)
        if server.token and self.headers["Authorization"] != server.token:
            return self._respond(401, b"", 0)
        if server.page(path) is not None:
            return self._respond(200, b"", 0, "text/html")
        if path not in server.files:
            return self._respond(404, b"", 0)
        return self._respond(200, b"", server.sizes.get(path, len(server.files[path])))

    def do_GET(self) -> None:
        server, path, requested_range = self._file_server, self.path.lstrip("/"), self.headers["Range"]
        server.requests.append((path, requested_range))
        if server.token and self.headers["Authorization"] != server.token:
            return self._respond(401, b"no")
        fault = server.faults[path].pop(0) if server.faults[path] else None
        if (page := server.page(path)) is not None:
            return self._respond(200, page, None, "text/html")
        data = fault.data if isinstance(fault, Content) else server.files.get(path)
        if isinstance(fault, int) or data is None:
            return self._respond(fault if isinstance(fault, int) else 404, b"no")
        if server.compresses and "gzip" in self.headers.get("Accept-Encoding", ""):
            return self._respond(200, gzip.compress(data), None, encoding="gzip")
        start, end = 0, len(data)
        if requested_range and fault != IGNORE_RANGE:
            first, _, last = requested_range.removeprefix("bytes=").partition("-")
            start, end = int(first) - (fault == SHIFT_RANGE), min(int(last) + 1, len(data)) if last else len(data)
            if start >= len(data):
                return self._respond(416, b"")
            self._range = f"bytes {start}-{end - 1}/{len(data)}"
        sent = data[start : start + fault.after] if isinstance(fault, Cut) else data[start:end]
        self._respond(206 if requested_range and fault != IGNORE_RANGE else 200, sent, end - start)
        self.close_connection = isinstance(fault, Cut)

    @property
    def _file_server(self) -> FileServer:
        self._range = ""
        return self.server.file_server  # type: ignore[attr-defined]

    def _respond(
        self, status: int, content: bytes, length: int | None = None, kind: str = "", encoding: str = ""
    ) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Encoding", encoding)):
            if value:
                self.send_header(name, value)
        server: FileServer = self.server.file_server  # type: ignore[attr-defined]
        file = server.files.get(self.path.lstrip("/"))
        if server.has_etags and file is not None:
            self.send_header("ETag", f'"{hashlib.md5(file, usedforsecurity=False).hexdigest()}"')
        self.send_header("Content-Length", str(len(content) if length is None else length))
        if self._range:
            self.send_header("Content-Range", self._range)
        self.end_headers()
        for start in range(0, len(content), 1 << 16):
            if self._file_server.pause:
                time.sleep(self._file_server.pause)
            self.wfile.write(content[start : start + (1 << 16)])

    def log_message(self, *_: object) -> None:
        pass
