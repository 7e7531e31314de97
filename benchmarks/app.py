"""App latency in a browser: loading pages and moving controls, and the load of concurrent sessions on the server.

    python -m benchmarks.app --home FOLDER [--sessions 20 --minutes 10 --reading 30]

FOLDER is a workspace (``YT8M_HOME``) with trained runs. The limits apply to a run on the 3,541 videos of the real
validation shards. Times are in seconds; there is no other tool to compare with. Browser and server share the machine.
First, one session opens each page several times with warm caches and moves each control. Then, many sessions visit all
pages, each for ``--reading`` seconds, while the server's memory is measured.
"""

import argparse
import asyncio
import os
import random
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Browser, Page, async_playwright
from playwright.async_api import Error as BrowserError

from tests.support.server import FLAGS, served

CONTROL_LIMIT, PAGE_LIMIT, MEMORY_LIMIT = 1.0, 3.0, 2 << 30  # seconds, seconds, bytes
# What a session visits: pages by their titles, and options or tabs of them.
VISITS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Overview", "Attention", "Predictions", "Experiments", "Label", "Label issues"), ()),
    "Imbalance": ("precision",),
    "Correlation": ("All labels", "Label processing"),
    "Compare": ("videos",),
    "Calibration": ("thresholds",),
    "Videos": (),
    "Map": (),
}
REPEATS = 5
LABELS = ("car", "dog", "music", "game", "food", "guitar")
# Name → address, and the title to wait for.
PAGES = {
    "overview": ("", "Overview"),
    "imbalance": ("imbalance", "Imbalance"),
    "imbalance, precision": ("imbalance?look=precision", "Imbalance"),
    "correlation": ("correlation", "Correlation"),
    "correlation, all labels": ("correlation?part=All+labels", "Correlation"),
    "correlation, label processing": ("correlation?part=Label+processing", "Correlation"),
    "videos": ("videos", "Videos"),
    "videos, filtered": ("videos?only=false+negative&order=hardest+first", "Videos"),
    "map": ("map", "Map"),
    "attention": ("attention", "Attention"),
    "predictions": ("predictions", "Predictions"),
    "experiments": ("experiments", "Experiments"),
    "label": ("label", "Label"),
    "label issues": ("label-issues", "Label issues"),
    "compare": ("compare", "Compare"),
    "compare, videos": ("compare?by=videos", "Compare"),
    "calibration": ("calibration", "Calibration"),
    "calibration, thresholds": ("calibration?judge=thresholds", "Calibration"),
}
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


@dataclass
class Timings:
    """Times in seconds by name, and errors."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, name: str, seconds: float) -> None:
        """Add one time."""
        self.seconds.setdefault(name, []).append(seconds)

    def table(self) -> str:
        """Return a line per name with the median and the 95th percentile."""
        lines = [f"{'':44}{'median':>8}{'p95':>8}{'times':>7}"]
        for name, seconds in self.seconds.items():
            lines.append(f"{name:44}{np.nanmedian(seconds):8.2f}{np.nanquantile(seconds, 0.95):8.2f}{len(seconds):7}")
        return "\n".join(lines)


async def new_page(browser: Browser, timings: Timings) -> Page:
    """Open an empty page in a new session, and record its errors."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(120_000)
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
    await page.locator(".js-plotly-plot .main-svg, [data-testid=stDataFrame], [data-testid=stAlert]").first.wait_for()


async def open_page(page: Page, address: str, name: str, timings: Timings) -> None:
    """Open a page by its address, in a new session of the server."""
    path, title = PAGES[name]
    started = time.perf_counter()
    await page.goto(address.format(path))
    await wait_for_page(page, title)
    timings.add(name, time.perf_counter() - started)
    if await page.get_by_test_id("stException").count():
        timings.errors.append(f"{name}: an exception")


async def no_preparation() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Move:
    """A move of a control, after a preparation that is not timed, such as typing a name."""

    name: str
    act: Callable[[], Awaitable[Any]]
    prepare: Callable[[], Awaitable[Any]] = no_preparation


