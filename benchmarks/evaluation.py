"""Wall-clock rate of evaluation: scores, metrics and average precision of video-level records, with MoE-2.

The limit is the forward pass of the same batches in memory, in the same number of threads with a batch each. The peer
is one batch at a time, whose operations are split between the threads. Both are measured alone and beside a process
that keeps one core busy.
"""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import measure_interleaved, row
from benchmarks.reader import CLASSES
from benchmarks.video_level import STREAMS, synthetic_vectors
from yt8m_core.data.dataset import Videos
from yt8m_core.data.loader import Loader, ordered_batches
from yt8m_core.data.schema import Streams
from yt8m_core.inference.compute import Compute
from yt8m_core.inference.evaluation import score_batches
from yt8m_core.inference.evaluation_state import EvaluationState
from yt8m_core.inference.scoring_parts import BATCH_SIZE
from yt8m_core.models.classifier import VideoClassifier


@contextmanager
def busy_process(*, is_busy: bool) -> Iterator[None]:
    """Keep one core busy, or not."""
    if not is_busy:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def mean_moe(streams: Streams) -> VideoClassifier:
    """Return MoE-2 on the mean of the frames, at the paper's widths."""
    torch.manual_seed(0)
    return VideoClassifier(
        streams=streams,
        num_classes=CLASSES,
        pooling=("mean", {}),
        classification=("moe", {"experts": 2}),
        label_processing=("identity", {}),
    ).eval()


def measure(videos: Videos, model: VideoClassifier, repeats: int, *, is_busy: bool) -> dict[str, Any]:
    """Measure one row."""
    threads = torch.get_num_threads()
    batches = ordered_batches(len(videos), BATCH_SIZE)
    loaded = [batch.frames.clone() for batch in Loader(videos, batches)]
    counts = np.bincount(videos.label_values, minlength=CLASSES)

    def collect(scored: Iterator[tuple[Any, Tensor]]) -> None:
        state = EvaluationState(videos, CLASSES, counts, torch.device("cpu"))
        for batch, p in scored:
            state.update(batch, p)

    def ours() -> None:
        collect(score_batches(model, videos, batches, compute=Compute()))

    def one_batch_at_a_time() -> None:
        def scored() -> Iterator[tuple[Any, Tensor]]:
            for batch in Loader(videos, batches):
                with torch.no_grad():
                    yield batch, model(batch.frames, batch.num_frames)[0].p

        collect(scored())

    def forward() -> None:
        def compute(frames: Tensor) -> None:
            with torch.no_grad():
                model(frames, torch.ones(len(frames), dtype=torch.int64))

        torch.set_num_threads(1)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(compute, loaded))
        torch.set_num_threads(threads)

    with busy_process(is_busy=is_busy):
        costs = measure_interleaved({"ours": ours, "peer": one_batch_at_a_time, "limit": forward}, repeats)
    rates = {name: len(videos) / cost.wall for name, cost in costs.items()}
    what = "evaluate: MoE-2" + (", beside a busy process" if is_busy else "")
    return row(what, "videos/s", rates["ours"], "one batch at a time", rates["peer"], rates["limit"])


def rows(videos: int = 4096, repeats: int = 3) -> list[dict[str, Any]]:
    """Return the rows of this benchmark."""
    with synthetic_vectors(videos) as index:
        opened, model = Videos(index), mean_moe(STREAMS)
        return [measure(opened, model, repeats, is_busy=is_busy) for is_busy in (False, True)]
