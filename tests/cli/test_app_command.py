"""The command ``yt8m app``: what it passes to the server, and ports that it cannot use."""

import os
import socket
from pathlib import Path

import pytest

from tests.support.command import yt8m
from yt8m_core.cli import main as cli


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return the environment of each server that the command starts, instead of starting it."""
    environments: list[dict[str, str]] = []

    def call(command: list[str], env: dict[str, str]) -> int:
        environments.append(env)
        return 0

    monkeypatch.setattr(cli.subprocess, "call", call)
    for variable in ("YT8M_RUNS", "YT8M_DATA", "YT8M_STREAMS"):
        monkeypatch.delenv(variable, raising=False)
    return environments


def free_port() -> str:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return str(bound.getsockname()[1])


def run_app(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        yt8m(monkeypatch, "app", *arguments)
    return ended.value.code


@pytest.mark.fault
def test_flags_are_added_to_the_variables(
    started: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YT8M_RUNS", os.pathsep.join(["/runs", "", "~/more"]))
    monkeypatch.setenv("YT8M_DATA", "/data/*.tfrecord")
    monkeypatch.setenv("YT8M_STREAMS", "clip:512")
    flags = ("--runs", "own", "/runs", "--data", "own/a", "~/b", "--streams", "clip:512", "text:64")
    assert run_app(monkeypatch, *flags, "--port", free_port()) == 0
    assert run_app(monkeypatch, "--port", free_port()) == 0
    both, variables = started
    assert both["YT8M_RUNS"] == os.pathsep.join(["/runs", "~/more", f"{tmp_path}/own"])
    assert both["YT8M_DATA"] == os.pathsep.join(["/data/*.tfrecord", f"{tmp_path}/own/a", f"{Path.home()}/b"])
    assert both["YT8M_STREAMS"] == "clip:512 text:64"
    assert variables["YT8M_RUNS"] == os.pathsep.join(["/runs", "~/more"])
    assert (variables["YT8M_DATA"], variables["YT8M_STREAMS"]) == ("/data/*.tfrecord", "clip:512")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--streams", "clip:64"), "--streams: found clip:64; expected clip:512, as in YT8M_STREAMS"),
        (("--runs", f"a{os.pathsep}b"), "a path with '"),
        (("--data", f"a{os.pathsep}b"), "a path with '"),
    ],
)
def test_flags_that_cannot_be_added_are_refused(
    started: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.setenv("YT8M_STREAMS", "clip:512")
    assert message in str(run_app(monkeypatch, *arguments))
    assert not started


@pytest.mark.fault
@pytest.mark.parametrize("port", ["0", "-1", "65536", "99999", str(10**30)])
def test_port_that_does_not_exist_is_refused(
    started: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    assert run_app(monkeypatch, "--port", port) == f"yt8m: port {port}; expected 1 to 65535."
    assert not started


@pytest.mark.fault
def test_port_in_use_is_refused_with_its_address(
    started: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        message = str(run_app(monkeypatch, "--port", str(port)))
    assert message.startswith(f"yt8m: port {port} cannot be used: Address already in use.")
    assert f"If the app runs there, open http://127.0.0.1:{port}" in message
    assert not started
    assert run_app(monkeypatch, "--port", str(port)) == 0
