"""App latency in a browser: loading pages and moving controls, and the load of concurrent sessions on the server.

    python -m benchmarks.app --home FOLDER --run NAME [--sessions 20 --browsers 20 --minutes 10 --reading 30]

FOLDER is a workspace (``YT8M_HOME``) with two trained runs that can be compared; NAME is one of them. The limits apply
to a run on the 3,541 videos of the real validation shards. Times are in seconds; there is no other tool to compare
with. Browser and server share the machine.
First, one session opens each page several times with warm caches and moves each control. Then, many sessions visit all
pages, each for ``--reading`` seconds, while the server's memory is measured. ``--browsers`` of them are in Chromium, of
which one of five uploads files instead; the others ask the server for what a browser asks, and draw nothing: a browser
takes twice the CPU time of the server for each page. A further session is hostile: garbage in its WebSocket, uploads
without end, random links.
"""

import argparse
import asyncio
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from playwright.async_api import Browser, Page, async_playwright
from playwright.async_api import Error as BrowserError

from benchmarks.app_load import UPLOADS, attack, read_pages, upload_files
from benchmarks.app_pages import PAGES, VISITS, moves
from benchmarks.process_memory import resident
from benchmarks.timings import Timings
from tests.support.server import FLAGS, served
from yt8m_core.progress import console_progress

CHART_LIMIT, CONTROL_LIMIT, PAGE_LIMIT = 2.0, 1.0, 3.0  # seconds
TRANSFER_LIMIT, MEMORY_LIMIT = 3_000_000, 2 << 30  # bytes
REPEATS = 5
UPLOADED = "uploaded files"  # from the choice of the files to their predictions; no page
FIRST_RESULT = ".js-plotly-plot .main-svg, [data-testid=stDataFrame], [data-testid=stAlert]"
FINISHED = "[data-testid=stApp][data-test-script-state=notRunning]"
# Milliseconds from the move of a control to the end of the rerun, and two drawn frames.
RERUN_TIME = """() => new Promise(resolve => {
    const app = document.querySelector("[data-testid=stApp]"), started = performance.now()
    let hasStarted = false
    const done = () => requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - started)))
    new MutationObserver(() => {
        if (app.dataset.testScriptState !== "notRunning") hasStarted = true
        else if (hasStarted) done()
    }).observe(app, {attributes: true})
    setTimeout(() => resolve(NaN), 20000)
})"""


@dataclass(frozen=True)
class Target:
    """The server, and the run whose pages are measured, on its own data or on others."""

    address: str
    run: str
    data: str = ""

    def url(self, path: str) -> str:
        """Return the address of a page with the run."""
        data = f"&data={quote(self.data, safe='')}" if self.data else ""
        return f"{self.address}/{path}{'&' if '?' in path else '?'}run={quote(self.run)}{data}"


