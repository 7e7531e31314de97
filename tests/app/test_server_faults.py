"""The app as a server: who can reach it, what it serves, and that sessions and the network do not matter."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from playwright.sync_api import Browser, expect

from supply.pins import read_pins
from tests.conftest import ROOT, skip_or_fail
from tests.support.browser import follow_link, open_browser_page, wait_for_page
from tests.support.pages import PAGES
from tests.support.server import served, smoke_environment

# A sitecustomize.py: refuses connections to other machines and records the attempts.
GUARD = """
import os, sys
def listen(event, arguments):
    if event not in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        return
    where = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    host = where[0] if isinstance(where, tuple) else where
    if isinstance(where, str | bytes) and event == "socket.connect":  # a Unix socket
        return
    if host not in (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", b"localhost", b"127.0.0.1"):
        with open(os.environ["ATTEMPTS"], "a") as file:
            file.write(f"{event} {where}\\n")
        raise OSError(f"no network: {event} {where}")
sys.addaudithook(listen)
"""


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    """Return a folder for the ``sitecustomize.py`` of ``with_hooks``."""
    (tmp_path / "hooks").mkdir()
    return tmp_path / "hooks"


def with_hooks(hooks: Path, program: str) -> dict[str, str]:
    """Return the variables of a Python process that runs a program at its start."""
    (hooks / "sitecustomize.py").write_text(program)
    return {"PYTHONPATH": f"{hooks}{os.pathsep}{ROOT}", "ATTEMPTS": str(hooks / "attempts.txt")}


def attempts(hooks: Path) -> str:
    """Return the recorded connection attempts."""
    file = hooks / "attempts.txt"
    return file.read_text() if file.exists() else ""


# --- access


def listening(port: int) -> set[str]:
    """Return the local addresses that listen on a port, as written in /proc/net/tcp."""
    addresses = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            local, state = line.split()[1], line.split()[3]
            if state == "0A" and int(local.split(":")[1], 16) == port:
                addresses.add(local.split(":")[0])
    return addresses


@pytest.mark.slow
@pytest.mark.fault
def test_app_listens_only_on_localhost(demo_home: Path) -> None:
    if not Path("/proc/net/tcp").exists():
        skip_or_fail("no /proc/net/tcp")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "yt8m_core", "app", "--port", str(port)]
    environment = {**os.environ, **smoke_environment(demo_home)}
    app = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (addresses := listening(port)) and time.monotonic() < deadline:
            assert app.poll() is None
            time.sleep(0.1)
        assert addresses == {"0100007F"}  # 127.0.0.1 and no IPv6 address
    finally:
        app.terminate()
        app.wait(20)


@pytest.fixture(scope="module")
def address(demo_home: Path) -> Iterator[str]:
    with served(smoke_environment(demo_home)) as address:
        yield address.removeprefix("http://")


def get(address: str, path: str, **headers: str) -> tuple[int, bytes]:
    """Send a GET request, and return status and content."""
    connection = HTTPConnection(address, timeout=30)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, text in headers.items():
        connection.putheader(name, text)
    connection.endheaders()
    response = connection.getresponse()
    return response.status, response.read(1 << 20) if response.status != 101 else b""


@pytest.mark.slow
@pytest.mark.fault
def test_no_path_reaches_a_file_of_the_server(address: str) -> None:
    up = ("../" * 12, "%2e%2e/" * 12, "..%2f" * 12, "..%5c" * 12, "....//" * 12, "/" * 3)
    for prefix in ("/", "/static/", "/app/static/", "/media/", "/component/", "/_stcore/", "/_stcore/upload_file/"):
        for parents in up:
            for file in ("etc/passwd", "etc/passwd%00.js", "proc/self/environ"):
                _, content = get(address, prefix + parents + file)
                assert b"root:" not in content
                assert b"YT8M_HOME" not in content
                assert b"Traceback" not in content
    for name in ("main.py", "app/main.py", "static/../main.py", ".streamlit/config.toml", "_stcore/../main.py"):
        for content in (get(address, f"/{name}")[1], get(address, f"/{name.replace('main', 'session')}")[1]):
            assert b"import streamlit" not in content
            assert b"maxUploadSize" not in content
    with contextlib.suppress(ConnectionError):  # the server may refuse it before it has read all
        assert get(address, "/?run=" + "x" * 200_000)[0] in (200, 400, 414, 431)
    assert get(address, "/_stcore/health")[0] == 200


@pytest.mark.slow
@pytest.mark.fault
def test_page_of_another_site_cannot_connect_to_the_app(address: str) -> None:
    handshake = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    assert get(address, "/_stcore/stream", **handshake, Origin=f"http://{address}")[0] == 101
    assert get(address, "/_stcore/stream", **handshake, Origin="http://another.example")[0] == 403


# --- several sessions

SLOW = """
import importlib.abc, importlib.util, os, pathlib, sys
def patch(module):
    real = module.study_attention
    def study(*arguments, **options):
        pathlib.Path(os.environ["HELD"]).touch()
        while not pathlib.Path(os.environ["GO"]).exists():
            sum(range(100_000))  # computes, without ever waiting
        return real(*arguments, **options)
    module.study_attention = study
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "yt8m_core.explain.attention_study":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (load(module), patch(module))
        return spec
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.fault
@pytest.mark.browser
def test_busy_session_or_bad_upload_does_not_stop_other_sessions(
    browser: Browser, demo_home: Path, tmp_path: Path, hooks: Path
) -> None:
    go, held = tmp_path / "go", tmp_path / "held"
    environment = {**smoke_environment(demo_home), **with_hooks(hooks, SLOW), "GO": str(go), "HELD": str(held)}
    with served(environment) as address, open_browser_page(browser) as busy, open_browser_page(browser) as other:
        busy.goto(f"{address}/attention")
        wait_for_page(busy, "Attention")
        busy.get_by_role("radio", name="All videos").click()
        while not held.exists():
            busy.wait_for_timeout(100)
        other.goto(address)
        wait_for_page(other, "Overview")
        for page in PAGES[1:]:
            if page != "attention":
                follow_link(other, page.replace("_", " ").capitalize())
        assert not go.exists()  # the first session is still busy
        expect(busy.locator("[data-testid=stApp][data-test-script-state=running]")).to_be_attached()
        other.goto(f"{address}/predictions?from=my+file")
        wait_for_page(other, "Predictions")
        bad = {"name": "bad.npz", "mimeType": "application/zip", "buffer": b"PK\3\4 and no more"}
        other.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(bad)  # type: ignore[arg-type]
        expect(other.get_by_test_id("stAlert")).to_contain_text("bad.npz")
        go.touch()
        wait_for_page(busy, "Attention")
        expect(busy.locator(".js-plotly-plot .main-svg").first).to_be_visible()


# --- no network

WALK = f"""
import sys
sys.path[:0] = ["app", "."]
from streamlit.testing.v1 import AppTest
at = AppTest.from_file("app/main.py", default_timeout=60).run()
for page in {PAGES!r}:
    at.switch_page(f"views/{{page}}/page.py").run()
    assert not at.exception and not at.error and (at.get("plotly_chart") or at.dataframe), page
"""


def without_network() -> list[str]:
    """Return a command prefix that removes all network devices, empty where it is not permitted."""
    command = ["unshare", "--map-root-user", "--net"]
    works = shutil.which("unshare") and not subprocess.run([*command, "true"], capture_output=True).returncode
    return command if works else []


@pytest.mark.slow
@pytest.mark.fault
def test_training_and_app_need_no_network(demo_home: Path, tmp_path: Path, hooks: Path) -> None:
    environment = {**os.environ, **smoke_environment(demo_home), **with_hooks(hooks, GUARD), "HOME": str(tmp_path)}

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*without_network(), sys.executable, *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True)

    data = demo_home / "smoke"
    training = python(
        "-m", "yt8m_core", "train", "--train", str(data / "train"), "--validation", str(data / "validation"),
        "--run", str(tmp_path / "run"), "--epochs", "1",
    )  # fmt: skip
    assert training.returncode == 0, training.stderr
    assert (tmp_path / "run" / "metrics.json").is_file()
    walk = python("-c", WALK)
    assert walk.returncode == 0, walk.stderr
    assert attempts(hooks) == ""
    # The guard itself works: it records names and addresses of other machines.
    assert python("-c", "import socket; socket.create_connection(('192.0.2.1', 9))").returncode
    assert python("-c", "import urllib.request as u; u.urlopen('http://storage.example')").returncode
    assert "192.0.2.1" in attempts(hooks)
    assert "storage.example" in attempts(hooks)


