"""How much memory uploaded files may take: of one session, and of all sessions of the server.

Streamlit limits one file. A session may send any number of them to its address, on the page or not, and each stays in
memory until it is removed or the session ends. This stands before Streamlit's upload address. A file that exceeds the
budget is replaced by a mark, which the page shows as a sentence; a status would be shown as a number.
"""

import re
from collections import defaultdict
from collections.abc import Mapping

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config, runtime

from yt8m_core.errors import UserError

SESSION_BYTES = 64 << 20
SERVER_BYTES = 512 << 20
MAX_FILES = 64  # of a session, also of marks
OVER_SESSION, OVER_SERVER = b"\0yt8m: over the budget of the session", b"\0yt8m: over the budget of the server"
UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+/?")
BOUNDARY = re.compile(rb'boundary="?([^";,\s]{1,70})')
FRAMING = 16 << 10  # bytes around the file in a request


def check_budget(name: str, content: bytes) -> None:
    """Check that the content of a file is not the mark of a file that exceeds the budget.

    Raises:
        UserError: It is one.
    """
    if content == OVER_SESSION:
        found, advice = f"the files of this session have more than {SESSION_BYTES >> 20} MiB", "Remove some of them"
    elif content == OVER_SERVER:
        found, advice = f"the files of all sessions have more than {SERVER_BYTES >> 20} MiB", "Wait for other sessions"
    else:
        return
    raise UserError(f"not uploaded: {found}", where=name, advice=f"{advice}, and upload this one again.")


class UploadBudget:
    """ASGI middleware that bounds the files that sessions upload.

    Attributes:
        app: The application behind it.
        arriving: Sizes in bytes of the files that are being uploaded, by session.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.arriving: defaultdict[str, list[int]] = defaultdict(list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request. Only uploads are changed."""
        match = UPLOAD.search(scope["path"]) if scope["type"] == "http" and scope["method"] == "PUT" else None
        if match is None:
            await self.app(scope, receive, send)
            return
        session, size, stored = match[1], _size(scope), _stored_sizes()
        own = [*stored.get(session, []), *self.arriving.get(session, [])]
        if len(own) >= MAX_FILES:
            response = PlainTextResponse(f"more than {MAX_FILES} files in one session", 413)
            await response(scope, receive, send)
            return
        arriving = sum(map(sum, self.arriving.values()))
        if sum(map(sum, stored.values())) + arriving + size > SERVER_BYTES:
            stored = _free_closed_sessions(stored)
        if sum(own) + size > SESSION_BYTES:
            receive, size = _with_content(scope, receive, OVER_SESSION), 0
        elif sum(map(sum, stored.values())) + arriving + size > SERVER_BYTES:
            receive, size = _with_content(scope, receive, OVER_SERVER), 0
        self.arriving[session].append(size)
        try:
            await self.app(scope, receive, send)
        finally:
            self.arriving[session].remove(size)
            if not self.arriving[session]:
                del self.arriving[session]


def _stored_sizes() -> Mapping[str, list[int]]:
    """Return the sizes in bytes of the uploaded files of each session."""
    files = runtime.get_instance().uploaded_file_mgr.file_storage  # type: ignore[attr-defined]
    return {session: [len(file.data) for file in [*own.values()]] for session, own in [*files.items()]}


def _free_closed_sessions(stored: Mapping[str, list[int]]) -> Mapping[str, list[int]]:
    """Remove the files of sessions whose page is closed, which Streamlit keeps for minutes; return the other sizes."""
    server = runtime.get_instance()
    for session in stored:
        if not server.is_active_session(session):
            server.uploaded_file_mgr.remove_session_files(session)
    return _stored_sizes()


def _size(scope: Scope) -> int:
    """Return the bytes that a request may send: Streamlit's limit where it does not say."""
    length = dict(scope["headers"]).get(b"content-length", b"")
    limit: int = config.get_option("server.maxUploadSize")
    return int(length) if re.fullmatch(rb"\d{1,12}", length) else (limit << 20) + FRAMING


def _with_content(scope: Scope, receive: Receive, content: bytes) -> Receive:
    """Return what receives the request with other content of its file, in little memory."""
    found = BOUNDARY.search(dict(scope["headers"]).get(b"content-type", b""))

    async def receive_replaced() -> Message:
        head = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return message
            if len(head) < FRAMING:
                head += message.get("body", b"")[:FRAMING]
            if not message.get("more_body"):  # the browser takes an answer before the end for a failure
                break
        start, blank, _ = head.partition(b"\r\n\r\n")
        end = b"\r\n--" + found[1] + b"--\r\n" if found else b""
        return {"type": "http.request", "body": start + blank + content + end if blank else b"", "more_body": False}

    return receive_replaced
