"""The app in a real browser: how long a page and a control take, and what twenty readers at once do to the server.

    python -m benchmarks.app --home FOLDER [--sessions 20 --minutes 10 --reading 30]

FOLDER is a workspace (``YT8M_HOME``) with trained runs; what is asked of the app is asked with a run over the 3,541
videos of the real validation shards. Seconds, and no peer: no other tool shows this. Browser and server share the
machine. First each page is opened several times by one reader, warm, and each control moved; then so many sessions walk
all pages, reading each for ``--reading`` seconds, and the server's memory is watched.
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

PAINT, CONTROL, OVERVIEW, LOADED, MEMORY = 2.0, 1.0, 3.0, 3.0, 2 << 30  # what is asked: seconds, bytes
# What a session walks: pages by their titles, and parts of them.
WALK: dict[str, tuple[str, ...]] = {
    "Overview": (),
    "Imbalance": ("precision",),
    "Correlation": ("All labels", "Other weights"),
    "Attention": (),
    "Predictions": (),
    "Experiments": (),
}
REPEATS = 5
LABELS = ("car", "dog", "music", "game", "food", "guitar")
# By what is told of it: the address, and the title to wait for.
PAGES = {
    "overview": ("", "Overview"),
    "imbalance": ("imbalance", "Imbalance"),
    "imbalance, precision": ("imbalance?look=precision", "Imbalance"),
    "correlation": ("correlation", "Correlation"),
    "correlation, all labels": ("correlation?part=All+labels", "Correlation"),
    "correlation, other weights": ("correlation?part=Other+weights", "Correlation"),
    "attention": ("attention", "Attention"),
    "predictions": ("predictions", "Predictions"),
    "experiments": ("experiments", "Experiments"),
}
SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"
# From a control that is moved to the end of the script that answers it, and two frames drawn.
ANSWERED = """() => new Promise(resolve => {
    const app = document.querySelector("[data-testid=stApp]"), started = performance.now()
    let ran = false
    const done = () => requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - started)))
    new MutationObserver(() => {
        if (app.dataset.testScriptState !== "notRunning") ran = true
        else if (ran) done()
    }).fit_label_prior(app, {attributes: true})
    setTimeout(() => resolve(NaN), 20000)
})"""


@dataclass
class Seen:
    """Seconds by what took them, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def add(self, what: str, seconds: float) -> None:
        self.seconds.setdefault(what, []).append(seconds)

    def table(self) -> str:
        """A line each: median and 95th percentile."""
        lines = [f"{'':44}{'median':>8}{'95 %':>8}{'times':>7}"]
        for what, seconds in self.seconds.items():
            lines.append(f"{what:44}{np.nanmedian(seconds):8.2f}{np.nanquantile(seconds, 0.95):8.2f}{len(seconds):7}")
        return "\n".join(lines)