async def new_page(browser: Browser, timings: Timings) -> Page:
    """Open an empty page in a new session, and record its errors."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    page = await context.new_page()
    page.on("pageerror", lambda error: timings.errors.append(str(error)))
    page.on(
        "console",
        lambda message: (
            timings.errors.append(message.text)
            if message.type == "error" and "/_stcore/" not in message.location["url"]
            else None
        ),
    )
    return page


async def wait_for_page(page: Page, title: str) -> None:
    """Wait until a page has finished, and shows its first figure or table."""
    await page.get_by_role("heading", level=1, name=title).wait_for()
    await page.locator(FINISHED).wait_for(state="attached")
    await page.locator(FIRST_RESULT).first.wait_for()


async def open_page(page: Page, target: Target, name: str, timings: Timings) -> None:
    """Open a page by its address, in a new session of the server."""
    path, title = PAGES[name]
    started = time.perf_counter()
    await page.goto(target.url(path))
    await page.locator(FIRST_RESULT).first.wait_for()
    timings.add(f"{name} (first result)", time.perf_counter() - started)
    await wait_for_page(page, title)
    timings.add(name, time.perf_counter() - started)
    if await page.get_by_test_id("stException").count():
        timings.errors.append(f"{name}: an exception")


async def measure_session(browser: Browser, target: Target) -> Timings:
    """Open each page and move each control several times."""
    timings, progress = Timings(), console_progress()
    page = await new_page(browser, Timings())
    for name in PAGES:  # fill the caches
        await open_page(page, target, name, Timings())
    for repeat in range(REPEATS):
        for name in PAGES:
            await open_page(page, target, name, timings)
            for move in moves(page).get(name, ()):
                try:
                    await move.prepare()
                    rerun_time = asyncio.ensure_future(page.evaluate(RERUN_TIME))
                    await asyncio.sleep(0.05)  # until the observer is active
                    await move.act()
                    timings.add(f"{name}: {move.name}", (await rerun_time) / 1000 - 0.05)
                    await page.locator(FINISHED).wait_for(state="attached")
                except BrowserError as error:
                    timings.errors.append(f"{name}: {move.name}: {str(error)[:200]}")
        progress("all pages and controls", repeat + 1, REPEATS)
    await page.context.close()
    return timings


async def measure_transfer(browser: Browser, target: Target) -> int:
    """Return the bytes that a browser with an empty cache receives for the first page."""
    page = await new_page(browser, Timings())
    network = await page.context.new_cdp_session(page)
    await network.send("Network.enable")
    received: list[int] = []
    network.on("Network.loadingFinished", lambda event: received.append(int(event["encodedDataLength"])))
    network.on("Network.webSocketFrameReceived", lambda event: received.append(len(event["response"]["payloadData"])))
    await open_page(page, target, "overview", Timings())
    await page.context.close()
    return sum(received)


async def visit_pages(
    browser: Browser, target: Target, seed: int, deadline: float, reading: float, timings: Timings
) -> None:
    """Visit all pages by their links, in random order, until the deadline; some sessions upload files instead."""
    rng = random.Random(seed)
    page = await new_page(browser, timings)
    await asyncio.sleep(rng.uniform(0, reading))
    try:
        await open_page(page, target, "overview", timings)
    except BrowserError as error:  # the others go on
        timings.errors.append(f"first page of session {seed}: {str(error)[:200]}")
        return
    while seed % UPLOADS == UPLOADS - 1 and time.monotonic() < deadline:
        try:
            timings.add(UPLOADED, await upload_files(page, target.url("predictions?from=my+file"), rng))
        except BrowserError as error:
            timings.errors.append(f"upload: {str(error)[:200]}")
        await asyncio.sleep(rng.uniform(0.5, 1.5) * reading)
    links = page.get_by_test_id("stSidebarNav")
    while time.monotonic() < deadline:
        for title in rng.sample(list(VISITS), len(VISITS)):
            for part in ("", *VISITS[title]):
                if time.monotonic() > deadline:
                    break
                option = page.get_by_role("radio", name=part, exact=True).or_(
                    page.get_by_role("tab", name=part, exact=True)
                )
                started = time.perf_counter()
                try:
                    await (option.first if part else links.get_by_role("link", name=title, exact=True)).click()
                    await page.wait_for_timeout(50)  # until the browser has sent the click
                    await wait_for_page(page, title)
                    timings.add(", ".join(filter(None, (title.lower(), part))), time.perf_counter() - started)
                except BrowserError as error:
                    timings.errors.append(f"{title} {part}: {str(error)[:200]}")
                await asyncio.sleep(rng.uniform(0.5, 1.5) * reading)
    await page.context.close()


async def sample_memory(address: str, deadline: float) -> list[int]:
    """Measure the server's memory every ten seconds."""
    samples = []
    while time.monotonic() < deadline:
        samples.append(resident(address))
        await asyncio.sleep(10)
    return samples


def page_seconds(timings: Timings) -> list[float]:
    """Return the seconds of all pages."""
    return [
        seconds
        for name, of_name in timings.seconds.items()
        if name != UPLOADED and "(first result)" not in name
        for seconds in of_name
    ]


async def show_progress(minutes: float, timings: Timings) -> None:
    """Show each minute how many pages were opened, how fast, and how many errors there were."""
    progress = console_progress()
    for minute in range(1, int(minutes) + 1):
        await asyncio.sleep(60)
        pages = page_seconds(timings)
        p95 = np.quantile(pages, 0.95) if pages else np.nan
        note = f"{len(pages):,} pages, 95th percentile {p95:.2f} s, {len(timings.errors):,} errors"
        progress("many sessions", minute, int(minutes), note)


