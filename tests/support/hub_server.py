"""Stand-in for the Hugging Face Hub on the loopback device: the part of its HTTP API that ``huggingface_hub`` uses.

Repositories with commits and branches, tokens, validation of model cards, commits with regular and LFS files, and
downloads, where large files are redirected to another host as on the Hub. Xet is not spoken: set HF_HUB_DISABLE_XET.
"""

import base64
import hashlib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from huggingface_hub import ModelCard

WRITE, READ = "hf_write", "hf_read"  # the tokens that the server knows
LARGE = (".safetensors", ".parquet")  # files that are stored as LFS objects
END = "end"  # send half of the file, then stop serving
STALL = "stall"  # send half of the file, then wait for ``HubServer.resumed``
Fault = int | str  # an int is a status code

Files = dict[str, bytes]


@dataclass
class Repo:
    """A model repository: its commits by id, and the newest commit of each branch."""

    private: bool = False
    gated: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, branch: str = "main") -> str:
        oid = hashlib.sha1(f"{len(self.commits)} {branch}".encode(), usedforsecurity=False).hexdigest()
        self.commits[oid], self.branches[branch] = files, oid
        return oid

    def files(self, revision: str = "main") -> Files:
        return self.commits[self.branches.get(revision, revision)]


@dataclass
class HubServer:
    """Repositories by name, faults of the next requests of a file, and a log of the requests."""

    port: int
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: Files = field(default_factory=dict)  # LFS objects by SHA-256
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))  # by the end of the path
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, authorization
    stalled: threading.Event = field(default_factory=threading.Event)
    resumed: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self, method: str) -> list[str]:
        return [path for found, path, _ in self.requests if found == method]


@contextmanager
def serve_hub(state: HubServer | None = None) -> Iterator[HubServer]:
    """Run a server in a thread; with the state of one that has ended, at its address."""
    http = ThreadingHTTPServer(("127.0.0.1", 0 if state is None else state.port), _Handler)
    state = state or HubServer(http.server_port)
    http.state = state  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.resumed.set()
        http.shutdown()
        http.server_close()
        thread.join()


