"""A session of the app without a browser: it sends what no browser would."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from urllib.parse import quote

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

TIMEOUT = 60  # seconds


def form_body(content: bytes, name: str = "a.npz") -> bytes:
    """Return the body of a request with a file, as a browser sends it; its boundary is ``limit``."""
    head = f'--limit\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n'
    return head.encode() + b"Content-Type: application/zip\r\n\r\n" + content + b"\r\n--limit--\r\n"


class Session:
    """An open session.

    Attributes:
        address: Host and port of the server.
        connection: The WebSocket.
        id: The session's id at the server.
        exceptions: Messages of the exceptions that pages have shown.
        token: The token that the server gave for uploads.
    """

    def __init__(self, address: str, connection: ClientConnection) -> None:
        self.address, self.connection = address, connection
        self.token = xsrf_token(address)
        self.id = ""
        self.exceptions: list[str] = []
        self.run("")

    def run(self, query: str, page: str = "") -> None:
        """Run the script with a query string, until it has finished."""
        message = BackMsg()
        message.rerun_script.query_string = query
        message.rerun_script.page_name = page
        self.connection.send(message.SerializeToString())
        while True:
            answer = ForwardMsg.FromString(bytes(self.connection.recv(TIMEOUT)))  # type: ignore[arg-type]
            kind = answer.WhichOneof("type")
            if kind == "new_session":
                self.id = answer.new_session.initialize.session_id
            elif kind == "delta" and answer.delta.new_element.WhichOneof("type") == "exception":
                self.exceptions.append(answer.delta.new_element.exception.message)
            elif kind == "script_finished":
                return

    def upload(self, file: str, content: bytes, *, cookie: str | None = None, token: str | None = None) -> int:
        """Upload a file, and return the status of the answer.

        Args:
            file: Id of the file.
            content: Its content.
            cookie: Cookie with the token; that of the browser by default.
            token: Header with the token; the same by default.
        """
        connection = HTTPConnection(self.address, timeout=TIMEOUT)
        headers = {
            "Content-Type": "multipart/form-data; boundary=limit",
            "Cookie": f"_streamlit_xsrf={self.token}" if cookie is None else cookie,
            "X-Xsrftoken": self.token if token is None else token,
        }
        path = f"/_stcore/upload_file/{quote(self.id, safe='')}/{quote(file)}"
        connection.request("PUT", path, form_body(content), headers)
        status = connection.getresponse().status
        connection.close()
        return status


@contextmanager
def open_session(address: str, **options: str) -> Iterator[Session]:
    """Open a session and run its script once.

    Args:
        address: Address of the server, with or without ``http://``.
        options: Further options of the WebSocket, such as its ``origin``.
    """
    address = address.removeprefix("http://")
    url = f"ws://{address}/_stcore/stream"
    with connect(url, subprotocols=["streamlit"], max_size=None, **options) as connection:  # type: ignore[list-item, arg-type]
        yield Session(address, connection)


def xsrf_token(address: str) -> str:
    """Return the token that the server gives to a browser for its uploads."""
    connection = HTTPConnection(address, timeout=TIMEOUT)
    connection.request("GET", "/_stcore/health")
    cookie = re.search(r"_streamlit_xsrf=([^;]+)", connection.getresponse().getheader("Set-Cookie") or "")
    connection.close()
    assert cookie, "the server sets no token"
    return cookie[1]
