"""Segments of the 2019 edition: what they cost beside their videos, and a submission of the competition's size.

    python -m benchmarks.segments [--videos 47000]

The first row reads and pools all segments of 512 synthetic videos, and then the videos themselves, with the frames of a
video read once in both. The head is left out: for a video of 210 frames it scores 42 vectors in place of one. The
submission is of random scores, 60 segments per video and 1,000 labels; memory is the peak of the process.
"""

import argparse
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch

from benchmarks.evaluation import mean_moe
from benchmarks.measure import measure_interleaved, one_torch_thread, row
from benchmarks.reader import STREAMS, synthetic_index
from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Loader, ordered_batches
from yt8m_core.data.segments import Segments
from yt8m_core.inference.segment_submission import write_submission
from yt8m_core.metrics.top_segments import CHUNK, TopSegments

LABELS, WINDOWS = 1000, 60
BATCH = 128


def pooling_row(repeats: int, videos: int = 512) -> dict[str, Any]:
    """Compare reading and pooling the segments with reading and pooling the videos."""
    model = mean_moe(STREAMS)

    def pool(items: Videos) -> None:
        with torch.no_grad():
            for batch in Loader(items, ordered_batches(len(items), BATCH)):
                model.summarize(batch.frames, batch.num_frames)

    with synthetic_index(videos) as index, one_torch_thread():
        opened = Videos(index)
        segments = Segments(opened, "all")
        costs = measure_interleaved({"segments": partial(pool, segments), "videos": partial(pool, opened)}, repeats)
    rates = {name: videos / cost.cpu for name, cost in costs.items()}
    return row("segments: reading and pooling", "videos/s of CPU", rates["segments"], "", None, rates["videos"])


def rows(repeats: int = 5) -> list[dict[str, Any]]:
    """Return the rows of this benchmark."""
    return [pooling_row(repeats)]


class _Names:
    """Ids of segments of videos that do not exist."""

    def ids_at(self, positions: np.ndarray[Any, np.dtype[np.int64]]) -> list[str]:
        return [f"v{position // WINDOWS:06}:{position % WINDOWS * 5}" for position in positions.tolist()]


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print the seconds of a block and the memory of the process."""
    started = time.perf_counter()
    yield
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:40}{time.perf_counter() - started:8.0f} s, {memory:.2f} GiB", flush=True)


def main() -> None:
    """Rehearse a submission."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=47_000)
    args = parser.parse_args()
    total = args.videos * WINDOWS
    random = np.random.default_rng(0)
    best = TopSegments(LABELS, total)
    with TemporaryDirectory() as folder:
        with timed(f"best of {total:,} segments x {LABELS:,} labels"):
            for first in range(0, total, CHUNK):
                best.add(first, random.random((min(CHUNK, total - first), LABELS), np.float32))
        output = Path(folder, "segments.csv")
        with timed("writing the submission"):
            write_submission(best, cast(Segments, _Names()), np.arange(LABELS), output)
        print(f"{output.stat().st_size / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
