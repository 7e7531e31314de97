"""Memory of uploaded files: the budget of a session and of the server, on the page and at the server's address."""

import asyncio
import contextlib
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.web.server.starlette.starlette_routes import create_upload_routes

import upload_budget  # of app/
from benchmarks.process_memory import resident
from tests.app.test_uploads import demo_file, set_files, upload_files, upload_table
from tests.support.browser import open_browser_page, wait_for_page
from tests.support.pages import charts, error_text, page_text
from tests.support.server import served, smoke_environment
from tests.support.session import form_body, open_session

MIB = 1 << 20


class Server:
    """Streamlit's upload routes behind the budget, without a network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.closed: set[str] = set()  # sessions
        self.files = MemoryUploadedFileManager("/_stcore/upload_file")
        streamlit = SimpleNamespace(
            uploaded_file_mgr=self.files, is_active_session=lambda session: session not in self.closed
        )
        monkeypatch.setattr(runtime, "get_instance", lambda: streamlit)
        monkeypatch.setattr("streamlit.web.server.starlette.starlette_routes.is_xsrf_enabled", lambda: False)
        routes = create_upload_routes(streamlit, self.files, None)  # type: ignore[arg-type]
        self.app = Starlette(routes=routes, middleware=[Middleware(upload_budget.UploadBudget)])

    async def request(
        self, method: str, session: str, file: str, data: bytes, *, has_length: bool = True, chunk: int = MIB
    ) -> int:
        """Send a request in chunks, and return the status of the answer."""
        headers = [(b"content-type", b"multipart/form-data; boundary=limit")]
        headers += [(b"content-length", str(len(data)).encode())] if has_length else []
        path = f"/_stcore/upload_file/{session}/{file}"
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
        parts = [data[at : at + chunk] for at in range(0, len(data), chunk)] or [b""]
        status = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0)
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message: Any) -> None:
            status.append(message.get("status"))

        await self.app(scope, receive, send)
        return int(status[0])

    def upload(self, session: str, content: bytes, **options: Any) -> int:
        return asyncio.run(self.request("PUT", session, uuid.uuid4().hex, form_body(content), **options))

    def contents(self, session: str) -> list[bytes]:
        return [file.data for file in self.files.file_storage.get(session, {}).values()]

    def total(self) -> int:
        return sum(len(data) for session in self.files.file_storage for data in self.contents(session))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(upload_budget, "SESSION_BYTES", 4 * MIB)
    monkeypatch.setattr(upload_budget, "SERVER_BYTES", 10 * MIB)
    return Server(monkeypatch)


@pytest.mark.fault
def test_session_that_uploads_again_and_again_does_not_grow(server: Server) -> None:
    statuses = [server.upload("a", bytes(MIB)) for _ in range(200)]
    assert server.total() < 4 * MIB
    assert server.contents("a")[:3] == [bytes(MIB)] * 3
    assert set(server.contents("a")[3:]) == {upload_budget.OVER_SESSION}
    assert len(server.contents("a")) == upload_budget.MAX_FILES
    assert statuses == [204] * upload_budget.MAX_FILES + [413] * (200 - upload_budget.MAX_FILES)
    assert server.upload("b", bytes(MIB)) == 204  # another session has its own budget
    assert server.contents("b") == [bytes(MIB)]


@pytest.mark.fault
def test_many_sessions_share_the_budget_of_the_server(server: Server) -> None:
    for session in range(50):
        assert server.upload(f"{session}", bytes(3 * MIB)) == 204
    assert 9 * MIB <= server.total() <= 10 * MIB
    assert server.contents("49") == [upload_budget.OVER_SERVER]
    server.files.remove_session_files("0")  # it has ended
    server.upload("49", b"small")
    assert server.contents("49") == [upload_budget.OVER_SERVER, b"small"]
    server.upload("49", bytes(3 * MIB - 4096))
    assert len(server.contents("49")[2]) > 2 * MIB


@pytest.mark.fault
def test_files_of_closed_sessions_make_room_for_others(server: Server) -> None:
    for session in range(50):
        server.upload(f"{session}", bytes(3 * MIB))
        server.closed.add(f"{session}")
        assert server.total() <= 10 * MIB
    assert server.contents("49") == [bytes(3 * MIB)]


def test_budget_is_free_again_when_a_file_is_removed(server: Server) -> None:
    for file in ("x", "y"):
        asyncio.run(server.request("PUT", "a", file, form_body(bytes(3 * MIB))))
    assert server.contents("a")[1] == upload_budget.OVER_SESSION
    for file in ("x", "y"):
        assert asyncio.run(server.request("DELETE", "a", file, b"")) == 204
    assert server.upload("a", bytes(3 * MIB)) == 204
    assert server.contents("a") == [bytes(3 * MIB)]


@pytest.mark.fault
def test_files_that_arrive_at_the_same_time_share_the_budget(server: Server) -> None:
    async def upload_all() -> list[int]:
        files = [server.request("PUT", "a", str(file), form_body(bytes(MIB)), chunk=4096) for file in range(100)]
        return await asyncio.gather(*files)

    assert asyncio.run(upload_all()).count(204) == upload_budget.MAX_FILES
    assert server.total() < 4 * MIB
    assert server.contents("a").count(bytes(MIB)) == 3
    # All have arrived: nothing is counted any more.
    server.files.remove_session_files("a")
    server.upload("a", bytes(3 * MIB))
    assert server.contents("a") == [bytes(3 * MIB)]


@pytest.mark.fault
def test_upload_of_unknown_or_false_length_counts_as_the_largest_file(server: Server) -> None:
    server.upload("a", b"x", has_length=False)
    assert server.contents("a") == [upload_budget.OVER_SESSION]
    statuses = []
    for data in (b"", b"x" * 9 * MIB, b"\r\n\r\n" * MIB, b"--limit\r\n" + b"a" * 9 * MIB):  # no file within
        with contextlib.suppress(Exception):  # as Streamlit's route has it
            statuses.append(asyncio.run(server.request("PUT", "b", "x", data, has_length=False)))
    assert 204 not in statuses
    assert server.total() < 1000


@pytest.mark.fault
def test_file_over_the_budget_is_a_row_with_a_sentence(demo_home: Path) -> None:
    at = upload_files([("big.npz", upload_budget.OVER_SESSION), ("mine.npz", demo_file(demo_home, 0, "mine"))])
    assert error_text(at) == ""
    assert upload_table(at)["error"].iloc[0] == (
        "big.npz: not uploaded: the files of this session have more than 64 MiB. "
        "Remove some of them, and upload this one again."
    )
    assert "Top labels of video mine" in charts(at)[0]
    set_files(at, [("big.npz", upload_budget.OVER_SERVER)])
    assert "the files of all sessions have more than 512 MiB. Wait for other sessions" in error_text(at)
    set_files(at, [])
    assert "not uploaded" not in page_text(at)


# --- the real server


@pytest.mark.slow
@pytest.mark.fault
def test_endless_uploads_do_not_grow_the_server(demo_home: Path) -> None:
    with served(smoke_environment(demo_home)) as address, open_session(address) as session:
        before = resident(address)
        content = bytes(19 * MIB)
        statuses = [session.upload(f"file {number}", content) for number in range(80)]
        assert statuses == [204] * upload_budget.MAX_FILES + [413] * (80 - upload_budget.MAX_FILES)
        assert before < resident(address) < before + 250 * MIB


@pytest.mark.fault
@pytest.mark.browser
def test_browser_shows_why_a_file_was_not_uploaded(browser: Browser, demo_home: Path, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.npz").write_bytes(bytes(19 * MIB))
    with served(smoke_environment(demo_home)) as address, open_browser_page(browser) as page:
        page.goto(f"{address}/predictions?from=my+file")
        wait_for_page(page, "Predictions")
        uploader = page.get_by_test_id("stFileUploaderDropzoneInput")
        uploader.set_input_files(sorted(tmp_path.glob("*.npz")))
        expect(page.get_by_text("0 videos, 4 files cannot be read")).to_be_visible()
        table = page.get_by_test_id("stDataFrame").first
        expect(table).to_contain_text("the files of this session have more than 64 MiB")
