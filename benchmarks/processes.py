"""Speed and memory of evaluation and prediction by 1, 2 and 4 processes of torchrun on this machine.

    python -m benchmarks.processes [--videos 20000]

Mean pooling with MoE-2 over 4,716 classes scores synthetic video-level records. Each process has one thread. The time
of a sixteenth of the data is subtracted, so that the start of the processes, which takes seconds, does not count.
The limit is the forward pass of the same batches in memory, in one thread.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.measure import one_torch_thread
from benchmarks.process_memory import children_memory
from benchmarks.reader import CLASSES
from benchmarks.video_level import STREAMS, synthetic_vectors
from yt8m_core.data.vocabulary import unnamed_vocabulary, write_vocabulary
from yt8m_core.experiment import Data, Experiment, Training
from yt8m_core.models.slot import Slot
from yt8m_core.runs.run import Run
from yt8m_core.training.loop import train

COUNTS = (1, 2, 4)
BATCH = 128


def run_command(processes: int, arguments: Sequence[str]) -> tuple[float, int]:
    """Run a command in several processes; return its seconds and the largest own memory of a process in bytes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m", "--"]
    command = [sys.executable, *launcher, "yt8m_core", *arguments, "--accelerator", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started, largest = time.perf_counter(), 0
    launched = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)  # noqa: S603 - no shell
    while launched.poll() is None:
        largest = max([largest, *children_memory(launched.pid, "RssAnon")])
        time.sleep(0.2)
    if launched.returncode:
        raise SystemExit(f"{command} ended with {launched.returncode}")
    return time.perf_counter() - started, largest


def forward_rate(run: Run) -> float:
    """Return the videos per second of the forward pass in memory, in one thread."""
    model = run.load_model()
    frames, ones = torch.randn(BATCH, 1, sum(width for _, width in STREAMS)), torch.ones(BATCH, dtype=torch.int64)
    times = []
    with one_torch_thread(), torch.no_grad():
        for _ in range(20):
            started = time.perf_counter()
            model(frames, ones)
            times.append(time.perf_counter() - started)
    return BATCH / float(np.median(times))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=20_000)
    args = parser.parse_args()
    with synthetic_vectors(args.videos) as index, TemporaryDirectory() as folder:
        shards = [shard.path for shard in index.shards]
        vocabulary = Path(folder, "vocabulary.csv")
        write_vocabulary(vocabulary, unnamed_vocabulary(CLASSES))
        data, few = str(Path(shards[0]).parent), shards[1]
        run = train(
            Experiment(Data(shards[0], few, str(vocabulary)), classification=Slot("moe"), training=Training(epochs=1)),
            Path(folder, "run"),
        )
        limit = forward_rate(run)
        print(f"{'':10}{'processes':>10}{'videos/s':>10}{'speed-up':>10}{'of limit':>10}{'MB each':>10}")
        for name, options in (("evaluate", []), ("predict", ["--output", str(Path(folder, "scores.csv"))])):
            first = 0.0
            for processes in COUNTS:
                arguments = [name, str(run.path), *options]
                short, _ = run_command(processes, [*arguments, "--data", few])
                seconds, memory = run_command(processes, [*arguments, "--data", data])
                rate = args.videos * 15 / 16 / (seconds - short)
                first = first or rate
                share = rate / (limit * min(processes, os.cpu_count() or 1))
                print(f"{name:10}{processes:10}{rate:10,.0f}{rate / first:10.2f}{share:10.2f}{memory / 1e6:10,.0f}")
        print(f"limit: {limit:,.0f} videos/s for each core")


if __name__ == "__main__":
    main()
