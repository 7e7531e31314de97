"""The command line ``yt8m`` in the process of a test."""

import sys
from pathlib import Path

import pytest

from yt8m_core.cli import main as cli


def yt8m(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    """Run a command with its arguments."""
    monkeypatch.setattr(sys, "argv", ["yt8m", *map(str, arguments)])
    cli.main()
