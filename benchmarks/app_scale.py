"""The pages Videos and Map with many videos: seconds per filter of a table, and until the map is drawn.

    python -m benchmarks.app_scale --home FOLDER [--videos 40000 --points 100000]

FOLDER is a workspace with the demo world and its runs (``yt8m demo``). The videos are short ones, made of frames of the
demo world and written once to FOLDER/scale. Their numbers mean nothing; only the times do.
"""

import argparse
import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from playwright.async_api import Page, async_playwright

from benchmarks.app import FINISHED, RERUN_TIME, Timings, new_page
from tests.support.server import FLAGS, served
from yt8m_core.data.dataset import open_videos
from yt8m_core.data.tfrecord.encode import encode_sequence_example, write_shard

RUN = "demo-mean-mlp"
FILTER_LIMIT, MAP_LIMIT = 1.0, 3.0  # seconds
SHARDS, REPEATS = 16, 3


def build_videos(home: Path, count: int) -> Path:
    """Write videos of three frames each, unless they are there, and return their folder."""
    folder = home / "scale" / str(count) / "validation"
    if folder.exists():
        return folder
    source = open_videos(home / "demo" / "validation")
    random = np.random.default_rng(0)

    def payloads(shard: int) -> Iterator[bytes]:
        for number in range(shard, count, SHARDS):
            video = int(random.integers(len(source)))
            frames = source.frames(video)
            frames = frames[random.integers(len(frames), size=3)]
            labels = {"id": f"v{number}".encode(), "labels": source.labels(video).tolist()}
            yield encode_sequence_example(labels, {"rgb": frames[:, :1024], "audio": frames[:, 1024:]})

    for shard in range(SHARDS):
        write_shard(folder / f"validate{shard:04}.tfrecord", payloads(shard))
    return folder


async def measure_filters(page: Page, timings: Timings) -> None:
    """Move the filters of the page Videos, each with a rerun of the page."""
    for _ in range(REPEATS):
        for name, act in {
            "errors": page.get_by_role("button", name="false negative", exact=True).click,
            "band": page.get_by_role("button", name="tail", exact=True).click,
            "threshold": lambda: page.get_by_role("slider", name="Threshold").first.press("ArrowRight"),
        }.items():
            rerun_time = asyncio.ensure_future(page.evaluate(RERUN_TIME))
            await asyncio.sleep(0.05)  # until the observer is active
            await act()
            timings.add(f"videos: {name}", (await rerun_time) / 1000 - 0.05)
            await page.locator(FINISHED).wait_for(state="attached")


async def measure(address: str, table: str, points: str) -> None:
    """Print the times of both pages."""
    timings = Timings()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS.split())
        page = await new_page(browser, timings)
        for number in range(2):  # the first time fills the caches
            await page.goto(f"{address}/videos?run={RUN}&data={table}")
            await page.locator("[data-testid=stDataFrame]").first.wait_for()
            await page.locator(FINISHED).wait_for(state="attached")
            if number:
                await measure_filters(page, timings)
        for number in range(REPEATS + 1):
            started = time.perf_counter()
            await page.goto(f"{address}/map?run={RUN}&data={points}")
            await page.locator(".js-plotly-plot .main-svg").first.wait_for()
            if number:
                timings.add("map, drawn", time.perf_counter() - started)
            await page.locator(FINISHED).wait_for(state="attached")
        await browser.close()
    print(timings.table())
    print(f"limits: {FILTER_LIMIT:g} s per filter, {MAP_LIMIT:g} s for the map")
    for error in timings.errors:
        print("error:", error)


def main() -> None:
    """Build the videos, serve the app, and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="a workspace with the demo world and its runs")
    parser.add_argument("--videos", type=int, default=40_000, help="rows of the table")
    parser.add_argument("--points", type=int, default=100_000, help="points of the map")
    args = parser.parse_args()
    home = args.home.absolute()
    table, points = (build_videos(home, count) for count in (args.videos, args.points))
    environment = {"YT8M_HOME": str(home), "YT8M_RUNS": "", "YT8M_DATA": f"{table}:{points}"}
    with served(environment) as address:
        keys = (f"{folder.parent.name}/{folder.name}" for folder in (table, points))
        asyncio.run(measure(address, *keys))


if __name__ == "__main__":
    main()
