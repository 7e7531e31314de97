"""The boundary of the command line: whatever a command raises ends in a sentence and an exit status."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.command import yt8m
from tests.support.tiny import STREAMS, write_tiny

FAST = tuple(f"{name}:{width}" for name, width in STREAMS)


def sentence(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> str:
    with pytest.raises(SystemExit) as ended:
        yt8m(monkeypatch, *arguments)
    return str(ended.value.code)


def raise_in_index(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("yt8m_core.data.dataset.open_videos", fail)


@pytest.mark.fault
@pytest.mark.parametrize(
    "error", [ValueError("a\nb" * 400), KeyError("x"), AssertionError(), RecursionError("deep"), TypeError("\udcff")]
)
def test_unexpected_error_is_a_sentence_that_names_a_file_with_the_traceback(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    raise_in_index(monkeypatch, error)
    text = sentence(monkeypatch, "index", "data")
    assert text.startswith(f"yt8m: an error of this program ({type(error).__name__}")
    assert len(text) < 800
    assert "\n" not in text
    text.encode()
    (file,) = tmp_path.iterdir()
    assert f"Report it to the maintainers with {file}" in text
    assert file.stat().st_mode & 0o077 == 0
    stored = file.read_text()
    assert stored.startswith("yt8m index data\n")
    assert "Traceback" in stored
    assert type(error).__name__ in stored


@pytest.mark.fault
def test_sigterm_ends_a_command_whatever_a_library_makes_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch reports SystemExit in the middle of reading weights as a ValueError."""

    def fail(*arguments: object, **options: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except SystemExit:
            raise ValueError("could not determine the shape") from None

    monkeypatch.setattr("yt8m_core.data.dataset.open_videos", fail)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert sentence(monkeypatch, "index", "data") == str(128 + signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_traceback_that_cannot_be_stored_leaves_the_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", fail)
    raise_in_index(monkeypatch, ValueError("x"))
    assert "(ValueError: x). Its traceback could not be stored (No space left on device)." in sentence(
        monkeypatch, "index", "data"
    )


def test_debugging_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YT8M_DEBUG", "1")
    raise_in_index(monkeypatch, ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        yt8m(monkeypatch, "index", "data")


@pytest.mark.fault
@pytest.mark.parametrize(
    "error", [MemoryError(), MemoryError("Unable to allocate 7 GiB"), RuntimeError("x can't allocate memory: y")]
)
def test_too_little_memory_is_said(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_in_index(monkeypatch, error)
    assert re.match(r"yt8m: not enough memory \(.+\)\. Use smaller settings", sentence(monkeypatch, "index", "data"))


def test_other_ends_of_a_command_keep_their_status(monkeypatch: pytest.MonkeyPatch) -> None:
    raise_in_index(monkeypatch, KeyboardInterrupt())
    assert sentence(monkeypatch, "index", "data").startswith("yt8m: stopped; run the same command again")
    raise_in_index(monkeypatch, SystemExit(143))
    assert sentence(monkeypatch, "index", "data") == "143"
    raise_in_index(monkeypatch, BrokenPipeError(errno.EPIPE, "Broken pipe"))
    assert sentence(monkeypatch, "index", "data") == "141"


@pytest.mark.fault
@pytest.mark.parametrize("home", ["{file}", "{file}/below", "/proc/none"])
@pytest.mark.parametrize("command", [["demo"], ["index", "{data}", "--streams", *FAST]])
def test_workspace_that_cannot_be_made_is_reported_with_yt8m_home(
    command: list[str], home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    data = write_tiny(tmp_path / "data", 4, seed=1)
    monkeypatch.setenv("YT8M_HOME", home.format(file=tmp_path / "file"))
    monkeypatch.setenv("YT8M_SCALE", "smoke")
    text = sentence(monkeypatch, *[part.format(data=data) for part in command])
    assert re.search("[sS]et YT8M_HOME to a folder", text), text


def run_process(command: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command with ``yt8m`` as $Y and a small data set as $D."""
    data = write_tiny(tmp_path / "data", 60, seed=1)
    variables = {"Y": f"{sys.executable} -m yt8m_core", "D": str(data), "YT8M_HOME": str(tmp_path / "home")}
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        env={**os.environ, **variables, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("$Y labels $D --streams rgb:24 audio:8 | true", 141, ""),
        ("$Y --help | true", 141, ""),
        ("$Y labels $D --streams rgb:24 audio:8 >&-", 0, ""),
        ("$Y labels $D --streams rgb:24 audio:8 >/dev/full", 1, "yt8m: No space left on device: a file"),
        ("$Y index $D/$'\\xff'", 1, "yt8m: no file matches .*\\?"),
        ("$Y index $D --streams rgb:24 audio:8", 0, ""),
    ],
)
def test_closed_full_or_ascii_output_ends_without_a_traceback(
    command: str, status: int, message: str, tmp_path: Path
) -> None:
    ended = run_process(command, tmp_path, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONCOERCECLOCALE="0")
    lines = [line for line in ended.stderr.splitlines() if "indexing" not in line]
    assert "Traceback" not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert re.match(message, lines[-1] if lines else "")
    assert ended.returncode in (status, 0 if status == 141 else status)  # a fast writer meets no closed pipe
