"""Scoring a data set in parts, which several processes share and a killed command does not lose."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yt8m_core.data.loader import ordered_batches
from yt8m_core.processes.group import Group
from yt8m_core.processes.parts import Parts
from yt8m_core.progress import Progress

BATCH_SIZE = 128
PART_BATCHES = 64  # 8,192 videos: seconds to minutes of work
STATE = "state.safetensors"  # of metrics, in the folder of a part

Batches = Sequence[NDArray[np.int64]]
Count = Callable[[int], None]  # receives a number of videos that are scored


def score_parts(
    folder: Path,
    num_videos: int,
    write: Callable[[Batches, Path, Count], None],
    group: Group,
    progress: Progress,
) -> Parts:
    """Make what is missing of the parts of a data set.

    Args:
        folder: folder of the parts, whose name identifies all that they depend on.
        num_videos: number of videos of the data set.
        write: scores the batches of a part, writes the results into a new folder, and counts the videos.
        group: the processes.
        progress: progress callback.

    Returns:
        The parts, in the order of the videos.
    """
    batches = ordered_batches(num_videos, BATCH_SIZE)
    pieces = [batches[first : first + PART_BATCHES] for first in range(0, len(batches), PART_BATCHES)]
    parts = Parts(folder, len(pieces))
    done = sum(len(batch) for number, piece in enumerate(pieces) if parts.path(number).exists() for batch in piece)

    def count(videos: int) -> None:
        nonlocal done
        done = min(done + videos * group.size, num_videos)  # the other processes are about as fast
        progress("scoring", done, num_videos)

    def write_part(number: int, unfinished: Path) -> None:
        unfinished.mkdir()
        write(pieces[number], unfinished, count)

    parts.make(write_part, group)
    return parts