@pytest.mark.fault
@pytest.mark.browser
def test_served_app_contacts_no_other_machine(browser: Browser, demo_home: Path, hooks: Path) -> None:
    environment = {**smoke_environment(demo_home), **with_hooks(hooks, GUARD)}
    with served(environment) as address, open_browser_page(browser) as page:  # also checks the requests of the page
        page.goto(address)
        wait_for_page(page, "Overview")
        for name in PAGES[1:]:
            follow_link(page, name.replace("_", " ").capitalize())
    assert attempts(hooks) == ""


# --- installed packages


@pytest.mark.fault
def test_every_installed_package_is_pinned() -> None:
    """Covers the requirements of the project and its extras, and their requirements, if installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [Requirement(text) for text in project["dependencies"]]
    requirements += [Requirement(text) for extra in project["optional-dependencies"].values() for text in extra]
    pins = {name: pin.version for name, pin in read_pins().items()}
    seen: set[tuple[str, str]] = set()
    while requirements:
        requirement = requirements.pop()
        name = canonicalize_name(requirement.name)
        for extra in requirement.extras or {""}:
            if (name, extra) in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
                continue
            seen.add((name, extra))
            try:
                package = distribution(name)
            except PackageNotFoundError:  # for another platform, or an extra that is not installed
                continue
            if name not in ("setuptools", "wheel"):  # build tools
                assert package.version.partition("+")[0] == pins.get(name), name
            needs = [Requirement(text) for text in package.requires or ()]
            requirements += [need for need in needs if not need.marker or need.marker.evaluate({"extra": extra})]
    assert len(seen) > 100
