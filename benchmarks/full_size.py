"""The project at the size of the whole data set: 3,844 shards with 5.7 million videos, made of a few shards.

    python -m benchmarks.full_size --run RUN --data DATA --home FOLDER [--shards 3844] [--videos 5700000] [--app]

Shards of DATA, video-level records that fit RUN, are joined until each has as many videos as a shard of the data set,
and get 3,844 names by hard links. The index gives each video an id of its own. A fifth of the shards is for prediction.
FOLDER is the workspace, which is written once; it needs little more than a gigabyte. There is no peer; the limits are
those of the table.
"""

import argparse
import asyncio
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from playwright.async_api import async_playwright

from benchmarks.app import Target, Timings, new_page, open_page
from benchmarks.app_pages import PAGES
from benchmarks.process_memory import memory, resident
from tests.support.server import FLAGS, served
from yt8m_core.data import index_store
from yt8m_core.data.dataset import Videos, open_videos
from yt8m_core.data.index import open_index
from yt8m_core.data.index_store import Index
from yt8m_core.data.loader import shuffled_batches
from yt8m_core.data.shards import find_shards
from yt8m_core.data.tfrecord.shard import Shard, settled_shards
from yt8m_core.labels import cooccurrence, statistics
from yt8m_core.runs.run import Run

PREDICTED = 5  # a fifth of the shards: 1.1 million videos
OPEN_LIMIT, MEMORY_LIMIT, FIRST_CHART = 2.0, 4 << 30, 3.0  # seconds, bytes, seconds


