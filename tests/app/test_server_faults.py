"""The app as a server of its own: who may reach it, what it gives out, that it needs no network and no other session.

What needs a browser has the marker ``browser``, too.
"""

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
from playwright.sync_api import Browser, expect, sync_playwright

from tests.app.test_browser import follow, opened, settle, smoke
from tests.conftest import ROOT, skip_or_fail
from tests.support.pages import PAGES
from tests.support.server import FLAGS, served

# Runs at the start of every Python that finds it: nobody may be asked but this machine, and whoever tries is noted.
GUARD = """
import os, sys
def hear(event, arguments):
    if event not in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        return
    where = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    host = where[0] if isinstance(where, tuple) else where
    if isinstance(where, str | bytes) and event == "socket.connect":  # a socket of this machine's own kind
        return
    if host not in (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", b"localhost", b"127.0.0.1"):
        with open(os.environ["TRIED"], "a") as file:
            file.write(f"{event} {where}\\n")
        raise OSError(f"no network: {event} {where}")
sys.addaudithook(hear)
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        skip_or_fail("no Chromium: install it with apt-get install chromium")
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split())
        yield browser
        browser.close()


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    """A folder whose ``sitecustomize.py`` every Python of ``with_hooks`` runs first."""
    (tmp_path / "hooks").mkdir()
    return tmp_path / "hooks"


def with_hooks(hooks: Path, program: str) -> dict[str, str]:
    (hooks / "sitecustomize.py").write_text(program)
    return {"PYTHONPATH": f"{hooks}{os.pathsep}{ROOT}", "TRIED": str(hooks / "tried.txt")}


def tried(hooks: Path) -> str:
    file = hooks / "tried.txt"
    return file.read_text() if file.exists() else ""


# --- who may reach it


def listening(port: int) -> set[str]:
    """The addresses at which this machine listens on a port, as Linux writes them."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            local, state = line.split()[1], line.split()[3]
            if state == "0A" and int(local.split(":")[1], 16) == port:
                found.add(local.split(":")[0])
    return found


@pytest.mark.fault
def test_app_listens_on_this_machine_alone(demo_home: Path) -> None:
    if not Path("/proc/net/tcp").exists():
        skip_or_fail("no /proc/net/tcp to look at")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "yt8m_core", "app", "--port", str(port)]
    environment = {**os.environ, **smoke(demo_home)}
    app = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not (found := listening(port)) and time.monotonic() < until:
            assert app.poll() is None
            time.sleep(0.1)
        assert found == {"0100007F"}  # 127.0.0.1, and no other, and none of IPv6
    finally:
        app.terminate()
        app.wait(20)


@pytest.fixture(scope="module")
def address(demo_home: Path) -> Iterator[str]:
    with served(smoke(demo_home)) as address:
        yield address.removeprefix("http://")