def moves(page: Page) -> dict[str, list[Move]]:
    """Return the moves of each page."""

    def choose(text: str) -> Callable[[], Awaitable[Any]]:
        radio, button = (page.get_by_role(role, name=text, exact=True) for role in ("radio", "button"))
        return lambda: radio.or_(button).first.click()

    def slide(name: str) -> Callable[[], Awaitable[Any]]:
        return lambda: page.get_by_role("slider", name=name).first.press("ArrowRight")

    async def type_a_label() -> None:
        await page.get_by_role("combobox", name="Label").first.fill(random.choice(LABELS))
        await page.get_by_role("option").first.wait_for()

    label = Move("label by name", lambda: page.get_by_role("option").first.click(), type_a_label)
    return {
        "imbalance": [Move("cumulative share", choose("cumulative share")), label],
        "correlation": [
            Move("measure", choose("lift")),
            Move("measure", choose("phi")),
            Move("window size", slide("Number of labels")),
            label,
        ],
        "correlation, label processing": [Move("β", slide("β")), Move("γ", slide("γ")), Move("α", slide("α"))],
        "label": [label],
        "label issues": [Move("next candidate", lambda: page.keyboard.press("n"))],
        "compare": [Move("difference by frequency", choose("difference by frequency")), label],
        "calibration": [Move("head", choose("head"))],
        "videos": [
            Move("threshold", slide("Threshold")),
            Move("errors", choose("false negative")),
            Move("band", choose("tail")),
            label,
        ],
        "predictions": [
            Move("next video", lambda: page.keyboard.press("n")),
            Move("next video", lambda: page.keyboard.press("n")),
            Move("threshold", slide("Threshold")),
            Move("threshold", slide("Threshold")),
        ],
    }


async def measure_session(browser: Browser, address: str) -> Timings:
    """Open each page and move each control several times."""
    timings = Timings()
    page = await new_page(browser, Timings())
    for name in PAGES:  # fill the caches
        await open_page(page, address, name, Timings())
    for _ in range(REPEATS):
        for name in PAGES:
            await open_page(page, address, name, timings)
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
    await page.context.close()
    return timings


async def visit_pages(
    browser: Browser, address: str, seed: int, deadline: float, reading: float, timings: Timings
) -> None:
    """Visit all pages by their links, in random order, until the deadline."""
    rng = random.Random(seed)
    page = await new_page(browser, timings)
    await asyncio.sleep(rng.uniform(0, reading))
    await open_page(page, address, "overview", Timings())
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


def resident(address: str) -> int:
    """Return the resident memory of the server in bytes."""
    port = address.rsplit(":", 1)[1].split("/")[0]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"streamlit" in command and port.encode() in command:
                pages = int((process / "statm").read_text().split()[1])
                return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


async def sample_memory(address: str, deadline: float) -> list[int]:
    """Measure the server's memory every ten seconds."""
    samples = []
    while time.monotonic() < deadline:
        samples.append(resident(address))
        await asyncio.sleep(10)
    return samples


async def measure(address: str, sessions: int, minutes: float, reading: float) -> bool:
    """Print all results, and return whether there was no error."""
    link = f"{address}/{{}}"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS.split())
        single = await measure_session(browser, link)
        print(f"One session, warm caches, {REPEATS} times each (s):\n{single.table()}")
        controls = [s for name, seconds in single.seconds.items() if ":" in name for s in seconds]
        print(f"all controls, 95th percentile: {np.nanquantile(controls, 0.95):.2f} s (limit: {CONTROL_LIMIT})")
        print(f"memory of the server: {resident(address) / 2**20:,.0f} MB")
        many = Timings()
        if minutes:
            deadline = time.monotonic() + 60 * minutes
            memory, *_ = await asyncio.gather(
                sample_memory(address, deadline),
                *(visit_pages(browser, link, seed, deadline, reading, many) for seed in range(sessions)),
            )
            pages = [s for seconds in many.seconds.values() for s in seconds]
            half = memory[len(memory) // 2 :]
            print(f"\n{sessions} sessions for {minutes:g} minutes, a page every {reading:g} s (s):\n{many.table()}")
            print(f"all pages, 95th percentile: {np.quantile(pages, 0.95):.2f} s (limit: {PAGE_LIMIT})")
            print(
                f"memory: at most {max(memory) / 2**20:,.0f} MB (limit: {MEMORY_LIMIT / 2**20:,.0f}); second half from "
                f"{half[0] / 2**20:,.0f} to {half[-1] / 2**20:,.0f} MB"
            )
        for error in (*single.errors, *many.errors)[:20]:
            print("error:", error)
        await browser.close()
    return not (single.errors or many.errors)


def main() -> None:
    """Serve the app and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="a workspace with trained runs")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument(
        "--minutes", type=float, default=10, help="duration of the concurrent sessions; 0 for one session only"
    )
    parser.add_argument("--reading", type=float, default=30, help="mean seconds between two pages of a session")
    args = parser.parse_args()
    environment = {"YT8M_HOME": str(args.home.absolute()), "YT8M_RUNS": "", "YT8M_DATA": ""}
    with served(environment) as address:
        is_valid = asyncio.run(measure(address, args.sessions, args.minutes, args.reading))
    raise SystemExit(not is_valid)


if __name__ == "__main__":
    main()