class _Refusal(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(status)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        self.state: HubServer = self.server.state  # type: ignore[attr-defined]
        path = unquote(urlsplit(self.path).path)
        self.state.requests.append((method, path, self.headers["Authorization"]))
        self.body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        try:
            self._raise_fault(path, method)
            for pattern, respond in _ROUTES:
                if match := re.fullmatch(pattern, f"{method} {path}"):
                    return respond(self, *match.groups())
            raise _Refusal(404)
        except _Refusal as refusal:
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message}
            self._send(refusal.status, b"" if method == "HEAD" else b"{}", headers)

    def _raise_fault(self, path: str, method: str) -> None:
        self.fault: Fault | None = None
        for end, faults in self.state.faults.items():
            if faults and path.endswith(end) and (isinstance(faults[0], int) or method == "GET"):
                self.fault = faults.pop(0)
                if isinstance(self.fault, int):
                    raise _Refusal(self.fault)

    # --- repositories

    def _token(self, *, write: bool = False) -> str | None:
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ")
        if token and token not in (WRITE, READ):
            raise _Refusal(401, message="Invalid credentials in Authorization header")
        if write and token != WRITE:
            raise _Refusal(403 if token else 401, message="Forbidden")
        return token or None

    def _repo(self, name: str, *, write: bool = False) -> Repo:
        token, repo = self._token(write=write), self.state.repos.get(name)
        if repo is None or (repo.private and not token):
            raise _Refusal(404 if token else 401, "RepoNotFound")
        if repo.gated and token != WRITE:
            raise _Refusal(403, "GatedRepo")
        return repo

    def _files(self, repo: Repo, revision: str) -> Files:
        try:
            return repo.files(revision)
        except KeyError:
            raise _Refusal(404, "RevisionNotFound") from None

    def create_repo(self) -> None:
        self._token(write=True)
        values = json.loads(self.body)
        name = f"{values['organization']}/{values['name']}"
        exists = name in self.state.repos
        if not exists:
            self.state.repos[name] = Repo(private=values.get("visibility") == "private")
            self.state.repos[name].commit({".gitattributes": b""})
        self._send_json({"url": f"{self.state.address}/{name}"}, 409 if exists else 200)

    def create_branch(self, name: str, branch: str) -> None:
        repo = self._repo(name, write=True)
        exists = branch in repo.branches
        repo.branches.setdefault(branch, repo.branches["main"])
        self._send_json({}, 409 if exists else 201)

    def show_repo(self, name: str, revision: str | None) -> None:
        repo = self._repo(name)
        files = self._files(repo, revision or "main")
        siblings = [{"rfilename": path, "size": len(content)} for path, content in files.items()]
        commit = repo.branches.get(revision or "main", revision)
        self._send_json({"id": name, "sha": commit, "private": repo.private, "siblings": siblings})

    # --- upload

    def validate_card(self) -> None:
        content = json.loads(self.body)["content"]
        try:
            ModelCard(content)
            self._send_json({"errors": [], "warnings": []})
        except (yaml.YAMLError, ValueError) as error:
            self._send_json({"errors": [{"message": str(error)}], "warnings": []}, 400)

    def announce(self, name: str, revision: str) -> None:
        files = self._files(self._repo(name, write=True), revision)
        answer = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                "shouldIgnore": False,
                "oid": _oid(file["path"], files[file["path"]]) if file["path"] in files else None,
            }
            for file in json.loads(self.body)["files"]
        ]
        self._send_json({"files": answer})

    def start_upload(self, name: str) -> None:
        self._repo(name, write=True)
        objects = [
            {**entry, "actions": {"upload": {"href": f"{self.state.address}/objects/{entry['oid']}"}}}
            if entry["oid"] not in self.state.objects
            else entry
            for entry in json.loads(self.body)["objects"]
        ]
        self._send_json({"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise _Refusal(400)
        self.state.objects[oid] = self.body
        self._send(200)

    def commit(self, name: str, revision: str) -> None:
        repo = self._repo(name, write=True)
        files = dict(self._files(repo, revision))
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.state.objects[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        oid = repo.commit(files, revision)
        self._send_json({"commitUrl": f"{self.state.address}/{name}/commit/{oid}", "commitOid": oid})

    # --- download

    def resolve(self, method: str, name: str, revision: str, path: str) -> None:
        files = self._files(self._repo(name), revision)
        if path not in files:
            raise _Refusal(404, "EntryNotFound")
        content, headers = files[path], {"X-Repo-Commit": revision, "ETag": f'"{_oid(path, files[path])}"'}
        if not path.endswith(LARGE):
            return self._send_file(method, content, headers)
        oid = _oid(path, content)
        self.state.objects[oid] = content
        headers |= {"X-Linked-Etag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        # Another host name than the address of the server, as the Hub redirects to its CDN.
        location = f"http://localhost:{self.state.port}/objects/{oid}/{path}"
        return self._send(302, b"", {**headers, "Location": location})

    def send_object(self, method: str, oid: str) -> None:
        self._send_file(method, self.state.objects[oid], {"ETag": f'"{oid}"'})

    def _send_file(self, method: str, content: bytes, headers: dict[str, str]) -> None:
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        status, rest = 206 if start else 200, content[start:]
        if method == "HEAD" or self.fault is None:
            return self._send(status, b"" if method == "HEAD" else rest, headers, len(rest))
        self._send(status, rest[: len(rest) // 2], headers, len(rest))
        self.wfile.flush()
        self.close_connection = True
        if self.fault == END:
            self.server.socket.close()  # refuses new connections
        else:
            self.state.stalled.set()
            self.state.resumed.wait(60)

    def _send_json(self, values: Any, status: int = 200) -> None:
        self._send(status, json.dumps(values).encode())

    def _send(
        self, status: int, content: bytes = b"", headers: dict[str, str] | None = None, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _oid(path: str, content: bytes) -> str:
    """Return the id of a file: SHA-256 of an LFS file, git's hash of any other."""
    if path.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


_NAME = r"([^/]+/[^/]+?)"
_ROUTES: list[tuple[str, Any]] = [
    (r"POST /api/repos/create", _Handler.create_repo),
    (rf"POST /api/models/{_NAME}/branch/(.+)", _Handler.create_branch),
    (rf"GET /api/models/{_NAME}(?:/revision/(.+))?", _Handler.show_repo),
    (r"POST /api/validate-yaml", _Handler.validate_card),
    (rf"POST /api/models/{_NAME}/preupload/(.+)", _Handler.announce),
    (rf"POST /{_NAME}\.git/info/lfs/objects/batch", _Handler.start_upload),
    (r"PUT /objects/(\w+)", _Handler.upload),
    (rf"POST /api/models/{_NAME}/commit/(.+)", _Handler.commit),
    (rf"(GET|HEAD) /{_NAME}/resolve/([^/]+)/(.+)", _Handler.resolve),
    (r"(GET|HEAD) /objects/(\w+)/.+", _Handler.send_object),
]