async def measure(target: Target, sessions: int, browsers: int, minutes: float, reading: float) -> bool:
    """Print all results, and return whether there was no error."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS.split())
        single = await measure_session(browser, target)
        print(f"One session, warm caches, {REPEATS} times each (s):\n{single.table()}")
        received = await measure_transfer(browser, target)
        print(f"first page: {received / 1e6:.2f} MB received (limit: {TRANSFER_LIMIT / 1e6:g})")
        first = [s for name, seconds in single.seconds.items() if "(first" in name for s in seconds]
        middle, slowest = np.median(first), max(first)
        print(f"first result of each page, median {middle:.2f} s, slowest {slowest:.2f} s (limit: {CHART_LIMIT:g})")
        controls = [s for name, seconds in single.seconds.items() if ":" in name for s in seconds]
        print(f"all controls, 95th percentile: {np.nanquantile(controls, 0.95):.2f} s (limit: {CONTROL_LIMIT})")
        print(f"memory of the server: {resident(target.address) / 2**20:,.0f} MB")
        many = Timings()
        if minutes:
            deadline = time.monotonic() + 60 * minutes
            seeds = range(browsers, sessions)
            # Not as a context, which would wait for its threads until the deadline before an error is shown.
            pool, loop = ThreadPoolExecutor(len(seeds) + 1), asyncio.get_running_loop()
            others = [
                loop.run_in_executor(pool, read_pages, target.address, target.run, seed, deadline, reading)
                for seed in seeds
            ]
            memory, _, hostile, read, *_ = await asyncio.gather(
                sample_memory(target.address, deadline),
                show_progress(minutes, many),
                loop.run_in_executor(pool, attack, target.address, deadline),
                asyncio.gather(*others),
                *(visit_pages(browser, target, seed, deadline, reading, many) for seed in range(browsers)),
            )
            many.errors += [error for _, errors in read for error in errors]
            answers = [s for seconds, _ in read for s in seconds]
            tenths = [np.median(part) / 2**20 for part in np.array_split(memory, 10) if len(part)]
            print(f"\n{sessions} sessions for {minutes:g} minutes, a page every {reading:g} s (s):\n{many.table()}")
            p95 = np.quantile(page_seconds(many), 0.95)
            print(f"all pages, the first ones of new browsers too, 95th percentile: {p95:.2f} s (limit: {PAGE_LIMIT})")
            if answers:
                print(
                    f"{len(seeds)} of the sessions without a browser: {len(answers):,} answers of the server, median "
                    f"{np.median(answers):.2f} s, 95th percentile {np.quantile(answers, 0.95):.2f} s"
                )
            print(f"memory: at most {max(memory) / 2**20:,.0f} MB (limit: {MEMORY_LIMIT / 2**20:,.0f})")
            print("median memory in each tenth of the time (MB):", " ".join(f"{median:,.0f}" for median in tenths))
            print("the hostile session:", ", ".join(f"{kind} {count:,}" for kind, count in sorted(hostile.items())))
        for error in (*single.errors, *many.errors)[:20]:
            print("error:", error)
        await browser.close()
    return not (single.errors or many.errors)


def main() -> None:
    """Serve the app and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="a workspace with trained runs")
    parser.add_argument("--run", required=True, help="name of the run whose pages are measured")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--browsers", type=int, default=20, help="number of the sessions that are in Chromium")
    parser.add_argument(
        "--minutes", type=float, default=10, help="duration of the concurrent sessions; 0 for one session only"
    )
    parser.add_argument("--reading", type=float, default=30, help="mean seconds between two pages of a session")
    args = parser.parse_args()
    environment = {"YT8M_HOME": str(args.home.absolute()), "YT8M_RUNS": "", "YT8M_DATA": ""}
    with served(environment) as address:
        target = Target(address, args.run)
        is_valid = asyncio.run(
            measure(target, args.sessions, min(args.browsers, args.sessions), args.minutes, args.reading)
        )
    raise SystemExit(not is_valid)


if __name__ == "__main__":
    main()
