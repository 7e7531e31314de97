"""The app on DATA behind HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.conftest import CopyRun
from tests.support.file_server import FileServer, serve_files
from tests.support.pages import MEAN_RUN, error_text, open_page, output, tables


@pytest.fixture
def server(demo_home: Path, demo_app: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve_files() as server:
        server.has_etags = server.lists_folders = True
        folder = demo_home / "smoke" / "validation"
        server.files = {f"bucket/validation/{path.name}": path.read_bytes() for path in folder.iterdir()}
        server.files["bucket/vocabulary.csv"] = (demo_home / "smoke" / "vocabulary.csv").read_bytes()
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("page", ["overview", "imbalance", "videos", "attention"])
def test_page_of_remote_data_shows_what_it_shows_of_the_same_shards_on_disk(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setenv("YT8M_DATA", f"{server.address}/bucket/validation/")
    on_disk = open_page(page, data="smoke/validation")
    remote = open_page(page, data="bucket/validation")
    assert error_text(remote) == ""
    assert remote.session_state["data"] == "bucket/validation"
    for shown, expected in zip(tables(remote), tables(on_disk), strict=True):
        assert shown.equals(expected)


@pytest.mark.slow
def test_remote_data_are_listed_once_a_minute(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_DATA", f"{server.address}/bucket/validation/")
    open_page("videos", data="bucket/validation")
    server.requests.clear()
    assert error_text(open_page("videos", data="bucket/validation")) == ""
    assert [path for path, _ in server.requests if path.endswith("/")] == []


@pytest.mark.fault
@pytest.mark.slow
def test_server_that_is_gone_and_address_with_a_token_are_reported(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yt8m_core.storage.remote_access.PAUSE", 0.01)
    monkeypatch.setenv("YT8M_DATA", "http://127.0.0.1:9/gone/train/")
    assert "http://127.0.0.1:9/gone/train/: cannot be read" in error_text(open_page("videos", data="gone/train"))
    monkeypatch.setenv("YT8M_DATA", "https://host/a.tfrecord?token=0123456789abcdef")
    at = open_page("overview")
    assert "an address with a query, which may have a token" in error_text(at)
    assert "0123456789abcdef" not in output(at)


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("field", ["validation", "vocabulary"])
def test_address_that_only_a_run_names_is_not_opened(server: FileServer, copy_run: CopyRun, field: str) -> None:
    config = copy_run("foreign", MEAN_RUN) / "config.json"
    values = json.loads(config.read_text())
    values["experiment"]["data"][field] = f"{server.address}/bucket/validation/"
    config.write_text(json.dumps(values))
    for page in ("overview", "videos", "imbalance"):
        for data in ("bucket/validation", "smoke/validation"):
            open_page(page, run="foreign", data=data)
    at = open_page("imbalance", run="foreign", data="bucket/validation")
    assert field == "vocabulary" or "an address that only a run names is not opened" in error_text(at)
    assert (server.requests, server.size_requests) == ([], [])
