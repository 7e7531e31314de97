"""Progress bars in a terminal and a notebook, lines in a log."""

import os
import select
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from types import SimpleNamespace

import pytest
import tqdm.std

from yt8m_core import progress as module
from yt8m_core.progress import ProgressBars, ProgressLines, console_progress

LONGER_THAN_TQDM_WAITS = 11.0  # seconds; past its maxinterval tqdm guesses how rarely it needs to draw
LONGER_THAN_BETWEEN_DRAWINGS = 0.2  # seconds


class Clock:
    """A clock that tests turn by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


@contextmanager
def piped() -> Iterator[list[str]]:
    """Make standard error a pipe, and collect the lines written to it."""
    read, write = os.pipe()
    lines: list[str] = []
    with open(read) as output:
        with open(write, "w") as stderr, redirect_stderr(stderr):
            yield lines
        lines += output.read().splitlines()


def test_pipe_gets_one_line_every_ten_seconds_and_one_at_the_end_of_each_task(clock: Clock) -> None:
    with piped() as lines:
        report = console_progress()
        assert isinstance(report, ProgressLines)
        for step in range(1, 2001):  # 31 seconds
            clock.seconds += 1 / 64
            report("epoch 1 of 2", step, 2000, f"loss {step}")
        report("scoring", 40, 40)
        report("scoring", 40, 40)
    assert lines == [
        "epoch 1 of 2: 640 of 2,000 (32%), loss 640",
        "epoch 1 of 2: 1,280 of 2,000 (64%), loss 1280",
        "epoch 1 of 2: 1,920 of 2,000 (96%), loss 1920",
        "epoch 1 of 2: 2,000 of 2,000 (100%), loss 2000",
        "scoring: 40 of 40 (100%)",
    ]


def test_repeated_task_ends_with_a_line_each_time(clock: Clock) -> None:
    with piped() as lines:
        report = ProgressLines()
        for _ in range(2):
            report("scoring", 20, 40)
            report("scoring", 40, 40)
        report("nothing", 0, 0)
    assert lines == ["scoring: 40 of 40 (100%)"] * 2 + ["nothing: 0 of 0"]


def test_note_of_a_slow_task_is_written(clock: Clock) -> None:
    with piped() as lines:
        report = ProgressLines()
        for note in ("first", "second"):
            clock.seconds += 10
            report("searching", 1, 9, note)
    assert lines == ["searching: 1 of 9 (11%), first", "searching: 1 of 9 (11%), second"]


def test_terminal_gets_bars() -> None:
    primary, secondary = os.openpty()
    termios.tcsetwinsize(secondary, (24, 80))  # tqdm draws nothing in a terminal of 0 columns
    with open(secondary, "w") as stderr, redirect_stderr(stderr):
        report = console_progress()
        assert isinstance(report, ProgressBars)
        report("scoring", 20, 40, "a note")
        report("scoring", 40, 40, "a note")
        stderr.flush()
        drawn = ""
        while "40.0/40.0" not in drawn:
            assert select.select([primary], [], [], 10)[0], drawn
            drawn += os.read(primary, 10_000).decode()
    os.close(primary)
    assert "\rscoring: 100%" in drawn
    assert "a note" in drawn


def test_notebook_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook's standard error is no terminal."""
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))  # type: ignore[arg-type]
    with piped():
        assert isinstance(console_progress(), ProgressBars)


def test_notebook_whose_output_goes_to_a_log_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))  # type: ignore[arg-type]
    monkeypatch.setenv("YT8M_PROGRESS", "lines")
    assert isinstance(console_progress(), ProgressLines)


def test_note_is_drawn_after_a_slow_step(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A learning rate search stays at one line for an hour, and only its notes show that it is alive."""
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    bars = ProgressBars()
    for done, passed, note in [
        (0, 0.0, "first"),
        (1, LONGER_THAN_TQDM_WAITS, "second"),
        (1, LONGER_THAN_BETWEEN_DRAWINGS, "third"),
    ]:
        clock.seconds += passed
        bars("searching", done, 2, note)
    shown = capsys.readouterr().err
    bars.close()
    assert "second" in shown
    assert "third" in shown


@pytest.mark.fault
@pytest.mark.parametrize("hours", [-1, 1])
def test_bar_is_drawn_after_the_clock_was_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hours: int
) -> None:
    clock, wall_clock = Clock(), Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    monkeypatch.setattr(tqdm.std, "time", wall_clock)
    bars = ProgressBars()
    for done in range(1, 4):
        bars("training", done, 1000)
        clock.seconds += 1
        wall_clock.seconds += 3600 * hours
    shown = capsys.readouterr().err
    bars.close()
    assert "3.00/1.00k [00:02<" in shown