async def new_page(browser: Browser, seen: Seen) -> Page:
    """A session of its own, whose complaints are kept."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(120_000)
    page = await context.new_page()
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on(
        "console",
        lambda told: (
            seen.errors.append(told.text) if told.type == "error" and "/_stcore/" not in told.location["url"] else None
        ),
    )
    return page


async def settle(page: Page, title: str) -> None:
    """Wait until a page is there, its first picture or table included."""
    await page.get_by_role("heading", level=1, name=title).wait_for()
    await page.locator(SETTLED).wait_for(state="attached")
    await page.locator(".js-plotly-plot .main-svg, [data-testid=stDataFrame], [data-testid=stAlert]").first.wait_for()


async def open_page(page: Page, address: str, what: str, seen: Seen) -> None:
    """Open a page by its address, as a link does: a new session of the server."""
    path, title = PAGES[what]
    started = time.perf_counter()
    await page.goto(address.format(path))
    await settle(page, title)
    seen.add(what, time.perf_counter() - started)
    if await page.get_by_test_id("stException").count():
        seen.errors.append(f"{what}: an exception")


async def nothing() -> None:
    """No preparation."""


@dataclass(frozen=True)
class Move:
    """A control that is moved, after what is not timed, such as the typing of a name."""

    what: str
    act: Callable[[], Awaitable[Any]]
    prepare: Callable[[], Awaitable[Any]] = nothing


def moves(page: Page) -> dict[str, list[Move]]:
    """By page, the controls that are moved."""

    def choose(text: str) -> Callable[[], Awaitable[Any]]:
        radio, button = (page.get_by_role(role, name=text, exact=True) for role in ("radio", "button"))
        return lambda: radio.or_(button).first.click()

    def slide(name: str) -> Callable[[], Awaitable[Any]]:
        return lambda: page.get_by_role("slider", name=name).first.press("ArrowRight")

    async def type_a_label() -> None:
        await page.get_by_role("combobox", name="label").first.fill(random.choice(LABELS))
        await page.get_by_role("option").first.wait_for()

    label = Move("a label by name", lambda: page.get_by_role("option").first.click(), type_a_label)
    return {
        "imbalance": [Move("cumulative share", choose("cumulative share")), label],
        "correlation": [
            Move("measure", choose("lift")),
            Move("measure", choose("phi")),
            Move("window size", slide("How many")),
            label,
        ],
        "correlation, other weights": [Move("β", slide("β")), Move("γ", slide("γ")), Move("α", slide("α"))],
        "predictions": [
            Move("next video", lambda: page.keyboard.press("n")),
            Move("next video", lambda: page.keyboard.press("n")),
            Move("threshold", slide("Threshold")),
            Move("threshold", slide("Threshold")),
            Move("order: hardest first", choose("hardest first")),
        ],
    }


async def one_reader(browser: Browser, address: str) -> Seen:
    """Each page, and each control, several times."""
    seen = Seen()
    page = await new_page(browser, Seen())
    for what in PAGES:  # the first look computes what is kept from then on
        await open_page(page, address, what, Seen())
    for _ in range(REPEATS):
        for what in PAGES:
            await open_page(page, address, what, seen)
            for move in moves(page).get(what, ()):
                try:
                    await move.prepare()
                    answered = asyncio.ensure_future(page.evaluate(ANSWERED))
                    await asyncio.sleep(0.05)  # until the browser listens
                    await move.act()
                    seen.add(f"{what}: {move.what}", (await answered) / 1000 - 0.05)
                    await page.locator(SETTLED).wait_for(state="attached")
                except BrowserError as error:
                    seen.errors.append(f"{what}: {move.what}: {str(error)[:200]}")
    await page.context.close()
    return seen


async def reader(browser: Browser, address: str, seed: int, until: float, reading: float, seen: Seen) -> None:
    """A session that walks all pages by their links, in its own order, until the time is over."""
    chance = random.Random(seed)
    page = await new_page(browser, seen)
    await asyncio.sleep(chance.uniform(0, reading))
    await open_page(page, address, "overview", Seen())
    links = page.get_by_test_id("stSidebarNav")
    while time.monotonic() < until:
        for title in chance.sample(list(WALK), len(WALK)):
            for part in ("", *WALK[title]):
                if time.monotonic() > until:
                    break
                there = page.get_by_role("radio", name=part, exact=True).or_(
                    page.get_by_role("tab", name=part, exact=True)
                )
                started = time.perf_counter()
                try:
                    await (there.first if part else links.get_by_role("link", name=title)).click()
                    await page.wait_for_timeout(50)  # until the browser has told the server
                    await settle(page, title)
                    seen.add(", ".join(filter(None, (title.lower(), part))), time.perf_counter() - started)
                except BrowserError as error:
                    seen.errors.append(f"{title} {part}: {str(error)[:200]}")
                await asyncio.sleep(chance.uniform(0.5, 1.5) * reading)
    await page.context.close()


def resident(address: str) -> int:
    """Bytes of memory that the server holds."""
    port = address.rsplit(":", 1)[1].split("/")[0]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().split(b"\0")
            if b"streamlit" in command and port.encode() in command:
                pages = int((process / "statm").read_text().split()[1])
                return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


async def watch(address: str, until: float) -> list[int]:
    """The server's memory, every ten seconds."""
    found = []
    while time.monotonic() < until:
        found.append(resident(address))
        await asyncio.sleep(10)
    return found


async def measure(address: str, sessions: int, minutes: float, reading: float) -> bool:
    """Print everything; whether what is asked was met."""
    link = f"{address}/{{}}"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS.split())
        alone = await one_reader(browser, link)
        print(f"One reader, warm, {REPEATS} times each (s):\n{alone.table()}")
        controls = [s for what, seconds in alone.seconds.items() if ":" in what for s in seconds]
        print(f"all controls, 95th percentile: {np.nanquantile(controls, 0.95):.2f} s (asked: {CONTROL})")
        print(f"memory of the server: {resident(address) / 2**20:,.0f} MB")
        many = Seen()
        if minutes:
            until = time.monotonic() + 60 * minutes
            memory, *_ = await asyncio.gather(
                watch(address, until),
                *(reader(browser, link, seed, until, reading, many) for seed in range(sessions)),
            )
            every = [s for seconds in many.seconds.values() for s in seconds]
            half = memory[len(memory) // 2 :]
            print(f"\n{sessions} sessions for {minutes:g} minutes, a page every {reading:g} s (s):\n{many.table()}")
            print(f"all pages, 95th percentile: {np.quantile(every, 0.95):.2f} s (asked: {LOADED})")
            print(
                f"memory: at most {max(memory) / 2**20:,.0f} MB (asked: {MEMORY / 2**20:,.0f}); second half from "
                f"{half[0] / 2**20:,.0f} to {half[-1] / 2**20:,.0f} MB"
            )
        for error in (*alone.errors, *many.errors)[:20]:
            print("error:", error)
        await browser.close()
    return not (alone.errors or many.errors)


def main() -> None:
    """Serve the app, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="a workspace with trained runs")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=10, help="of the sessions; 0 for one reader alone")
    parser.add_argument("--reading", type=float, default=30, help="seconds between two pages of a session")
    chosen = parser.parse_args()
    environment = {"YT8M_HOME": str(chosen.home.absolute()), "YT8M_RUNS": "", "YT8M_DATA": ""}
    with served(environment) as address:
        good = asyncio.run(measure(address, chosen.sessions, chosen.minutes, chosen.reading))
    raise SystemExit(not good)


if __name__ == "__main__":
    main()
