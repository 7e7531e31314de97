"""The bar of a terminal shows each note, also long after its last step."""

import pytest
import tqdm.std

from yt8m_core.progress import Bars

LONGER_THAN_TQDM_WAITS = 11.0  # seconds; past its maxinterval it guesses how rarely it needs to draw
LONGER_THAN_BETWEEN_DRAWINGS = 0.2  # seconds


def test_a_note_is_seen_after_a_step_that_took_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A search for rates stands at one line for an hour, and its notes alone tell that it goes on."""
    clock = 0.0
    monkeypatch.setattr(tqdm.std, "time", lambda: clock)
    bars = Bars()
    for done, passed, note in [
        (0, 0.0, "first"),
        (1, LONGER_THAN_TQDM_WAITS, "second"),
        (1, LONGER_THAN_BETWEEN_DRAWINGS, "third"),
    ]:
        clock += passed
        bars("searching", done, 2, note)
    shown = capsys.readouterr().err
    bars.close()
    assert "second" in shown
    assert "third" in shown
