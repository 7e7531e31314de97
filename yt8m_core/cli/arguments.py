"""What several commands share: how their arguments are written, and how a result is told."""

import os
from pathlib import Path
from typing import Annotated

import tyro

from yt8m_core.errors import UserError

DataArgument = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
RunArgument = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def streams_of(texts: tuple[str, ...]) -> tuple[tuple[str, int], ...] | None:
    """Feature streams written as name:width; None where there are none. Raises UserError for anything else."""
    streams = []
    for text in texts:
        name, _, width = text.rpartition(":")
        if not name or not width.isdecimal() or not int(width):
            raise UserError(f"stream '{text}'", expected="name:width, for example rgb:1024")
        streams.append((name, int(width)))
    return tuple(streams) or None


def absolute(data: str | Path) -> str:
    """DATA, such that it means the same from any folder."""
    return os.path.abspath(Path(data).expanduser())


def gap_of(metrics: dict[str, float]) -> str:
    """GAP and its interval in words."""
    low, high = metrics["gap_low"], metrics["gap_high"]
    return f"GAP@20 {metrics['gap']:.4f}, 95 % interval {low:.4f} to {high:.4f} over {metrics['num_videos']:,} videos"
