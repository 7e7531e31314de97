"""The app at a name or behind a proxy: whom it answers, and what a hostile client can do to others."""

import base64
import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from benchmarks.app_load import attack
from benchmarks.process_memory import resident
from tests.app.test_server_faults import GUARD, attempts, get, with_hooks
from tests.conftest import ROOT
from tests.support.server import served, smoke_environment
from tests.support.session import open_session

pytestmark = pytest.mark.slow
PATHS = (
    "/",
    "/_stcore/health",
    "/_stcore/host-config",
    "/static/index.html",
    "/media/a.csv",
    "/_stcore/upload_file/a/b",
)


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the program that records what the server connects to."""
    return tmp_path_factory.mktemp("hooks")


@pytest.fixture(scope="module")
def address(demo_home: Path, hooks: Path) -> Iterator[str]:
    name = {"STREAMLIT_BROWSER_SERVER_ADDRESS": "inspector.example"}
    with served({**smoke_environment(demo_home), **with_hooks(hooks, GUARD), **name}) as address:
        yield address.removeprefix("http://")


def socket_status(address: str, host: str, origin: str | None) -> int:
    """Open a WebSocket, and return the status of the answer."""
    handshake = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Host": host,
    }  # fmt: skip
    return get(address, "/_stcore/stream", **handshake, **({} if origin is None else {"Origin": origin}))[0]


@pytest.mark.fault
def test_name_that_leads_to_this_machine_but_is_not_the_apps_is_refused(address: str) -> None:
    port = address.partition(":")[2]
    for host in ("another.example", f"another.example:{port}", "localhost.another.example", "127.0.0.1.nip.example", "",
                 "[::1", "127.0.0.2", "inspector.example@another.example", "inspector.example."):  # fmt: skip
        for path in PATHS:
            assert get(address, path, Host=host)[0] in (400, 403), (host, path)
        assert socket_status(address, host, f"http://{host}") in (400, 403), host
    for host in (address, f"localhost:{port}", "localhost", "[::1]", "inspector.example", "Inspector.Example:443"):
        assert get(address, "/_stcore/health", Host=host)[0] == 200, host
        assert socket_status(address, host, f"https://{host}") == 101, host


@pytest.mark.fault
def test_page_of_another_server_cannot_connect_and_the_server_asks_nobody(address: str, hooks: Path) -> None:
    """Streamlit asks for the addresses of this machine when it compares an origin with them."""
    for origin in ("http://another.example", "null", "", "http://127.0.0.1:1", "http://localhost", f"ftp:{address}",
                   f"http://{address}.another.example", f"http://{address}@another.example"):  # fmt: skip
        assert socket_status(address, address, origin) == 403, origin
    assert socket_status(address, address, f"http://{address}") == 101
    assert attempts(hooks) == ""


@pytest.mark.fault
def test_upload_needs_the_token_of_a_browser_and_an_open_session(address: str) -> None:
    with open_session(address) as session:
        other = "_streamlit_xsrf=2|00000000|00|1"
        for cookie, token in (("", ""), (None, ""), ("", None), (None, "2|00000000|00|1"), (other, None)):
            assert session.upload("a", b"content", cookie=cookie, token=token) == 403
        assert session.upload("a", b"content") == 204
        session.id = "another"
        assert session.upload("a", b"content") == 400


@pytest.mark.fault
def test_garbage_of_one_client_ends_only_its_session(address: str) -> None:
    frames: tuple[bytes | str, ...] = (
        b"\xff" * 1000,
        b"",
        b"\0" * 1_000_000,
        "text",
        b"\x0a\xff\xff\xff\xff\x0f",
        os.urandom(9999),
    )
    with open_session(address) as other:
        before = resident(address)
        for frame in frames * 5:
            with open_session(address) as hostile, contextlib.suppress(ConnectionClosed):
                for _ in range(20):
                    hostile.connection.send(frame)
        other.run("")
        assert resident(address) < before + (100 << 20)


@pytest.mark.fault
def test_huge_queries_of_one_client_do_not_slow_down_others(address: str) -> None:
    queries = (
        "&".join(f"key{number}=value" for number in range(100_000)),
        "&".join(f"run={number}" for number in range(100_000)),
        "run=" + "x" * 10_000_000,
        "&" * 1_000_000,
        "%" * 1_000_000,
    )
    with open_session(address) as hostile, open_session(address) as other:
        before = resident(address)
        for query in queries:
            hostile.run(query)
            started = time.monotonic()
            other.run("")
            assert time.monotonic() - started < 10
        assert resident(address) < before + (200 << 20)


def test_hostile_session_of_the_benchmark_leaves_the_others_working(address: str) -> None:
    with open_session(address) as other:
        counts = attack(address, time.monotonic() + 8)
        other.run("")
    assert counts.total() > 3, counts


# --- behind a proxy


def documented_proxy(folder: Path, app: str, port: int) -> Path:
    """Write the configuration of docs/app_server.md for this machine, with a certificate and a password."""
    text = (ROOT / "docs" / "app_server.md").read_text()
    (server,) = re.findall(r"^```nginx\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=inspector.example.org"]
    files = ["-keyout", str(folder / "inspector.key"), "-out", str(folder / "inspector.crt")]
    subprocess.run([*certificate, *files], check=True, capture_output=True)
    password = subprocess.run(["openssl", "passwd", "-6", "secret"], check=True, capture_output=True, text=True).stdout
    (folder / "inspector.passwords").write_text(f"name:{password}")
    for documented, own in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/nginx/": f"{folder}/",
        "http://127.0.0.1:8501": f"http://{app}",
    }.items():
        assert documented in server
        server = server.replace(documented, own)
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{name}_temp_path {folder}/{name};\n" for name in names)
    user = "user root;\n" if os.geteuid() == 0 else ""  # who may read this folder
    start = f"daemon off;\n{user}pid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{start}http {{\naccess_log off;\n{paths}{server}}}\n")
    return folder / "nginx.conf"


def proxy_status(port: int, request: str, body: bytes = b"") -> int:
    """Send a request through TLS, and return the status of the answer."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="inspector.example.org") as connection,
    ):
        connection.sendall(request.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        return int(connection.recv(1000).split(b" ")[1])


@pytest.mark.fault
@pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="no nginx")
def test_documented_proxy_asks_for_the_password_and_passes_on_the_app(demo_home: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = f"inspector.example.org:{port}"
    host = f"Host: {name}"
    password = f"Authorization: Basic {base64.b64encode(b'name:secret').decode()}"
    upgrade = "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13"
    stream = f"GET /_stcore/stream HTTP/1.1\n{upgrade}\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    put = f"PUT /_stcore/upload_file/a/b HTTP/1.1\n{host}"
    variables = {**smoke_environment(demo_home), "STREAMLIT_BROWSER_SERVER_ADDRESS": "inspector.example.org"}
    with served(variables) as address:
        configuration = documented_proxy(tmp_path, address.removeprefix("http://"), port)
        nginx = subprocess.Popen(["nginx", "-c", configuration], stderr=subprocess.DEVNULL)
        try:
            for _ in range(100):
                with contextlib.suppress(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                assert nginx.poll() is None, (tmp_path / "error.log").read_text()
                time.sleep(0.1)
            page = f"GET / HTTP/1.1\n{host}"
            assert proxy_status(port, page) == 401
            assert proxy_status(port, f"{page}\nAuthorization: Basic {base64.b64encode(b'name:wrong').decode()}") == 401
            assert proxy_status(port, f"{stream}\n{host}\nOrigin: https://{name}") == 401
            assert proxy_status(port, put) == 401
            assert proxy_status(port, f"{page}\n{password}") == 200
            assert proxy_status(port, f"{stream}\n{host}\n{password}\nOrigin: https://{name}") == 101
            assert proxy_status(port, f"{stream}\n{host}\n{password}\nOrigin: https://another.example") == 403
            other = "Host: another.example\nOrigin: https://another.example"
            assert proxy_status(port, f"{stream}\n{other}\n{password}") == 403
            assert proxy_status(port, f"{put}\n{password}\nContent-Length: {22 << 20}") == 413
            assert proxy_status(port, f"{put}\n{password}\nContent-Length: 1", b"x") == 403  # no token
        finally:
            nginx.terminate()
            nginx.wait(20)