def answer(address: str, path: str, **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection(address, timeout=30)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, text in headers.items():
        connection.putheader(name, text)
    connection.endheaders()
    told = connection.getresponse()
    return told.status, told.read(1 << 20) if told.status != 101 else b""


@pytest.mark.fault
def test_no_path_reaches_a_file_of_the_server(address: str) -> None:
    up = ("../" * 12, "%2e%2e/" * 12, "..%2f" * 12, "..%5c" * 12, "....//" * 12, "/" * 3)
    for below in ("/", "/static/", "/app/static/", "/media/", "/component/", "/_stcore/", "/_stcore/upload_file/"):
        for way in up:
            for file in ("etc/passwd", "etc/passwd%00.js", "proc/self/environ"):
                _, content = answer(address, below + way + file)
                assert b"root:" not in content
                assert b"YT8M_HOME" not in content
                assert b"Traceback" not in content
    for name in ("main.py", "app/main.py", "static/../main.py", ".streamlit/config.toml", "_stcore/../main.py"):
        assert b"set_page_config" not in answer(address, f"/{name}")[1]
    with contextlib.suppress(ConnectionError):  # it is refused, and no more is read of it
        assert answer(address, "/?run=" + "x" * 200_000)[0] in (200, 400, 414, 431)
    assert answer(address, "/_stcore/health")[0] == 200


@pytest.mark.fault
def test_page_of_another_site_in_the_same_browser_may_not_talk_to_the_app(address: str) -> None:
    asks = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    assert answer(address, "/_stcore/stream", **asks, Origin=f"http://{address}")[0] == 101
    assert answer(address, "/_stcore/stream", **asks, Origin="http://another.example")[0] == 403


# --- several sessions

SLOW = """
import importlib.abc, importlib.util, os, pathlib, sys
def patch(module):
    real = module.study
    def study(*arguments, **options):
        pathlib.Path(os.environ["HELD"]).touch()
        while not pathlib.Path(os.environ["GO"]).exists():
            sum(range(100_000))  # as Python that computes does, and never waits
        return real(*arguments, **options)
    module.study = study
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
def test_session_that_computes_or_is_given_a_bad_file_stops_no_other(
    browser: Browser, demo_home: Path, tmp_path: Path, hooks: Path
) -> None:
    go, held = tmp_path / "go", tmp_path / "held"
    environment = {**smoke(demo_home), **with_hooks(hooks, SLOW), "GO": str(go), "HELD": str(held)}
    with served(environment) as address, opened(browser) as one, opened(browser) as other:
        one.goto(f"{address}/attention")
        settle(one, "Attention")
        one.get_by_text("Analyze the data set").click()
        while not held.exists():
            one.wait_for_timeout(100)
        other.goto(address)
        settle(other, "Overview")
        for page in PAGES[1:]:
            if page != "attention":
                follow(other, page.capitalize())
        assert not go.exists()  # the first is computing still
        expect(one.locator("[data-testid=stApp][data-test-script-state=running]")).to_be_attached()
        other.goto(f"{address}/predictions?from=my+file")
        settle(other, "Predictions")
        bad = {"name": "bad.npz", "mimeType": "application/zip", "buffer": b"PK\3\4 and no more"}
        other.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(bad)  # type: ignore[arg-type]
        expect(other.get_by_test_id("stAlert")).to_contain_text("bad.npz")
        go.touch()
        settle(one, "Attention")
        expect(one.locator(".js-plotly-plot .main-svg").first).to_be_visible()


# --- no network

WALK = f"""
import sys
sys.path[:0] = ["app", "."]
from streamlit.testing.v1 import AppTest
at = AppTest.from_file("app/main.py", default_timeout=60).run()
for page in {PAGES!r}:
    at.switch_page(f"views/{{page}}/page.py").run()
    assert not at.exception and not at.error and at.get("plotly_chart"), page
"""


def apart() -> list[str]:
    """What runs a command without any network device, where this machine lets us."""
    command = ["unshare", "--map-root-user", "--net"]
    works = shutil.which("unshare") and not subprocess.run([*command, "true"], capture_output=True).returncode
    return command if works else []


@pytest.mark.fault
def test_training_and_app_need_no_network(demo_home: Path, tmp_path: Path, hooks: Path) -> None:
    environment = {**os.environ, **smoke(demo_home), **with_hooks(hooks, GUARD), "HOME": str(tmp_path)}

    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*apart(), sys.executable, *arguments]
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
    assert tried(hooks) == ""
    # What is noted, would be noted: of this machine's names and numbers nothing is, of others all.
    assert python("-c", "import socket; socket.create_connection(('192.0.2.1', 9))").returncode
    assert python("-c", "import urllib.request as u; u.urlopen('http://storage.example')").returncode
    assert "192.0.2.1" in tried(hooks)
    assert "storage.example" in tried(hooks)


@pytest.mark.fault
@pytest.mark.browser
def test_served_app_asks_no_other_machine(browser: Browser, demo_home: Path, hooks: Path) -> None:
    environment = {**smoke(demo_home), **with_hooks(hooks, GUARD)}
    with served(environment) as address, opened(browser) as page:  # which complains of what the page itself asks
        page.goto(address)
        settle(page, "Overview")
        for name in PAGES[1:]:
            follow(page, name.capitalize())
    assert tried(hooks) == ""


# --- what is installed


@pytest.mark.fault
def test_every_package_that_is_installed_is_pinned() -> None:
    """What the project and its extras need, and what that needs, as far as it is installed."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(text) for text in about["dependencies"]]
    wanted += [Requirement(text) for extra in about["optional-dependencies"].values() for text in extra]
    lines = (ROOT / "constraints.txt").read_text().split()
    pins = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    seen: set[tuple[str, str]] = set()
    while wanted:
        one = wanted.pop()
        name = canonicalize_name(one.name)
        for extra in one.extras or {""}:
            if (name, extra) in seen or (one.marker and not one.marker.evaluate({"extra": ""})):
                continue
            seen.add((name, extra))
            try:
                found = distribution(name)
            except PackageNotFoundError:  # of another platform, or of an extra that is not installed here
                continue
            if name not in ("setuptools", "wheel"):  # what installs
                assert found.version.partition("+")[0] == pins.get(name), name
            needs = [Requirement(text) for text in found.requires or ()]
            wanted += [need for need in needs if not need.marker or need.marker.evaluate({"extra": extra})]
    assert len(seen) > 100