def lay_out(data: Path, folder: Path, shards: int, videos: int) -> None:
    """Write few shards of ``videos / shards`` videos, and link them to ``shards`` names in two folders."""
    found = open_index(data)
    sizes = np.bincount(found.table["shard"].to_numpy(), minlength=len(found.shards))
    bases: list[Path] = []
    joined = 0
    for path, size in zip(find_shards(data), sizes.tolist(), strict=True):
        if not joined:
            bases.append(folder / "bases" / f"base{len(bases)}.tfrecord")
            bases[-1].parent.mkdir(parents=True, exist_ok=True)
        with bases[-1].open("ab") as base, path.open("rb") as source:
            shutil.copyfileobj(source, base)
        joined = 0 if joined + size >= videos / shards else joined + size
    if joined and len(bases) > 1:  # the last one is shorter
        bases.pop().unlink()
    for name, count in (("train", shards), ("validate", shards // PREDICTED)):
        (folder / name).mkdir(exist_ok=True)
        for number in range(count):
            os.link(bases[number % len(bases)], folder / name / f"{name}{number:04}.tfrecord")


def store_index(folder: Path) -> None:
    """Store the index of linked shards: the rows of their bases, with ids of their own."""
    bases = open_index(folder.parent / "bases", skip_bad=True)
    starts = np.searchsorted(bases.table["shard"].to_numpy(), np.arange(len(bases.shards) + 1))
    tables = [bases.table.slice(first, end - first) for first, end in pairwise(starts)]
    paths = find_shards(folder)
    rows = pa.concat_tables([tables[number % len(tables)] for number in range(len(paths))])
    counts = [len(tables[number % len(tables)]) for number in range(len(paths))]
    columns = {
        "id": pa.array(np.arange(len(rows))).cast(pa.string()),
        "shard": pa.array(np.repeat(np.arange(len(paths), dtype=np.int32), counts)),
    }
    for name, column in columns.items():
        rows = rows.set_column(rows.column_names.index(name), name, column)
    sources = settled_shards(paths)
    shards = tuple(Shard(source.path, source.state) for source in sources)
    index_store.write_index(
        index_store.index_file(folder), Index(bases.schema, shards, rows.combine_chunks(), (), sources)
    )


def measure(what: str, task: Callable[[], object], limit: str = "") -> None:
    """Print the seconds of a task."""
    started = time.perf_counter()
    task()
    print(f"{what:44}{time.perf_counter() - started:9.2f} s  {limit}", flush=True)


def measure_command(what: str, arguments: Sequence[str], videos: int) -> None:
    """Print the seconds and the largest memory of a command: its own, and with the mapped pages of shards.

    The system keeps pages of shards as long as nothing else needs the memory.
    """
    started, own, mapped = time.perf_counter(), 0, 0
    command = [sys.executable, "-m", "yt8m_core", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - no shell
    while process.poll() is None:
        status = Path("/proc", str(process.pid))
        own, mapped = max(own, memory(status, "RssAnon")), max(mapped, memory(status, "RssFile"))
        time.sleep(0.2)
    seconds = time.perf_counter() - started
    print(
        f"{what:44}{seconds:9.0f} s  {videos / seconds:,.0f} videos/s, own memory {own / 2**30:.2f} GiB (limit: "
        f"{MEMORY_LIMIT >> 30}), mapped {mapped / 2**30:.2f} GiB, exit status {process.returncode}",
        flush=True,
    )


async def measure_pages(address: str, run: str, data: str) -> None:
    """Print the seconds to the first chart of each page, the first time and warm, and the memory of the server."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS.split())
        cold, warm = Timings(), Timings()
        page = await new_page(browser, warm)
        page.set_default_timeout(3_600_000)
        target = Target(address, run, data)
        for name in PAGES:
            for timings in (cold, warm):
                await open_page(page, target, name, timings)
            first, again = (timings.seconds[f"{name} (first result)"][0] for timings in (cold, warm))
            print(f"{name:44}{first:9.2f} s, warm {again:.2f} s (limit: {FIRST_CHART:g} s)", flush=True)
        own, mapped = (resident(address, kind) / 2**30 for kind in ("RssAnon", "RssFile"))
        print(f"own memory of the server {own:.2f} GiB (limit: {MEMORY_LIMIT >> 30}), mapped {mapped:.2f} GiB")
        for error in warm.errors:
            print("error:", error)
        await browser.close()


def main() -> None:
    """Lay out the data set and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--shards", type=int, default=3844)
    parser.add_argument("--videos", type=int, default=5_700_000)
    parser.add_argument("--app", action="store_true", help="also measure the pages of the app")
    args = parser.parse_args()
    home = args.home.absolute()
    os.environ["YT8M_HOME"] = str(home)
    folder = home / "full-size"
    if not folder.exists():
        lay_out(args.data, folder, args.shards, args.videos)
        for name in ("train", "validate"):
            store_index(folder / name)
    run = Run.open(args.run)

    opened: list[Videos] = []
    measure("open the index", lambda: opened.append(open_videos(folder / "train")), f"(limit: {OPEN_LIMIT:g} s)")
    videos = opened[0]
    print(f"{len(videos):,} videos in {len(videos.shards):,} shards")
    measure("order of an epoch", lambda: shuffled_batches(videos.num_frames, 128, seed=0, epoch=0))

    def count_labels() -> None:
        matrix = statistics.label_matrix(videos.label_values, videos.label_offsets, run.facts.num_classes)
        statistics.imbalance(statistics.counts(matrix))
        cooccurrence.strongest_pairs(cooccurrence.count_pairs(matrix), len(videos), "phi", minimum_support=10, limit=20)

    measure("label statistics and pairs", count_labels)
    print(f"memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    data = str(folder / "validate")
    predicted = len(open_videos(data))
    for name in ("predict", "evaluate"):
        output = ["--output", str(home / "predictions.csv")] if name == "predict" else []
        measure_command(f"{name} {predicted:,} videos", [name, str(args.run), "--data", data, *output], predicted)
    if args.app:
        variables = {"YT8M_HOME": str(home), "YT8M_RUNS": str(args.run.parent), "YT8M_DATA": data}
        with served(variables) as address:
            asyncio.run(measure_pages(address, args.run.name, "full-size/validate"))


if __name__ == "__main__":
    main()
